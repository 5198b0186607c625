/* Numbers as people write them and as the server wants them: digits, a point, perhaps a minus. */

export function plainNumber(text, marks) {
    let body = String(text).trim().replace(/[\s\u00a0\u202f'’]/g, "");
    if (body === "") {
        return "";
    }
    let negative = false;
    if (/^\(.*\)$/.test(body)) {
        negative = true;
        body = body.slice(1, -1);
    }
    body = body.replace(/^[^\d.,+−-]+|[^\d.,−-]+$/g, "");
    if (/^[−-]|[−-]$/.test(body)) {
        negative = !negative;
        body = body.replace(/^[−-]|[−-]$/g, "");
    }
    body = body.replace(/^\+/, "");
    if (!/^[\d.,]*\d[\d.,]*$/.test(body)) {
        return null;
    }
    const dot = body.lastIndexOf("."), comma = body.lastIndexOf(",");
    let decimal = "";
    if (dot >= 0 && comma >= 0) {
        decimal = dot > comma ? "." : ",";
    } else if (dot >= 0 || comma >= 0) {
        const mark = dot >= 0 ? "." : ",";
        const once = body.indexOf(mark) === body.lastIndexOf(mark);
        const grouped = mark === marks.group && /^\d{1,3}([.,]\d{3})+$/.test(body);
        decimal = once && !grouped ? mark : "";
    }
    const at = decimal ? body.lastIndexOf(decimal) : body.length;
    const whole = body.slice(0, at).replace(/[.,]/g, "") || "0";
    const rest = body.slice(at + 1);
    if (/[.,]/.test(rest)) {
        return null;
    }
    const plain = whole.replace(/^0+(?=\d)/, "") + (rest ? "." + rest : "");
    return (negative && !/^0(\.0*)?$/.test(plain) ? "-" : "") + plain;
}

const formats = new Map();

/* A plain number for reading: grouped, with so many decimals. The text goes to Intl as it is, so no digit is lost. */
export function shown(plain, language, decimals) {
    if (plain === null || plain === undefined || plain === "") {
        return "";
    }
    const key = language + decimals;
    if (!formats.has(key)) {
        formats.set(key, new Intl.NumberFormat(language, {
            minimumFractionDigits: decimals, maximumFractionDigits: decimals,
        }));
    }
    return formats.get(key).format(plain);
}

/* Exact sums of plain numbers, by integers of the smallest unit that occurs (six decimals at most). */
const SCALE = 6;

export function units(plain) {
    if (!plain) {
        return 0n;
    }
    const [whole, rest = ""] = String(plain).replace("-", "").split(".");
    const value = BigInt(whole || "0") * 10n ** BigInt(SCALE) + BigInt((rest + "0".repeat(SCALE)).slice(0, SCALE));
    return String(plain).startsWith("-") ? -value : value;
}

export function plainUnits(value) {
    const negative = value < 0n, digits = String(negative ? -value : value).padStart(SCALE + 1, "0");
    const whole = digits.slice(0, -SCALE), rest = digits.slice(-SCALE).replace(/0+$/, "");
    return (negative ? "-" : "") + whole + (rest ? "." + rest : "");
}
