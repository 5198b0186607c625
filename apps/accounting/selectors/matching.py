"""Open items and what could settle them: for the matching screen, statements of account and questions as of a day."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.accounting.constants import PARTNER_TYPES
from apps.accounting.models import JournalItem
from apps.core.actor import Actor
from apps.core.rules import visible

MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class MatchProposal:
    """Open items that settle each other, and why they belong together. ``left`` is what would stay open."""

    item_pks: tuple[int, ...]
    reason: str
    left: Decimal


def open_items(
    actor: Actor,
    *,
    company_pk: int,
    partner_pk: int | None = None,
    account_pk: int | None = None,
    receivable_or_payable: bool = True,
) -> QuerySet[JournalItem]:
    """Posted items with something left, by due date; of a commercial entity or an account when given. Served by a partial
    index, whatever the size of the ledger."""
    rows = visible(JournalItem, actor).filter(company=company_pk, posted=True)
    rows = rows.filter(~Q(residual=0) | ~Q(residual_currency=0))
    if account_pk is not None:
        rows = rows.filter(account=account_pk)
    elif receivable_or_payable:
        rows = rows.filter(account__type__in=sorted(PARTNER_TYPES))
    if partner_pk is not None:
        rows = rows.filter(partner=partner_pk)
    return rows.select_related("entry", "account", "currency").order_by("date_maturity", "date", "pk")


_AS_OF = """
SELECT i.id, i.balance - coalesce(m.amount, 0), i.amount_currency - coalesce(m.own, 0)
FROM accounting_journalitem i
LEFT JOIN LATERAL (
    SELECT sum(amount) AS amount, sum(own) AS own FROM (
        SELECT amount, debit_amount_currency AS own FROM accounting_partialmatch
        WHERE debit_item_id = i.id AND date <= %(day)s
        UNION ALL
        SELECT -amount, -credit_amount_currency FROM accounting_partialmatch
        WHERE credit_item_id = i.id AND date <= %(day)s
    ) AS both_sides
) AS m ON true
WHERE i.id = ANY(%(pks)s::bigint[]) AND i.posted AND i.date <= %(day)s
"""


def residuals_as_of(item_pks: Collection[int], day: datetime.date) -> dict[int, tuple[Decimal, Decimal]]:
    """What was open on items at the end of ``day``: (company, own currency), signed. Matchings of later days do not count, nor
    do items of later days, which are left out. One statement; the caller has checked what may be seen."""
    if not item_pks:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_AS_OF, {"pks": list(item_pks), "day": day})
        return {pk: (company, own) for pk, company, own in cursor.fetchall()}


def propose_matches(
    actor: Actor, *, company_pk: int, account_pk: int, partner_pk: int | None
) -> list[MatchProposal]:
    """Groups of open items of a partner on an account that settle each other, the surest first.

    In this order: a credit whose label or reference names a debit's document; one debit and one credit of the same amount in the
    same currency, when no other has it; all open items, when they add up to nothing. No item is proposed twice.
    """
    items = list(
        open_items(actor, company_pk=company_pk, account_pk=account_pk, partner_pk=partner_pk)[:MOST_ITEMS]
    )
    debits = [item for item in items if item.residual > 0]
    credits_ = [item for item in items if item.residual < 0]
    found: list[MatchProposal] = []
    taken: set[int] = set()
    for credit in credits_:
        text = f" {credit.name} {credit.entry.reference} ".casefold()
        named = [
            debit
            for debit in debits
            if debit.pk not in taken and debit.entry.number and debit.entry.number.casefold() in text
        ]
        if named:
            found.append(_proposal([*named, credit], _("names the document")))
            taken.update(found[-1].item_pks)
    found += _same_amounts(debits, credits_, taken)
    rest = [item for item in items if item.pk not in taken]
    is_balanced = not sum((item.residual for item in rest), Decimal(0))
    if is_balanced and any(item.residual > 0 for item in rest):
        found.append(_proposal(rest, _("add up to nothing")))
    return found


def _same_amounts(
    debits: Sequence[JournalItem], credits_: Sequence[JournalItem], taken: set[int]
) -> list[MatchProposal]:
    by_amount: dict[tuple[int, Decimal], tuple[list[JournalItem], list[JournalItem]]] = {}
    for side, items in enumerate((debits, credits_)):
        for item in items:
            if item.pk not in taken:
                key = (item.currency_id, abs(item.residual_currency))
                by_amount.setdefault(key, ([], []))[side].append(item)
    found = []
    for ours, theirs in by_amount.values():
        if len(ours) == len(theirs) == 1:
            found.append(_proposal([*ours, *theirs], _("same amount")))
            taken.update(found[-1].item_pks)
    return found


def _proposal(items: Sequence[JournalItem], reason: str) -> MatchProposal:
    left = sum((item.residual for item in items), Decimal(0))
    return MatchProposal(tuple(item.pk for item in items), reason, left)
