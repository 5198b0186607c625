"""What to look at twice before a payment is confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.accounting.constants import Direction, PaymentStatus
from apps.accounting.models import Payment
from apps.core.actor import Actor
from apps.core.rules import visible

DEAD = (PaymentStatus.CANCELLED, PaymentStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class PaymentWarning:
    """A reason for care that refuses nothing. ``code``: duplicate or untrusted_bank."""

    payment_pk: int
    code: str
    text: str


def duplicates_of(payment: Payment, actor: Actor) -> QuerySet[Payment]:
    """Other living payments of the same partner, amount, currency, date and direction."""
    if payment.partner_id is None:
        return Payment.objects.none()
    return (
        visible(Payment, actor)
        .filter(
            company=payment.company_id,
            partner=payment.partner_id,
            amount=payment.amount,
            currency=payment.currency_id,
            date=payment.date,
            direction=payment.direction,
        )
        .exclude(Q(pk=payment.pk) | Q(state__in=DEAD))
        .order_by("pk")
    )


def warnings_of(payments: Sequence[Payment], actor: Actor) -> list[PaymentWarning]:
    """Warnings for payments, in their order. Two statements, whatever the number."""
    keys = {_key(payment): payment for payment in payments if payment.partner_id is not None}
    others: dict[tuple[object, ...], list[Payment]] = {}
    if keys:
        rows = (
            visible(Payment, actor)
            .filter(
                partner__in={payment.partner_id for payment in payments},
                date__in={payment.date for payment in payments},
                amount__in={payment.amount for payment in payments},
            )
            .exclude(state__in=DEAD)
            .order_by("pk")
        )
        for row in rows:
            others.setdefault(_key(row), []).append(row)
    untrusted = dict(
        Payment.objects.filter(
            pk__in=[payment.pk for payment in payments],
            direction=Direction.OUTBOUND,
            bank_account__isnull=False,
            bank_account__trusted=False,
        ).values_list("pk", "bank_account__number")
    )
    found = []
    for payment in payments:
        twins = [row for row in others.get(_key(payment), ()) if row.pk != payment.pk]
        if twins:
            text = _("%(other)s pays the same partner the same amount on the same day.") % {"other": twins[0]}
            found.append(PaymentWarning(payment.pk, "duplicate", text))
        if payment.pk in untrusted:
            text = _("The bank account %(number)s is not trusted yet.") % {"number": untrusted[payment.pk]}
            found.append(PaymentWarning(payment.pk, "untrusted_bank", text))
    return found


def _key(payment: Payment) -> tuple[object, ...]:
    return (
        payment.company_id,
        payment.partner_id,
        payment.amount,
        payment.currency_id,
        payment.date,
        payment.direction,
    )
