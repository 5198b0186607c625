/* The form of an invoice: its grid of lines, and the totals that the server works out while somebody types. */

import { localSource, remoteSource } from "./combo.js";
import { choosing, onSelect, pageConfig, postJson, sendWith } from "./document.js";
import { Grid } from "./grid.js";
import { plainNumber, shown } from "./numbers.js";

const LATER = 250;
const HEADER = [
    "partner", "shipping_partner", "payment_term", "journal", "fiscal_position", "currency", "cash_rounding",
    "bank_account", "reference", "date", "due_date", "accounting_date", "rate", "rate_is_manual",
];
// What follows from the rest of the document until somebody chooses it.
const FOLLOWING = ["payment_term", "fiscal_position", "journal", "currency", "due_date", "bank_account"];
const AFTER_PARTNER = ["payment_term", "fiscal_position", "due_date", "bank_account"];

class InvoiceForm {
    constructor() {
        this.config = pageConfig();
        this.form = document.querySelector("form#invoice_form");
        this.defaults = { account: null, taxes: [] };
        this.automatic = new Set(this.config.record || !this.form ? [] : FOLLOWING.filter((name) => !this.value(name)));
        this.grid = new Grid(document.querySelector("[data-grid]"), {
            ...this.config,
            columns: this.columns(),
            blank: () => ({
                description: "", quantity: "1", unit: "", unit_price: "0", discount: "0",
                account: this.defaults.account, taxes: [...this.defaults.taxes],
            }),
            changed: () => this.later(),
        });
        if (this.config.readonly) {
            return;
        }
        this.grid.root.dataset.after = "[data-add-line]";
        this.typedTaxes = { ...this.config.typedTaxes };
        this.known = Object.fromEntries(HEADER.map((name) => [name, this.value(name)]));
        this.position = this.value("fiscal_position");
        sendWith(this.form, this.grid, () => this.sendTaxes());
        this.follow();
        this.quick();
        this.begin();
        for (const button of document.querySelectorAll("[data-add-line]")) {
            button.addEventListener("click", () => this.add(button.dataset.addLine));
        }
        this.ask().then(() => {
            if (!this.grid.rows.length) {
                this.grid.add(0, null, { focus: false });
            }
        });
    }

    columns() {
        const { config } = this, titles = config.columnTitles;
        return [
            { name: "description", title: titles.description, type: "text", wide: true, heading: true },
            choosing(
                { name: "account", title: titles.account, type: "choice", width: "10rem" },
                config.accounts, config.accountLabels,
                config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl),
            ),
            { name: "quantity", title: titles.quantity, type: "number", width: "5rem" },
            { name: "unit", title: titles.unit, type: "text", width: "3.75rem" },
            { name: "unit_price", title: titles.unit_price, type: "number", width: "6.5rem", decimals: config.decimals },
            { name: "discount", title: titles.discount, type: "number", width: "4.75rem", blankZero: true },
            choosing(
                { name: "taxes", title: titles.taxes, type: "choices", width: "6.5rem" },
                config.taxes, config.taxLabels, localSource(config.taxes),
            ),
            { name: "subtotal", title: titles.subtotal, type: "computed", width: "6rem" },
        ];
    }

    add(kind) {
        this.grid.add(this.grid.rows.length, kind === "product" ? null : { quantity: "0", unit_price: "0", account: null, taxes: [] }, { kind });
    }

    field(name) {
        return this.form.elements[name] || null;
    }

    value(name) {
        const field = this.field(name);
        if (!field) {
            return "";
        }
        return field.type === "checkbox" ? (field.checked ? "on" : "") : field.value;
    }

    /* A new document begins with its partner. */
    begin() {
        if (this.config.record || !this.config.begin) {
            return;
        }
        window.addEventListener("load", () => window.setTimeout(() => {
            // Django's own script goes to the first control of the form, which posts.
            const partner = document.querySelector(".field-partner .select2-selection"), button = document.querySelector("button[name=_post]");
            if (partner && [document.body, button].includes(document.activeElement)) {
                partner.focus();
            }
        }));
    }

    /* A total with tax: the server finds the price of the one line, which is shown at once and expected from then on. */
    quick() {
        const input = document.getElementById("ac-quick-total");
        if (!input) {
            return;
        }
        input.addEventListener("change", () => {
            const plain = plainNumber(input.value, this.config.marks);
            input.toggleAttribute("aria-invalid", plain === null);
            if (plain) {
                if (!this.grid.rows.length) {
                    this.grid.add(0, null, { focus: false });
                }
                window.clearTimeout(this.timer);
                this.ask({ quick_total: plain });
            }
        });
        input.addEventListener("keydown", (event) => {
            if (event.key === "Enter") {
                event.preventDefault();
                input.blur();
                input.focus();
            }
        });
    }

    sendTaxes() {
        const field = this.form.elements.typed_taxes;
        if (field) {
            const plain = Object.fromEntries(Object.entries(this.typedTaxes).map(([key, typed]) => [key, typed.amount]));
            field.value = JSON.stringify(plain);
        }
    }

    // ----------------------------------------------------------------------------------------------------- preview
    follow() {
        onSelect(this.form, (event) => {
            const name = event.target.name;
            // Widgets announce themselves with a change that changes nothing.
            if (!HEADER.includes(name) || this.filling || this.value(name) === this.known[name]) {
                return;
            }
            this.known[name] = this.value(name);
            this.automatic.delete(name);
            if (name === "partner") {
                AFTER_PARTNER.forEach((item) => this.automatic.add(item));
            }
            if (name === "payment_term" || name === "date") {
                this.automatic.add("due_date");
            }
            this.later();
        });
    }

    later() {
        window.clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.ask(), LATER);
    }

    async ask(more = {}) {
        if (this.running) {
            this.running.abort();
        }
        this.running = new AbortController();
        const header = {};
        for (const name of HEADER) {
            if (this.field(name)) {
                header[name] = this.value(name);
            }
        }
        const rows = this.grid.rows.map((row) => row.kind === "product"
            ? { key: row.key, kind: row.kind, ...this.sendable(row) }
            : { key: row.key, kind: row.kind, description: row.values.description || "" });
        let answer;
        try {
            answer = await postJson(this.config.previewUrl, {
                type: this.config.type, company: this.config.company, record: this.config.record, header,
                automatic: [...this.automatic], rows, typed_taxes: this.typedTaxes, ...more,
            }, this.running.signal);
        } catch (error) {
            if (error.name !== "AbortError") {
                this.tell([{ text: this.config.words.failed }], true);
            }
            return;
        }
        if (answer.ok) {
            this.take(answer.told);
        } else {
            this.refused(answer.told, rows);
        }
    }

    /* Cells that are not understood yet are left out, so that the rest can be computed. */
    sendable(row) {
        const values = {};
        for (const name of ["description", "quantity", "unit_price", "discount", "account", "taxes"]) {
            if (row.bad[name] === undefined && row.values[name] !== null) {
                values[name] = row.values[name];
            }
        }
        delete values.description;
        return values;
    }

    take(told) {
        this.grid.decimals = told.decimals;
        this.grid.show(told.lines);
        for (const [name, text] of Object.entries(told.totals)) {
            const cell = document.querySelector(`[data-total="${name}"]`);
            if (cell) {
                cell.textContent = text;
            }
        }
        document.querySelector("[data-row=rounding]").hidden = !told.totals.rounding;
        this.groups(told.totals.groups);
        this.parts(told.parts);
        this.fill(told.values);
        this.rewrite(told.rewritten);
        if (told.expected_total) {
            this.field("expected_total").value = told.expected_total;
        }
        const before = this.defaults;
        this.defaults = told.defaults;
        if (!this.config.record) {
            this.refit(before);
        }
        this.tell(told.warnings, false);
        this.offerMove();
    }

    /* Lines that the server has written anew: for another fiscal position, or from a total. */
    rewrite(rows) {
        for (const row of this.grid.rows) {
            const values = rows && rows[row.key];
            if (values && Object.entries(values).some(([name, value]) => JSON.stringify(row.values[name]) !== JSON.stringify(value))) {
                Object.assign(row.values, values);
                row.bad = {};
                row.changed = true;
                this.grid.redraw(row);
            }
        }
    }

    groups(groups) {
        const body = document.querySelector("[data-groups]");
        const held = body.contains(document.activeElement) ? document.activeElement.dataset.group : null;
        const rows = groups.map((group) => {
            const row = document.createElement("tr"), head = document.createElement("th"), base = document.createElement("small");
            head.scope = "row";
            base.textContent = group.base;
            head.append(group.name + " ", base);
            const cell = document.createElement("td");
            cell.className = "bo-amount";
            if (this.config.taxesByHand && group.key) {
                cell.append(this.typedTax(group));
            } else {
                cell.textContent = group.amount;
            }
            row.append(head, cell);
            return row;
        });
        body.replaceChildren(...rows);
        if (held) {
            body.querySelector(`[data-group="${held}"]`)?.focus();
        }
        // What was typed for one base says nothing about another.
        for (const group of groups) {
            const typed = this.typedTaxes[group.key];
            if (typed && typed.base !== group.plain_base) {
                delete this.typedTaxes[group.key];
                this.later();
            }
        }
    }

    /* A vendor's tax as it is printed on the bill, where it differs by cents. Empty: as computed. */
    typedTax(group) {
        const input = document.createElement("input");
        input.type = "text";
        input.inputMode = "decimal";
        input.className = "ac-tax";
        input.dataset.group = group.key;
        input.setAttribute("aria-label", this.config.titles.typedTax.replace("%s", group.name));
        input.title = this.config.titles.typedTaxHelp;
        input.classList.toggle("is-typed", Boolean(this.typedTaxes[group.key]));
        input.value = shown(group.plain, this.config.language, this.grid.decimals);
        input.addEventListener("focus", () => input.select());
        input.addEventListener("change", () => {
            const plain = plainNumber(input.value, this.config.marks);
            input.toggleAttribute("aria-invalid", plain === null);
            if (plain === "") {
                delete this.typedTaxes[group.key];
            } else if (plain !== null) {
                this.typedTaxes[group.key] = { amount: plain, base: group.plain_base };
            }
            this.later();
        });
        input.addEventListener("keydown", (event) => {
            if (event.key === "Enter") {
                event.preventDefault();
                input.blur();
                input.focus();
            }
        });
        return input;
    }

    /* The fiscal position is another than the one the lines were written for: offer to rewrite them. */
    offerMove() {
        const now = this.value("fiscal_position");
        if (now === this.position) {
            return;
        }
        if (!this.grid.rows.some((row) => row.kind === "product" && (row.pk || !this.isPlain(row, this.defaults)))) {
            this.position = now;
            return;
        }
        const line = document.createElement("p"), button = document.createElement("button");
        button.type = "button";
        button.className = "bo-button";
        button.textContent = this.config.titles.move;
        button.addEventListener("click", () => {
            const from = this.position;
            this.position = now;
            this.typedTaxes = {};  // of other taxes
            window.clearTimeout(this.timer);
            this.ask({ moved_from: Number(from) || 0 });
        });
        line.append(this.config.titles.moved + " ", button);
        const box = document.querySelector("[data-warnings]");
        box.append(line);
        box.hidden = false;
    }

    /* A change of partner or fiscal position changes what untouched new lines begin with. */
    refit(before) {
        let touched = false;
        for (const row of this.grid.rows) {
            const differs = JSON.stringify(before) !== JSON.stringify(this.defaults);
            if (row.fresh === undefined && !row.pk && row.kind === "product" && differs && this.isPlain(row, before)) {
                row.values.account = this.defaults.account;
                row.values.taxes = [...this.defaults.taxes];
                this.grid.redraw(row);
                touched = true;
            }
        }
        if (touched) {
            this.later();
        }
    }

    isPlain(row, defaults) {
        return row.values.account === defaults.account && JSON.stringify(row.values.taxes) === JSON.stringify(defaults.taxes);
    }

    fill(values) {
        this.filling = true;
        for (const name of this.automatic) {
            const field = this.field(name);
            const wanted = values[name] === null || values[name] === undefined ? "" : String(values[name]);
            if (field && field.value !== wanted && document.activeElement !== field) {
                field.value = wanted;
                this.known[name] = field.value;
            }
        }
        this.filling = false;
    }

    parts(parts) {
        const box = document.querySelector("[data-parts]");
        box.replaceChildren();
        if (!parts.length) {
            return;
        }
        const title = document.createElement("h3"), list = document.createElement("ul");
        title.textContent = this.config.titles.due;
        for (const part of parts) {
            const item = document.createElement("li");
            for (const [tag, text] of [["span", part.date], ["span", part.amount], ["small", part.discount]]) {
                if (text) {
                    const piece = document.createElement(tag);
                    piece.textContent = text;
                    item.append(piece);
                }
            }
            list.append(item);
        }
        box.append(title, list);
    }

    refused(told, rows) {
        const texts = [];
        for (const row of this.grid.rows) {
            row.errors = {};
        }
        for (const [name, found] of Object.entries(told.fields || {})) {
            const [head, place, cell] = name.split(".");
            const row = head === "lines" && place !== undefined ? this.grid.rows.find((item) => item.key === rows[Number(place)]?.key) : null;
            if (row && cell) {
                row.errors[cell] = found.join(" ");
                const input = this.grid.body.querySelector(`tr[data-key="${row.key}"] [data-col="${cell}"]`);
                if (input) {
                    input.setAttribute("aria-invalid", "true");
                    input.title = found.join(" ");
                }
            }
            texts.push(...found);
        }
        this.tell((texts.length ? texts : [told.message]).map((text) => ({ text })), true);
    }

    tell(warnings, isError) {
        const box = document.querySelector("[data-warnings]");
        box.hidden = !warnings.length;
        box.classList.toggle("is-error", isError || warnings.some((warning) => warning.blocks));
        box.replaceChildren(...warnings.map((warning) => {
            const line = document.createElement("p");
            line.textContent = warning.text;
            for (const link of warning.links || []) {
                const anchor = document.createElement("a");
                anchor.href = link.url;
                anchor.target = "_blank";
                anchor.rel = "noopener";
                anchor.textContent = link.text;
                line.append(" ", anchor);
            }
            return line;
        }));
    }
}

const page = new InvoiceForm();
if (page.grid) {
    document.body.dataset.ready = "1";
}
