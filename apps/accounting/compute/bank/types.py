"""What a bank file says, as plain values: files hold statements, statements hold lines, each may hold problems.

Invariants of everything a parser returns:

* amounts are ``Decimal``, finite, with at most 15 digits before and 6 after the point; money in is positive;
* ``ParsedLine.amount`` is never zero and is in ``ParsedLine.currency`` ("" where the file names no currency);
* ``foreign_currency`` and ``foreign_amount`` are both given or both absent, with the sign of ``amount``;
* texts are one line of valid Unicode without control characters; "" means that the file does not say;
* ``unique_id`` is the same whenever the same line is read again and differs between the lines of one account;
* where opening + lines differs from closing, or cannot be known, ``problems`` says so.

The one error of the package is :class:`BankFileError`: the file is refused as a whole and nothing was read from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

#: A file above this size is refused before it is looked at.
MAX_BYTES = 32 * 1024 * 1024
#: More lines than this in one file are refused; a year of a busy account stays far below.
MAX_LINES = 100_000
#: More statements than this, and more lines of text, are no bank file.
MAX_STATEMENTS = 5_000
MAX_TEXT_LINES = 2_000_000
#: A statement keeps this many problems and counts the rest.
MAX_PROBLEMS = 100


class BankFileError(ValueError):
    """The file cannot be imported. ``message`` tells the user why; ``code`` is stable for programs."""

    def __init__(self, message: str, *, code: str = "bank_file") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Severity(StrEnum):
    """``WARNING``: look before you book. ``INFO``: worth knowing, nothing is wrong."""

    WARNING = "warning"
    INFO = "info"


class Kind(StrEnum):
    """What sort of message a statement was read from.

    ``STATEMENT`` is complete and final, ``REPORT`` (camt.052, MT942) covers part of a day, ``NOTIFICATION``
    (camt.054) explains entries of another statement, ``LIST`` (OFX, QIF, CSV) is a download of movements and
    ``INVESTMENT`` is the cash side of a securities account.
    """

    STATEMENT = "statement"
    REPORT = "report"
    NOTIFICATION = "notification"
    LIST = "list"
    INVESTMENT = "investment"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user has to be told. ``where`` points into the file ("line 12", "entry 3")."""

    code: str
    message: str
    severity: Severity = Severity.WARNING
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass(frozen=True, slots=True)
class ParsedSplit:
    """One part of a line that the file itself divides, as QIF does; the parts are in the line's currency."""

    amount: Decimal
    category: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """One movement. ``date`` is the booking date; ``reference`` the payer's end-to-end reference.

    ``account_number``, ``partner_name`` and ``partner_bic`` belong to the other side. ``rate`` is as the bank
    prints it, its direction differs between banks. ``details`` carries what else the file says under stable
    names, among them: bank_reference, customer_reference, instruction_id, transaction_id, mandate, creditor_id,
    check_number, return_reason, ultimate_partner, purpose, charges, reversal, posting_text, memo, balance.
    """

    date: dt.date
    amount: Decimal
    value_date: dt.date | None = None
    currency: str = ""
    label: str = ""
    reference: str = ""
    structured_reference: str = ""
    partner_name: str = ""
    account_number: str = ""
    partner_bic: str = ""
    transaction_type: str = ""
    unique_id: str = ""
    foreign_currency: str = ""
    foreign_amount: Decimal | None = None
    rate: Decimal | None = None
    splits: tuple[ParsedSplit, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """The movements of one account. ``opening`` and ``closing`` are ``None`` where the file gives none.

    ``account_number`` is the bare number; a bank code printed with it stands in ``bank_code``.
    """

    account_number: str
    currency: str
    name: str
    date: dt.date | None
    opening: Decimal | None
    closing: Decimal | None
    lines: tuple[ParsedLine, ...] = ()
    problems: tuple[Problem, ...] = ()
    kind: Kind = Kind.STATEMENT
    bank_code: str = ""
    owner: str = ""
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    details: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def total(self) -> Decimal:
        """Sum of the lines in the statement's own currency."""
        return sum((line.amount for line in self.lines if line.currency == self.currency), Decimal(0))

    @property
    def is_balanced(self) -> bool | None:
        """Whether opening + lines = closing; ``None`` where a balance is missing."""
        if self.opening is None or self.closing is None:
            return None
        return self.opening + self.total == self.closing


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """Everything read from one file. ``format`` is a name such as "camt.053", "mt940" or "csv"."""

    statements: tuple[ParsedStatement, ...]
    format: str
    problems: tuple[Problem, ...] = ()

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """The problems of the file, then those of its statements in order."""
        return self.problems + tuple(
            problem for statement in self.statements for problem in statement.problems
        )
