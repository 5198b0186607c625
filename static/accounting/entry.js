/* The form of a journal entry: items with debit and credit, their balance, and the amount that is still missing. */

import { localSource, remoteSource } from "./combo.js";
import { choosing, oneSide, pageConfig, postJson, sendWith } from "./document.js";
import { Grid } from "./grid.js";
import { plainUnits, shown, units } from "./numbers.js";

const config = pageConfig(), titles = config.columnTitles;
const form = document.querySelector("form#journalentry_form");

let added = [];  // the tax items that saving will add
let timer = 0, running = null;

/* An amount that somebody typed: it is no longer the one that balances the entry. */
function typed(name) {
    const settle = oneSide(name);
    return (row, grid) => {
        row.own = true;
        settle(row, grid);
    };
}

function sums(grid) {
    let debit = 0n, credit = 0n;
    for (const row of grid.rows) {
        debit += units(row.values.debit);
        credit += units(row.values.credit);
    }
    for (const item of added) {
        const value = units(item.balance);
        debit += value > 0n ? value : 0n;
        credit += value < 0n ? -value : 0n;
    }
    return { debit, credit, balance: debit - credit };
}

function show(grid) {
    const found = sums(grid);
    for (const [name, value] of Object.entries(found)) {
        document.querySelector(`[data-total=${name}]`).textContent = shown(plainUnits(value), config.language, config.decimals);
    }
    const line = document.querySelector("[data-balance-word]");
    line.textContent = found.balance === 0n ? config.totalWords.balanced : config.totalWords.off;
    line.closest("tr").classList.toggle("is-off", found.balance !== 0n);
}

/* An item that nobody gave an amount takes what is missing. */
function balanceOut(row, grid) {
    if (row.own || row.pk) {
        return;
    }
    row.values.debit = row.values.credit = "0";
    const { balance } = sums(grid);
    row.values[balance > 0n ? "credit" : "debit"] = plainUnits(balance < 0n ? -balance : balance);
    // Only these two cells: somebody may be typing in another one of the line.
    for (const name of ["debit", "credit"]) {
        const input = grid.body.querySelector(`tr[data-key="${row.key}"] [data-col="${name}"]`);
        if (input && input !== document.activeElement) {
            const zero = units(row.values[name]) === 0n;
            input.value = zero ? "" : shown(row.values[name], config.language, config.decimals);
        }
    }
}

/* Taxes on items: the server tells which items they will add. */
async function askTaxes(grid) {
    running?.abort();
    const rows = grid.rows.filter((row) => row.values.account && !Object.keys(row.bad).length);
    let told = { items: [] };
    if (rows.some((row) => row.values.taxes?.length) && !rows.some((row) => row.values.is_tax)) {
        running = new AbortController();
        const sent = rows.map((row) => {
            const { account, debit, credit, taxes, currency } = row.values, amount = row.values.amount_currency;
            return { account, debit: debit || "0", credit: credit || "0", taxes, ...(currency ? { currency } : {}), ...(currency && amount ? { amount_currency: amount } : {}) };
        });
        try {
            const answer = await postJson(config.previewUrl, { company: config.company, date: form.elements.date?.value || "", rows: sent }, running.signal);
            told = answer.ok ? answer.told : told;
        } catch (error) {
            if (error.name === "AbortError") {
                return;
            }
        }
    }
    added = told.items;
    document.querySelector("[data-tax-items]").replaceChildren(...added.map((item) => {
        const line = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td"), small = document.createElement("small");
        head.scope = "row";
        small.textContent = item.account;
        head.append(item.name + " ", small);
        cell.className = "bo-amount";
        cell.textContent = item.side + " " + item.amount;
        line.append(head, cell);
        return line;
    }));
    const last = grid.rows.at(-1);
    if (last && grid.rows.length > 1) {
        balanceOut(last, grid);
    }
    show(grid);
}

function changed(grid) {
    show(grid);
    if (!config.readonly) {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => askTaxes(grid), 250);
    }
}

const all = [
    choosing(
        { name: "account", title: titles.account, type: "choice", width: "12rem", edited: (row, grid) => balanceOut(row, grid) },
        config.accounts, config.accountLabels,
        config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl),
    ),
    choosing({ name: "partner", title: titles.partner, type: "choice", width: "10rem" }, [], config.partnerLabels, remoteSource(config.partnersUrl)),
    { name: "name", title: titles.name, type: "text", wide: true },
    { name: "debit", title: titles.debit, type: "number", width: "7rem", decimals: config.decimals, blankZero: true, edited: typed("debit") },
    { name: "credit", title: titles.credit, type: "number", width: "7rem", decimals: config.decimals, blankZero: true, edited: typed("credit") },
    choosing({ name: "taxes", title: titles.taxes, type: "choices", width: "7.5rem" }, config.taxes, config.taxLabels, localSource(config.taxes)),
    { name: "amount_currency", title: titles.amount_currency, type: "number", width: "7rem", blankZero: true, empty: "" },
    choosing({ name: "currency", title: titles.currency, type: "choice", width: "4.5rem" }, config.currencies, {}, localSource(config.currencies)),
    { name: "date_maturity", title: titles.date_maturity, type: "date", width: config.readonly ? "6.5rem" : "9rem" },
];
if (config.readonly) {
    all.push({ name: "matching_number", title: titles.matching_number, type: "text", width: "5rem", link: (row) => row.values.matching_number ? `${config.itemsUrl}?matching_number=${encodeURIComponent(row.values.matching_number)}` : "" });
}

/* Currencies and due dates take room; they are shown when an item has them or somebody asks. */
const button = document.querySelector("[data-more-columns]");
let foreign = config.rows.some((row) => row.values.currency && row.values.currency !== config.companyCurrency);
let due = config.rows.some((row) => row.values.date_maturity);

function columnsNow() {
    const hidden = new Set([...(foreign ? [] : ["amount_currency", "currency"]), ...(due ? [] : ["date_maturity"])]);
    return all.filter((column) => !hidden.has(column.name));
}

/* A new item takes the text and the partner of the one before, and the amount that is missing. */
function blank(grid) {
    const last = grid.rows ? grid.rows.at(-1) : null;
    const values = {
        account: null, partner: last ? last.values.partner : null, name: last ? last.values.name : "", debit: "0", credit: "0", taxes: [],
        amount_currency: "", currency: null, date_maturity: null,
    };
    if (last) {
        const { balance } = sums(grid);
        values[balance > 0n ? "credit" : "debit"] = plainUnits(balance < 0n ? -balance : balance);
    }
    return values;
}

const grid = new Grid(document.querySelector("[data-grid]"), {
    ...config, columns: columnsNow(), blank, everything: true,
    changed: () => changed(grid),
});
grid.rows.forEach((row) => { row.own = true; });  // as they were typed before
show(grid);
if (button) {
    button.hidden = foreign && due;
    button.addEventListener("click", () => {
        foreign = due = true;
        button.hidden = true;
        grid.setColumns(columnsNow());
    });
}
if (!config.readonly) {
    document.querySelector("[data-grid]").dataset.after = "[data-add-line]";
    sendWith(form, grid);
    document.querySelector("[data-add-line]").addEventListener("click", () => grid.add());
    if (!grid.rows.length) {
        grid.add(0, null, { focus: false });
        grid.add(1, null, { focus: false });
    }
}
// Django's own script goes to the first control of the form, which posts.
const day = document.getElementById("id_date");
if (config.begin && day) {
    window.addEventListener("load", () => {
        if ([document.body, document.querySelector("button[name=_post]")].includes(document.activeElement)) {
            day.focus();
        }
    });
}
document.body.dataset.ready = "1";
