"""The one entry: find the format by content and read the file. The name of the file only ever improves a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.accounting.compute.bank.camt import is_camt, parse_camt_root
from apps.accounting.compute.bank.coda import is_coda, parse_coda
from apps.accounting.compute.bank.csv import TableMapping, parse_table
from apps.accounting.compute.bank.mt940 import is_mt940, parse_mt940
from apps.accounting.compute.bank.ofx import is_ofx, parse_ofx
from apps.accounting.compute.bank.qif import is_qif, parse_qif
from apps.accounting.compute.bank.safe_xml import local_name, parse_xml, xml_text
from apps.accounting.compute.bank.table import is_xlsx
from apps.accounting.compute.bank.text import decode, is_wide
from apps.accounting.compute.bank.types import MAX_BYTES, BankFileError, ParsedFile

_FOREIGN = (
    (b"%PDF", "This is a PDF. Ask the bank for CAMT, MT940, OFX or CSV."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel file. Save it as .xlsx or .csv."),
    (b"\x1f\x8b", "The file is compressed. Unpack it first."),
    (b"7z\xbc\xaf", "The file is compressed. Unpack it first."),
    (b"Rar!", "The file is compressed. Unpack it first."),
)
_HEAD = 16_000


def detect_format(data: bytes) -> str:
    """ "camt", "ofx", "qif", "coda", "mt940", "xlsx" or "csv". Raises ``BankFileError`` for what can be none of them."""
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise BankFileError("The file is empty.", code="empty")
    if len(data) > MAX_BYTES:
        raise BankFileError(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB.", code="too_large")
    for magic, message in _FOREIGN:
        if data.startswith(magic):
            raise BankFileError(message, code="unknown_format")
    if data.startswith(b"PK\x03\x04"):
        if is_xlsx(data):
            return "xlsx"
        raise BankFileError("The file is compressed. Unpack it first.", code="unknown_format")
    found = _detect_text(_head(data))
    if found == "csv" and b"\x00" in data[:_HEAD] and not is_wide(data):
        raise BankFileError("This is not a bank file: its content is not text.", code="unknown_format")
    return found


def _head(data: bytes) -> str:
    """The beginning as text; cut at a line so that no character of several bytes is torn apart."""
    head = data[:_HEAD]
    if len(data) > _HEAD and (end := head.rfind(b"\n")) > 0 and b"\x00" not in head[:64]:
        head = head[:end]
    elif len(data) > _HEAD:
        return head.decode("utf-8", "replace") if b"\x00" not in head[:64] else decode(data)[:_HEAD]
    return decode(head)


def _detect_text(head: str) -> str:
    text = head.lstrip("\ufeff \t\r\n")
    if is_ofx(text):
        return "ofx"
    if text.startswith("<"):
        return "camt"
    if is_qif(text):
        return "qif"
    if is_coda(head):
        return "coda"
    if is_mt940(text):
        return "mt940"
    return "csv"


def parse(
    data: bytes, filename: str = "", mapping: TableMapping | Mapping[str, Any] | None = None
) -> ParsedFile:
    """Read a bank file of any known format. Raises nothing but ``BankFileError``.

    ``mapping`` is used for CSV and XLSX only; without it the columns are found by their headers. For QIF its
    ``date_format`` settles the order of day and month.
    """
    try:
        return _parse(data, mapping)
    except BankFileError as exc:
        if not filename:
            raise
        raise BankFileError(f"{filename}: {exc.message}", code=exc.code) from exc


def _parse(data: bytes, mapping: TableMapping | Mapping[str, Any] | None) -> ParsedFile:
    found = detect_format(data)
    if found == "camt":
        return _parse_xml(data)
    if found == "ofx":
        return parse_ofx(data)
    if found == "qif":
        return parse_qif(data, prefer_date_order=_order_of(mapping))
    if found == "coda":
        return parse_coda(data)
    if found == "mt940":
        return parse_mt940(data)
    return parse_table(data, mapping)


def _parse_xml(data: bytes) -> ParsedFile:
    root = parse_xml(data)
    if is_camt(root):
        return parse_camt_root(root)
    if is_ofx(xml_text(data)):
        return parse_ofx(data)
    name = local_name(root)
    if any(
        local_name(child).startswith("CstmrPmt") or local_name(child).startswith("CstmrCdt") for child in root
    ):
        raise BankFileError(
            "This is a payment order or its receipt (pain), not a statement.", code="unknown_format"
        )
    raise BankFileError(f"This XML ({name[:60]}) is not a bank statement.", code="unknown_format")


def _order_of(mapping: TableMapping | Mapping[str, Any] | None) -> str:
    """ "dmy", "mdy" or "ymd" out of the date format of a mapping."""
    if mapping is None:
        return ""
    text = mapping.date_format if isinstance(mapping, TableMapping) else mapping.get("date_format", "")
    letters = [letter for letter in str(text).lower() if letter in "dmy"]
    return "".join(dict.fromkeys(letters))
