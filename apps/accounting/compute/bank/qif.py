"""QIF: one letter a line, records end with ``^``. The format names neither currency nor date order, so both are reported.

Order of the date and decimal mark are guessed from the whole file. A first record "Opening Balance" of a bank account is
its opening balance and not a movement. Investment records, categories, classes and memorised records never become lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, check_counts, finish
from apps.accounting.compute.bank.guess import date_order, decimal_mark, read_amount, read_date, split_date
from apps.accounting.compute.bank.types import (
    BankFileError,
    Kind,
    ParsedFile,
    ParsedLine,
    ParsedSplit,
    Problem,
    Severity,
)

_CASH_TYPES = frozenset({"bank", "cash", "ccard", "oth a", "oth l", "acct"})
_HEADER = re.compile(r"\s*!(?:type|account|option|clear)\b", re.IGNORECASE)
_ORDER_NAMES = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}


@dataclass(slots=True)
class _Record:
    where: str
    fields: dict[str, str] = field(default_factory=dict)
    address: list[str] = field(default_factory=list)
    splits: list[dict[str, str]] = field(default_factory=list)

    def amount_texts(self) -> list[str]:
        own = self.fields.get("T") or self.fields.get("U") or ""
        return [text for text in (own, *(split.get("$", "") for split in self.splits)) if text]


@dataclass(slots=True)
class _Section:
    kind: str
    account: str
    records: list[_Record] = field(default_factory=list)


def is_qif(text: str) -> bool:
    return _HEADER.match(text.lstrip("\ufeff \t\r\n")[:60]) is not None


def parse_qif(data: bytes, *, prefer_date_order: str = "") -> ParsedFile:
    """Read a QIF file. ``prefer_date_order`` ("dmy", "mdy", "ymd") settles what the dates leave open."""
    sections = _sections(t.decode(data))
    cash = [section for section in sections if section.kind in _CASH_TYPES and section.records]
    problems: list[Problem] = []
    if others := sum(len(section.records) for section in sections if section.kind == "invst"):
        problems.append(
            Problem(
                "investment",
                f"{others} securities transactions were left out: they are not movements of cash.",
            )
        )
    if not cash:
        raise BankFileError("The QIF file holds no bank, cash or card transactions.", code="no_statement")
    records = [record for section in cash for record in section.records]
    order, order_certain = date_order((r.fields.get("D", "") for r in records), prefer=prefer_date_order)
    mark, mark_certain = decimal_mark(text for record in records for text in record.amount_texts())
    if not order_certain:
        problems.append(
            Problem(
                "date_order_guessed", f"The dates fit more than one order; {_ORDER_NAMES[order]} was taken."
            )
        )
    if not mark_certain:
        problems.append(Problem("decimal_guessed", f"The decimal mark is not certain; {mark!r} was taken."))
    problems.append(Problem("currency_missing", "QIF does not name the currency.", Severity.INFO))
    drafts = [_read(section, order, mark) for section in cash]
    for draft in drafts:
        draft.details |= {"date_order": order, "decimal": mark}
    if not any(draft.lines or draft.opening is not None for draft in drafts):
        raise BankFileError("No record of the QIF file could be read.", code="no_lines")
    return finish(drafts, "qif", problems=problems)


def _sections(text: str) -> list[_Section]:
    sections: list[_Section] = []
    section = _Section("bank", "")
    record = _Record("")
    account = ""
    count = 0
    for number, raw in t.lines(text):
        line = raw.strip("\ufeff\x00\x1a").rstrip()
        if not line.strip():
            continue
        code, value = line[0], line[1:].strip()
        if code == "!":
            _keep(record, section, account)
            record = _Record("")
            name = value.lower()
            if name.startswith("type:"):
                section = _Section(name[5:].strip(), account)
                sections.append(section)
            elif name.startswith("account"):
                section = _Section("account", "")
            continue
        if code == "^":
            if section.kind == "account":
                account = t.clean(record.fields.get("N"))
            else:
                _keep(record, section, account)
            record = _Record("")
            continue
        if not record.where:
            record.where = f"line {number}"
            count += 1
            check_counts((), count)
        _take(record, code.upper(), value)
    if section.kind != "account":
        _keep(record, section, account)
    return sections


def _keep(record: _Record, section: _Section, account: str) -> None:
    if record.fields or record.splits:
        section.account = section.account or account
        section.records.append(record)


def _take(record: _Record, code: str, value: str) -> None:
    if code == "A":
        record.address.append(value)
    elif code == "S":
        record.splits.append({"S": value})
    elif code in "E$%":
        if not record.splits:
            record.splits.append({})
        record.splits[-1].setdefault(code, value)
    else:
        record.fields.setdefault(code, value)


def _read(section: _Section, order: str, mark: str) -> Draft:
    draft = Draft(account_number=section.account, kind=Kind.LIST, needs_balances=False)
    draft.details["type"] = section.kind
    for number, record in enumerate(section.records):
        try:
            date = read_date(split_date(record.fields.get("D", "")), order)
            amount = read_amount(record.fields.get("T") or record.fields.get("U") or "", mark)
        except ValueError as exc:
            text = record.fields.get("P", "")
            draft.warn(
                "line_unreadable", f"A record could not be read ({exc}): {t.clean(text)[:60]}", record.where
            )
            continue
        if number == 0 and _is_opening(record):
            draft.opening, draft.start_date = amount, date
            draft.account_number = draft.account_number or record.fields["L"].strip("[] ")
            continue
        if not amount:
            draft.inform("zero_amount", "A record without an amount was left out.", record.where)
            continue
        splits = _splits(record, amount, mark, draft)
        payee, memo = t.clean(record.fields.get("P")), t.clean(record.fields.get("M"))
        details = {
            "memo": memo,
            "category": t.clean(record.fields.get("L")),
            "check_number": t.clean(record.fields.get("N")),
            "partner_address": t.clean(", ".join(record.address)),
            "cleared": t.clean(record.fields.get("C")),
        }
        draft.lines.append(
            ParsedLine(
                date=date,
                amount=amount,
                label=" ".join(filter(None, (payee, memo if memo != payee else "")))
                or details["category"]
                or details["check_number"],
                partner_name=payee,
                splits=splits,
                details={key: value for key, value in details.items() if value},
            )
        )
    if draft.opening is not None:
        draft.closing = draft.opening + sum((line.amount for line in draft.lines), Decimal(0))
        draft.inform(
            "closing_computed", "QIF has no closing balance; it was computed from the opening balance."
        )
    return draft


def _is_opening(record: _Record) -> bool:
    category = record.fields.get("L", "")
    return category.startswith("[") and record.fields.get("P", "").strip().lower() == "opening balance"


def _splits(record: _Record, amount: Decimal, mark: str, draft: Draft) -> tuple[ParsedSplit, ...]:
    splits = []
    for split in record.splits:
        try:
            part = read_amount(split.get("$", ""), mark)
        except ValueError:
            draft.warn(
                "split_unreadable",
                "The parts of a record could not be read; it was kept whole.",
                record.where,
            )
            return ()
        splits.append(ParsedSplit(part, t.clean(split.get("S")), t.clean(split.get("E"))))
    if splits and sum((split.amount for split in splits), Decimal(0)) != amount:
        draft.warn("split_differs", "The parts of a record do not make its amount.", record.where)
    return tuple(splits)
