"""What registering a payment would make, before it is confirmed. Nothing is stored."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.access.models import Company
from apps.accounting.models import Account, Invoice, Journal
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.payment_setup import bank_journal
from apps.accounting.selectors.setup import settings_of
from apps.accounting.services.match_rows import lock_open_items_of
from apps.accounting.services.register import FULL, Choice, plan_payments
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import Currency
from apps.core.rules import require_visible
from apps.core.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PlannedPayment:
    """One payment to be made. ``difference`` is what stays open, or goes where ``settles`` says (discount, write-off)."""

    partner_pk: int
    invoices: tuple[Invoice, ...]
    direction: str
    amount: Decimal
    open: Decimal
    difference: Decimal
    currency: Currency
    settles: str


def preview_payments(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    amount: Decimal | None = None,
    date: datetime.date | None = None,
    journal: Journal | None = None,
    currency: Currency | None = None,
    write_off_account: Account | None = None,
    group: bool = False,
    instalments: str = FULL,
    before_date: datetime.date | None = None,
    early_discount: bool = True,
) -> tuple[Company, list[PlannedPayment]]:
    """The payments that ``register_payment`` would make with the same choices. Reads the open parts as of now.

    Needs the right to pay. Errors: as there.
    """
    actor.require(Invoice, "pay")
    require_visible(invoices, actor, "pay")
    companies = {invoice.company_id for invoice in invoices}
    if len(companies) != 1:
        raise ValidationFailed(code="two_companies")
    settings = settings_of(companies.pop())
    choice = Choice(
        date or today_of(actor),
        journal or bank_journal(settings),
        amount,
        currency,
        group,
        instalments,
        before_date,
        write_off_account,
        "",
        early_discount,
        None,
    )
    with unit_of_work(actor):
        # Locked for the moment of reading only, so that the parts shown belong together.
        found = lock_open_items_of([invoice.pk for invoice in invoices]).rows.values()
    own = {invoice.journal_entry_id for invoice in invoices}
    rows = [row for row in found if row.is_open and row.entry_pk in own]
    plans = plan_payments(invoices, rows, choice, settings)
    return settings.company, [
        PlannedPayment(
            partner_pk=plan.partner_pk,
            invoices=tuple(plan.invoices),
            direction=plan.direction,
            amount=plan.amount,
            open=plan.full,
            difference=plan.full - plan.amount,
            currency=plan.currency,
            settles="discount" if plan.takes_discount else "write_off" if plan.extras else "",
        )
        for plan in plans
    ]
