/* Bank reconciliation: the list of movements, the choice that explains one of them, and the server's word on what is left. */

import { Combo, localSource, remoteSource } from "./combo.js";
import { postJson } from "./document.js";
import { plainNumber } from "./numbers.js";

const config = JSON.parse(document.getElementById("ac-config")?.textContent || "null");
const SOON = 150;

/* What was chosen for the movement on the panel; the names are those that the server takes. */
class Choice {
    constructor(given = {}) {
        this.items = given.items || [];
        this.payments = given.payments || [];
        this.write_offs = given.write_offs || [];
        this.partner = given.partner || null;
        this.rest_to_partner = false;
        this.amounts = {};
    }

    get empty() {
        return !(this.items.length || this.payments.length || this.write_offs.length || this.rest_to_partner);
    }
}

class Screen {
    constructor() {
        this.list = document.querySelector("[data-lines]");
        this.panel = document.querySelector("[data-panel]");
        this.told = document.querySelector("[data-told]");
        this.combo = config.may ? new Combo() : null;
        this.asked = 0;
        this.last = null;
        this.list.addEventListener("click", (event) => {
            const button = event.target.closest("[data-line]");
            if (button) {
                this.select(button);
            }
        });
        document.addEventListener("keydown", (event) => this.key(event));
        this.panel.addEventListener("click", (event) => this.clicked(event));
        this.panel.addEventListener("change", (event) => this.changed(event));
        this.panel.addEventListener("input", (event) => this.typed(event));
        this.panel.addEventListener("keydown", (event) => this.inPanel(event));
        this.told.addEventListener("click", (event) => {
            if (event.target.closest("[data-undo]")) {
                this.undo(Number(event.target.closest("[data-undo]").dataset.undo));
            }
        });
        this.opened();
        if (this.current) {
            this.current.focus({ preventScroll: true });
        }
    }

    get current() {
        return this.list.querySelector("[aria-current=true]");
    }

    get line() {
        const box = this.panel.querySelector("[data-panel-line]");
        return box ? Number(box.dataset.panelLine) : 0;
    }

    part(selector) {
        return this.panel.querySelector(selector);
    }

    // --------------------------------------------------------------------------------------------------- movements
    select(button, focus = true) {
        if (!button) {
            return;
        }
        this.list.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
        button.setAttribute("aria-current", "true");
        if (focus) {
            button.focus();
        }
        button.scrollIntoView({ block: "nearest" });
        window.clearTimeout(this.timer);
        this.panel.classList.add("is-waiting");
        this.timer = window.setTimeout(() => this.load(button.dataset.line), this.line ? SOON : 0);
    }

    async load(line) {
        const ticket = (this.asked += 1);
        const answer = await this.ask(`${config.urls.panel}?line=${line}`);
        if (ticket !== this.asked || !answer) {
            return;
        }
        this.panel.innerHTML = answer;
        this.panel.classList.remove("is-waiting");
        this.opened();
    }

    async ask(address) {
        try {
            const answer = await fetch(address);
            if (answer.ok) {
                return await answer.text();
            }
            this.tell((await answer.json()).message);
        } catch {
            this.tell(config.bankWords.failed);
        }
        this.panel.classList.remove("is-waiting");
        return "";
    }

    /* A panel is on the page: the strongest proposal is chosen to begin with. */
    opened() {
        this.choice = new Choice();
        this.chosenAccount = this.chosenPartner = null;
        this.ready = null;
        const box = this.part("[data-panel-line]");
        if (box && box.dataset.partner) {
            this.chosenPartner = { pk: Number(box.dataset.partner), text: box.dataset.partnerName };
        }
        if (this.part("[data-proposal]")) {
            this.propose(this.part("[data-proposal]"));
        }
        document.body.dataset.ready = String(this.line || "none");
    }

    step(by) {
        const buttons = [...this.list.querySelectorAll("[data-line]")];
        const at = buttons.indexOf(this.current);
        this.select(buttons[Math.min(buttons.length - 1, Math.max(0, at + by))]);
    }

    // ------------------------------------------------------------------------------------------------------ choice
    propose(button) {
        this.choice = new Choice(JSON.parse(button.dataset.proposal));
        this.show();
        this.panel.querySelectorAll("[data-proposal]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    }

    /* Tell the server what is chosen; it answers with the parts and what is left. The newest question counts. */
    show() {
        this.panel.querySelectorAll("[data-items] input").forEach((box) => { box.checked = this.choice.items.includes(Number(box.value)); });
        this.panel.querySelectorAll("[data-proposal][aria-pressed=true]").forEach((other) => other.setAttribute("aria-pressed", "false"));
        const ticket = (this.previewed = (this.previewed || 0) + 1);
        const line = this.line;
        this.part("[data-accept]").disabled = true;
        this.ready = postJson(config.urls.preview, { line, ...this.choice }).then(({ ok, told }) => {
            if (ticket !== this.previewed || line !== this.line) {
                return false;
            }
            this.refuse(ok ? told.refused || "" : words(told));
            if (ok && told.html) {
                this.part("[data-parts]").innerHTML = told.html;
                this.part("[data-accept]").disabled = !told.ready;
            }
            this.panel.dataset.previewed = String(ticket);
            return ok && Boolean(told.ready);
        }, () => {
            this.refuse(config.bankWords.failed);
            return false;
        });
    }

    refuse(text) {
        const place = this.part("[data-refused]");
        if (place) {
            place.textContent = text;
            place.hidden = !text;
        }
    }

    async accept() {
        if (this.busy || !this.part("[data-accept]")) {
            return;
        }
        this.busy = true;
        try {
            const line = this.line;
            if (!this.ready || !(await this.ready) || line !== this.line) {
                return;
            }
            const { ok, told } = await postJson(config.urls.match, { line, ...this.choice });
            if (!ok) {
                this.refuse(words(told));
                return;
            }
            this.last = line;
            this.tell(told.message, line);
            this.after(line, told.complete);
        } catch {
            this.refuse(config.bankWords.failed);
        } finally {
            this.busy = false;
        }
    }

    /* The movement leaves the list and the next one comes; one that is explained in part stays. */
    after(line, complete) {
        const button = this.list.querySelector(`[data-line="${line}"]`);
        if (!complete || !button) {
            this.load(line);
            return;
        }
        const item = button.closest("li");
        const next = (item.nextElementSibling || item.previousElementSibling)?.querySelector("[data-line]");
        item.remove();
        for (const count of document.querySelectorAll("[data-count], .ac-bank-journals [aria-current] .bo-count")) {
            count.textContent = String(Math.max(0, Number(count.textContent) - 1));
        }
        if (next) {
            this.select(next);
        } else {
            window.location.reload();
        }
    }

    tell(text, line = null) {
        this.told.textContent = text;
        this.told.hidden = false;
        if (line !== null) {
            const button = document.createElement("button");
            button.type = "button";
            button.className = "bo-button bo-button-quiet";
            button.dataset.undo = String(line);
            button.textContent = config.words.undo;
            this.told.append(" ", button);
        }
    }

    async undo(line) {
        const { ok, told } = await postJson(config.urls.undo, { line });
        if (ok) {
            window.location.assign(told.url);
        } else {
            this.tell(words(told));
        }
    }

    // ---------------------------------------------------------------------------------------------------- the panel
    clicked(event) {
        const at = (selector) => event.target.closest(selector);
        const drop = (name, key, list) => {
            const value = Number(at(`[${name}]`).dataset[key]);
            this.choice[list] = this.choice[list].filter((one, place) => (list === "write_offs" ? place : one) !== value);
            this.show();
        };
        if (at("[data-proposal]")) {
            this.propose(at("[data-proposal]"));
        } else if (at("[data-accept]")) {
            this.accept();
        } else if (at("[data-clear]")) {
            this.choice = new Choice();
            this.show();
        } else if (at("[data-undo]")) {
            this.undo(Number(at("[data-undo]").dataset.undo));
        } else if (at("[data-drop-item]")) {
            delete this.choice.amounts[at("[data-drop-item]").dataset.dropItem];
            drop("data-drop-item", "dropItem", "items");
        } else if (at("[data-drop-off]")) {
            drop("data-drop-off", "dropOff", "write_offs");
        } else if (at("[data-drop-payment]")) {
            drop("data-drop-payment", "dropPayment", "payments");
        } else if (at("[data-drop-rest]")) {
            this.choice.rest_to_partner = false;
            this.show();
        } else if (at("[data-off-add]")) {
            this.writeOff();
        } else if (at("[data-rest-add]")) {
            this.rest();
        }
    }

    changed(event) {
        const box = event.target.closest("[data-items] input");
        if (box) {
            const pk = Number(box.value);
            this.choice.items = box.checked ? [...this.choice.items, pk] : this.choice.items.filter((other) => other !== pk);
            this.show();
            return;
        }
        const part = event.target.closest("[data-part-item]");
        if (part) {
            const plain = plainNumber(part.value, config.marks);
            if (plain === null) {
                this.refuse(config.bankWords.amount);
            } else if (plain === "") {
                delete this.choice.amounts[part.dataset.partItem];
                this.show();
            } else {
                this.choice.amounts[part.dataset.partItem] = plain;
                this.show();
            }
        }
    }

    typed(event) {
        const search = event.target.closest("[data-item-search]");
        if (search) {
            window.clearTimeout(this.searching);
            this.searching = window.setTimeout(() => this.search(search.value), 2 * SOON);
        } else if (event.target.closest("[data-off-account]")) {
            this.chosenAccount = null;
            const source = config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl);
            this.offer(event.target, source, (chosen) => { this.chosenAccount = chosen; });
        } else if (event.target.closest("[data-rest-partner]")) {
            this.chosenPartner = null;
            this.offer(event.target, remoteSource(config.partnersUrl), (chosen) => { this.chosenPartner = chosen; });
        }
    }

    offer(input, source, pick) {
        this.combo.ask(input, input.value, source, (chosen) => {
            input.value = chosen.text;
            pick(chosen);
        });
    }

    async search(text) {
        const line = this.line;
        const query = new URLSearchParams({ line: String(line), q: text, picked: this.choice.items.join(","), partner: this.choice.partner || "" });
        const answer = await this.ask(`${config.urls.items}?${query}`);
        if (answer && line === this.line) {
            this.part("[data-items]").innerHTML = answer;
        }
    }

    writeOff() {
        const error = this.part("[data-off-error]");
        const amount = plainNumber(this.part("[data-off-amount]").value, config.marks);
        const text = !this.chosenAccount ? config.bankWords.account : amount === null ? config.bankWords.amount : "";
        error.textContent = text;
        error.hidden = !text;
        if (text) {
            this.part(this.chosenAccount ? "[data-off-amount]" : "[data-off-account]").focus();
            return;
        }
        const tax = this.part("[data-off-tax]")?.value;
        this.choice.write_offs.push({
            account: this.chosenAccount.pk, amount: amount || null, label: this.part("[data-off-label]").value, taxes: tax ? [Number(tax)] : [],
        });
        for (const name of ["account", "label", "amount"]) {
            this.part(`[data-off-${name}]`).value = "";
        }
        this.chosenAccount = null;
        this.show();
        this.current?.focus();
    }

    rest() {
        if (!this.chosenPartner) {
            this.refuse(config.bankWords.partner);
            this.part("[data-rest-partner]").focus();
            return;
        }
        this.choice.partner = this.chosenPartner.pk;
        this.choice.rest_to_partner = true;
        this.show();
        this.current?.focus();
    }

    /* Keys inside the panel: lists of choices first, Enter adds what is being typed. */
    inPanel(event) {
        if (event.target.matches("[role=combobox]") && this.combo) {
            const open = this.combo.open;
            if (this.combo.key(event)) {
                return;
            }
            if (open && event.key === "Enter") {
                event.preventDefault();
                event.stopPropagation();
                return;
            }
        }
        if (event.key !== "Enter") {
            return;
        }
        if (event.target.matches("[data-off-account], [data-off-label], [data-off-amount], [data-off-tax]")) {
            event.preventDefault();
            this.writeOff();
        } else if (event.target.matches("[data-rest-partner]")) {
            event.preventDefault();
            this.rest();
        } else if (event.target.matches("[data-items] input")) {
            event.preventDefault();
            this.accept();
        }
    }

    unfold(name) {
        const box = this.part(`[data-add=${name}]`);
        if (box) {
            box.open = true;
            box.querySelector("input").focus();
        }
    }

    key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) {
            return;
        }
        if (event.key === "Escape" && this.panel.contains(event.target)) {
            this.current?.focus();
            return;
        }
        const box = event.target.closest ? event.target.closest("input, select, textarea, summary, a") : null;
        if (box) {
            return;
        }
        const inList = this.list.contains(event.target), key = event.key.toLowerCase();
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            this.step(event.key === "ArrowDown" ? 1 : -1);
        } else if (event.key === "Enter" && config.may && (inList || event.target === document.body)) {
            event.preventDefault();
            this.accept();
        } else if (!config.may) {
            return;
        } else if (/^[1-9]$/.test(key)) {
            const chosen = this.panel.querySelectorAll("[data-proposal]")[Number(key) - 1];
            if (chosen) {
                event.preventDefault();
                this.propose(chosen);
            }
        } else if ({ o: 1, w: 1, p: 1 }[key]) {
            event.preventDefault();
            this.unfold({ o: "items", w: "account", p: "partner" }[key]);
        } else if (key === "u" && this.last) {
            this.undo(this.last);
        }
    }
}

function words(told) {
    const texts = Object.values(told.fields || {}).flat();
    return texts.length ? texts.join(" ") : told.message;
}

if (config) {
    new Screen();
} else {
    document.body.dataset.ready = "none";
}
