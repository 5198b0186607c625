"""What an import of bank files looks up: partners by their account numbers, movements that are there already."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Sequence
from decimal import Decimal

from apps.accounting.models import StatementLine
from apps.contacts.models import BankAccount
from apps.core.actor import Actor
from apps.core.rules import visible

DAYS = datetime.timedelta(days=7)


def partners_by_account(numbers: Collection[str], *, actor: Actor) -> dict[str, int]:
    """The partner of each account number, where exactly one contact has it; by the number without signs."""
    wanted = {re.sub(r"[^A-Z0-9]", "", number.upper()) for number in numbers} - {""}
    if not wanted:
        return {}
    rows = (
        visible(BankAccount, actor)
        .filter(sanitized__in=wanted, active=True)
        .values_list("sanitized", "partner_id")
    )
    found: dict[str, set[int]] = {}
    for number, partner_pk in rows:
        found.setdefault(number, set()).add(partner_pk)
    return {number: next(iter(pks)) for number, pks in found.items() if len(pks) == 1}


def known_movements(journal_pk: int, wanted: Sequence[tuple[datetime.date, Decimal]]) -> list[StatementLine]:
    """The journal's lines of these amounts about these days, locked for who says more about them."""
    days = [day for day, _amount in wanted]
    rows = StatementLine.objects.filter(
        journal=journal_pk,
        date__range=(min(days) - DAYS, max(days) + DAYS),
        amount__in={amount for _day, amount in wanted},
    )
    return list(rows.order_by("pk").select_for_update(of=("self",)))
