/* One list of choices under the input that is being typed in. The input is a combobox in the sense of ARIA. */

let counter = 0;

export class Combo {
    constructor() {
        this.list = document.createElement("ul");
        this.list.className = "ac-options";
        this.list.id = "ac-options-" + (counter += 1);
        this.list.setAttribute("role", "listbox");
        this.list.setAttribute("aria-label", " ");
        this.list.hidden = true;
        document.body.append(this.list);
        this.asked = 0;
        this.list.addEventListener("mousedown", (event) => {
            const option = event.target.closest("[role=option]");
            if (option) {
                event.preventDefault();
                this.take(Number(option.dataset.at));
            }
        });
        window.addEventListener("scroll", () => this.place(), true);
        window.addEventListener("resize", () => this.place());
    }

    get open() {
        return !this.list.hidden;
    }

    /* Ask ``source(term)`` and show the answers; ``pick(choice)`` is called with the one that is taken. */
    async ask(input, term, source, pick) {
        const ticket = (this.asked += 1);
        const found = await source(term);
        if (ticket !== this.asked || document.activeElement !== input) {
            return;
        }
        this.input = input;
        this.pick = pick;
        this.found = found;
        this.at = found.length && term ? 0 : -1;
        this.list.setAttribute("aria-label", input.getAttribute("aria-label") || "");
        this.list.replaceChildren(...found.map((choice, at) => this.option(choice, at)));
        this.list.hidden = !found.length;
        input.setAttribute("aria-controls", this.list.id);
        input.setAttribute("aria-expanded", String(!this.list.hidden));
        this.place();
        this.mark();
    }

    option(choice, at) {
        const item = document.createElement("li");
        item.id = this.list.id + "-" + at;
        item.dataset.at = String(at);
        item.setAttribute("role", "option");
        const text = document.createElement("span");
        text.textContent = choice.text;
        item.append(text);
        if (choice.hint) {
            const hint = document.createElement("small");
            hint.textContent = choice.hint;
            item.append(hint);
        }
        return item;
    }

    place() {
        if (this.list.hidden || !this.input) {
            return;
        }
        if (!this.input.isConnected) {
            this.close();
            return;
        }
        const box = this.input.getBoundingClientRect();
        const below = window.innerHeight - box.bottom;
        const upwards = below < 200 && box.top > below;
        this.list.style.left = Math.max(4, Math.min(box.left, window.innerWidth - 260)) + "px";
        this.list.style.minWidth = Math.max(box.width, 220) + "px";
        this.list.style.maxHeight = Math.min(320, (upwards ? box.top : below) - 12) + "px";
        this.list.style.top = upwards ? "auto" : box.bottom + 2 + "px";
        this.list.style.bottom = upwards ? window.innerHeight - box.top + 2 + "px" : "auto";
    }

    mark() {
        for (const item of this.list.children) {
            const chosen = Number(item.dataset.at) === this.at;
            item.setAttribute("aria-selected", String(chosen));
            if (chosen) {
                item.scrollIntoView({ block: "nearest" });
            }
        }
        if (this.at >= 0) {
            this.input.setAttribute("aria-activedescendant", this.list.id + "-" + this.at);
        } else {
            this.input.removeAttribute("aria-activedescendant");
        }
    }

    move(step) {
        this.at = (this.at + step + this.found.length + (this.at < 0 && step < 0 ? 1 : 0)) % this.found.length;
        this.mark();
    }

    take(at = this.at) {
        const choice = this.found[at];
        const pick = this.pick;
        this.close();
        if (choice) {
            pick(choice);
        }
        return Boolean(choice);
    }

    close() {
        this.asked += 1;
        this.list.hidden = true;
        if (this.input) {
            this.input.setAttribute("aria-expanded", "false");
            this.input.removeAttribute("aria-activedescendant");
        }
    }

    /* Whether a key was used up by the list. Tab takes the marked choice and still moves on. */
    key(event) {
        if (!this.open) {
            return false;
        }
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            this.move(event.key === "ArrowDown" ? 1 : -1);
            return true;
        }
        if (event.key === "Escape") {
            event.preventDefault();
            event.stopPropagation();
            this.close();
            return true;
        }
        if ((event.key === "Enter" || event.key === "Tab") && this.at >= 0) {
            this.take();
            return false;
        }
        return false;
    }
}

function folded(text) {
    return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/* A source over choices that are on the page: ``[{pk, text, hint}]``. Those that begin with the term come first. */
export function localSource(choices, limit = 40) {
    const known = choices.map((choice) => ({ choice, key: folded(choice.text), rest: folded(choice.hint || "") }));
    return (term) => {
        const words = folded(term).split(/\s+/).filter(Boolean);
        const first = [], later = [];
        for (const entry of known) {
            if (words.every((word) => entry.key.includes(word) || entry.rest.includes(word))) {
                (words.length && entry.key.startsWith(words[0]) ? first : later).push(entry.choice);
            }
            if (first.length >= limit) {
                break;
            }
        }
        return [...first, ...later].slice(0, limit);
    };
}

/* A source that asks the server's search for link fields. */
export function remoteSource(address) {
    let running = null;
    return async (term) => {
        if (running) {
            running.abort();
        }
        running = new AbortController();
        const target = new URL(address, window.location.href);
        target.searchParams.set("term", term);
        try {
            const answer = await fetch(target, { signal: running.signal, headers: { Accept: "application/json" } });
            if (!answer.ok) {
                return [];
            }
            const told = await answer.json();
            return told.results.map((row) => ({ pk: Number(row.id), text: row.text }));
        } catch (error) {
            if (error.name === "AbortError") {
                return [];
            }
            throw error;
        }
    };
}

export function sameText(left, right) {
    return folded(left.trim()) === folded(right.trim());
}
