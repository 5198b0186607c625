"""Setting lock dates and making exceptions from them: what must be in order first, who did it and why, and the events.

A soft lock may be moved either way and has exceptions; the hard lock only moves forward and has none (trigger). A lock waits
for postings that are being committed and stops those that come after it (``0002_ledger``).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import JournalType, LockKind
from apps.accounting.events import LockDatesChanged
from apps.accounting.models import (
    AccountingSettings,
    Invoice,
    LockException,
    StatementLine,
)
from apps.accounting.selectors.company_tree import companies_below
from apps.accounting.selectors.locks import draft_entries_up_to, entry_is_taxed
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import emit

SOFT = (LockKind.FISCAL.value, LockKind.TAX.value, LockKind.SALE.value, LockKind.PURCHASE.value)
SHOWN = 20  # documents named in a warning or refusal


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a lock on a date would catch: drafts dated in it, and bank lines that are not reconciled."""

    entries: tuple[int, ...] = ()
    invoices: tuple[int, ...] = ()
    statement_lines: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.invoices or self.statement_lines)

    def texts(self) -> list[str]:
        """One sentence a kind of document, with the first keys."""
        told = (
            (_("%(count)s draft entries: %(pks)s"), self.entries),
            (_("%(count)s draft invoices or bills: %(pks)s"), self.invoices),
            (_("%(count)s bank lines not reconciled: %(pks)s"), self.statement_lines),
        )
        return [
            text
            % {
                "count": len(pks),
                "pks": ", ".join(map(str, pks[:SHOWN])) + (" …" if len(pks) > SHOWN else ""),
            }
            for text, pks in told
            if pks
        ]


def unfinished_up_to(company_pk: int, date: datetime.date, kind: str) -> Unfinished:
    """What a lock of this kind on ``date`` would catch in the company and its branches."""
    companies = companies_below([company_pk])
    entries = draft_entries_up_to(companies, date)
    invoices = Invoice.objects.filter(company__in=companies, state="draft").filter(
        Q(accounting_date__lte=date) | Q(accounting_date__isnull=True, date__lte=date)
    )
    if kind in (LockKind.SALE, LockKind.PURCHASE):
        journal_type = JournalType.SALE if kind == LockKind.SALE else JournalType.PURCHASE
        entries = [entry for entry in entries if entry.journal.type == journal_type]
        invoices = invoices.filter(journal__type=journal_type)
    elif kind == LockKind.TAX:
        taxed = entry_is_taxed([entry.pk for entry in entries])
        entries = [entry for entry in entries if entry.pk in taxed]
        invoices = invoices.filter(lines__taxes__isnull=False).distinct()
    lines: tuple[int, ...] = ()
    if kind == LockKind.HARD:
        open_lines = StatementLine.objects.filter(company__in=companies, reconciled=False, date__lte=date)
        lines = tuple(open_lines.order_by("pk").values_list("pk", flat=True))
    return Unfinished(
        tuple(entry.pk for entry in entries),
        tuple(invoices.order_by("pk").values_list("pk", flat=True)),
        lines,
    )


@action(
    AccountingSettings,
    permission="lock",
    title=gettext_lazy("Set lock dates"),
    icon="lock",
    bulk=False,
)
def set_lock_dates(
    rows: Sequence[AccountingSettings],
    *,
    actor: Actor,
    fiscal: datetime.date | None = None,
    tax: datetime.date | None = None,
    sale: datetime.date | None = None,
    purchase: datetime.date | None = None,
    lift: list[str] = [],  # noqa: B006 - never changed; the form shows it as empty
    reason: str = "",
) -> dict[str, Any]:
    """Lock everything, tax returns, sales or purchases up to a day, included. What is left empty stays as it is; ``lift``
    names the locks to be removed. Drafts dated in the locked period are answered as warnings: posting them moves them."""
    chosen = {
        kind: day for kind, day in zip(SOFT, (fiscal, tax, sale, purchase), strict=True) if day is not None
    }
    unknown = set(lift) - set(SOFT)
    if unknown or set(lift) & set(chosen):
        raise ValidationFailed(
            fields={
                "lift": [_("Name locks to remove: fiscal, tax, sale or purchase, and give no date for them.")]
            }
        )
    if not chosen and not lift:
        raise ValidationFailed(_("Give the date of a lock, or name one to lift."), code="nothing_to_do")
    wanted: dict[str, datetime.date | None] = {**chosen, **dict.fromkeys(lift)}
    warnings = [
        f"{LockKind(kind).label}: {text}"
        for row in rows
        for kind, day in chosen.items()
        for text in unfinished_up_to(row.company_id, day, kind).texts()
    ]
    _write(rows, wanted, reason=reason, actor=actor)
    return {"warnings": warnings}


@action(
    AccountingSettings,
    permission="hard_lock",
    title=gettext_lazy("Lock for ever"),
    icon="lock",
    dangerous=True,
    bulk=False,
)
def set_hard_lock(
    rows: Sequence[AccountingSettings], *, actor: Actor, date: datetime.date, reason: str = ""
) -> None:
    """Close the books up to a day, included, for everybody and for ever. Refused while a draft or an unreconciled bank line
    lies in the period; it can be moved forward later, never back."""
    for row in rows:
        if row.hard_lock_date is not None and date < row.hard_lock_date:
            raise Conflict(
                _("The hard lock only moves forward; it stands at %(date)s.")
                % {"date": row.hard_lock_date.isoformat()},
                code="hard_lock_forward",
                fields={"date": [_("Choose a later date.")]},
            )
        caught = unfinished_up_to(row.company_id, date, LockKind.HARD)
        if caught:
            texts = caught.texts()
            raise Conflict(
                _("The period cannot be closed for ever: %(what)s.") % {"what": "; ".join(texts)},
                code="unfinished",
                fields={"date": texts},
            )
    _write(rows, {LockKind.HARD.value: date}, reason=reason, actor=actor)


def _write(
    rows: Sequence[AccountingSettings],
    wanted: Mapping[str, datetime.date | None],
    *,
    reason: str,
    actor: Actor,
) -> None:
    now = timezone.now()
    note = {"user": actor.user_pk, "name": actor.name, "at": now.isoformat(), "reason": reason.strip()}
    for row in rows:
        for kind, day in wanted.items():
            setattr(row, f"{kind}_lock_date", day)
            row.lock_notes = {**row.lock_notes, kind: note}
            if day is None:
                row.lock_notes.pop(kind)
    AccountingSettings.objects.bulk_update(rows, [*(f"{kind}_lock_date" for kind in wanted), "lock_notes"])
    for row in rows:
        emit(LockDatesChanged(pks=(row.pk,), company_pk=row.company_id), actor=actor)


# --------------------------------------------------------------------------------------------------------- exceptions
@service(LockException)
class LockExceptionService(RecordService[LockException]):
    """Exceptions are made and revoked, never changed or deleted."""

    def validate(self, records: Sequence[LockException], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        now = timezone.now()
        locks = {
            row.company_id: row
            for row in AccountingSettings.objects.filter(company__in={r.company_id for r in records})
        }
        for record in records:
            if record.kind not in SOFT:
                errors["kind"] = [_("There are no exceptions from the hard lock.")]
                continue
            if record.until <= now:
                errors["until"] = [_("An exception ends in the future.")]
            if not record.reason.strip():
                errors["reason"] = [_("Give the reason for the exception.")]
            row = locks.get(record.company_id)
            stands = getattr(row, f"{record.kind}_lock_date") if row is not None else None
            if stands is None:
                errors["kind"] = [_("This lock is not set in this company; there is nothing to except from.")]
            elif record.lock_date is not None and record.lock_date >= stands:
                errors["lock_date"] = [
                    _("An exception opens days: choose a date before %(date)s, or none.")
                    % {"date": stands.isoformat()}
                ]
        if errors:
            raise ValidationFailed(fields=errors)

    def after_create(self, records: Sequence[LockException], rows: Sequence[Values], actor: Actor) -> None:
        _tell({record.company_id for record in records}, actor)

    def update(self, records: Any, values: Mapping[str, Any], **options: Any) -> list[LockException]:
        raise Conflict(_("An exception is revoked, never changed; make another one."), code="immutable")

    def delete(self, records: Any, *, actor: Actor) -> int:
        raise Conflict(_("Exceptions from locks are kept; revoke it instead."), code="immutable")


@action(
    LockException,
    permission="revoke",
    name="revoke",
    title=gettext_lazy("Revoke"),
    icon="lock_reset",
    condition=lambda record, actor: record.revoked_at is None and record.until > timezone.now(),
)
def revoke_exceptions(exceptions: Sequence[LockException], *, actor: Actor) -> None:
    """End exceptions before their time. One that ended already stays as it is."""
    now = timezone.now()
    ending = [row for row in exceptions if row.revoked_at is None and row.until > now]
    for row in ending:
        row.revoked_at = now
    LockException.objects.bulk_update(ending, ["revoked_at"])
    _tell({row.company_id for row in ending}, actor)


def _tell(company_pks: Collection[int], actor: Actor) -> None:
    rows = AccountingSettings.objects.filter(company__in=company_pks).order_by("pk")
    for pk, company_pk in rows.values_list("pk", "company_id"):
        emit(LockDatesChanged(pks=(pk,), company_pk=company_pk), actor=actor)
