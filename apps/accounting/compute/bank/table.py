"""Rows of CSV and XLSX files, before anybody knows what the columns mean.

Cells are text, exact decimals or days: what the file holds, without a guess. Limits: rows, columns, and for XLSX
the size of the archive unpacked, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import warnings
import zipfile
from collections import Counter
from decimal import Decimal

from openpyxl import load_workbook

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.types import MAX_LINES, BankFileError

Cell = str | Decimal | dt.date
Row = list[Cell]

_DELIMITERS = ";,\t|"
_MAX_ROWS = MAX_LINES + 1_000
_MAX_COLUMNS = 200
# So many empty rows end a sheet: what stands below them is a stray cell, not a transaction.
_MOST_BLANK_ROWS = 5_000
_MAX_UNPACKED = 64 * 1024 * 1024
_SAMPLE_LINES = 40
_HEAD = 64 * 1024


def is_xlsx(data: bytes) -> bool:
    if not data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        return False


def csv_rows(text: str, *, delimiter: str = "", quote: str = '"') -> list[Row]:
    """Rows of a delimited text. Raises ``BankFileError`` where quotes or field sizes make no sense."""
    delimiter = delimiter or sniff_delimiter(text, quote)
    rows: list[Row] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote or None,
                              quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE):  # fmt: skip
            rows.append([cell.strip() for cell in row[:_MAX_COLUMNS]])
            if len(rows) > _MAX_ROWS:
                raise BankFileError(
                    f"The file has more than {MAX_LINES} rows; please split it.", code="too_long"
                )
    except (csv.Error, TypeError, ValueError) as exc:
        if isinstance(exc, BankFileError):
            raise
        raise BankFileError(f"The table could not be read: {exc}", code="table_damaged") from exc
    return rows


def sniff_delimiter(text: str, quote: str = '"') -> str:
    """The delimiter that cuts most of the first lines into the same number of cells, more than one."""
    sample = "\n".join(text[:20_000].splitlines()[:_SAMPLE_LINES])
    best, best_score = ",", 0
    for delimiter in _DELIMITERS:
        try:
            widths = Counter(
                len(row)
                for row in csv.reader(io.StringIO(sample), delimiter=delimiter, quotechar=quote or None)
                if row
            )
        except (csv.Error, TypeError, ValueError):
            continue
        score = max((count * min(width, 20) for width, count in widths.items() if width > 1), default=0)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def xlsx_rows(data: bytes, sheet: str = "") -> list[Row]:
    """Rows of one sheet, the first one unless named. Formulas give the value that was saved with them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_archive(archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _sheet_rows(data, sheet)
    except BankFileError:
        raise
    except Exception as exc:
        # A damaged workbook surfaces as almost any exception of zipfile, the XML parser or openpyxl.
        raise BankFileError(f"The workbook is damaged ({type(exc).__name__}).", code="table_damaged") from exc


def _check_archive(archive: zipfile.ZipFile) -> None:
    """Size of all parts together, and no document type in front of any of them."""
    if sum(info.file_size for info in archive.infolist()) > _MAX_UNPACKED:
        raise BankFileError("The workbook is too large when unpacked.", code="too_large")
    for info in archive.infolist():
        if info.filename.endswith((".xml", ".rels")):
            with archive.open(info) as part:
                # Without the zeros of UTF-16 the mark is the same in every encoding.
                if b"<!DOCTYPE" in part.read(_HEAD).replace(b"\x00", b""):
                    raise BankFileError("The workbook declares a document type.", code="xml_doctype")


def _sheet_rows(data: bytes, sheet: str) -> list[Row]:
    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        if sheet and sheet not in book.sheetnames:
            raise BankFileError(f"The workbook has no sheet {sheet!r}.", code="mapping")
        source = book[sheet] if sheet else book.worksheets[0]
        source.reset_dimensions()
        rows: list[Row] = []
        blank = 0
        for row in source.iter_rows(max_row=_MAX_ROWS + 1, max_col=_MAX_COLUMNS, values_only=True):
            rows.append([_cell(value) for value in row])
            blank = 0 if any(cell != "" for cell in rows[-1]) else blank + 1
            if blank > _MOST_BLANK_ROWS:
                break
    finally:
        book.close()
    if len(rows) > _MAX_ROWS:
        raise BankFileError(f"The file has more than {MAX_LINES} rows; please split it.", code="too_long")
    return rows


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, int):
        return Decimal(value) if abs(value) < 10**15 else str(value)
    if isinstance(value, float):
        # A spreadsheet holds binary numbers; its 15 significant digits are what its user typed and saw.
        return Decimal(f"{value:.15g}") if abs(value) < 10**15 else t.clean(str(value))
    return t.clean(str(value))
