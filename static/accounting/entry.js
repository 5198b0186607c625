/* The form of a journal entry: items with debit and credit, their balance, and the amount that is still missing. */

import { localSource, remoteSource } from "./combo.js";
import { choosing, pageConfig, sendWith } from "./document.js";
import { Grid } from "./grid.js";
import { plainUnits, shown, units } from "./numbers.js";

const config = pageConfig(), titles = config.columnTitles;
const form = document.querySelector("form#journalentry_form");

/* One side or the other: who types a debit takes the credit away. */
function only(name) {
    return (row, grid) => {
        const other = name === "debit" ? "credit" : "debit";
        if (units(row.values[name]) !== 0n && units(row.values[other]) !== 0n) {
            row.values[other] = "0";
            const input = grid.body.querySelector(`tr[data-key="${row.key}"] [data-col="${other}"]`);
            if (input) {
                input.value = "";
            }
        }
    };
}

function sums(grid) {
    let debit = 0n, credit = 0n;
    for (const row of grid.rows) {
        debit += units(row.values.debit);
        credit += units(row.values.credit);
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

const all = [
    choosing(
        { name: "account", title: titles.account, type: "choice", width: "12rem" },
        config.accounts, config.accountLabels,
        config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl),
    ),
    choosing({ name: "partner", title: titles.partner, type: "choice", width: "10rem" }, [], config.partnerLabels, remoteSource(config.partnersUrl)),
    { name: "name", title: titles.name, type: "text", wide: true },
    { name: "debit", title: titles.debit, type: "number", width: "7rem", decimals: config.decimals, blankZero: true, edited: only("debit") },
    { name: "credit", title: titles.credit, type: "number", width: "7rem", decimals: config.decimals, blankZero: true, edited: only("credit") },
    choosing({ name: "taxes", title: titles.taxes, type: "choices", width: "7.5rem" }, config.taxes, config.taxLabels, localSource(config.taxes)),
    { name: "amount_currency", title: titles.amount_currency, type: "number", width: "7rem", blankZero: true, empty: "" },
    choosing({ name: "currency", title: titles.currency, type: "choice", width: "4.5rem" }, config.currencies, {}, localSource(config.currencies)),
    { name: "date_maturity", title: titles.date_maturity, type: "date", width: "9rem" },
];
if (config.readonly) {
    all.push({ name: "matching_number", title: titles.matching_number, type: "text", width: "6rem", link: (row) => row.values.matching_number ? `${config.itemsUrl}?matching_number=${encodeURIComponent(row.values.matching_number)}` : "" });
}

/* Currencies and due dates take room; they are shown when an item has them or somebody asks. */
const MORE = ["amount_currency", "currency", "date_maturity"];
const button = document.querySelector("[data-more-columns]");
let wide = config.rows.some((row) => row.values.date_maturity || (row.values.currency && row.values.currency !== config.companyCurrency));

function columnsNow() {
    return wide ? all : all.filter((column) => !MORE.includes(column.name));
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
    changed: () => show(grid),
});
show(grid);
if (button) {
    button.hidden = wide;
    button.addEventListener("click", () => {
        wide = true;
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
document.body.dataset.ready = "1";
