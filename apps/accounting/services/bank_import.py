"""Reading bank files into a journal: statements and lines, booked at once. All of a file or nothing.

The file's account and currency must be those of the journal; a line in another currency refuses the file. What the journal has
already, by the bank's own id, is passed over and counted, so that a file read twice adds nothing; imports into one journal wait
for each other. A notification (camt.054) makes no lines: it says more about those that are there. Downloads overlap, so a
statement of which some lines were known begins after them. Problems of the file are told, they do not stop it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.compute.bank import (
    BankFileError,
    Kind,
    ParsedFile,
    ParsedLine,
    ParsedStatement,
    Problem,
    Severity,
    TableMapping,
    parse,
)
from apps.accounting.constants import BANK_LIKE
from apps.accounting.models import AccountingSettings, BankStatement, Journal, StatementLine
from apps.accounting.selectors.bank_files import known_movements, partners_by_account
from apps.accounting.selectors.setup import settings_of
from apps.accounting.selectors.statements import earlier_ids, last_closing
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.statements import book_lines, check_lines, read_bank_setup
from apps.chatter.models import Attachment
from apps.chatter.models.threads import ref_of
from apps.chatter.selectors.files import read_attachment, readable_attachment
from apps.chatter.services.attachments import claim_attachments
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.events import RecordsCreated, RecordsUpdated
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import background
from apps.core.jobs.service import start_background
from apps.core.models import Currency, JobRun
from apps.core.money import round_money
from apps.core.records import service_for
from apps.core.rules import get_visible, require_visible
from apps.core.unit_of_work import unit_of_work

TASK = "accounting.import_bank_file"
TABLES = ("csv", "xlsx")  # formats whose columns need a mapping
ZERO = Decimal(0)
LIMITS = {
    name: StatementLine._meta.get_field(name).max_length  # type: ignore[union-attr]
    for name in ("label", "partner_name", "account_number", "transaction_type", "reference", "unique_id")
}
SHORTEST_NUMBER = 6  # of an account that is the end of another way to write it
DAYS_APART = 5  # a notice and its movement
Told = Callable[[int, int], None]
Mapped = TableMapping | Mapping[str, Any] | None


@dataclass(slots=True)
class ImportResult:
    """What a file brought. ``duplicates`` were there before; ``enriched`` got more detail from a notification."""

    format: str = ""
    statements: list[BankStatement] = field(default_factory=list)
    created: int = 0
    duplicates: int = 0
    enriched: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The counts as a sentence."""
        return _(
            "%(created)d movements imported, %(duplicates)d were there already, %(enriched)d got more detail."
        ) % {"created": self.created, "duplicates": self.duplicates, "enriched": self.enriched}

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "statements": [statement.pk for statement in self.statements],
            "created": self.created,
            "duplicates": self.duplicates,
            "enriched": self.enriched,
            "problems": [
                {"code": p.code, "message": p.message, "severity": str(p.severity), "where": p.where}
                for p in self.problems
            ],
            "message": self.message,
        }


def import_bank_file(
    data: bytes,
    filename: str,
    journal: Journal,
    mapping: Mapped = None,
    *,
    actor: Actor,
    remember: bool = False,
    told: Told | None = None,
) -> ImportResult:
    """Read a bank file into ``journal``. A constant number of statements, whatever the number of lines.

    ``mapping`` says how to read the columns of CSV and XLSX; without one that of the journal counts, and ``remember`` makes it
    the journal's. ``told`` hears how many lines of how many are dealt with. Errors: ``ValidationFailed`` for a file that cannot
    be read or is of another account or currency (field ``file``); whatever refuses its lines. Then nothing was written.
    """
    may_import(journal, actor)
    if mapping is None:
        mapping = journal.import_mapping or None
    try:
        parsed = parse(data, filename, mapping)
    except BankFileError as exc:
        raise refused(exc.message, exc.code) from exc
    with unit_of_work(actor):
        locked = (
            Journal.objects.select_related("bank_account", "currency")
            .select_for_update(of=("self",), no_key=True)
            .get(pk=journal.pk)
        )
        if remember and isinstance(mapping, Mapping) and parsed.format in TABLES:
            Journal.objects.filter(pk=journal.pk).update(import_mapping=dict(mapping))
            journal.import_mapping = dict(mapping)
        return FileImport(locked, parsed, actor, told).run()


def may_import(journal: Journal, actor: Actor) -> None:
    """Refuse who may not read bank files into the journal."""
    actor.require(BankStatement, "add")
    actor.require(StatementLine, "add")
    require_visible([journal], actor, "view")


def import_attachment(
    attachment: Attachment,
    journal: Journal,
    mapping: Mapped = None,
    *,
    actor: Actor,
    remember: bool = False,
    told: Told | None = None,
) -> ImportResult:
    """Read an uploaded file into ``journal``; it stays with the first statement that comes of it."""
    data = read_attachment(attachment)
    with unit_of_work(actor):
        result = import_bank_file(
            data, attachment.name, journal, mapping, actor=actor, remember=remember, told=told
        )
        if result.statements and not attachment.model:
            token = {attachment.pk: attachment.access_token}
            claim_attachments([attachment.pk], ref=ref_of(result.statements[0]), actor=actor, tokens=token)
    return result


def refused(text: str, code: str = "bank_file") -> ValidationFailed:
    return ValidationFailed(text, code=code, fields={"file": [text]})


class FileImport:
    """One file on its way into one journal."""

    def __init__(self, journal: Journal, parsed: ParsedFile, actor: Actor, told: Told | None = None) -> None:
        self.journal, self.parsed, self.actor, self.told = journal, parsed, actor, told
        self.settings: AccountingSettings = settings_of(journal.company_id)
        self.currency: Currency = journal.currency or self.settings.company.currency
        self.result = ImportResult(format=parsed.format, problems=list(parsed.all_problems))

    def run(self) -> ImportResult:
        self.check()
        notices = [s for s in self.parsed.statements if s.kind == Kind.NOTIFICATION]
        others = [s for s in self.parsed.statements if s.kind != Kind.NOTIFICATION]
        self._create(others)
        self._enrich([line for statement in notices for line in statement.lines])
        return self.result

    def _say(self, code: str, text: str, severity: Severity = Severity.WARNING, where: str = "") -> None:
        self.result.problems.append(Problem(code, text, severity, where))

    # --------------------------------------------------------------- checking
    def check(self) -> None:
        if self.journal.type not in BANK_LIKE:
            raise refused(
                _("%(journal)s is not a journal of a bank, a card or a cash box.")
                % {"journal": self.journal.name},
                "wrong_journal",
            )
        own = self.journal.bank_account
        for statement in self.parsed.statements:
            if own is None and statement.account_number:
                self._say(
                    "account_unknown",
                    _("The file is of account %(number)s; name it at journal %(journal)s to have it checked.")
                    % {"number": statement.account_number, "journal": self.journal.name},
                    Severity.INFO,
                )
            elif own is not None and not same_account(own.number, statement):
                raise refused(
                    _("The file is of account %(theirs)s, journal %(journal)s is of account %(ours)s.")
                    % {"theirs": statement.account_number, "journal": self.journal.name, "ours": own.number},
                    "wrong_account",
                )
            if statement.currency and statement.currency != self.currency.code:
                raise refused(
                    _("The file is in %(theirs)s, journal %(journal)s is kept in %(ours)s.")
                    % {
                        "theirs": statement.currency,
                        "journal": self.journal.name,
                        "ours": self.currency.code,
                    },
                    "wrong_currency",
                )
            for line in statement.lines:
                self._check_line(statement, line)

    def _check_line(self, statement: ParsedStatement, line: ParsedLine) -> None:
        named = {
            "line": line.label or line.reference or line.unique_id,
            "date": line.date.isoformat(),
            "amount": line.amount,
            "theirs": line.currency,
            "statement": statement.name,
            "ours": self.currency.code,
        }
        if line.currency and line.currency != self.currency.code:
            raise refused(
                _(
                    "Statement %(statement)s, %(date)s, “%(line)s”: the amount %(amount)s is in %(theirs)s, "
                    "the journal is kept in %(ours)s."
                )
                % named,
                "wrong_currency",
            )
        if line.amount != round_money(line.amount, self.currency):
            raise refused(
                _(
                    "Statement %(statement)s, %(date)s, “%(line)s”: the amount %(amount)s is finer than the "
                    "smallest coin of %(ours)s."
                )
                % named,
                "too_fine",
            )

    # --------------------------------------------------------------- creating
    def _create(self, parsed: Sequence[ParsedStatement]) -> None:
        ids = [line.unique_id[: LIMITS["unique_id"]] for statement in parsed for line in statement.lines]
        seen = set(earlier_ids(self.journal.pk, ids))
        fresh: list[tuple[ParsedStatement, list[ParsedLine]]] = []
        for statement in parsed:
            lines = []
            for line in statement.lines:
                key = line.unique_id[: LIMITS["unique_id"]]
                if key and key in seen:
                    self.result.duplicates += 1
                    continue
                seen.add(key)
                lines.append(line)
            if lines:
                fresh.append((statement, lines))
        total = self.result.duplicates + sum(len(lines) for _statement, lines in fresh)
        if self.told is not None:
            self.told(self.result.duplicates, total)
        if not fresh:
            return
        made = self._statements(fresh)
        facts = self._facts([line for _statement, lines in fresh for line in lines])
        rows = [
            self._line(line, statement, facts)
            for (_parsed, lines), statement in zip(fresh, made, strict=True)
            for line in lines
        ]
        insert_lines(rows, actor=self.actor)
        self.result.statements = made
        self.result.created = len(rows)
        if self.told is not None:
            self.told(total, total)

    def _statements(self, fresh: Sequence[tuple[ParsedStatement, list[ParsedLine]]]) -> list[BankStatement]:
        values = []
        follows: Decimal | None = None
        for statement, lines in fresh:
            day = statement.date or max(line.date for line in lines)
            start, end = self._balances(statement, lines, day, follows)
            follows = end
            values.append(
                {
                    "company": self.journal.company_id,
                    "journal": self.journal.pk,
                    "name": (statement.name or self.journal.name)[:120],
                    "date": day,
                    "balance_start": start,
                    "balance_end": end,
                }
            )
        made = service_for(BankStatement).create(values, actor=self.actor)
        for row in made:
            row.source_format = self.parsed.format[:20]
        update_rows(BankStatement, made, ("source_format",))
        return made

    def _balances(
        self,
        statement: ParsedStatement,
        lines: Sequence[ParsedLine],
        day: datetime.date,
        follows: Decimal | None,
    ) -> tuple[Decimal, Decimal]:
        """Opening and closing. Where the file lacks one it follows from the other, else from the statement before."""
        total = sum((line.amount for line in lines), ZERO)
        known = sum((line.amount for line in statement.lines), ZERO) - total
        start, end = statement.opening, statement.closing
        if start is None and end is None:
            if follows is None:
                follows = last_closing(self.journal.company_id, self.journal.pk, day)
            start = follows or ZERO
            end = start + total
        elif start is None:
            assert end is not None
            start = end - total
        else:
            if len(lines) < len(statement.lines):
                start += known
                self._say(
                    "overlap",
                    _("%(count)d lines were there already; the opening balance was moved on by them.")
                    % {"count": len(statement.lines) - len(lines)},
                    Severity.INFO,
                    statement.name,
                )
            end = start + total if end is None else end
        if start + total != end:
            self._say(
                "incomplete",
                _("Opening balance and lines make %(computed)s, the closing balance is %(end)s.")
                % {"computed": start + total, "end": end},
                where=statement.name,
            )
        return round_money(start, self.currency), round_money(end, self.currency)

    def _facts(self, lines: Sequence[ParsedLine]) -> _Facts:
        codes = {line.foreign_currency for line in lines} - {"", self.currency.code}
        return _Facts(
            {row.code: row for row in Currency.objects.filter(code__in=codes, active=True)} if codes else {},
            partners_by_account({line.account_number for line in lines}, actor=self.actor),
        )

    def _line(self, line: ParsedLine, statement: BankStatement, facts: _Facts) -> StatementLine:
        foreign = facts.currencies.get(line.foreign_currency)
        amount = line.foreign_amount
        if foreign is None or amount is None or amount != round_money(amount, foreign):
            foreign = amount = None
        return StatementLine(
            company_id=self.journal.company_id,
            statement=statement,
            journal_id=self.journal.pk,
            date=line.date,
            amount=line.amount,
            foreign_currency=foreign,
            foreign_amount=amount,
            partner_id=facts.partners.get(clean_number(line.account_number)),
            details=_details(line),
            created_by_id=self.actor.user_pk,
            updated_by_id=self.actor.user_pk,
            **_texts(line),
        )

    # -------------------------------------------------------------- enriching
    def _enrich(self, notices: Sequence[ParsedLine]) -> None:
        if not notices:
            return
        self.actor.require(StatementLine, "change")
        held = known_movements(self.journal.pk, [(n.date, n.amount) for n in notices])
        changed = []
        missing = 0
        for notice in notices:
            row = _movement_of(notice, held)
            if row is None:
                missing += 1
                continue
            if _complete(row, notice):
                changed.append(row)
        if changed:
            names = ("label", "partner_name", "account_number", "reference", "transaction_type", "details")
            update_rows(StatementLine, changed, names)
            with unit_of_work(self.actor) as work:
                work.emit(
                    RecordsUpdated(
                        StatementLine._meta.label_lower,
                        tuple(row.pk for row in changed),
                        names,
                        self.actor.company_pk,
                    )
                )
        self.result.enriched = len(changed)
        if missing:
            self._say(
                "no_movement",
                _(
                    "%(count)d notices explain movements that the journal does not have yet; import the statement first."
                )
                % {"count": missing},
            )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What lines refer to: currencies by code, partners by account number."""

    currencies: Mapping[str, Currency]
    partners: Mapping[str, int]


def insert_lines(lines: Sequence[StatementLine], *, actor: Actor) -> None:
    """Write and book lines that carry what only the bank may say (its id). Rights are the caller's to check."""
    setup = read_bank_setup(lines)
    check_lines(lines, setup)
    with unit_of_work(actor) as work:
        StatementLine.objects.bulk_create(lines)
        work.created(lines)
        book_lines(lines, setup, actor=actor)
        require_visible(lines, actor, "add")
        work.emit(
            RecordsCreated(
                StatementLine._meta.label_lower, tuple(line.pk for line in lines), actor.company_pk
            )
        )


# ------------------------------------------------------------------------------------------------------- what a line says
def clean_number(number: str) -> str:
    """An account number as letters and digits only, in capitals."""
    return re.sub(r"[^A-Z0-9]", "", number.upper())


def same_account(ours: str, statement: ParsedStatement) -> bool:
    """Whether a statement's account is the journal's. Banks print the domestic number for an IBAN, leave out leading zeros,
    or hide digits behind X or asterisks; a file without a number is of any account."""
    if not statement.account_number:
        return True
    own = clean_number(ours)
    hidden = re.split(r"[X*•]{2,}", statement.account_number.upper())
    if len(hidden) > 1:
        return own.endswith(clean_number(hidden[-1])) and own.startswith(clean_number(hidden[0]))
    theirs = clean_number(statement.account_number)
    for number in (theirs, clean_number(statement.bank_code) + theirs):
        if number == own:
            return True
        short, long = sorted((number.lstrip("0"), own.lstrip("0")), key=len)
        if len(short) >= SHORTEST_NUMBER and long.endswith(short):
            return True
    return False


def _texts(line: ParsedLine) -> dict[str, str]:
    texts = {
        "label": line.label,
        "partner_name": line.partner_name,
        "account_number": line.account_number,
        "transaction_type": line.transaction_type,
        "reference": line.structured_reference or line.reference,
        "unique_id": line.unique_id,
    }
    return {name: text[: LIMITS[name]] for name, text in texts.items()}


def _details(line: ParsedLine) -> dict[str, Any]:
    found: dict[str, Any] = dict(line.details)
    more = {
        "value_date": line.value_date.isoformat() if line.value_date else "",
        "partner_bic": line.partner_bic,
        "end_to_end": line.reference,
        "structured_reference": line.structured_reference,
        "foreign_currency": line.foreign_currency,
        "foreign_amount": str(line.foreign_amount) if line.foreign_amount is not None else "",
        "rate": str(line.rate) if line.rate is not None else "",
    }
    found |= {name: value for name, value in more.items() if value}
    if line.splits:
        found["splits"] = [
            {"amount": str(part.amount), "category": part.category, "label": part.label}
            for part in line.splits
        ]
    return found


IDENTIFYING = ("bank_reference", "transaction_id", "end_to_end", "instruction_id")


def _movement_of(notice: ParsedLine, held: Sequence[StatementLine]) -> StatementLine | None:
    """The one movement that a notice explains: its amount within days, told by a reference or because no other fits."""
    fitting = [
        row
        for row in held
        if row.amount == notice.amount and abs((row.date - notice.date).days) <= DAYS_APART
    ]
    theirs = _details(notice)
    for name in IDENTIFYING:
        value = theirs.get(name)
        if not value:
            continue
        same = [row for row in fitting if row.details.get(name) == value]
        if len(same) == 1:
            return same[0]
    same_day = [row for row in fitting if row.date == notice.date] or fitting
    return same_day[0] if len(same_day) == 1 else None


def _complete(row: StatementLine, notice: ParsedLine) -> bool:
    """Fill what the movement does not say yet; whether anything was filled."""
    changed = False
    poor = {
        "",
        row.reference,
        *(row.details.get(name) for name in IDENTIFYING),
    }  # nothing that a person would read
    for name, text in _texts(notice).items():
        held = getattr(row, name)
        if (
            name != "unique_id"
            and text not in ("", held)
            and (not held or (name == "label" and held in poor))
        ):
            setattr(row, name, text)
            changed = True
    more = {name: value for name, value in _details(notice).items() if name not in row.details}
    if more:
        row.details = {**row.details, **more}
        changed = True
    return changed


# ------------------------------------------------------------------------------------------------------ the background
@background(TASK, title=gettext_lazy("Import bank file"))
def import_in_background(run: RunHandle) -> dict[str, Any]:
    """Import the file of the run: ``{"journal": key, "attachment": key of an uploaded file, "mapping": …, "remember": …}``."""
    journal = get_visible(Journal, run.inputs["journal"], run.actor)
    attachment: Attachment = readable_attachment(
        run.inputs["attachment"], run.actor, token=str(run.inputs.get("token", ""))
    )
    run.log(_("Reading %(file)s into %(journal)s.") % {"file": attachment.name, "journal": journal.name})
    result = import_attachment(
        attachment,
        journal,
        run.inputs.get("mapping"),
        actor=run.actor,
        remember=bool(run.inputs.get("remember")),
        told=run.progress,
    )
    run.log(result.message)
    for problem in result.problems:
        run.log(str(problem))
    return result.as_json()


def start_import(
    attachment: Attachment,
    journal: Journal,
    mapping: Mapped = None,
    *,
    actor: Actor,
    remember: bool = False,
) -> JobRun:
    """Queue the import of an uploaded file."""
    may_import(journal, actor)
    inputs = {
        "journal": journal.pk,
        "attachment": attachment.pk,
        "token": attachment.access_token,
        "mapping": mapping,
        "remember": remember,
    }
    title = _("Import %(file)s: %(journal)s") % {"file": attachment.name, "journal": journal.name}
    return start_background(TASK, inputs=inputs, actor=actor, title=title)
