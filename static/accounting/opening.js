/* Opening balances: a row for each account, what debit and credit leave, and rows of partners among them. */

import { localSource, remoteSource } from "./combo.js";
import { choosing, oneSide, pageConfig, sendWith } from "./document.js";
import { Grid } from "./grid.js";
import { plainUnits, shown, units } from "./numbers.js";

const config = pageConfig(), titles = config.columnTitles;

function show(grid) {
    let debit = 0n, credit = 0n;
    for (const row of grid.rows) {
        debit += units(row.values.debit);
        credit += units(row.values.credit);
    }
    for (const [name, value] of Object.entries({ debit, credit, rest: debit - credit })) {
        document.querySelector(`[data-total=${name}]`).textContent = shown(plainUnits(value), config.language, config.decimals);
    }
}

const amount = { type: "number", width: "7rem", decimals: config.decimals, blankZero: true };
const all = [
    choosing(
        { name: "account", title: titles.account, type: "choice", width: "13rem" },
        config.accounts, config.accountLabels,
        config.accountsComplete ? localSource(config.accounts) : remoteSource(config.accountsUrl),
    ),
    { name: "debit", title: titles.debit, ...amount, edited: oneSide("debit") },
    { name: "credit", title: titles.credit, ...amount, edited: oneSide("credit") },
    choosing({ name: "partner", title: titles.partner, type: "choice", width: "10rem" }, [], config.partnerLabels, remoteSource(config.partnersUrl)),
    { name: "label", title: titles.label, type: "text", width: "9rem" },
    { name: "date_maturity", title: titles.date_maturity, type: "date", width: "9rem" },
    { name: "amount_currency", title: titles.amount_currency, type: "number", width: "8rem", blankZero: true, empty: "" },
    choosing({ name: "currency", title: titles.currency, type: "choice", width: "5rem" }, config.currencies, {}, localSource(config.currencies)),
];
const MORE = ["amount_currency", "currency"];
const button = document.querySelector("[data-more-columns]");
let wide = config.rows.some((row) => row.values.currency && row.values.currency !== config.companyCurrency);

function columnsNow() {
    return wide ? all : all.filter((column) => !MORE.includes(column.name));
}

/* A new row is of the same account as the one before: the next open item. */
function blank(grid) {
    const spot = grid.rows && grid.spot ? grid.spot() : null;
    const before = spot ? grid.rows[spot.at] : grid.rows && grid.rows.at(-1);
    return {
        account: before ? before.values.account : null, partner: null, label: "", date_maturity: null,
        debit: "0", credit: "0", currency: null, amount_currency: "",
    };
}

const grid = new Grid(document.querySelector("[data-grid]"), {
    ...config, columns: columnsNow(), blank, everything: true, changed: () => show(grid),
});
show(grid);
button.hidden = wide;
button.addEventListener("click", () => {
    wide = true;
    button.hidden = true;
    grid.setColumns(columnsNow());
});
document.querySelector("[data-grid]").dataset.after = "[data-add-line]";
grid.moved = true; // the whole grid is sent, changed or not: it is all that will be
sendWith(document.getElementById("opening_form"), grid);
document.querySelector("[data-add-line]").addEventListener("click", () => grid.add());
document.body.dataset.ready = "1";
