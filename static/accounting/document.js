/* What the forms with a grid have in common: the parcel that is posted, keys to save, the config of the page. */

import { units } from "./numbers.js";

export function pageConfig() {
    return JSON.parse(document.getElementById("ac-config").textContent);
}

export function token() {
    const field = document.querySelector("input[name=csrfmiddlewaretoken]");
    return field ? field.value : "";
}

export async function postJson(address, body, signal) {
    const answer = await fetch(address, {
        method: "POST", signal, body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token() },
    });
    const told = await answer.json();
    return { ok: answer.ok, told };
}

/* One side or the other: who types a debit takes the credit away. */
export function oneSide(name) {
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

/* Put the lines into the form when it is sent; keep it back while cells hold what nobody understands. */
export function sendWith(form, grid, before = () => {}) {
    const field = form.querySelector("[data-grid-field]");
    form.addEventListener("submit", (event) => {
        if (document.activeElement && grid.root.contains(document.activeElement)) {
            document.activeElement.blur();
        }
        const bad = grid.firstBad();
        if (bad) {
            event.preventDefault();
            grid.focus(bad.at, bad.col);
            grid.say(grid.words.check);
            return;
        }
        before();
        field.value = grid.dirty ? JSON.stringify(grid.parcel()) : "";
    });
    document.addEventListener("keydown", (event) => {
        if (!(event.ctrlKey || event.metaKey)) {
            return;
        }
        if (event.key === "Enter" && !event.defaultPrevented && form.contains(event.target) && !grid.root.contains(event.target)) {
            event.preventDefault();
            grid.focus(0, grid.columns[0].name);
            return;
        }
        if (event.key.toLowerCase() !== "s") {
            return;
        }
        event.preventDefault();
        const wanted = event.shiftKey ? "_post" : "_continue";
        const button = document.querySelector(`button[name=${wanted}]`) || document.querySelector("button[name=_save]");
        if (button) {
            form.requestSubmit(button);
        }
    });
}

/* A column that offers choices which are on the page, or asks the server when there are too many. */
export function choosing(column, choices, labels, source) {
    column.labels = new Map([...Object.entries(labels || {}).map(([pk, text]) => [Number(pk), text]), ...choices.map((c) => [c.pk, c.text])]);
    column.source = source;
    return column;
}

export function onSelect(form, call) {
    form.addEventListener("change", call);
    window.addEventListener("load", () => {
        if (window.django && window.django.jQuery) {
            window.django.jQuery(form).on("change", "select", call);
        }
    });
}
