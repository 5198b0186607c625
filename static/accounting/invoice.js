/* The form of an invoice: its grid of lines, and the totals that the server works out while somebody types. */

import { localSource, remoteSource } from "./combo.js";
import { choosing, onSelect, pageConfig, postJson, sendWith } from "./document.js";
import { Grid } from "./grid.js";

const LATER = 250;
const HEADER = [
    "partner", "shipping_partner", "payment_term", "journal", "fiscal_position", "currency", "cash_rounding",
    "date", "due_date", "accounting_date", "rate", "rate_is_manual",
];
// What follows from the rest of the document until somebody chooses it.
const FOLLOWING = ["payment_term", "fiscal_position", "journal", "currency", "due_date"];
const AFTER_PARTNER = ["payment_term", "fiscal_position", "due_date"];

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
        sendWith(this.form, this.grid);
        this.follow();
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
                { name: "account", title: titles.account, type: "choice", width: "11rem" },
                config.accounts, config.accountLabels,
                config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl),
            ),
            { name: "quantity", title: titles.quantity, type: "number", width: "5rem" },
            { name: "unit", title: titles.unit, type: "text", width: "3.75rem" },
            { name: "unit_price", title: titles.unit_price, type: "number", width: "6.5rem", decimals: config.decimals },
            { name: "discount", title: titles.discount, type: "number", width: "4.75rem", blankZero: true },
            choosing(
                { name: "taxes", title: titles.taxes, type: "choices", width: "7.5rem" },
                config.taxes, config.taxLabels, localSource(config.taxes),
            ),
            { name: "subtotal", title: titles.subtotal, type: "computed", width: "6.5rem" },
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

    // ----------------------------------------------------------------------------------------------------- preview
    follow() {
        onSelect(this.form, (event) => {
            const name = event.target.name;
            if (!HEADER.includes(name) || this.filling) {
                return;
            }
            this.automatic.delete(name);
            if (name === "partner") {
                AFTER_PARTNER.forEach((item) => this.automatic.add(item));
            }
            if (name === "payment_term" || name === "date") {
                this.automatic.add("due_date");
            }
            this.moved = this.moved || ["partner", "fiscal_position", "journal"].includes(name);
            this.later();
        });
    }

    later() {
        window.clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.ask(), LATER);
    }

    async ask() {
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
                type: this.config.type, company: this.config.company, header,
                automatic: [...this.automatic], rows,
            }, this.running.signal);
        } catch (error) {
            if (error.name !== "AbortError") {
                this.tell([this.config.words.failed], true);
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
        document.querySelector("[data-groups]").replaceChildren(...told.totals.groups.map((group) => {
            const row = document.createElement("tr"), head = document.createElement("th"), base = document.createElement("small");
            head.scope = "row";
            base.textContent = group.base;
            head.append(group.name + " ", base);
            const cell = document.createElement("td");
            cell.className = "bo-amount";
            cell.textContent = group.amount;
            row.append(head, cell);
            return row;
        }));
        this.parts(told.parts);
        this.fill(told.values);
        const before = this.defaults;
        this.defaults = told.defaults;
        if (!this.config.record) {
            this.refit(before);
        }
        this.tell(told.warnings, false);
    }

    /* A change of partner or fiscal position changes what untouched new lines begin with. */
    refit(before) {
        let touched = false;
        for (const row of this.grid.rows) {
            const same = JSON.stringify(row.values.taxes) === JSON.stringify(before.taxes) && row.values.account === before.account;
            const differs = JSON.stringify(before) !== JSON.stringify(this.defaults);
            if (row.fresh === undefined && !row.pk && row.kind === "product" && same && differs) {
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

    fill(values) {
        this.filling = true;
        for (const name of this.automatic) {
            const field = this.field(name);
            const wanted = values[name] === null || values[name] === undefined ? "" : String(values[name]);
            if (field && field.value !== wanted && document.activeElement !== field) {
                field.value = wanted;
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
        this.tell(texts.length ? texts : [told.message], true);
    }

    tell(texts, isError) {
        const box = document.querySelector("[data-warnings]");
        box.hidden = !texts.length;
        box.classList.toggle("is-error", isError);
        box.replaceChildren(...texts.map((text) => {
            const line = document.createElement("p");
            line.textContent = text;
            return line;
        }));
    }
}

const shown = new InvoiceForm();
if (shown.grid) {
    document.body.dataset.ready = "1";
}
