/* The reconciliation screen: moving and selecting by keyboard, and what the selection leaves. */

import { plainUnits, shown, units } from "./numbers.js";

const config = JSON.parse(document.getElementById("ac-config").textContent);
const form = document.getElementById("match_form");
const sides = ["debit", "credit"].map((key) => document.querySelector(`[data-side=${key}]`));

function boxes(side) {
    return side ? [...side.querySelectorAll("input[name=item]:not(:disabled)")] : [];
}

function text(value) {
    return shown(plainUnits(value), config.language, config.decimals);
}

function add() {
    const sums = sides.map((side) => boxes(side).filter((box) => box.checked).reduce((sum, box) => sum + units(box.dataset.amount), 0n));
    const off = sums[0] + sums[1];
    const places = { debit: sums[0], credit: -sums[1], off };
    for (const [name, value] of Object.entries(places)) {
        const cell = document.querySelector(`[data-sum=${name}]`);
        if (cell) {
            cell.textContent = text(value);
        }
    }
    const row = document.querySelector("[data-off]");
    if (row) {
        row.classList.toggle("is-off", off !== 0n);
    }
    for (const item of document.querySelectorAll("[data-item]")) {
        item.classList.toggle("is-picked", item.querySelector("input").checked);
    }
}

function focus(box) {
    if (box) {
        box.focus();
        box.closest("[data-item]").scrollIntoView({ block: "nearest" });
    }
}

function move(box, key) {
    const at = sides.findIndex((side) => side.contains(box));
    const own = boxes(sides[at]), place = own.indexOf(box);
    if (key === "ArrowDown" || key === "ArrowUp") {
        focus(own[place + (key === "ArrowDown" ? 1 : -1)]);
    } else {
        const other = boxes(sides[key === "ArrowRight" ? 1 : 0]);
        focus(other[Math.min(place, other.length - 1)]);
    }
}

document.addEventListener("keydown", (event) => {
    const box = event.target.closest ? event.target.closest("input[name=item]") : null;
    const typing = event.target.closest && event.target.closest("input:not([name=item]), select, textarea, .select2-container");
    if (event.ctrlKey || event.metaKey || event.altKey || typing) {
        return;
    }
    if (box && event.key.startsWith("Arrow")) {
        event.preventDefault();
        move(box, event.key);
    } else if (box && event.key === "Enter") {
        event.preventDefault();
        form.requestSubmit();
    } else if (box && event.key.toLowerCase() === "a") {
        const own = boxes(sides.find((side) => side.contains(box)));
        const all = own.every((item) => item.checked);
        own.forEach((item) => { item.checked = !all; });
        add();
    } else if (["n", "p"].includes(event.key.toLowerCase())) {
        const link = document.querySelector(`[data-go=${event.key.toLowerCase()}]`);
        if (link) {
            link.click();
        }
    }
});

if (form) {
    form.addEventListener("change", add);
    add();
    focus(boxes(sides[0])[0] || boxes(sides[1])[0]);
}
document.body.dataset.ready = "1";
