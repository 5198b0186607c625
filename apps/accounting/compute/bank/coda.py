"""CODA, the Belgian bankers' fixed records of 128 characters (versions 1 and 2).

Records: 0 header, 1 old balance, 2.1–2.3 movement, 3.1–3.3 information on a movement, 4 free message, 8 new balance,
9 totals. Positions below are those of the standard minus one. A movement with detail number 0000 counts for the balance;
its details replace it when they sum up to it.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, check_counts, finish
from apps.accounting.compute.bank.types import BankFileError, ParsedFile, ParsedLine

_FIRST_LINE = re.compile(r"0(?:0{4}|.{4})\d{6}.{3}05[ D]?")
_RECORD = re.compile(r"[0-9]")
_WIDTH = 128
_LONGEST_MESSAGE = 2_000
_MOST_UNREADABLE = 1_000
# Structured communications that carry a payment reference of twelve digits.
_REFERENCES = frozenset({"101", "102"})


def is_coda(text: str) -> bool:
    """A header record at the start: zeros, a date, application code 05."""
    first = text.lstrip("\ufeff\r\n").partition("\n")[0].rstrip("\r")
    return bool(_FIRST_LINE.match(first)) and 40 <= len(first) <= _WIDTH + 4


@dataclass(slots=True)
class _Movement:
    detail: str
    amount: Decimal
    date: dt.date
    value_date: dt.date | None
    bank_reference: str
    code: str
    kind: str = ""
    communication: str = ""
    customer_reference: str = ""
    bic: str = ""
    name: str = ""
    account: str = ""
    information: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)


def parse_coda(data: bytes) -> ParsedFile:
    """Read a CODA file. A file that is cut off is read as far as it goes, with a problem."""
    reader = _Reader()
    for number, raw in t.lines(t.decode(data)):
        if raw.strip():
            reader.read(raw.ljust(_WIDTH), f"line {number}")
    reader.end()
    if not reader.drafts:
        raise BankFileError("The CODA file holds no statement.", code="no_statement")
    return finish(reader.drafts, "coda")


def _day(text: str) -> dt.date | None:
    if not re.fullmatch(r"[0-9]{6}", text) or text == "000000":
        return None
    try:
        return t.day(t.full_year(int(text[4:])), int(text[2:4]), int(text[:2]))
    except ValueError:
        return None


def _amount(sign: str, digits: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{15}", digits) or sign not in "01":
        raise ValueError(f"not an amount: {sign + digits!r}")
    value = Decimal(digits) / 1000
    value = value.quantize(Decimal("0.01")) if digits.endswith("0") else value
    return -value if sign == "1" and value else value


def _account(structure: str, zone: str) -> tuple[str, str]:
    """Account number and currency from the zone of 37 positions, whose layout the structure code tells."""
    if structure == "0":
        return zone[:12].strip(), t.currency(zone[13:16])
    return zone[: 34 if structure in "13" else 31].replace(" ", ""), t.currency(zone[34:37])


class _Reader:
    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self._draft: Draft | None = None
        self._movements: list[_Movement] = []
        self._header: dict[str, str] = {}
        self._structure = "2"
        self._debits = self._credits = Decimal(0)
        self._count = self._unreadable = 0

    def read(self, line: str, where: str) -> None:
        if len(line.rstrip()) > _WIDTH:
            self._problem("too_wide", "the record is longer than 128 characters; the rest was ignored", where)
        kind = line[0]
        try:
            if kind == "0":
                self._on_header(line)
            elif kind == "1":
                self._on_old_balance(line)
            elif kind == "2":
                self._on_movement(line, where)
            elif kind == "3":
                self._on_information(line, where)
            elif kind == "4":
                self._on_message(line)
            elif kind == "8":
                self._on_new_balance(line)
            elif kind == "9":
                self._on_totals(line)
            else:
                raise ValueError(f"unknown record {line[:2]!r}")
        except ValueError as exc:
            self._unreadable += 1
            if self._unreadable > _MOST_UNREADABLE:
                raise BankFileError(
                    "Too many records of the CODA file cannot be read.", code="damaged"
                ) from exc
            self._problem("line_unreadable", f"the record could not be read ({exc})", where)

    def end(self) -> None:
        """Close what is open: at the next header, at the totals, or where the file breaks off."""
        if self._draft is None:
            return
        draft, self._draft = self._draft, None
        draft.lines = _lines(self._movements, draft)
        self._movements = []
        if draft.closing is None:
            draft.warn("cut_off", "The statement breaks off before its new balance.")
        self.drafts.append(draft)
        self._count += len(draft.lines)
        check_counts(self.drafts, self._count)

    def _open(self) -> Draft:
        if self._draft is None:
            self._draft = Draft(bank_code=self._header.get("bic", ""), owner=self._header.get("name", ""))
            self._draft.details.update(
                {k: v for k, v in self._header.items() if v and k not in ("bic", "name")}
            )
            self._debits = self._credits = Decimal(0)
        return self._draft

    def _problem(self, code: str, message: str, where: str) -> None:
        self._open().warn(code, message, where)

    def _on_header(self, line: str) -> None:
        self.end()
        self._header = {
            "name": t.clean(line[34:60]),
            "bic": t.clean(line[60:71]),
            "file_reference": t.clean(line[24:34]),
            "duplicate": "true" if line[16] == "D" else "",
        }

    def _on_old_balance(self, line: str) -> None:
        if self._draft is not None and self._draft.opening is not None:
            self.end()
        draft = self._open()
        self._structure = line[1]
        draft.account_number, draft.currency = _account(line[1], line[5:42])
        draft.opening = _amount(line[42], line[43:58])
        draft.start_date = _day(line[58:64])
        draft.owner = t.clean(line[64:90]) or draft.owner
        draft.details["account_description"] = t.clean(line[90:125])
        draft.name = t.clean(line[125:128]) if line[125:128].strip("0 ") else t.clean(line[2:5])

    def _on_movement(self, line: str, where: str) -> None:
        article = line[1]
        if article == "1":
            value_date = _day(line[47:53])
            date = _day(line[115:121]) or value_date
            if date is None:
                raise ValueError("no date")
            movement = _Movement(
                detail=line[2:10],
                amount=_amount(line[31], line[32:47]),
                date=date,
                value_date=value_date,
                bank_reference=t.clean(line[10:31]),
                code=line[53:61].strip(),
                kind=line[62:65] if line[61] == "1" else "",
                communication=line[65:115] if line[61] == "1" else line[62:115],
            )
            self._open()
            self._movements.append(movement)
            if movement.detail[4:] == "0000":
                if movement.amount < 0:
                    self._debits -= movement.amount
                else:
                    self._credits += movement.amount
            return
        last = self._movements[-1] if self._movements else None
        if last is None or last.detail != line[2:10]:
            raise ValueError("it continues a movement that is not there")
        if article == "2":
            last.communication += line[10:63]
            last.customer_reference = t.clean(line[63:98])
            last.bic = t.clean(line[98:109])
            for key, text in (("return_reason", line[113:117]), ("purpose", line[121:125])):
                if text.strip():
                    last.details[key] = t.clean(text)
        elif article == "3":
            last.account = _counterparty(line[10:47])
            last.name = t.clean(line[47:82])
            last.communication += line[82:125]
        else:
            raise ValueError(f"unknown record 2.{article}")

    def _on_information(self, line: str, where: str) -> None:
        if not self._movements or self._movements[-1].detail[:4] != line[2:6]:
            raise ValueError("it explains a movement that is not there")
        last = self._movements[-1]
        if line[1] == "1":
            structured = line[39] == "1"
            if structured and line[40:43] == "001":
                last.name = last.name or t.clean(line[43:113])
                return
            last.information.append(line[43:113] if structured else line[40:113])
        elif line[1] == "2":
            last.information.append(line[10:115])
        elif line[1] == "3":
            last.information.append(line[10:100])
        else:
            raise ValueError(f"unknown record 3.{line[1]}")

    def _on_message(self, line: str) -> None:
        draft = self._open()
        known = draft.details.get("message", "")
        if len(known) < _LONGEST_MESSAGE:
            draft.details["message"] = t.clean(f"{known} {line[32:112]}")

    def _on_new_balance(self, line: str) -> None:
        draft = self._open()
        draft.closing = _amount(line[41], line[42:57])
        draft.date = draft.end_date = _day(line[57:63])
        account, currency = _account(self._structure, line[4:41])
        if not draft.account_number:
            draft.account_number, draft.currency = account, currency
        elif t.bare_account(account) != t.bare_account(draft.account_number):
            draft.warn(
                "account_differs", f"The new balance is for account {account}, not {draft.account_number}."
            )

    def _on_totals(self, line: str) -> None:
        draft = self._draft
        if draft is not None:
            for label, digits, found in (
                ("debit", line[22:37], self._debits),
                ("credit", line[37:52], self._credits),
            ):
                if re.fullmatch(r"[0-9]{15}", digits) and Decimal(digits) / 1000 != found:
                    draft.warn("turnover", f"The {label} movements sum up to {t.plain(found)}, the bank says "
                               f"{t.plain(Decimal(digits) / 1000)}.")  # fmt: skip
        self.end()


def _counterparty(zone: str) -> str:
    """The other side's account: an IBAN or a foreign number up to the first wide gap; a Belgian number has twelve digits."""
    head = zone[:34].strip()
    if re.match(r"[0-9]{12} [A-Z]{3}", head):
        return head[:12]
    return re.split(r"\s{2,}", head)[0].replace(" ", "") if head else ""


def _lines(movements: list[_Movement], draft: Draft) -> list[ParsedLine]:
    """Totals give way to their details where these sum up to them."""
    lines: list[ParsedLine] = []
    position = 0
    while position < len(movements):
        head = movements[position]
        position += 1
        parts = []
        while position < len(movements) and _belongs(movements[position], head):
            parts.append(movements[position])
            position += 1
        if len(parts) > 1 and sum((part.amount for part in parts), Decimal(0)) == head.amount:
            chosen = parts
        else:
            chosen = [head]
            if len(parts) > 1:
                draft.inform("batch_kept", f"A total with {len(parts)} details was kept as one line.")
            elif parts:
                head.information += [parts[0].communication, *parts[0].information]
        lines += [_line(movement, draft.currency) for movement in chosen if movement.amount]
    return lines


def _belongs(movement: _Movement, head: _Movement) -> bool:
    return (
        movement.detail[:4] == head.detail[:4] and movement.detail[4:] != "0000" and head.detail[4:] == "0000"
    )


def _line(movement: _Movement, currency: str) -> ParsedLine:
    communication = t.clean(movement.communication)
    information = t.clean("".join(movement.information))
    structured = ""
    if movement.kind in _REFERENCES and re.match(r"[0-9]{12}", communication):
        structured = communication[:12]
        communication = f"+++{structured[:3]}/{structured[3:7]}/{structured[7:]}+++"
    reference = movement.customer_reference
    details = {
        "bank_reference": movement.bank_reference,
        "communication_type": movement.kind,
        "information": information,
    } | movement.details
    return ParsedLine(
        date=movement.date,
        amount=movement.amount,
        value_date=movement.value_date,
        currency=currency,
        label=communication or information or reference or movement.name or movement.bank_reference,
        reference="" if reference.upper() in ("NOTPROVIDED", "NONREF") else reference,
        structured_reference=structured,
        partner_name=movement.name,
        account_number=movement.account,
        partner_bic=movement.bic,
        transaction_type=movement.code,
        unique_id=movement.bank_reference if movement.bank_reference.strip("0") else "",
        details={key: value for key, value in details.items() if value},
    )
