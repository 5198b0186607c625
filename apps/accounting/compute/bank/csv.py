"""CSV and XLSX: a mapping says which column means what; without one the header row is looked up in many languages.

Amounts come as one signed column, as debit and credit columns, or as an amount with a mark. The mark beats the printed
sign. A running balance gives opening and closing balance whichever way the rows are sorted, and proves the signs.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, Self

from apps.accounting.compute.bank import guess
from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, finish
from apps.accounting.compute.bank.table import Cell, Row, csv_rows, is_xlsx, sniff_delimiter, xlsx_rows
from apps.accounting.compute.bank.types import (
    MAX_LINES,
    BankFileError,
    Kind,
    ParsedFile,
    ParsedLine,
    Problem,
    Severity,
)

#: What a column can mean. ``label`` may name several columns, joined in order.
ROLES = (
    "date", "value_date", "label", "amount", "debit", "credit", "debit_credit_mark", "balance", "currency", "partner",
    "bank_account", "bic", "reference", "structured_reference", "transaction_type", "unique_id", "foreign_amount",
    "foreign_currency", "rate", "own_account", "memo",
)  # fmt: skip
_MAX_PROBLEMS = 20
# A spreadsheet counts days from here; a number in a date column between the bounds (1970 to 2119) is such a count.
_SERIAL_ZERO = dt.date(1899, 12, 30)
_FIRST_SERIAL, _LAST_SERIAL = 25_569, 80_000

Column = str | int


@dataclass(frozen=True, slots=True)
class TableMapping:
    """How to read a table. Empty settings are guessed from the file and reported as guesses.

    ``columns`` maps a role of :data:`ROLES` to a header text or a position counted from 0. ``date_format`` is written
    with YYYY, YY, MM, DD (or M, D, MMM for English month names). ``currency`` is the journal's: rows in another one
    are left out and counted. ``skip_rows`` lines stand before the header (or before the data without a header).
    """

    columns: Mapping[str, Column | Sequence[Column]] = field(default_factory=dict, hash=False)
    delimiter: str = ""
    quote: str = '"'
    encoding: str = ""
    sheet: str = ""
    skip_rows: int = 0
    has_header: bool = True
    date_format: str = ""
    decimal: str = ""
    thousands: str = ""
    debit_value: str = ""
    credit_value: str = ""
    invert_sign: bool = False
    currency: str = ""
    account_number: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From stored settings. Raises ``BankFileError`` for settings, roles or values that do not exist."""
        known = {one.name: one for one in fields(cls)}
        if unknown := [name for name in values if name not in known]:
            raise BankFileError(
                f"Unknown settings of the mapping: {', '.join(map(str, unknown))}.", code="mapping"
            )
        for name, value in values.items():
            wanted = {"columns": Mapping, "skip_rows": int, "has_header": bool, "invert_sign": bool}.get(
                name, str
            )
            if not isinstance(value, wanted):
                raise BankFileError(f"Setting {name} of the mapping has a wrong value.", code="mapping")
        mapping = cls(**values)
        mapping.check()
        return mapping

    def check(self) -> None:
        if unknown := [role for role in self.columns if role not in ROLES]:
            raise BankFileError(
                f"Unknown columns of the mapping: {', '.join(map(str, unknown))}.", code="mapping"
            )
        for role, column in self.columns.items():
            names = list(column) if isinstance(column, list | tuple) else [column]
            if not all(isinstance(name, str | int) for name in names):
                raise BankFileError(f"The column for {role} must be a header or a position.", code="mapping")
        for name, value in (("delimiter", self.delimiter), ("quote", self.quote), ("decimal", self.decimal),
                            ("thousands", self.thousands)):  # fmt: skip
            if len(value) > 1 or value in ("\r", "\n"):
                raise BankFileError(f"Setting {name} of the mapping must be one character.", code="mapping")
        if self.decimal and (self.decimal not in ".," or self.decimal == self.thousands):
            raise BankFileError(
                "The decimal mark must be a point or a comma and differ from the other.", code="mapping"
            )
        if not 0 <= self.skip_rows <= MAX_LINES:
            raise BankFileError("The number of rows to skip is out of range.", code="mapping")
        if self.encoding and t.codec_for(self.encoding) is None:
            raise BankFileError(f"Unknown encoding {self.encoding!r}.", code="mapping")


def read_table(data: bytes, mapping: TableMapping | None = None) -> list[Row]:
    """The raw rows of a CSV or XLSX file, for a preview beside which a user maps the columns."""
    mapping = mapping or TableMapping()
    mapping.check()
    if is_xlsx(data):
        return xlsx_rows(data, mapping.sheet)
    return csv_rows(_text(data, mapping), delimiter=mapping.delimiter, quote=mapping.quote)


def parse_table(data: bytes, mapping: TableMapping | Mapping[str, Any] | None = None) -> ParsedFile:
    """Read a CSV or XLSX file. Raises ``BankFileError`` without lines, or if the mapping does not fit the file."""
    if isinstance(mapping, Mapping):
        mapping = TableMapping.from_dict(mapping)
    problems: list[Problem] = []
    if mapping is None or not mapping.columns:
        base = mapping or TableMapping()
        mapping = suggest_mapping(data, base)
        if not (
            {"date"} <= mapping.columns.keys() and mapping.columns.keys() & {"amount", "debit", "credit"}
        ):
            raise BankFileError("Please say which columns hold date and amount.", code="mapping_needed")
        problems.append(
            Problem(
                "mapping_guessed", "The meaning of the columns was taken from their headers.", Severity.INFO
            )
        )
    rows = read_table(data, mapping)
    return _Table(mapping, rows, problems).read("xlsx" if is_xlsx(data) else "csv")


def _text(data: bytes, mapping: TableMapping) -> str:
    if mapping.encoding:
        codec = t.codec_for(mapping.encoding) or "utf-8"
        try:
            data = data.decode(codec).lstrip("\ufeff").encode("utf-8")
        except UnicodeError as exc:
            raise BankFileError(f"The file is not encoded in {mapping.encoding}.", code="encoding") from exc
    return t.decode(data)


class _Table:
    def __init__(self, mapping: TableMapping, rows: list[Row], problems: list[Problem]) -> None:
        mapping.check()
        self.mapping = mapping
        self.problems = problems
        start = mapping.skip_rows
        header = rows[start] if mapping.has_header and start < len(rows) else []
        self.first_row = start + (1 if mapping.has_header else 0)
        self.rows = rows[self.first_row :]
        self.columns = {
            role: self._positions(column, header)
            for role, column in mapping.columns.items()
            if column not in ("", None)
        }
        if "date" not in self.columns or not self.columns.keys() & {"amount", "debit", "credit"}:
            raise BankFileError("Please say which columns hold date and amount.", code="mapping_needed")
        self.order = ""
        self.mark = mapping.decimal
        self.pattern = _date_pattern(mapping.date_format) if mapping.date_format else None

    def _positions(self, column: Column | Sequence[Column], header: Row) -> list[int]:
        names = [column] if isinstance(column, str | int) else list(column)
        titles = [_title(cell) for cell in header]
        positions = []
        for name in names:
            if isinstance(name, int) and not isinstance(name, bool):
                if name < 0:
                    raise BankFileError("Columns are counted from 0.", code="mapping")
                positions.append(name)
            elif isinstance(name, str) and _title(name) in titles:
                positions.append(titles.index(_title(name)))
            else:
                raise BankFileError(f"The file has no column {name!r}.", code="mapping")
        return positions

    def read(self, file_format: str) -> ParsedFile:
        rows = [
            (self.first_row + number, row)
            for number, row in enumerate(self.rows, 1)
            if self._cell(row, "date") != ""
            or any(self._cell(row, role) != "" for role in ("amount", "debit", "credit"))
        ]
        if not rows:
            raise BankFileError("The file has no transactions: nothing but headers.", code="no_lines")
        self._guess([row for _number, row in rows])
        drafts: dict[str, Draft] = {}
        balances: dict[str, list[tuple[Decimal, Decimal]]] = {}
        unreadable = left_out = 0
        for number, row in rows:
            account = self.mapping.account_number or str(self._cell(row, "own_account"))
            try:
                line, balance = self._line(row)
            except ValueError as exc:
                unreadable += 1
                if unreadable <= _MAX_PROBLEMS:
                    self.problems.append(
                        Problem(
                            "line_unreadable", f"The row could not be read ({exc}).", where=f"row {number}"
                        )
                    )
                continue
            draft = drafts.get(account)
            if draft is None:
                draft = drafts[account] = Draft(account_number=account, kind=Kind.LIST, needs_balances=False)
                balances[account] = []
            if self.mapping.currency and line.currency != self.mapping.currency:
                left_out += 1
                continue
            if balance is not None:
                balances[account].append((line.amount, balance))
            if line.amount:
                draft.lines.append(line)
            else:
                draft.inform("zero_amount", "A row without an amount was left out.", f"row {number}")
        self._check_unreadable(unreadable, len(rows))
        if left_out:
            self.problems.append(
                Problem("currency_left_out",
                        f"{left_out} rows in another currency than {self.mapping.currency} were left out.")
            )  # fmt: skip
        found = [draft for draft in drafts.values() if draft.lines]
        if not found:
            raise BankFileError("No row of the file is a transaction to import.", code="no_lines")
        for account, draft in drafts.items():
            self._finish(draft, balances[account])
        return finish(found, file_format, problems=self.problems)

    def _check_unreadable(self, unreadable: int, total: int) -> None:
        if unreadable * 2 > total:
            first = next(problem for problem in self.problems if problem.code == "line_unreadable")
            raise BankFileError(
                f"{unreadable} of {total} rows could not be read; the mapping does not fit. {first}",
                code="mapping",
            )
        if unreadable > _MAX_PROBLEMS:
            self.problems.append(Problem("line_unreadable", f"In all {unreadable} rows could not be read."))

    def _finish(self, draft: Draft, balances: list[tuple[Decimal, Decimal]]) -> None:
        counts = Counter(line.currency for line in draft.lines)
        draft.currency = self.mapping.currency or (counts.most_common(1)[0][0] if counts else "")
        if len(balances) and len(balances) >= len(draft.lines):
            opening, closing, broken = _running(balances)
            draft.opening, draft.closing = opening, closing
            if broken:
                draft.warn(
                    "running_balance", f"The running balance does not follow the amounts in {broken} rows."
                )

    def _guess(self, rows: Sequence[Row]) -> None:
        """Settle date order and decimal mark for the whole file where the mapping leaves them open."""
        if self.pattern is None:
            texts = [cell for row in rows if isinstance(cell := self._cell(row, "date"), str)]
            if texts:
                self.order, certain = guess.date_order(texts)
                if not certain:
                    self.problems.append(
                        Problem(
                            "date_order_guessed", f"The order of day and month is a guess ({self.order})."
                        )
                    )
        if not self.mark:
            texts = [
                cell
                for row in rows
                for role in ("amount", "debit", "credit", "balance")
                if isinstance(cell := self._cell(row, role), str) and cell
            ]
            self.mark, certain = guess.decimal_mark(texts)
            if not certain:
                self.problems.append(
                    Problem("decimal_guessed", f"The decimal mark {self.mark!r} is a guess.")
                )

    def _cell(self, row: Row, role: str) -> Cell:
        positions = self.columns.get(role)
        if not positions or positions[0] >= len(row):
            return ""
        return row[positions[0]]

    def _words(self, row: Row, role: str) -> str:
        positions = self.columns.get(role, [])
        words = (_as_text(row[position]) for position in positions if position < len(row))
        return t.clean(" ".join(dict.fromkeys(filter(None, words))))

    def _money(self, row: Row, role: str) -> Decimal | None:
        cell = self._cell(row, role)
        if cell == "":
            return None
        if isinstance(cell, Decimal):
            return cell.quantize(Decimal("0.000001")).normalize() + Decimal(0)
        if isinstance(cell, dt.date):
            raise ValueError(f"column {role} holds a date")
        thousands = self.mapping.thousands or ("," if self.mark == "." else ".")
        return t.amount(cell, decimal=self.mark, thousands=thousands)

    def _date(self, row: Row, role: str) -> dt.date | None:
        cell = self._cell(row, role)
        if cell == "":
            return None
        if isinstance(cell, dt.date):
            return t.day(cell.year, cell.month, cell.day)
        if isinstance(cell, Decimal) and _FIRST_SERIAL <= cell <= _LAST_SERIAL:
            return _SERIAL_ZERO + dt.timedelta(days=int(cell))
        text = _as_text(cell)
        if self.pattern is not None:
            return _read_pattern(self.pattern, text)
        return guess.read_date(guess.split_date(text), self.order or guess.YEAR_FIRST)

    def _amount(self, row: Row) -> Decimal:
        """The signed amount from whichever columns there are. A mark, or the column, beats the printed sign."""
        if "debit" in self.columns or "credit" in self.columns:
            debit, credit = self._money(row, "debit"), self._money(row, "credit")
            if debit is not None or credit is not None:
                return (credit or Decimal(0)) - abs(debit or Decimal(0))
        value = self._money(row, "amount")
        if value is None:
            raise ValueError("no amount")
        if "debit_credit_mark" in self.columns:
            mark = self._words(row, "debit_credit_mark").casefold()
            if mark in _marks(self.mapping.debit_value, _DEBIT_MARKS):
                value = -abs(value)
            elif mark in _marks(self.mapping.credit_value, _CREDIT_MARKS):
                value = abs(value)
            else:
                raise ValueError(f"{mark!r} is neither debit nor credit")
        return -value if self.mapping.invert_sign and value else value

    def _line(self, row: Row) -> tuple[ParsedLine, Decimal | None]:
        date = self._date(row, "date")
        if date is None:
            raise ValueError("no date")
        amount = self._amount(row)
        currency = t.currency(self._words(row, "currency")) or self.mapping.currency
        foreign_currency, foreign = (
            t.currency(self._words(row, "foreign_currency")),
            self._money(row, "foreign_amount"),
        )
        if not foreign or not foreign_currency or foreign_currency == currency:
            foreign_currency, foreign = "", None
        else:
            foreign = abs(foreign) if amount > 0 else -abs(foreign)
        balance, memo = self._money(row, "balance"), self._words(row, "memo")
        partner, label = self._words(row, "partner"), self._words(row, "label")
        details = {"memo": memo, "balance": t.plain(balance) if balance is not None else ""}
        line = ParsedLine(
            date=date,
            amount=amount,
            value_date=self._date(row, "value_date"),
            currency=currency,
            label=label or memo or partner or self._words(row, "reference"),
            reference=self._words(row, "reference"),
            structured_reference=self._words(row, "structured_reference"),
            partner_name=partner,
            account_number=self._words(row, "bank_account").replace(" ", ""),
            partner_bic=self._words(row, "bic"),
            transaction_type=self._words(row, "transaction_type"),
            unique_id=self._words(row, "unique_id"),
            foreign_currency=foreign_currency,
            foreign_amount=foreign,
            rate=t.rate(self._words(row, "rate")),
            details={key: value for key, value in details.items() if value},
        )
        return line, balance


_DEBIT_MARKS = frozenset({"d", "dr", "db", "debit", "s", "soll", "af", "dbit", "debet", "-", "out"})
_CREDIT_MARKS = frozenset({"c", "cr", "credit", "h", "haben", "bij", "crdt", "kredit", "+", "in"})


def _marks(given: str, usual: frozenset[str]) -> frozenset[str]:
    return frozenset({given.strip().casefold()}) if given.strip() else usual


def _as_text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else t.plain(cell) if isinstance(cell, Decimal) else cell.isoformat()


def _running(balances: list[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal, int]:
    """Opening and closing balance and the number of broken steps, with the oldest row first or last."""
    pairs = list(pairwise(balances))
    forward = sum(1 for (_, before), (amount, after) in pairs if before + amount != after)
    backward = sum(1 for (amount, after), (_, before) in pairs if before + amount != after)
    if backward < forward:
        balances, broken = balances[::-1], backward
    else:
        broken = forward
    return balances[0][1] - balances[0][0], balances[-1][1], broken


_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DATE_TOKENS = {
    "YYYY": r"(?P<Y>\d{4})", "YY": r"(?P<y>\d{2})", "MMM": r"(?P<b>[A-Za-z]{3,9})\.?", "MM": r"(?P<m>\d{1,2})",
    "DD": r"(?P<d>\d{1,2})", "M": r"(?P<m>\d{1,2})", "D": r"(?P<d>\d{1,2})",
    "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%m": r"(?P<m>\d{1,2})", "%d": r"(?P<d>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3,9})\.?",
}  # fmt: skip
_TOKEN = re.compile("|".join(map(re.escape, sorted(_DATE_TOKENS, key=len, reverse=True))))


def _date_pattern(date_format: str) -> re.Pattern[str]:
    """A pattern for a format such as DD.MM.YYYY; a time behind the date is allowed. Raises ``BankFileError``."""
    pattern, position = "", 0
    are_adjacent = False
    for match in _TOKEN.finditer(date_format if "%" in date_format else date_format.upper()):
        are_adjacent |= 0 < position == match.start()
        pattern += re.escape(date_format[position : match.start()]) + _DATE_TOKENS[match.group()]
        position = match.end()
    pattern += re.escape(date_format[position:])
    if are_adjacent:
        pattern = pattern.replace(r"\d{1,2}", r"\d{2}")
    try:
        compiled = re.compile(pattern + r"(?:[T ,].*)?", re.ASCII | re.DOTALL)
    except re.error as exc:
        raise BankFileError(f"The date format {date_format!r} is not usable.", code="mapping") from exc
    groups = compiled.groupindex.keys()
    if not ("d" in groups and groups & {"m", "b"} and groups & {"Y", "y"}):
        raise BankFileError(f"The date format {date_format!r} needs day, month and year.", code="mapping")
    return compiled


def _read_pattern(pattern: re.Pattern[str], text: str) -> dt.date:
    match = pattern.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a date of the given format")
    found = match.groupdict()
    year = int(found["Y"]) if found.get("Y") else t.full_year(int(found["y"]))
    month = int(found["m"]) if found.get("m") else _MONTHS.get(found["b"][:3].lower(), 0)
    return t.day(year, month, int(found["d"]))


# Headers of bank downloads, reduced by _title: no accents, no signs, no words in brackets.
_HEADERS: dict[str, tuple[str, ...]] = {
    "date": ("date", "datum", "bookingdate", "transactiondate", "postingdate", "posteddate", "dateposted",
             "buchungstag", "buchungsdatum", "boekdatum", "boekingsdatum", "dateoperation", "datedoperation",
             "datecomptable", "dateecriture", "fecha", "fechaoperacion", "fechacontable", "data", "dataoperazione",
             "datacontabile", "dataoperacji", "dato", "bokforingsdag", "bogfort", "bokfort", "completeddate"),
    "value_date": ("valuedate", "valuta", "valutadatum", "wertstellung", "rentedatum", "datevaleur", "datedevaleur",
                   "fechavalor", "datavaluta", "datawaluty"),
    "label": ("label", "description", "details", "text", "verwendungszweck", "buchungstext", "libelle", "omschrijving",
              "mededelingen", "communication", "concepto", "descrizione", "causale", "tytul", "opis", "narrative",
              "transactiondetails", "paymentreference", "vorgang", "motif", "descripcion", "beskrivelse"),
    "amount": ("amount", "betrag", "umsatz", "montant", "bedrag", "importe", "importo", "kwota", "belopp", "belob",
               "transactionamount", "value", "monto", "valor"),
    "debit": ("debit", "debet", "soll", "lastschrift", "belastung", "ausgang", "withdrawal", "withdrawals", "paidout",
              "moneyout", "debitamount", "debito", "cargo", "uscite", "dare", "af", "debits"),
    "credit": ("credit", "haben", "gutschrift", "eingang", "deposit", "deposits", "paidin", "moneyin", "creditamount",
               "credito", "abono", "entrate", "avere", "bij", "credits"),
    "debit_credit_mark": ("dc", "debitcredit", "creditdebit", "sollhaben", "afbij", "debitcreditindicator", "sh",
                          "creditdebitindicator"),
    "balance": ("balance", "saldo", "runningbalance", "solde", "kontostand", "saldonatransakcji", "saldoposttransaccion"),
    "currency": ("currency", "wahrung", "waehrung", "devise", "valutacode", "munt", "moneda", "divisa", "waluta", "ccy"),
    "partner": ("partner", "partnername", "payee", "name", "counterparty", "counterpartyname", "beguenstigterzahlungspflichtiger",
                "begunstigterzahlungspflichtiger", "auftraggeberempfanger", "naamtegenpartij",
                "beneficiary", "beneficiaire", "tiers", "contrepartie", "nometitolare", "nadawcaodbiorca", "payer"),
    "bank_account": ("bankaccount", "counterpartyaccount", "kontonummeriban", "ibancounterparty", "tegenrekening",
                     "comptecontrepartie", "beneficiaryaccount", "gegenkonto", "kontonummerzahlungsbeteiligter",
                     "ibanzahlungsbeteiligter", "accountcounterparty"),
    "bic": ("bic", "swift", "bicswiftcode", "bicswift"),
    "reference": ("reference", "endtoendid", "kundenreferenz", "kundenreferenzendtoend", "referenz", "ref", "referencia"),
    "unique_id": ("transactionid", "fitid", "uniqueid", "transaktionsid", "volgnr"),
    "own_account": ("ownaccount", "auftragskonto", "accountnumber", "rekeningnummer", "account", "ibanbban"),
    "memo": ("memo", "notes", "note", "remarks", "kommentar"),
}  # fmt: skip


def _title(cell: object) -> str:
    text = unicodedata.normalize("NFKD", str(cell))
    text = re.sub(r"\(.*?\)|\[.*?\]", "", text.casefold()) or text.casefold()
    return re.sub(r"[^a-z0-9]", "", text)


def suggest_mapping(data: bytes, base: TableMapping | None = None) -> TableMapping:
    """A mapping read off the header row, which may stand below a preamble. ``columns`` holds what is recognised: perhaps too
    little to read the file by, nothing if there is no such row."""
    base = base or TableMapping()
    delimiter = base.delimiter
    if not is_xlsx(data) and not delimiter:
        delimiter = sniff_delimiter(_text(data, base), base.quote)
    rows = read_table(data, replace(base, delimiter=delimiter))
    best: dict[str, int] = {}
    best_row, best_complete = 0, False
    for number, row in enumerate(rows[:40]):
        titles = [_title(cell) for cell in row]
        columns: dict[str, int] = {}
        for role, names in _HEADERS.items():
            position = next((titles.index(name) for name in names if name in titles), None)
            if position is not None and position not in columns.values():
                columns[role] = position
        is_complete = "date" in columns and bool(columns.keys() & {"amount", "debit", "credit"})
        if (is_complete, len(columns)) > (best_complete, len(best)):
            best, best_row, best_complete = columns, number, is_complete
    return replace(base, delimiter=delimiter, columns=best, skip_rows=best_row, has_header=True)
