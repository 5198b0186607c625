"""Numbers of checks on pre-printed paper, given when the stack lies in the printer.

Where this system numbers its checks itself, confirming a payment gives the next number of its method (``payment_posting``).
Paper that carries numbers is different: only whoever loads it knows the first one. Either way a number is given once in a
journal (constraint) and stays with a payment that is cancelled, so that a spoiled check is never counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import PaymentStatus
from apps.accounting.models import Payment, PaymentMethodLine
from apps.accounting.selectors.checks import is_check, pages_needed, settled_by
from apps.accounting.services.bulk import update_rows
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed


@action(
    Payment,
    permission="post",
    source={PaymentStatus.IN_PROCESS, PaymentStatus.PAID},
    title=gettext_lazy("Number checks"),
    icon="tag",
    condition=lambda payment, _actor: payment.check_number is None and is_check(payment),
)
def number_checks(payments: Sequence[Payment], *, actor: Actor, first_number: int | None = None) -> list[int]:
    """Give checks the numbers of their paper, from ``first_number`` on, in the order of their dates; without it, those that
    follow the last one. Further pages of stubs take a sheet each, whose number is void. Answers the numbers in the order of the payments."""
    lines = _locked_methods(payments)
    for payment in payments:
        if payment.method_line_id not in lines:
            raise ValidationFailed(
                _("%(payment)s is not paid by check.") % {"payment": payment}, code="no_check"
            )
        if payment.check_number is not None:
            raise Conflict(
                _("%(payment)s is check %(number)s already; cancel it to void that.")
                % {"payment": payment, "number": payment.check_number},
                code="numbered",
            )
    if len({payment.journal_id for payment in payments}) > 1:
        raise ValidationFailed(
            _("Number the checks of one bank at a time: they are on different paper."), code="two_journals"
        )
    known = max((line.next_check_number or 0 for line in lines.values()), default=0)
    first = first_number if first_number is not None else known
    if first < 1:
        raise ValidationFailed(fields={"first_number": [_("Give the number on the first sheet of paper.")]})
    ordered = sorted(payments, key=lambda payment: (payment.date, payment.pk))
    after = first
    named = settled_by(ordered)
    for payment in ordered:
        payment.check_number = after
        line = lines[payment.method_line_id]  # type: ignore[index]
        after += pages_needed(len(named[payment.pk]), overflow=line.check_overflow)
    for line in lines.values():  # a new stack of paper may begin lower than the old one ended
        line.next_check_number = after if line.check_preprinted else max(line.next_check_number or 1, after)
    update_rows(Payment, ordered, ("check_number",))
    update_rows(PaymentMethodLine, list(lines.values()), ("next_check_number",))
    return [payment.check_number for payment in payments if payment.check_number is not None]


def _locked_methods(payments: Sequence[Payment]) -> dict[int, PaymentMethodLine]:
    """The ways to pay by check, locked: their rows are the counters."""
    pks = {payment.method_line_id for payment in payments if payment.method_line_id is not None}
    rows = PaymentMethodLine.objects.filter(pk__in=pks, code="check").order_by("pk")
    return {row.pk: row for row in rows.select_for_update(of=("self",))}
