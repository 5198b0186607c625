"""MT940 (end of day) and MT942 (interim) of SWIFT, as banks really write them.

Nothing in a damaged file hides the rest of it: a field that cannot be read becomes a problem and reading goes on. An
impossible day such as February 30 becomes the last day of its month, with a problem. A statement begins with ``:20:``, or
with a new opening balance where that is missing, and ends with a line that starts with a hyphen or with the file.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, check_counts, finish
from apps.accounting.compute.bank.mt940_info import Information, read_information
from apps.accounting.compute.bank.types import BankFileError, Kind, ParsedFile, ParsedLine

_TAG = re.compile(r"(?:\{4:)?:(\d{2}[A-Z]?|NS):(.*)", re.DOTALL | re.ASCII)
# A writer that breaks lines at a fixed width may break a tag as well.
_BROKEN_TAG = re.compile(r":\d{0,2}[A-Z]?", re.ASCII)
_FIRST_TAG = re.compile(r"^(?:\{4:)?:(?:\d{2}[A-Z]?|94[02]|NS):", re.MULTILINE | re.ASCII)
_BALANCE = re.compile(r"\s*([CD])R?\s*(\d{6})\s*([A-Z]{3})\s*([\d.,]+)", re.ASCII)
_SUM = re.compile(r"\s*(\d{1,5})\s*([A-Z]{3})\s*([\d.,]+)", re.ASCII)
_MOVEMENT = re.compile(
    r"(?P<day>\d{6})(?P<entry>\d{4})?(?P<mark>E?R?[CD]|R?E[CD])(?P<funds>[A-Z])?(?P<amount>\d[\d.]*(?:,\d*)?)"
    r"(?P<type>[A-Z][A-Z0-9 ]{3})?(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_NO_REFERENCE = frozenset({"", "NONREF", "NOTPROVIDED", "NONE", "KREF+", "EREF+", "X"})
_INFO_IN_25 = re.compile(r"\d{3}([?>])\d\d.*\1\d\d", re.ASCII | re.DOTALL)
_OCMT = re.compile(r"/?OCMT/([A-Z]{3})([\d.,]+)", re.ASCII)
_EXCH = re.compile(r"/?EXCH/([\d.,]+)", re.ASCII)
_WIDTH = 65
_REFERENCE_WIDTH = 16
# The standard allows 390 characters; what is far beyond is cut off.
_LONGEST_FIELD = 10_000
_LONGEST_INFORMATION = 2_000
_MOST_FIELDS = 100


def is_mt940(text: str) -> bool:
    """Whether a SWIFT field tag starts a line near the beginning of the text."""
    return _FIRST_TAG.search(text[:4000]) is not None


def parse_mt940(data: bytes) -> ParsedFile:
    """Read an MT940 or MT942 file. Raises ``BankFileError`` only where no field of the format is found at all."""
    reader = _Reader()
    for number, raw in t.lines(t.decode(data)):
        reader.read(raw.strip("\x00\x01\x02\x03\x1a\ufeff"), number)
    reader.end_file()
    if not reader.found_a_field:
        raise BankFileError("The file holds no MT940 field.", code="no_statement")
    interim = any(draft.kind is Kind.REPORT for draft in reader.drafts)
    return finish(reader.drafts, "mt942" if interim else "mt940")


def _amount(text: str) -> Decimal:
    """SWIFT writes a decimal comma; points in front of it are grouping, alone they are the mark of a stray writer."""
    return t.amount(text, decimal=",", thousands=".") if "," in text else t.amount(text, decimal=".")


def _day(digits: str) -> tuple[dt.date, bool]:
    """YYMMDD, and whether it had to be moved into its month."""
    year, month, number = t.full_year(int(digits[:2])), int(digits[2:4]), int(digits[4:])
    try:
        return t.day(year, month, number), False
    except ValueError:
        if not 1 <= month <= 12 or not 1 <= number <= 31:
            raise ValueError(f"not a date: {digits!r}") from None
        return t.day(year, month, calendar.monthrange(year, month)[1]), True


def _entry_day(digits: str, value: dt.date) -> dt.date | None:
    """MMDD in the year that brings it nearest to the value date."""
    candidates = []
    for year in (value.year - 1, value.year, value.year + 1):
        try:
            candidates.append(t.day(year, int(digits[:2]), int(digits[2:])))
        except ValueError:
            continue
    return min(candidates, key=lambda day: abs(day - value), default=None)


@dataclass(slots=True)
class _Movement:
    """A ``:61:`` with all that follows until the next one."""

    text: list[str]
    where: str
    info: list[list[str]] = field(default_factory=list)
    non_swift: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.found_a_field = False
        self._draft: Draft | None = None
        self._movements: list[_Movement] = []
        self._tag = ""
        self._content: list[str] = []
        self._where = ""
        self._sums: list[tuple[str, str, str]] = []
        self._in_movement = False
        self._count = 0
        self._broken = ""
        self._room = 0

    def read(self, line: str, number: int) -> None:
        if self._broken:
            line, self._broken = self._broken + line, ""
        elif _BROKEN_TAG.fullmatch(line):
            self._broken = line
            return
        if match := _TAG.match(line):
            self._end_field()
            self._tag, self._content, self._where = (
                match.group(1),
                [match.group(2)[:_LONGEST_FIELD]],
                f"line {number}",
            )
            self._room = _LONGEST_FIELD
            self.found_a_field = True
        elif line.startswith("-") and self._is_end(line):
            self._end_statement()
        elif self._tag and line.strip() and self._room > 0:
            self._content.append(line[: self._room])
            self._room -= len(line)

    def end_file(self) -> None:
        self._end_statement()

    def _is_end(self, line: str) -> bool:
        """A lone hyphen or ``-}`` ends a statement; after its closing balance any line with a leading hyphen does."""
        closed = self._draft is not None and self._draft.closing is not None
        return (
            line.rstrip() == "-"
            or line.startswith("-}")
            or closed
            or self._tag.startswith(("62", "64", "65", "90"))
        )

    def _open(self) -> Draft:
        if self._draft is None:
            self._draft = Draft()
        return self._draft

    def _end_statement(self) -> None:
        self._end_field()
        draft, self._draft = self._draft, None
        if draft is None:
            return
        if draft.kind is Kind.REPORT and draft.opening is None and draft.closing is None:
            draft.needs_balances = False
        _name_account(draft)
        for movement in self._movements:
            _add_line(movement, draft)
        self._check_sums(draft)
        if not draft.account_number:
            draft.warn("account_missing", "The statement does not say which account it is for.")
        self.drafts.append(draft)
        check_counts(self.drafts)
        self._movements, self._sums, self._in_movement = [], [], False

    def _end_field(self) -> None:
        tag, content, self._tag, self._content = self._tag, self._content, "", []
        if not tag:
            return
        if tag == "25" and self._in_movement and _INFO_IN_25.match("".join(content)):
            self._open().warn(
                "tag_mended", "A field :25: among the movements holds information on one.", self._where
            )
            tag = "86"
        if tag == "20":
            if self._draft is not None:
                self._end_statement()
            self._open().details["reference"] = t.clean(content[0])
        elif tag == "61":
            self._count += 1
            check_counts(self.drafts, self._count)
            self._open()
            self._in_movement = True
            self._movements.append(_Movement(content, self._where))
        elif tag in ("86", "NS"):
            self._on_information(tag, content)
        elif tag[:2] in ("60", "62"):
            self._on_balance(tag, content)
        else:
            self._on_header(tag, content)

    def _on_information(self, tag: str, content: list[str]) -> None:
        draft = self._open()
        if not self._in_movement:
            known = draft.details.get("information", "")
            if len(known) < _LONGEST_INFORMATION and (text := t.clean(" ".join(content))):
                draft.details["information"] = f"{known} {text}".strip()[:_LONGEST_INFORMATION]
        elif tag == "86":
            if len(self._movements[-1].info) < _MOST_FIELDS:
                self._movements[-1].info.append(content)
        elif len(self._movements[-1].non_swift) < _MOST_FIELDS:
            self._movements[-1].non_swift += content

    def _on_header(self, tag: str, content: list[str]) -> None:
        draft = self._open()
        text = t.clean(content[0])
        if tag in ("25", "25P"):
            if "account" in draft.details:
                draft.warn("tag_repeated", "The account is given twice; the first one counts.", self._where)
            else:
                draft.details["account"] = text
        elif tag in ("28", "28C"):
            draft.name = text
        elif tag == "13D":
            draft.kind = Kind.REPORT
            draft.details["created"] = text
            if re.match(r"\d{10}", text, re.ASCII):
                try:
                    draft.date = _day(text[:6])[0]
                except ValueError:
                    draft.warn("bad_date", f"{text!r} is not a date.", self._where)
        elif tag in ("34F", "90C", "90D"):
            draft.kind = Kind.REPORT
            if tag == "34F":
                draft.currency = draft.currency or t.currency(text[:3])
            else:
                self._sums.append((tag[2], text, self._where))
                self._in_movement = False

    def _on_balance(self, tag: str, content: list[str]) -> None:
        match = _BALANCE.match("".join(content))
        is_opening = tag.startswith("60")
        draft = self._open()
        if is_opening and (draft.closing is not None or self._movements):
            draft = self._start_again(draft)
        self._in_movement = False
        try:
            if match is None:
                raise ValueError("not a balance")
            mark, digits, currency, amount = match.groups()
            value = _amount(amount)
            day, moved = _day(digits)
        except ValueError as exc:
            draft.warn("balance_unreadable", f"The balance could not be read ({exc}).", self._where)
            return
        if moved:
            draft.warn("date_moved", f"The day {digits} does not exist; {day} is used.", self._where)
        if mark == "D" and value:
            value = -value
        if draft.currency and draft.currency != currency and draft.kind is not Kind.REPORT:
            draft.warn(
                "balance_currency", f"A balance is in {currency}, the other in {draft.currency}.", self._where
            )
            return
        draft.currency = currency
        if (draft.opening if is_opening else draft.closing) is not None:
            draft.warn("tag_repeated", f"Field :{tag}: is given again; the last one counts.", self._where)
        if is_opening:
            draft.opening, draft.start_date = value, day
        else:
            draft.closing, draft.date, draft.end_date = value, day, day

    def _start_again(self, draft: Draft) -> Draft:
        """A second opening balance without ``:20:``: another statement of the same account has begun."""
        account, name = draft.details.get("account", ""), draft.name
        draft.warn("start_missing", "The next statement begins without field :20:.", self._where)
        self._end_statement()
        new = self._open()
        new.name = name
        if account:
            new.details["account"] = account
        return new

    def _check_sums(self, draft: Draft) -> None:
        """MT942 ends with number and sum of debits and credits."""
        for mark, text, where in self._sums:
            match = _SUM.match(text)
            try:
                if match is None:
                    raise ValueError("not a sum")
                count = int(match.group(1))
                total = _amount(match.group(3))
            except ValueError:
                draft.warn("sum_unreadable", f"Field :90{mark}: could not be read.", where)
                continue
            sign = -1 if mark == "D" else 1
            amounts = [line.amount * sign for line in draft.lines if line.amount * sign > 0]
            if count != len(amounts) or total != sum(amounts, Decimal(0)):
                word = "debits" if mark == "D" else "credits"
                draft.warn(
                    "turnover",
                    f"The bank announces {count} {word} of {t.plain(total)}, the file holds {len(amounts)} of "
                    f"{t.plain(sum(amounts, Decimal(0)))}.",
                    where,
                )


def _name_account(draft: Draft) -> None:
    """Split ``bank/account/currency`` and take the currency off the end of an account number."""
    raw = draft.details.get("account", "")
    if not raw:
        return
    parts = [part.strip() for part in raw.split("/") if part.strip()]
    if len(parts) > 1 and re.fullmatch(r"[A-Z]{3}", parts[-1]):
        draft.currency = draft.currency or parts[-1]
        parts.pop()
    account = parts[-1] if parts else raw
    if len(parts) > 1:
        draft.bank_code = "/".join(parts[:-1])
    match = re.fullmatch(r"(.*\d) ?([A-Z]{3})", account, re.ASCII)
    if match and draft.currency in ("", match.group(2)):
        account, draft.currency = match.groups()
    draft.account_number = re.sub(r"\s", "", account)


def _add_line(movement: _Movement, draft: Draft) -> None:
    """Turn a ``:61:`` into a line of the draft, or into a problem that keeps its text."""
    match, used = _match_movement(movement.text)
    try:
        if match is None:
            raise ValueError("it does not have the form of field :61:")
        value_date, moved = _day(match["day"])
        amount = _amount(match["amount"])
    except ValueError as exc:
        text = t.clean(" ".join(movement.text))[:100]
        draft.warn("line_unreadable", f"A movement could not be read ({exc}): {text}", movement.where)
        return
    if moved:
        draft.warn(
            "date_moved", f"The day {match['day']} does not exist; {value_date} is used.", movement.where
        )
    mark = match["mark"]
    if "E" in mark:
        draft.inform("not_booked", "An expected entry was left out.", movement.where)
        return
    if not amount:
        draft.inform("zero_amount", "A movement without an amount was left out.", movement.where)
        return
    entry_date = _entry_day(match["entry"], value_date) if match["entry"] else None
    if match["entry"] and entry_date is None:
        draft.warn("bad_date", f"The entry date {match['entry']!r} does not exist.", movement.where)
    # RC takes a credit back, RD a debit: the money goes the other way.
    negative = (mark[-1] == "D") != ("R" in mark)
    customer, bank, more = _references(match["rest"].rstrip())
    supplement = [part for part in [more, *movement.text[used:]] if re.search(r"\w", part)]
    draft.lines.append(
        _build(
            movement,
            date=entry_date or value_date,
            value_date=value_date,
            amount=-amount if negative else amount,
            currency=draft.currency,
            transaction_type=(match["type"] or "").strip(),
            customer=customer,
            bank=bank,
            supplement=t.clean(" ".join(supplement)),
            mark=mark,
        )
    )


def _match_movement(lines: list[str]) -> tuple[re.Match[str] | None, int]:
    """The match and how many lines it took: some writers break the field before the amount."""
    text = ""
    for used, line in enumerate(lines[:3], 1):
        text += line.strip() if used > 1 else line
        match = _MOVEMENT.match(text)
        if match is not None and (match["type"] or used == len(lines[:3])):
            return match, used
    match = _MOVEMENT.match(lines[0])
    return match, 1


def _references(rest: str) -> tuple[str, str, str]:
    """Customer's reference, bank's reference, and what runs on behind them without a line break."""
    customer, slashes, bank = rest.partition("//")
    if slashes and len(customer) <= _REFERENCE_WIDTH:
        return customer.strip(), bank[:_REFERENCE_WIDTH].strip(), bank[_REFERENCE_WIDTH:].strip()
    return rest[:_REFERENCE_WIDTH].strip(), "", rest[_REFERENCE_WIDTH:].strip()


def _build(
    movement: _Movement,
    *,
    date: dt.date,
    value_date: dt.date,
    amount: Decimal,
    currency: str,
    transaction_type: str,
    customer: str,
    bank: str,
    supplement: str,
    mark: str,
) -> ParsedLine:
    info = read_information([unwrapped for lines in movement.info if (unwrapped := _unwrapped(lines))])
    details = dict(info.details)
    foreign_currency, foreign_amount, rate = _foreign(f"{supplement} {info.text}", amount, currency)
    non_swift = t.clean(" ".join(movement.non_swift))
    bank = "" if bank.upper() in _NO_REFERENCE else bank
    customer = "" if customer.upper() in _NO_REFERENCE else customer
    for key, value in (
        ("bank_reference", bank),
        ("customer_reference", customer),
        ("supplement", supplement),
        ("non_swift", non_swift),
        ("reversal", "true" if "R" in mark else ""),
    ):
        if value:
            details.setdefault(key, value)
    return ParsedLine(
        date=date,
        amount=amount,
        value_date=value_date,
        currency=currency,
        label=_label(info, supplement, non_swift, customer or bank),
        reference=info.reference,
        structured_reference=info.structured_reference,
        partner_name=info.name,
        account_number=info.account,
        partner_bic=info.bic,
        transaction_type=transaction_type,
        unique_id=bank,
        foreign_currency=foreign_currency,
        foreign_amount=foreign_amount,
        rate=rate,
        details=details,
    )


def _unwrapped(lines: list[str]) -> tuple[str, str]:
    """The field twice: joined at once for structured content, and joined like a paragraph for prose."""
    lines = [line.rstrip("\r\n") for line in lines]
    return "".join(lines), t.unwrap(lines, width=_WIDTH, tag=4)


def _label(info: Information, supplement: str, non_swift: str, reference: str) -> str:
    if info.text:
        return info.text
    posting = info.details.get("posting_text", "")
    return " ".join(filter(None, (posting, supplement, non_swift))) or info.reference or reference


def _foreign(text: str, amount: Decimal, currency: str) -> tuple[str, Decimal | None, Decimal | None]:
    """Original amount and exchange rate where the bank prints them as ``/OCMT/USD150,00/EXCH/1,1``."""
    match = _OCMT.search(text)
    if match is None or match.group(1) == currency:
        return "", None, None
    try:
        value = _amount(match.group(2))
    except ValueError:
        return "", None, None
    exchange = _EXCH.search(text)
    if not value:
        return "", None, None
    return match.group(1), value if amount > 0 else -value, t.rate(exchange.group(1)) if exchange else None
