/* The cells of a grid: one kind a type of column. A kind draws itself, reads what was typed, and writes text. */

import { sameText } from "./combo.js";
import { plainNumber, shown } from "./numbers.js";

function field(tag, column, row, grid) {
    const input = document.createElement(tag);
    input.className = "ac-input";
    input.dataset.col = column.name;
    input.setAttribute("aria-label", column.title);
    input.autocomplete = "off";
    input.spellcheck = column.type === "text";
    const bad = row.bad[column.name], told = row.errors[column.name];
    if (bad !== undefined || told) {
        input.setAttribute("aria-invalid", "true");
        input.title = told || grid.words.unknown;
    }
    return input;
}

function reading(text, className = "") {
    const span = document.createElement("span");
    span.className = "ac-output " + className;
    span.textContent = text;
    return span;
}

function combobox(column, row, grid) {
    const input = field("input", column, row, grid);
    input.type = "text";
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.title = input.title || KINDS[column.type].text(column, row, grid);
    return input;
}

const text = {
    draw(column, row, grid) {
        const input = field("textarea", column, row, grid);
        input.rows = 1;
        input.value = row.values[column.name] || "";
        return input;
    },
    read(column, row, typed) {
        row.values[column.name] = typed;
    },
    text: (column, row) => row.values[column.name] || "",
};

const number = {
    draw(column, row, grid) {
        const input = field("input", column, row, grid);
        input.type = "text";
        input.inputMode = "decimal";
        input.classList.add("ac-number");
        input.value = row.bad[column.name] ?? this.text(column, row, grid);
        return input;
    },
    read(column, row, typed, grid) {
        const plain = plainNumber(typed, grid.marks);
        if (plain === null) {
            row.bad[column.name] = typed;
            return;
        }
        delete row.bad[column.name];
        row.values[column.name] = plain === "" ? column.empty ?? "0" : plain;
    },
    text(column, row, grid) {
        const plain = row.values[column.name];
        if (plain === null || plain === undefined || plain === "" || (column.blankZero && !/[1-9]/.test(plain))) {
            return "";
        }
        const digits = (String(plain).split(".")[1] || "").length;
        return shown(plain, grid.language, Math.max(column.decimals ?? 0, digits));
    },
};

const choice = {
    draw(column, row, grid) {
        const input = combobox(column, row, grid);
        input.value = row.bad[column.name] ?? this.text(column, row);
        return input;
    },
    read(column, row, typed) {
        const wanted = typed.trim();
        delete row.bad[column.name];
        if (!wanted) {
            row.values[column.name] = null;
            return;
        }
        const found = find(column, wanted);
        if (found === null) {
            row.bad[column.name] = typed;
        } else {
            row.values[column.name] = found;
        }
    },
    pick(column, row, chosen) {
        column.labels.set(chosen.pk, chosen.text);
        delete row.bad[column.name];
        row.values[column.name] = chosen.pk;
    },
    term: (input) => input.value,
    text: (column, row) => {
        const pk = row.values[column.name];
        return pk === null || pk === undefined ? "" : column.labels.get(pk) || "#" + pk;
    },
};

/* Several choices in one cell, written one after the other with semicolons. */
const choices = {
    ...choice,
    read(column, row, typed) {
        const pks = [];
        delete row.bad[column.name];
        for (const part of typed.split(";").map((item) => item.trim()).filter(Boolean)) {
            const found = find(column, part);
            if (found === null) {
                row.bad[column.name] = typed;
                return;
            }
            if (!pks.includes(found)) {
                pks.push(found);
            }
        }
        row.values[column.name] = pks;
    },
    pick(column, row, chosen, input) {
        column.labels.set(chosen.pk, chosen.text);
        const before = input.value.split(";").slice(0, -1).map((item) => item.trim()).filter(Boolean);
        this.read(column, row, [...before, chosen.text].join("; "));
    },
    term: (input) => input.value.split(";").pop().trim(),
    text: (column, row) => (row.values[column.name] || []).map((pk) => column.labels.get(pk) || "#" + pk).join("; "),
};

const date = {
    draw(column, row, grid) {
        const input = field("input", column, row, grid);
        input.type = "date";
        input.value = row.values[column.name] || "";
        return input;
    },
    read(column, row, typed) {
        row.values[column.name] = typed || null;
    },
    text: (column, row, grid) => {
        const day = row.values[column.name];
        return day ? new Date(day + "T12:00:00").toLocaleDateString(grid.language) : "";
    },
};

/* What the server computes: never typed, shown with the decimals of the currency. */
const computed = {
    text(column, row, grid) {
        const plain = row.computed[column.name] ?? row.values[column.name];
        return plain === undefined || plain === null || plain === "" ? "" : shown(plain, grid.language, grid.decimals);
    },
};

export const KINDS = { text, number, choice, choices, date, computed };

function find(column, wanted) {
    const whole = [], partly = [];
    for (const [pk, label] of column.labels) {
        if (sameText(label, wanted)) {
            whole.push(pk);
        } else if (label.split(" ", 1)[0] === wanted) {
            partly.push(pk);
        }
    }
    const found = whole.length ? whole : partly;
    return found.length === 1 || whole.length ? found[0] : null;
}

export function drawCell(column, row, grid) {
    const cell = document.createElement("td");
    cell.dataset.label = column.title;
    cell.className = "ac-cell ac-" + column.type + (column.wide ? " ac-wide" : "");
    const kind = KINDS[column.type];
    if (column.type === "computed" || grid.readonly) {
        const output = reading(kind.text(column, row, grid), column.type === "number" || column.type === "computed" ? "ac-number" : "");
        output.dataset.out = column.name;
        const link = grid.readonly && column.link ? column.link(row) : "";
        if (link) {
            const anchor = document.createElement("a");
            anchor.href = link;
            anchor.className = "bo-link";
            anchor.append(output);
            cell.append(anchor);
        } else {
            cell.append(output);
        }
    } else {
        cell.append(kind.draw(column, row, grid));
    }
    return cell;
}
