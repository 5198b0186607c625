/* A grid of lines that is worked with by keyboard. It holds the lines in memory and draws those in sight, so that
   thousands stay quick; what was changed is told apart from what was not. No server is asked here. */

import { KINDS, drawCell } from "./cells.js";
import { Combo } from "./combo.js";

const MANY = 80, AROUND = 12;

export class Grid {
    /* ``config``: columns, rows, words, language, marks, decimals, readonly, blank() and the callback changed(row). */
    constructor(root, config) {
        Object.assign(this, { readonly: false, decimals: 2, kinds: false, link: null, changed() {} }, config);
        this.root = root;
        this.fresh = 0;
        this.removed = false;
        this.rows = config.rows.map((row) => this.hold(row));
        this.rows.forEach((row) => { row.changed = Boolean(row.fresh); });
        this.combo = this.readonly ? null : new Combo();
        this.frame = 0;
        this.build();
        this.draw();
        window.addEventListener("resize", () => { this.height = 0; this.later(); });
    }

    /* Show other columns than before; what was typed stays. */
    setColumns(columns) {
        this.columns = columns;
        this.height = 0;
        this.build();
        this.draw(true);
    }

    hold(row) {
        const key = row.pk ? String(row.pk) : "n" + (this.fresh += 1);
        return {
            key, pk: row.pk || null, values: row.values, computed: row.computed || {}, kind: row.kind || "product",
            bad: {}, errors: row.errors || {}, changed: !row.pk, fresh: row.fresh, link: row.link || "",
        };
    }

    // ------------------------------------------------------------------------------------------------------ drawing
    build() {
        this.root.replaceChildren();
        this.scroll = document.createElement("div");
        this.scroll.className = "ac-grid-scroll";
        const table = document.createElement("table");
        table.className = "ac-grid-table";
        const head = table.createTHead().insertRow();
        for (const column of this.columns) {
            const cell = document.createElement("th");
            cell.scope = "col";
            cell.textContent = column.title;
            cell.className = "ac-head ac-" + column.type + (column.wide ? " ac-wide" : "");
            if (column.width) {
                cell.style.width = cell.style.minWidth = column.width;
            }
            head.append(cell);
        }
        if (!this.readonly) {
            const cell = document.createElement("th");
            cell.scope = "col";
            cell.className = "ac-head ac-tools";
            cell.innerHTML = '<span class="bo-sr"></span>';
            cell.firstChild.textContent = this.words.tools;
            head.append(cell);
        }
        this.body = table.createTBody();
        this.scroll.append(table);
        this.scroll.tabIndex = this.readonly ? 0 : -1;
        this.scroll.setAttribute("role", "region");
        this.scroll.setAttribute("aria-label", this.words.lines);
        this.live = document.createElement("p");
        this.live.className = "bo-sr";
        this.live.setAttribute("aria-live", "polite");
        this.root.append(this.scroll, this.live);
        this.scroll.addEventListener("scroll", () => this.later());
        if (!this.readonly) {
            this.body.addEventListener("keydown", (event) => this.key(event));
            this.body.addEventListener("input", (event) => this.typed(event));
            this.body.addEventListener("focusout", (event) => this.left(event));
            this.body.addEventListener("focusin", (event) => this.entered(event));
            this.body.addEventListener("click", (event) => this.clicked(event));
            this.body.addEventListener("paste", (event) => this.paste(event));
        }
    }

    later() {
        if (!this.frame && this.virtual) {
            this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
        }
    }

    get virtual() {
        return this.rows.length > MANY;
    }

    /* Draw the lines in sight (all of a short document). The line that has the focus is never taken away. */
    draw(force = false) {
        this.root.classList.toggle("is-long", this.virtual);
        if (!this.virtual) {
            this.from = 0;
            this.fill(0, this.rows.length, 0, 0);
            return;
        }
        if (!this.height) {
            this.fill(0, 2, 0, 0);
            this.height = this.body.rows[1].getBoundingClientRect().height || 40;
            force = true;
        }
        const top = Math.floor(this.scroll.scrollTop / this.height);
        const seen = Math.ceil(this.scroll.clientHeight / this.height);
        const from = Math.max(0, Math.min(top - AROUND, this.rows.length - seen - AROUND));
        const to = Math.min(this.rows.length, top + seen + AROUND);
        if (!force && this.from === from && this.to === to) {
            return;
        }
        this.fill(from, to, from * this.height, (this.rows.length - to) * this.height);
    }

    fill(from, to, above, below) {
        const held = this.spot();
        this.from = from;
        this.to = to;
        const parts = [];
        if (above) {
            parts.push(this.spacer(above));
        }
        for (let at = from; at < to; at += 1) {
            parts.push(this.line(this.rows[at], at));
        }
        if (below) {
            parts.push(this.spacer(below));
        }
        this.filling = true;
        this.body.replaceChildren(...parts);
        this.filling = false;
        if (held && held.at >= from && held.at < to) {
            this.focus(held.at, held.col, { start: held.start, end: held.end, still: true });
        }
    }

    spacer(height) {
        const row = document.createElement("tr");
        row.className = "ac-space";
        row.setAttribute("aria-hidden", "true");
        const cell = row.insertCell();
        cell.colSpan = this.columns.length + 1;
        cell.style.height = height + "px";
        return row;
    }

    line(row, at) {
        const line = document.createElement("tr");
        line.dataset.key = row.key;
        line.dataset.at = String(at);
        line.className = "ac-line ac-line-" + row.kind + (row.changed ? " is-changed" : "");
        if (row.kind !== "product") {
            const cell = drawCell(this.columns.find((column) => column.heading), row, this);
            cell.colSpan = this.columns.length;
            cell.classList.add("ac-heading");
            line.append(cell);
        } else {
            line.append(...this.columns.map((column) => drawCell(column, row, this)));
        }
        if (!this.readonly) {
            line.append(this.tools(at));
        }
        return line;
    }

    tools(at) {
        const cell = document.createElement("td");
        cell.className = "ac-tools";
        for (const [act, icon] of [["up", "arrow_upward"], ["down", "arrow_downward"], ["copy", "content_copy"], ["remove", "delete"]]) {
            const button = document.createElement("button");
            button.type = "button";
            button.tabIndex = -1;
            button.dataset.act = act;
            button.title = this.words[act];
            button.setAttribute("aria-label", this.words[act] + " " + (at + 1));
            button.innerHTML = '<span class="material-symbols-outlined" aria-hidden="true"></span>';
            button.firstChild.textContent = icon;
            cell.append(button);
        }
        return cell;
    }

    /* Draw one line again, for instance after its choice was taken. */
    redraw(row) {
        const at = this.rows.indexOf(row);
        const old = this.body.querySelector(`tr[data-key="${row.key}"]`);
        if (old) {
            const held = this.spot();
            this.filling = true;
            old.replaceWith(this.line(row, at));
            this.filling = false;
            if (held && held.at === at) {
                this.focus(at, held.col, { start: held.start, end: held.end, still: true });
            }
        }
    }

    /* Put computed values into the lines that are drawn, without touching what is being typed. */
    show(computed) {
        for (const row of this.rows) {
            if (computed[row.key]) {
                row.computed = computed[row.key];
            }
        }
        for (const output of this.body.querySelectorAll("[data-out]")) {
            const row = this.rows[Number(output.closest("tr").dataset.at)];
            const column = this.columns.find((item) => item.name === output.dataset.out);
            output.textContent = KINDS[column.type].text(column, row, this);
        }
    }

    // -------------------------------------------------------------------------------------------------------- focus
    spot() {
        const input = document.activeElement;
        const line = input && input.dataset && input.dataset.col ? input.closest("tr") : null;
        if (!line || !this.body.contains(line)) {
            return null;
        }
        let start = null, end = null;
        if (input.selectionStart !== undefined && input.type !== "date") {
            start = input.selectionStart;
            end = input.selectionEnd;
        }
        return { at: this.rows.findIndex((row) => row.key === line.dataset.key), col: input.dataset.col, input, start, end };
    }

    editable(row) {
        return row.kind === "product"
            ? this.columns.filter((column) => column.type !== "computed")
            : this.columns.filter((column) => column.heading);
    }

    focus(at, col, { start = null, end = null, still = false } = {}) {
        const row = this.rows[at];
        if (!row) {
            return;
        }
        const column = this.editable(row).find((item) => item.name === col) || this.editable(row)[0];
        let line = this.body.querySelector(`tr[data-key="${row.key}"]`);
        if (!line) {
            this.scroll.scrollTop = Math.max(0, (at - 3) * this.height);
            this.draw(true);
            line = this.body.querySelector(`tr[data-key="${row.key}"]`);
        }
        const input = line && line.querySelector(`[data-col="${column.name}"]`);
        if (!input) {
            return;
        }
        input.focus({ preventScroll: still });
        if (start !== null && input.type !== "date") {
            input.setSelectionRange(start, end);
        } else if (!still && input.select) {
            input.select();
        }
    }

    // ------------------------------------------------------------------------------------------------------ changes
    add(at = this.rows.length, values = null, { focus = true, col = null, kind = "product" } = {}) {
        const row = this.hold({ values: { ...this.blank(this), ...(values || {}) }, kind });
        this.rows.splice(at, 0, row);
        this.draw(true);
        this.note(row);
        this.say(this.words.added);
        if (focus) {
            this.focus(at, col || this.editable(row)[0].name);
        }
        return row;
    }

    remove(at) {
        const [row] = this.rows.splice(at, 1);
        this.removed = this.removed || row.pk !== null;
        const held = this.spot();
        this.draw(true);
        this.note(null);
        this.say(this.words.removed);
        if (this.rows.length) {
            this.focus(Math.min(at, this.rows.length - 1), held ? held.col : null);
        }
    }

    copy(at) {
        const source = this.rows[at];
        const values = JSON.parse(JSON.stringify(source.values));
        const row = this.add(at + 1, values, { col: this.spot()?.col, kind: source.kind });
        row.computed = { ...source.computed };
        row.own = true;
    }

    move(at, step) {
        const to = at + step;
        if (to < 0 || to >= this.rows.length) {
            return;
        }
        const held = this.spot();
        const [row] = this.rows.splice(at, 1);
        this.rows.splice(to, 0, row);
        this.moved = true;
        this.draw(true);
        this.note(null);
        this.focus(to, held ? held.col : null);
    }

    /* A line is as it was not before: mark it and tell. ``null``: the set of lines has changed. */
    note(row) {
        if (row) {
            row.changed = true;
            const line = this.body.querySelector(`tr[data-key="${row.key}"]`);
            if (line) {
                line.classList.add("is-changed");
            }
        }
        this.changed(row);
    }

    say(text) {
        this.live.textContent = text;
    }

    get dirty() {
        return this.removed || Boolean(this.moved) || this.rows.some((row) => row.changed);
    }

    /* What to save: the order of all lines by key, and the values of those that were changed (of all with ``everything``). */
    parcel() {
        const rows = {};
        for (const row of this.rows) {
            if (row.changed || this.everything) {
                const values = { ...row.values };
                for (const [name, text] of Object.entries(row.bad)) {
                    values[name] = text;
                }
                rows[row.key] = { kind: row.kind, ...values };
            }
        }
        return { order: this.rows.map((row) => row.pk || row.key), rows };
    }

    firstBad() {
        for (let at = 0; at < this.rows.length; at += 1) {
            const col = Object.keys(this.rows[at].bad)[0];
            if (col) {
                return { at, col };
            }
        }
        return null;
    }

    // ------------------------------------------------------------------------------------------------------- typing
    of(input) {
        const line = input.closest("tr");
        const at = this.rows.findIndex((row) => row.key === line.dataset.key);
        return { at, row: this.rows[at], column: this.columns.find((column) => column.name === input.dataset.col) };
    }

    typed(event) {
        const input = event.target.closest("[data-col]");
        if (!input) {
            return;
        }
        const { row, column } = this.of(input);
        if (column.type === "choice" || column.type === "choices") {
            this.offer(input, row, column);
            return;
        }
        KINDS[column.type].read(column, row, input.value, this);
        delete row.errors[column.name];
        input.toggleAttribute("aria-invalid", row.bad[column.name] !== undefined);
        if (column.edited) {
            column.edited(row, this);
        }
        this.note(row);
    }

    offer(input, row, column) {
        const kind = KINDS[column.type];
        this.combo.ask(input, kind.term(input), column.source, (chosen) => {
            kind.pick(column, row, chosen, input);
            delete row.errors[column.name];
            input.value = kind.text(column, row) + (column.type === "choices" ? "; " : "");
            input.removeAttribute("aria-invalid");
            if (column.edited) {
                column.edited(row, this);
            }
            this.note(row);
        });
    }

    /* Leaving a cell: choices that were typed in full count, the text becomes what is stored. */
    left(event) {
        const input = event.target.closest("[data-col]");
        if (!input || this.filling) {
            return;
        }
        const { row, column } = this.of(input);
        if (!row) {
            return;
        }
        this.combo.close();
        const kind = KINDS[column.type];
        if (column.type === "choice" || column.type === "choices") {
            const before = JSON.stringify(row.values[column.name] ?? null) + (row.bad[column.name] ?? "");
            kind.read(column, row, input.value, this);
            if (before !== JSON.stringify(row.values[column.name] ?? null) + (row.bad[column.name] ?? "")) {
                if (column.edited) {
                    column.edited(row, this);
                }
                this.note(row);
            }
        }
        const bad = row.bad[column.name] !== undefined;
        if (bad) {
            input.setAttribute("aria-invalid", "true");
            input.title = this.words.unknown;
        } else if (!row.errors[column.name]) {
            input.removeAttribute("aria-invalid");
            input.title = column.source ? kind.text(column, row, this) : "";
        }
        if (!bad && column.type !== "text" && column.type !== "date") {
            input.value = kind.text(column, row, this);
        }
    }

    /* Entering a number: without groups, ready to be typed over. */
    entered(event) {
        const input = event.target.closest("[data-col]");
        if (!input || this.filling) {
            return;
        }
        const { row, column } = this.of(input);
        if (row && column.type === "number" && row.bad[column.name] === undefined) {
            const plain = row.values[column.name];
            input.value = plain === null || plain === undefined ? "" : String(plain).replace(".", this.marks.decimal);
            if (!event.relatedTarget || event.relatedTarget !== input) {
                input.select();
            }
        }
    }

    clicked(event) {
        const button = event.target.closest("button[data-act]");
        if (!button) {
            return;
        }
        const at = Number(button.closest("tr").dataset.at);
        ({ up: () => this.move(at, -1), down: () => this.move(at, 1), copy: () => this.copy(at), remove: () => this.remove(at) })[button.dataset.act]();
    }

    // --------------------------------------------------------------------------------------------------------- keys
    key(event) {
        const input = event.target.closest("[data-col]");
        if (!input) {
            return;
        }
        const { at, row, column } = this.of(input);
        if (this.combo.open && this.combo.key(event)) {
            return;
        }
        if (this.shortcut(event, at, column)) {
            event.preventDefault();
            return;
        }
        if (event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        const combo = column.type === "choice" || column.type === "choices";
        if (event.key === "Enter" && !(event.shiftKey && column.type === "text")) {
            event.preventDefault();
            this.next(at, column, input);
        } else if (event.key === "Tab" && !event.shiftKey && this.isLast(at, column)) {
            this.lastTab(event, at, input);
        } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            this.vertical(event, at, column, input);
        } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && input.type !== "date") {
            this.sideways(event, at, row, column, input);
        } else if (combo && event.key === "F4") {
            event.preventDefault();
            this.offer(input, row, column);
        }
    }

    shortcut(event, at, column) {
        const control = event.ctrlKey || event.metaKey;
        if (control && event.key === "Enter") {
            this.add(at + 1);
        } else if (control && event.key.toLowerCase() === "d") {
            this.copy(at);
        } else if (control && (event.key === "Delete" || event.key === "Backspace")) {
            this.remove(at);
        } else if (event.altKey && event.key === "ArrowUp") {
            this.move(at, -1);
        } else if (event.altKey && event.key === "ArrowDown" && column.type !== "choice" && column.type !== "choices") {
            this.move(at, 1);
        } else if (event.altKey && event.key === "ArrowDown") {
            this.move(at, 1);
        } else {
            return false;
        }
        return true;
    }

    isLast(at, column) {
        return at === this.rows.length - 1 && column === this.editable(this.rows[at]).at(-1);
    }

    isBlank(row) {
        const blank = this.blank(this);
        return !row.pk && Object.entries(row.values).every(
            ([name, value]) => JSON.stringify(value ?? null) === JSON.stringify(blank[name] ?? null)
        );
    }

    next(at, column, input) {
        if (this.isLast(at, column)) {
            if (input.blur) {
                input.blur();
            }
            this.add();
            return;
        }
        const columns = this.editable(this.rows[at]);
        const place = columns.indexOf(column);
        if (place + 1 < columns.length) {
            this.focus(at, columns[place + 1].name);
        } else {
            this.focus(at + 1, this.editable(this.rows[at + 1])[0].name);
        }
    }

    /* Tab at the very end makes a line; out of a line that is still blank it leaves the grid. */
    lastTab(event, at, input) {
        input.blur();
        if (this.isBlank(this.rows[at]) && at > 0) {
            this.rows.splice(at, 1);
            const after = this.root.dataset.after && document.querySelector(this.root.dataset.after);
            this.draw(true);
            this.note(null);
            if (after) {
                event.preventDefault();
                after.focus();
            }
            return;
        }
        event.preventDefault();
        this.add();
    }

    vertical(event, at, column, input) {
        const down = event.key === "ArrowDown";
        if (input.tagName === "TEXTAREA" && input.value.includes("\n")) {
            const place = input.selectionStart, text = input.value;
            if (down ? text.indexOf("\n", place) >= 0 : text.lastIndexOf("\n", place - 1) >= 0) {
                return;
            }
        }
        if (input.type === "date") {
            return;
        }
        const to = at + (down ? 1 : -1);
        if (to >= 0 && to < this.rows.length) {
            event.preventDefault();
            this.focus(to, column.name);
        }
    }

    sideways(event, at, row, column, input) {
        const right = event.key === "ArrowRight";
        const all = input.selectionStart === 0 && input.selectionEnd === input.value.length;
        const edge = right ? input.selectionStart === input.value.length : input.selectionEnd === 0;
        if (event.shiftKey || !(edge || (all && input.value))) {
            return;
        }
        const columns = this.editable(row);
        const place = columns.indexOf(column) + (right ? 1 : -1);
        if (place >= 0 && place < columns.length) {
            event.preventDefault();
            this.focus(at, columns[place].name);
        }
    }

    // -------------------------------------------------------------------------------------------------------- paste
    paste(event) {
        const input = event.target.closest("[data-col]");
        const text = event.clipboardData ? event.clipboardData.getData("text/plain") : "";
        if (!input || !/\t|\n./.test(text)) {
            return;
        }
        event.preventDefault();
        const { at, column } = this.of(input);
        const table = tableOf(text);
        const columns = this.editable(this.rows[at].kind === "product" ? this.rows[at] : { kind: "product" });
        const first = Math.max(0, columns.indexOf(column));
        table.forEach((cells, offset) => {
            let row = this.rows[at + offset];
            if (!row || row.kind !== "product") {
                row = this.hold({ values: { ...this.blank(this) } });
                this.rows.splice(at + offset, 0, row);
            }
            cells.forEach((cell, place) => {
                const target = columns[first + place];
                if (target) {
                    KINDS[target.type].read(target, row, cell, this);
                    if (target.edited) {
                        target.edited(row, this);
                    }
                }
            });
            row.changed = true;
        });
        input.blur();
        this.draw(true);
        this.note(null);
        this.say(this.words.pasted.replace("%s", table.length));
        this.focus(at + table.length - 1, column.name);
    }
}

/* Rows and cells of what a spreadsheet puts on the clipboard; quoted cells may hold breaks. */
export function tableOf(text) {
    const rows = [[""]];
    let quoted = false;
    const body = text.replace(/\r\n?/g, "\n").replace(/\n$/, "");
    for (let at = 0; at < body.length; at += 1) {
        const sign = body[at], row = rows.at(-1);
        if (quoted) {
            if (sign === '"' && body[at + 1] === '"') {
                row[row.length - 1] += '"';
                at += 1;
            } else if (sign === '"') {
                quoted = false;
            } else {
                row[row.length - 1] += sign;
            }
        } else if (sign === '"' && row.at(-1) === "") {
            quoted = true;
        } else if (sign === "\t") {
            row.push("");
        } else if (sign === "\n") {
            rows.push([""]);
        } else {
            row[row.length - 1] += sign;
        }
    }
    return rows;
}
