"""What the screen of bank reconciliation lists: journals with what waits in them, lines, open items, what explains a line.

Each function asks a fixed number of times, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Abs

from apps.accounting.constants import BANK_LIKE, EntryOrigin
from apps.accounting.models import Journal, JournalItem, StatementLine
from apps.accounting.selectors.statements import OpenAmount, reconciling_entries
from apps.core.actor import Actor
from apps.core.rules import visible

PAGE = 50
MOST_ITEMS = 40


@dataclass(frozen=True, slots=True)
class WaitingJournal:
    """A bank-like journal with its open lines: how many, and what they sum up to in its currency."""

    journal: Journal
    count: int
    amount: Decimal


def bank_journals(actor: Actor) -> QuerySet[Journal]:
    """Journals of banks, cards and cash boxes that are in use."""
    rows = visible(Journal, actor).filter(type__in=sorted(BANK_LIKE), active=True)
    return rows.select_related("company__currency", "currency").order_by("sequence", "pk")


def waiting_journals(actor: Actor) -> list[WaitingJournal]:
    """Bank-like journals with what waits in each. Two queries."""
    lines = visible(StatementLine, actor).filter(reconciled=False).order_by().values_list("journal_id")
    sums = {pk: (count, amount) for pk, count, amount in lines.annotate(Count("pk"), Sum("amount"))}
    return [
        WaitingJournal(journal, *sums.get(journal.pk, (0, Decimal(0)))) for journal in bank_journals(actor)
    ]


def screen_lines(
    actor: Actor, journal_pk: int, *, text: str = "", amount: Decimal | None = None, done: bool = False
) -> QuerySet[StatementLine]:
    """Lines of a journal: what waits, the oldest first; with ``done`` what is explained, the newest first."""
    rows = visible(StatementLine, actor).filter(journal=journal_pk, reconciled=done)
    if text:
        words = Q()
        for name in ("label", "partner_name", "reference", "account_number", "partner__complete_name"):
            words |= Q(**{f"{name}__icontains": text})
        if amount is not None:
            words |= Q(amount__in=(amount, -amount))
        rows = rows.filter(words)
    rows = rows.select_related("company__currency", "journal__currency", "partner", "foreign_currency")
    return rows.order_by("-date", "sequence", "-pk") if done else rows.order_by("date", "-sequence", "pk")


def items_to_match(
    actor: Actor,
    line: StatementLine,
    left: OpenAmount,
    *,
    text: str = "",
    amount: Decimal | None = None,
    partner_pk: int | None = None,
) -> list[JournalItem]:
    """Open items that could be on the other side of a line. With ``text`` all that it names; else those that money of this
    direction settles, the partner's first, then by how near their amount is. One query."""
    rows = (
        visible(JournalItem, actor)
        .filter(posted=True, company=line.company_id, account__reconcile=True)
        .exclude(residual=0, residual_currency=0)
        .exclude(entry=line.entry_id)
    )
    if text:
        words = Q(name__icontains=text)
        for name in ("number", "reference", "invoice__reference", "invoice__payment_reference"):
            words |= Q(**{f"entry__{name}__icontains": text})
        words |= Q(partner__complete_name__icontains=text)
        if amount is not None:
            words |= Q(residual__in=(amount, -amount)) | Q(residual_currency__in=(amount, -amount))
        rows = rows.filter(words)
    else:
        rows = rows.exclude(entry__origin=EntryOrigin.STATEMENT)
        rows = rows.filter(residual__gt=0) if left.company > 0 else rows.filter(residual__lt=0)
        if partner_pk is not None:
            own = rows.filter(partner=partner_pk)
            rows = own if own.exists() else rows
    return list(
        rows.select_related("account", "entry", "partner", "currency", "company__currency").order_by(
            Abs(F("residual") - left.company), "date", "pk"
        )[:MOST_ITEMS]
    )


def items_by_key(actor: Actor, pks: Collection[int]) -> dict[int, JournalItem]:
    """Items that proposals or choices name, as far as the actor may see them. One query, none for nothing."""
    if not pks:
        return {}
    rows = visible(JournalItem, actor).filter(pk__in=pks)
    return rows.select_related("account", "entry", "partner", "currency", "company__currency").in_bulk()


def explaining_items(actor: Actor, lines: Sequence[StatementLine]) -> dict[int, list[JournalItem]]:
    """The counterparts that explain lines, by key of the line: items of their reconciling entries but for the suspense."""
    entries = reconciling_entries([line.pk for line in lines])
    owner = {entry: line_pk for line_pk, pks in entries.items() for entry in pks}
    rows = (
        visible(JournalItem, actor)
        .filter(entry__in=owner, position__gt=0)
        .select_related("account", "entry", "partner", "currency", "company__currency")
        .order_by("entry", "position")
    )
    found: dict[int, list[JournalItem]] = {}
    for item in rows:
        found.setdefault(owner[item.entry_id], []).append(item)
    return found
