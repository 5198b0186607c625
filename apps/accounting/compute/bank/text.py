"""Bytes to text and text to values: encodings, amounts, dates, account numbers. Units: none; amounts are exact.

Every function raises ``ValueError`` (and nothing else) for input it cannot read; callers turn that into a problem or
a refusal.
"""

from __future__ import annotations

import codecs
import datetime as dt
import io
import re
from collections.abc import Iterator
from decimal import Decimal

from apps.accounting.compute.bank.types import MAX_TEXT_LINES, BankFileError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODING_NAME = re.compile(
    r"^(?:utf-?(?:8|16|32)|ascii|us-?ascii|(?:windows|cp|ibm|dos)[-_]?\d{3,4}|\d{3,4}|"
    r"iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|mac[-_]?roman)$"
)
# Currencies of countries whose banks write the central European code pages.
_CENTRAL_EUROPE = re.compile(rb"HUF|PLN|CZK|RON|HRK|BAM")
_WESTERN = ("cp1252", "cp850")
_CENTRAL = ("cp1250", "cp852")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")

_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u2028\u2029]+")
_AMOUNT = re.compile(r"\d{1,15}(?:\.\d{0,6})?|\.\d{1,6}")
_LEADING_ZEROS = re.compile(r"^0+(?=\d)", re.ASCII)
_SIGN_OR_MARK = re.compile(r"^(?:[A-Z]{3}|[€$£¥])|(?:[A-Z]{3}|[€$£¥])$")
_CURRENCY = re.compile(r"[A-Z]{3}")
# Spaces, no-break spaces and apostrophes only ever group thousands.
_GROUP_BLANKS = str.maketrans("", "", " \u00a0\u202f\u2009'’`")

_EARLIEST, _LATEST = 1970, 2199


def clean(text: str | None) -> str:
    """One line: control characters and runs of blanks become a single blank."""
    if not text:
        return ""
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _BLANKS.sub(" ", text).strip()


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, whatever ends them. Raises ``BankFileError`` above the limit of text lines."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if number > MAX_TEXT_LINES:
            raise BankFileError(f"The file has more than {MAX_TEXT_LINES} lines of text.", code="too_long")
        yield number, line.rstrip("\n")


def is_wide(data: bytes) -> bool:
    """Whether the bytes are UTF-16 or UTF-32, in which zeros are no sign of a binary file."""
    return data.startswith(tuple(bom for bom, _name in _BOMS[1:])) or bool(_utf16_without_mark(data))


def decode(data: bytes, declared: str = "") -> str:
    """Text of a file, controls other than tabs and line ends as blanks.

    Trust: byte order mark, UTF-8 if it fits, the declared encoding, then the likeliest 8-bit page.
    """
    return _CONTROLS.sub(" ", _decode(data, declared))


def _decode(data: bytes, declared: str) -> str:
    for bom, name in _BOMS:
        if data.startswith(bom):
            return _decode_or_refuse(data, name)
    if (b"\x00" in data[:64]) and (name := _utf16_without_mark(data)):
        return _decode_or_refuse(data, name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if codec := codec_for(declared):
        try:
            return data.decode(codec)
        except UnicodeError:
            pass
    candidates = _CENTRAL if _CENTRAL_EUROPE.search(data) else _WESTERN
    return max((data.decode(name, "replace") for name in candidates), key=_plausibility)


def codec_for(name: str) -> str | None:
    """Python's codec for a declared encoding that bank files may have; ``None`` for anything else."""
    label = name.strip().strip("\"'").lower()
    if not _ENCODING_NAME.match(label):
        return None
    label = re.sub(r"^(?:windows|ibm|dos)[-_]?(?=\d)|^(?=\d)", "cp", label)
    try:
        return codecs.lookup(label).name
    except LookupError:
        return None


def _decode_or_refuse(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeError as exc:
        raise BankFileError(f"The text of the file is damaged ({codec}).", code="encoding") from exc


def _utf16_without_mark(data: bytes) -> str:
    head = data[:64]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) // 4 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 4 and not odd else ""


def _plausibility(text: str) -> int:
    """How much a decoding looks like words: letters inside words speak for it, signs and odd capitals against."""
    score = 0
    for count, match in enumerate(_NON_ASCII.finditer(text)):
        if count == 2000:
            break
        at = match.start()
        char, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
        if not (before.isalpha() or after.isalpha()):
            continue
        if not char.isalpha():
            score -= 2
        elif char.isupper() and before.islower():
            score -= 1
        else:
            score += 1
    return score


def amount(text: str, *, decimal: str = "", thousands: str = "") -> Decimal:
    """A signed amount. Signs may lead, trail or be brackets; a currency beside the number is dropped.

    Without ``decimal`` the last of point and comma is the decimal mark, a mark that occurs twice groups thousands.
    With ``decimal`` a grouped number must be grouped in threes: 1.50 is not silently read as 150.
    """
    body = text.translate(_GROUP_BLANKS).replace("\u2212", "-").strip().upper()
    body = _SIGN_OR_MARK.sub("", body, count=1)
    negative = False
    if body.startswith("(") and body.endswith(")"):
        body, negative = body[1:-1], True
    elif body.endswith(("CR", "DR")):
        body, negative = body[:-2], body.endswith("DR")
    if body.startswith(("-", "+")):
        negative ^= body[0] == "-"
        body = body[1:]
    elif body.endswith(("-", "+")):
        negative ^= body[-1] == "-"
        body = body[:-1]
    body = _SIGN_OR_MARK.sub("", body, count=1)
    body = _with_given_marks(body, decimal, thousands) if decimal else _with_guessed_marks(body)
    body = _LEADING_ZEROS.sub("", body)
    if not body.isascii() or not _AMOUNT.fullmatch(body):
        raise ValueError(f"not an amount: {text[:40]!r}")
    value = Decimal(body)
    return -value if negative and value else value


def _with_given_marks(body: str, decimal: str, thousands: str) -> str:
    whole, mark, cents = body.partition(decimal)
    if thousands.strip() and thousands in whole and thousands != decimal:
        head, *groups = whole.split(thousands)
        if (
            not 1 <= len(head) <= 3
            or any(len(group) not in (2, 3) for group in groups)
            or len(groups[-1]) != 3
        ):
            raise ValueError(f"thousands out of place: {body[:40]!r}")
        body = head + "".join(groups) + mark + cents
    if decimal != "." and "." in body:
        raise ValueError(f"unexpected point: {body[:40]!r}")
    return body.replace(decimal, ".", 1)


def _with_guessed_marks(body: str) -> str:
    points, commas = body.count("."), body.count(",")
    if points and commas:
        mark = max(".,", key=body.rfind)
        if body.count(mark) > 1:
            raise ValueError(f"two decimal marks: {body[:40]!r}")
        return body.replace("," if mark == "." else ".", "").replace(mark, ".")
    if points > 1 or commas > 1:
        return body.replace(".", "").replace(",", "")
    return body.replace(",", ".")


def iso_amount(text: str) -> Decimal:
    """An amount as XML writes it: optional sign, digits, a point."""
    body = text.strip()
    negative = body.startswith("-")
    body = body.lstrip("+-") if body[:1] in "+-" else body
    if not body.isascii() or not _AMOUNT.fullmatch(body):
        raise ValueError(f"not an amount: {text[:40]!r}")
    return -Decimal(body) if negative else Decimal(body)


def rate(text: str) -> Decimal | None:
    """A positive exchange rate, or ``None`` where there is none that makes sense."""
    body = text.strip().replace(",", ".")
    if not body.isascii() or not re.fullmatch(r"\d{1,12}(?:\.\d{0,18})?|\.\d{1,18}", body):
        return None
    return Decimal(body) or None


def currency(text: str | None) -> str:
    """An ISO 4217 code, or "" where the text is not one."""
    code = (text or "").strip().upper()
    return code if _CURRENCY.fullmatch(code) else ""


def day(year: int, month: int, number: int) -> dt.date:
    """A calendar day of the years that bank files are about."""
    if not _EARLIEST <= year <= _LATEST:
        raise ValueError(f"year {year} out of range")
    return dt.date(year, month, number)


def iso_day(text: str) -> dt.date:
    """The day of an ISO date or time as it is written: the bank's own day, whatever its offset from UTC."""
    match = re.match(
        r"(\d{4})-?(\d{2})-?(\d{2})(?!\d)|(\d{4})(\d{2})(\d{2})(?=\d{4,6}(?:\D|$))", text.strip(), re.ASCII
    )
    if match is None:
        raise ValueError(f"not a date: {text[:40]!r}")
    year, month, number = (int(part) for part in match.groups() if part)
    return day(year, month, number)


def full_year(two_digits: int) -> int:
    """19xx from 70 on, 20xx below: no bank file is older than that."""
    return two_digits + (1900 if two_digits >= 70 else 2000)


def bare_account(text: str) -> str:
    """An account number for comparing: letters and digits only, upper case."""
    return re.sub(r"[^0-9A-Za-z]", "", text).upper()


def plain(value: Decimal) -> str:
    """A decimal as digits without exponent or trailing zeros: 8.850 and 8.85 are one text."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def unwrap(lines: list[str], *, width: int, tag: int = 0) -> str:
    """Join lines that a fixed width cut: full ones run on, shorter ones ended where the writer wanted.

    ``tag`` is the length of the field tag that stood before the first line and counts for its width.
    """
    text = ""
    full = True
    for number, line in enumerate(lines):
        text += line if full else " " + line
        full = len(line) >= width or (number == 0 and len(line) + tag >= width)
    return text
