"""From drafts to values: every parser fills :class:`Draft` statements and ends with :func:`finish`.

Here live the two rules that hold for all formats: the identity of a line, and the balance check.

Identity. OFX promises that a FITID is unique for ever, so it is taken as it is. The references of the other formats
are not: banks give one reference to a payment and its charges, to a payment and its return, to every line of a day. There
the bank's reference is completed by a digest of date and amount. Without a reference, a digest of account, date, amount
and label has to do. Lines that are still equal are numbered in the order of the file.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from apps.accounting.compute.bank.text import bare_account, plain
from apps.accounting.compute.bank.types import (
    MAX_LINES,
    MAX_PROBLEMS,
    MAX_STATEMENTS,
    BankFileError,
    Kind,
    ParsedFile,
    ParsedLine,
    ParsedStatement,
    Problem,
    Severity,
)

_LONGEST_ID = 120


@dataclass(slots=True)
class Draft:
    """A statement while it is read. ``needs_balances``: the format has balances, so a missing one is a problem."""

    account_number: str = ""
    currency: str = ""
    name: str = ""
    date: dt.date | None = None
    opening: Decimal | None = None
    closing: Decimal | None = None
    lines: list[ParsedLine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    kind: Kind = Kind.STATEMENT
    bank_code: str = ""
    owner: str = ""
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    details: dict[str, str] = field(default_factory=dict)
    needs_balances: bool = True
    unsaid: int = 0

    def warn(self, code: str, message: str, where: str = "") -> None:
        self._add(Problem(code, message, where=where))

    def inform(self, code: str, message: str, where: str = "") -> None:
        self._add(Problem(code, message, Severity.INFO, where))

    def _add(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.unsaid += 1


def check_counts(drafts: Sequence[Draft], lines: int = 0) -> None:
    """Refuse a file with too many statements or lines; parsers call it while they read, so that memory stays bounded."""
    if lines > MAX_LINES:
        raise BankFileError(f"The file has more than {MAX_LINES} lines; please split it.", code="too_long")
    if len(drafts) > MAX_STATEMENTS:
        raise BankFileError(f"The file has more than {MAX_STATEMENTS} statements.", code="too_long")


def finish(
    drafts: Iterable[Draft],
    file_format: str,
    *,
    problems: Iterable[Problem] = (),
    ids_are_unique: bool = False,
) -> ParsedFile:
    """Give every line its identity, check every balance, and freeze. Raises ``BankFileError`` above the line limit."""
    drafts = list(drafts)
    check_counts(drafts, sum(len(draft.lines) for draft in drafts))
    identities = _Identities(ids_are_unique)
    for draft in drafts:
        draft.lines = identities.number(draft)
        _check_balance(draft)
        if draft.unsaid:
            draft.problems.append(Problem("more", f"There are {draft.unsaid} more problems."))
    return ParsedFile(tuple(_freeze(draft) for draft in drafts), file_format, tuple(problems))


def _freeze(draft: Draft) -> ParsedStatement:
    days = [line.date for line in draft.lines]
    return ParsedStatement(
        account_number=draft.account_number,
        currency=draft.currency,
        name=draft.name or " ".join(filter(None, (draft.account_number, str(draft.date or "")))),
        date=draft.date or max(days, default=None),
        opening=draft.opening,
        closing=draft.closing,
        lines=tuple(draft.lines),
        problems=tuple(draft.problems),
        kind=draft.kind,
        bank_code=draft.bank_code,
        owner=draft.owner,
        start_date=draft.start_date or min(days, default=None),
        end_date=draft.end_date or max(days, default=None),
        details=draft.details,
    )


def _check_balance(draft: Draft) -> None:
    others = sum(1 for line in draft.lines if line.currency != draft.currency)
    if others:
        draft.warn(
            "other_currency",
            f"{others} of {len(draft.lines)} lines are not in the currency of the statement "
            f"({draft.currency or 'unknown'}) and are left out of its balance.",
        )
    if draft.opening is None or draft.closing is None:
        if draft.needs_balances:
            missing = [
                word
                for word, value in (("opening", draft.opening), ("closing", draft.closing))
                if value is None
            ]
            draft.warn(
                "balance_missing",
                f"The statement has no {' and no '.join(missing)} balance to check it with.",
            )
        return
    total = sum((line.amount for line in draft.lines if line.currency == draft.currency), Decimal(0))
    gap = draft.closing - draft.opening - total
    if gap:
        draft.warn(
            "unbalanced",
            f"Opening balance {plain(draft.opening)} and lines {plain(total)} make {plain(draft.opening + total)}, "
            f"but the closing balance is {plain(draft.closing)} (difference {plain(gap)}).",
        )


class _Identities:
    def __init__(self, ids_are_unique: bool) -> None:
        self._ids_are_unique = ids_are_unique
        self._taken: dict[tuple[str, str], str] = {}
        self._copies: dict[tuple[str, str], int] = {}

    def number(self, draft: Draft) -> list[ParsedLine]:
        account = bare_account(draft.account_number) or draft.name
        lines: list[ParsedLine] = []
        repeated = 0
        for line in draft.lines:
            identity = self._identity(account, line)
            if identity is None:
                repeated += 1
                continue
            lines.append(replace(line, unique_id=identity))
        if repeated:
            draft.inform(
                "repeated",
                f"{repeated} lines are in the file twice with the same id of the bank; one each was kept.",
            )
        return lines

    def _identity(self, account: str, line: ParsedLine) -> str | None:
        content = _digest(line.date.isoformat(), plain(line.amount), line.label)
        if self._ids_are_unique and line.unique_id:
            identity = _short(line.unique_id)
            known = self._taken.setdefault((account, identity), content)
            if known == content:
                is_copy = self._copies.get((account, identity), 0)
                self._copies[account, identity] = 1
                return None if is_copy else identity
            identity = f"{identity}-{content[:12]}"
        elif line.unique_id:
            identity = f"{_short(line.unique_id)}-{_digest(line.date.isoformat(), plain(line.amount))[:12]}"
        else:
            identity = _digest(account, content)
        count = self._copies.get((account, identity), 0) + 1
        self._copies[account, identity] = count
        return identity if count == 1 else f"{identity}~{count}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]


def _short(identity: str) -> str:
    return identity if len(identity) <= _LONGEST_ID else identity[:60] + _digest(identity)
