"""Bank statements and their lines. A line is a fact of the bank: it is booked the moment it is known.

Its entry debits (or credits) the journal's account in the journal's currency, against the suspense account; with a foreign
amount the suspense stands in that currency, because that is what the other side knows. Items of the suspense account are
matched, so what is open there is what nobody has explained yet; ``bank_reconcile`` moves it on. Date and amounts never change:
a wrong line is deleted while nothing explains it, which books the opposite entry, as the ledger forgets nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from apps.accounting.constants import BANK_LIKE, EntryOrigin
from apps.accounting.errors import SettingMissing
from apps.accounting.models import (
    Account,
    AccountingSettings,
    BankStatement,
    Journal,
    JournalEntry,
    StatementLine,
)
from apps.accounting.selectors.locks import OpenDateRequest, open_dates
from apps.accounting.selectors.setup import settings_of_many
from apps.accounting.selectors.statements import explained_lines
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries, reverse_entries
from apps.contacts.selectors.rates import rates_on_days
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.models import Currency
from apps.core.money import convert, round_money
from apps.core.records import RecordService, Values, service, service_for
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work

# What the bank said, and what the ledger holds since.
FIXED = ("company", "journal", "date", "amount", "foreign_currency", "foreign_amount")


@dataclass(slots=True)
class BankSetup:
    """What statement lines are booked with; read once for all of them."""

    settings: dict[int, AccountingSettings]
    journals: dict[int, Journal]
    currencies: dict[int, Currency]

    def company_currency(self, company_pk: int) -> Currency:
        return self.settings[company_pk].company.currency

    def currency_of(self, line: StatementLine | BankStatement) -> Currency:
        """The currency that a journal's account is kept in."""
        own = self.journals[line.journal_id].currency_id
        return self.currencies[own] if own is not None else self.company_currency(line.company_id)

    def suspense_of(self, line: StatementLine) -> int:
        pk = self.journals[line.journal_id].suspense_account_id
        if pk is None:
            pk = self.settings[line.company_id].suspense_account_id
        if pk is None:
            raise SettingMissing(
                _("Name the suspense account of journal %(journal)s first.")
                % {"journal": self.journals[line.journal_id].name}
            )
        return int(pk)


def read_bank_setup(lines: Sequence[StatementLine] | Sequence[BankStatement]) -> BankSetup:
    """Three statements, whatever the number of lines."""
    journals = Journal.objects.in_bulk({line.journal_id for line in lines})
    wanted = {journal.currency_id for journal in journals.values()}
    wanted |= {getattr(line, "foreign_currency_id", None) for line in lines}
    return BankSetup(
        settings_of_many({line.company_id for line in lines}),
        journals,
        Currency.objects.in_bulk(wanted - {None}),
    )


# ------------------------------------------------------------------------------------------------------------ checking
def check_lines(lines: Sequence[StatementLine], setup: BankSetup) -> None:
    """Refuse lines that cannot be booked; with several the message names the line by its place."""
    errors: dict[str, list[str]] = {}
    statements = BankStatement.objects.in_bulk({line.statement_id for line in lines} - {None})
    for place, line in enumerate(lines):
        prefix = f"{place}." if len(lines) > 1 else ""
        for name, text in _faults(line, setup, statements):
            errors.setdefault(prefix + name, []).append(text)
    if errors:
        raise ValidationFailed(fields=errors)


def _faults(
    line: StatementLine, setup: BankSetup, statements: Mapping[int, BankStatement]
) -> list[tuple[str, str]]:
    found = []
    journal = setup.journals[line.journal_id]
    own = setup.currency_of(line)
    if journal.type not in BANK_LIKE or journal.default_account_id is None:
        found.append(("journal", _("Statements belong to a journal of a bank, a card or a cash box.")))
    elif not journal.active:
        found.append(("journal", _("The journal is archived; choose another.")))
    if line.amount != round_money(line.amount, own):
        found.append(("amount", _("The amount is finer than the smallest coin of %(c)s.") % {"c": own.code}))
    if line.foreign_currency_id is not None:
        foreign = setup.currencies[line.foreign_currency_id]
        if foreign.pk == own.pk:
            found.append(
                (
                    "foreign_currency",
                    _("%(c)s is the journal's own currency; leave the foreign amount empty.")
                    % {"c": own.code},
                )
            )
        elif line.foreign_amount is not None and line.foreign_amount != round_money(
            line.foreign_amount, foreign
        ):
            found.append(
                (
                    "foreign_amount",
                    _("The amount is finer than the smallest coin of %(c)s.") % {"c": foreign.code},
                )
            )
    statement = statements.get(line.statement_id) if line.statement_id else None
    if statement is not None and statement.journal_id != line.journal_id:
        found.append(("statement", _("All lines of a statement are of its journal.")))
    if statement is not None and statement.company_id != line.company_id:
        found.append(("statement", _("The statement belongs to another company.")))
    return found


# ------------------------------------------------------------------------------------------------------------- booking
def book_lines(lines: Sequence[StatementLine], setup: BankSetup, *, actor: Actor) -> list[JournalEntry]:
    """Post the entries of new lines and link them. A constant number of statements.

    Errors: ``MissingRate`` for money of a journal in foreign currency on a day without a rate; lock dates at commit.
    """
    allow_matching({setup.suspense_of(line) for line in lines})
    rates = _rates(lines, setup)
    entries = post_entries([_spec(line, setup, rates) for line in lines], actor=actor)
    for line, entry in zip(lines, entries, strict=True):
        line.entry = entry
    update_rows(StatementLine, lines, ("entry",))
    return entries


def allow_matching(account_pks: Collection[int]) -> None:
    """Suspense accounts have items that are matched; the first line of an account sees to it."""
    held = Account.objects.filter(pk__in=account_pks, reconcile=False)
    if held.exists():
        held.update(reconcile=True)  # a trigger opens what was booked there before


Rates = Mapping[tuple[int, int, datetime.date], Decimal]


def _rates(lines: Sequence[StatementLine], setup: BankSetup) -> Rates:
    """Rates of journals in foreign currency by (company, currency, day)."""
    wanted: dict[int, set[tuple[Currency, datetime.date]]] = {}
    for line in lines:
        own, company = setup.currency_of(line), setup.company_currency(line.company_id)
        if own.pk != company.pk and line.foreign_currency_id != company.pk:
            wanted.setdefault(line.company_id, set()).add((own, line.date))
    found: dict[tuple[int, int, datetime.date], Decimal] = {}
    for company_pk, asked in wanted.items():
        for (pk, day), rate in rates_on_days(asked, setup.settings[company_pk].company).items():
            found[company_pk, pk, day] = rate
    return found


def _spec(line: StatementLine, setup: BankSetup, rates: Rates) -> EntrySpec:
    journal, own = setup.journals[line.journal_id], setup.currency_of(line)
    company = setup.company_currency(line.company_id)
    if own.pk == company.pk:
        balance = line.amount
    elif line.foreign_currency_id == company.pk:
        assert line.foreign_amount is not None  # a constraint of the line
        balance = line.foreign_amount  # the bank's own rate
    else:
        rate = rates[line.company_id, own.pk, line.date]
        balance = convert(line.amount, rate_from=rate, rate_to=1, target_currency=company)
    if line.foreign_currency_id is not None:
        other_pk, other = line.foreign_currency_id, -(line.foreign_amount or Decimal(0))
    else:
        other_pk, other = own.pk, -line.amount
    label = line.label or line.reference or line.partner_name or _("Bank movement")
    assert journal.default_account_id is not None  # checked before
    return EntrySpec(
        journal=journal,
        date=line.date,
        company_pk=line.company_id,
        currency_pk=own.pk,
        origin=EntryOrigin.STATEMENT.value,
        reference=line.reference or label,
        items=[
            ItemSpec(journal.default_account_id, balance, own.pk, line.amount, name=label),
            ItemSpec(setup.suspense_of(line), -balance, other_pk, other, name=label),
        ],
    )


# ------------------------------------------------------------------------------------------------------------ services
@service(StatementLine)
class StatementLineService(RecordService[StatementLine]):
    """The writer of statement lines."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        statements = BankStatement.objects.in_bulk({pk_of(row.get("statement")) for row in rows} - {None})
        for row in rows:
            statement = statements.get(pk_of(row.get("statement")))
            if statement is not None:
                row["company"] = statement.company_id
                if row.get("journal") is None:
                    row["journal"] = statement.journal_id
                if row.get("date") is None:
                    row["date"] = statement.date

    def prepare_update(self, records: Sequence[StatementLine], values: Values, actor: Actor) -> None:
        for record in records:
            for name in FIXED:
                if name not in values:
                    continue
                field = StatementLine._meta.get_field(name)
                given = pk_of(values[name]) if field.is_relation else values[name]
                if given != getattr(record, field.attname):  # type: ignore[union-attr]
                    raise ValidationFailed(
                        fields={
                            name: [
                                _(
                                    "The line is booked: what the bank said is fixed. Delete the line and enter it anew."
                                )
                            ]
                        },
                        code="fixed",
                    )

    def validate(self, records: Sequence[StatementLine], actor: Actor) -> None:
        check_lines(records, read_bank_setup(records))

    def after_create(self, records: Sequence[StatementLine], rows: Sequence[Values], actor: Actor) -> None:
        book_lines(records, read_bank_setup(records), actor=actor)

    def before_delete(self, records: Sequence[StatementLine], actor: Actor) -> None:
        explained = explained_lines([record.pk for record in records])
        for record in records:
            if record.pk in explained:
                raise Conflict(
                    _("“%(line)s” is reconciled, at least in part; undo that first.") % {"line": record},
                    code="reconciled",
                )
        take_back_entries([record.entry_id for record in records if record.entry_id], actor=actor)


def take_back_entries(entry_pks: Sequence[int], *, actor: Actor) -> list[JournalEntry]:
    """Reverse entries of the bank under their own numbers, on their day or the first open one."""
    entries = list(JournalEntry.objects.filter(pk__in=entry_pks).select_related("journal").order_by("pk"))
    days = open_dates([OpenDateRequest(e.company_id, e.date, e.journal.type) for e in entries], actor=actor)
    return reverse_entries(
        entries,
        actor=actor,
        dates={entry.pk: day for entry, day in zip(entries, days, strict=True)},
        same_number=True,
        match=True,
    )


@service(BankStatement)
class BankStatementService(RecordService[BankStatement]):
    """The writer of statements. ``lines``: a list of lines that come with the statement. Those with an ``id`` are mended, the
    others are added and booked; lines that are not in the list stay, because what is booked goes by deleting it alone."""

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[BankStatement]:
        drafts = [dict(row) for row in rows]
        lists = [draft.pop("lines", None) or () for draft in drafts]
        with unit_of_work(actor):
            statements = super().create(drafts, actor=actor)
            self._write_lines(statements, lists, actor)
        return statements

    def update(
        self,
        records: Iterable[BankStatement] | models.QuerySet[BankStatement],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[BankStatement]:
        draft = dict(values)
        given = draft.pop("lines", None) or ()
        with unit_of_work(actor):
            written = super().update(
                records, draft, actor=actor, expected_version=expected_version, operation=operation
            )
            if given and len(written) != 1:
                raise ValidationFailed(fields={"lines": [_("Lines belong to one statement.")]})
            self._write_lines(written, [given], actor)
        return written

    def _write_lines(
        self,
        statements: Sequence[BankStatement],
        lists: Sequence[Sequence[Mapping[str, Any]]],
        actor: Actor,
    ) -> None:
        """Constant in statements for new lines; mended ones are written one by one."""
        fresh: list[Values] = []
        places: list[str] = []
        mended: list[tuple[str, StatementLine, Values]] = []
        wanted = {row["id"] for given in lists for row in given if row.get("id") is not None}
        held = (
            {row.pk: row for row in visible(StatementLine, actor, "change").filter(pk__in=wanted)}
            if wanted
            else {}
        )
        for number, (statement, given) in enumerate(zip(statements, lists, strict=False)):
            prefix = f"{number}.lines" if len(statements) > 1 else "lines"
            for place, row in enumerate(given):
                where = f"{prefix}.{place}"
                values = {name: value for name, value in row.items() if name != "id"}
                if row.get("id") is None:
                    values.setdefault("sequence", place + 1)
                    fresh.append({**values, "statement": statement.pk})
                    places.append(where)
                elif row["id"] not in held or held[row["id"]].statement_id != statement.pk:
                    raise ValidationFailed(fields={f"{where}.id": [_("This line is not of this statement.")]})
                elif values:
                    mended.append((where, held[row["id"]], values))
        lines = service_for(StatementLine)
        for where, line, values in mended:
            with _named([where]):
                lines.update([line], values, actor=actor)
        if fresh:
            with _named(places):
                lines.create(fresh, actor=actor)

    def prepare_update(self, records: Sequence[BankStatement], values: Values, actor: Actor) -> None:
        moved = [
            record
            for record in records
            if ("journal" in values and pk_of(values["journal"]) != record.journal_id)
            or ("company" in values and pk_of(values["company"]) != record.company_id)
        ]
        held = StatementLine.objects.filter(statement__in=moved).select_related("statement").first()
        if held is not None:
            raise ValidationFailed(
                fields={
                    "journal": [
                        _("Statement %(statement)s has lines: it stays in its journal.")
                        % {"statement": held.statement}
                    ]
                }
            )

    def validate(self, records: Sequence[BankStatement], actor: Actor) -> None:
        setup = read_bank_setup(records)
        for record in records:
            errors: dict[str, list[str]] = {}
            if setup.journals[record.journal_id].type not in BANK_LIKE:
                errors["journal"] = [_("Statements belong to a journal of a bank, a card or a cash box.")]
            own = setup.currency_of(record)
            for name in ("balance_start", "balance_end"):
                value: Any = getattr(record, name)
                if value != round_money(value, own):
                    errors[name] = [
                        _("The amount is finer than the smallest coin of %(c)s.") % {"c": own.code}
                    ]
            if errors:
                raise ValidationFailed(fields=errors)


@contextmanager
def _named(places: Sequence[str]) -> Iterator[None]:
    """Faults of lines under the places where they stand in the list of their statement."""
    try:
        yield
    except ValidationFailed as refused:
        named = {}
        for name, texts in refused.fields.items():
            place, dot, rest = name.partition(".")
            if len(places) > 1 and dot and place.isdecimal() and int(place) < len(places):
                named[f"{places[int(place)]}.{rest}"] = texts
            elif len(places) == 1:
                named[f"{places[0]}.{name}"] = texts
            else:
                named[name] = texts
        raise ValidationFailed(refused.message, code=refused.code, fields=named) from refused
