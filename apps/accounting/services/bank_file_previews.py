"""Looking at a bank file before it is imported: what is in it, what the journal has already, and how its columns are read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.compute.bank import (
    BankFileError,
    Kind,
    ParsedFile,
    Problem,
    TableMapping,
    detect_format,
    parse,
    read_table,
    suggest_mapping,
)
from apps.accounting.models import Journal
from apps.accounting.selectors.bank_screen import bank_journals
from apps.accounting.selectors.statements import earlier_ids
from apps.accounting.services.bank_import import LIMITS, TABLES, FileImport, may_import, refused, same_account
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed

ROWS = 12  # of a table that are shown beside the choice of columns
LINES = 8  # of a statement that are shown
#: Settings of a mapping that a journal keeps; the rest belongs to one file.
KEPT = (
    "columns",
    "delimiter",
    "skip_rows",
    "has_header",
    "date_format",
    "decimal",
    "thousands",
    "invert_sign",
)


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """A statement of the file: how many lines, how many of them the journal has, and the first of them."""

    name: str
    account_number: str
    currency: str
    start: datetime.date | None
    end: datetime.date | None
    opening: Decimal | None
    closing: Decimal | None
    lines: int
    duplicates: int
    total: Decimal
    notification: bool
    first: tuple[tuple[datetime.date, str, str, Decimal], ...]


@dataclass(slots=True)
class FilePreview:
    """``refusal`` says why the file cannot be imported into this journal; ``others`` are journals that it fits."""

    format: str
    mapping: dict[str, Any] | None = None  # of a table: as it is read
    rows: list[list[str]] = field(default_factory=list)
    statements: list[StatementPreview] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refusal: str = ""
    others: list[Journal] = field(default_factory=list)
    saved: bool = False  # the mapping is the journal's

    @property
    def is_table(self) -> bool:
        return self.format in TABLES

    @property
    def fresh(self) -> int:
        return sum(s.lines - s.duplicates for s in self.statements if not s.notification)

    @property
    def duplicates(self) -> int:
        return sum(s.duplicates for s in self.statements)


def preview_bank_file(
    data: bytes,
    filename: str,
    journal: Journal,
    mapping: Mapping[str, Any] | None = None,
    *,
    actor: Actor,
    proposed: bool = True,
) -> FilePreview:
    """What importing the file would bring. Nothing is written.

    Without a ``mapping`` a table is read as the journal keeps it, or (``proposed``) as its headers suggest. Errors:
    ``ValidationFailed`` (field ``file``) for what is no bank file at all.
    """
    may_import(journal, actor)
    try:
        found = FilePreview(detect_format(data))
    except BankFileError as exc:
        raise refused(f"{filename}: {exc.message}", exc.code) from exc
    if found.is_table:
        _map(found, data, journal, mapping, proposed)
        mapping = found.mapping
        if not mapping or not mapping.get("columns"):
            found.refusal = _("Say which columns hold date and amount.")
            return found
    try:
        parsed = parse(data, "", mapping if found.is_table else None)
    except BankFileError as exc:
        found.refusal = exc.message
        return found
    found.format = parsed.format
    _check(found, parsed, journal, actor)
    return found


def _map(
    found: FilePreview,
    data: bytes,
    journal: Journal,
    mapping: Mapping[str, Any] | None,
    proposed: bool,
) -> None:
    """Settle the mapping of a table and read its first rows. A saved one that does not fit gives way to the headers'."""
    tries: list[tuple[Mapping[str, Any] | None, bool]] = []
    if mapping is not None:
        tries = [(mapping, False)]
    elif proposed:
        tries = [(saved, True) for saved in [journal.import_mapping] if saved] + [(None, False)]
    refusal = ""
    for wanted, saved in tries:
        try:
            chosen = TableMapping.from_dict(wanted) if wanted is not None else suggest_mapping(data)
            rows = read_table(data, chosen)
            if saved:
                parse(data, "", chosen)
        except BankFileError as exc:
            refusal = exc.message
            continue
        found.mapping, found.saved = _plain(chosen), saved
        found.rows = [[_text(cell) for cell in row] for row in rows[: chosen.skip_rows + ROWS]]
        return
    raise refused(refusal or _("The table cannot be read."), "mapping")


def _plain(mapping: TableMapping) -> dict[str, Any]:
    values = {name: getattr(mapping, name) for name in KEPT}
    values["columns"] = {
        role: list(column) if isinstance(column, list | tuple) else column
        for role, column in mapping.columns.items()
    }
    return values


def _text(cell: object) -> str:
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return f"{cell.normalize():f}" if isinstance(cell, Decimal) else str(cell)


def _check(found: FilePreview, parsed: ParsedFile, journal: Journal, actor: Actor) -> None:
    work = FileImport(journal, parsed, actor)
    try:
        work.check()
    except ValidationFailed as exc:
        found.refusal = exc.message
        found.others = _others(parsed, journal, actor)
    found.problems = work.result.problems
    ids = {line.unique_id[: LIMITS["unique_id"]] for s in parsed.statements for line in s.lines}
    known = set(earlier_ids(journal.pk, sorted(ids - {""})))
    seen: set[str] = set()
    for statement in parsed.statements:
        duplicates = 0
        for line in statement.lines:
            key = line.unique_id[: LIMITS["unique_id"]]
            duplicates += bool(key) and (key in known or key in seen)
            seen.add(key)
        notification = statement.kind == Kind.NOTIFICATION
        days = [line.date for line in statement.lines]
        found.statements.append(
            StatementPreview(
                name=statement.name,
                account_number=statement.account_number,
                currency=statement.currency,
                start=min(days) if days else statement.start_date,
                end=max(days) if days else statement.end_date or statement.date,
                opening=statement.opening,
                closing=statement.closing,
                lines=len(statement.lines),
                duplicates=0 if notification else duplicates,
                total=sum((line.amount for line in statement.lines), Decimal(0)),
                notification=notification,
                first=tuple(
                    (line.date, line.partner_name, line.label or line.reference, line.amount)
                    for line in statement.lines[:LINES]
                ),
            )
        )


def _others(parsed: ParsedFile, journal: Journal, actor: Actor) -> list[Journal]:
    """Journals of the account that the file is of."""
    rows = (
        bank_journals(actor).exclude(pk=journal.pk).exclude(bank_account=None).select_related("bank_account")
    )
    return [
        other
        for other in rows
        if other.bank_account is not None
        and all(s.account_number and same_account(other.bank_account.number, s) for s in parsed.statements)
    ]
