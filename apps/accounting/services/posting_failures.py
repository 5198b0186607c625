"""A document that could not be posted on its day says so itself: an activity for whoever is responsible for it.

One open activity a document, whose note is the reason of the last attempt; it goes when the document is posted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.utils.html import escape
from django.utils.translation import gettext as _

from apps.access.constants import UserKind
from apps.access.models import User
from apps.accounting.models import Invoice
from apps.chatter.constants import EXCEPTION
from apps.chatter.models import Activity
from apps.chatter.services.activities import plan_activity
from apps.core.actor import Actor
from apps.core.records import service_for
from apps.core.unit_of_work import unit_of_work

INVOICE = Invoice._meta.label_lower
MOST = 200  # activities of one run; the run's log has all


def failures_of(pks: Collection[int]) -> dict[int, Activity]:
    """Open activities about failed postings by document. One query."""
    rows = Activity.objects.open().filter(
        model=INVOICE, object_id__in=pks, automated=True, type__code=EXCEPTION
    )
    return {row.object_id: row for row in rows.order_by("pk")}


def tell_failures(refused: Sequence[tuple[int, str]], *, actor: Actor) -> None:
    """Plan an activity on each document that was refused, or bring the reason of the one it has up to date.

    It goes to the salesperson, else to whoever made the document, else to whoever posted the one it repeats; a document of
    nobody who works here has only the log of the run.
    """
    reasons = dict(refused[:MOST])
    if not reasons:
        return
    with unit_of_work(actor):
        open_ones = failures_of(reasons)
        invoices = Invoice.objects.filter(pk__in=reasons).select_related("auto_post_origin").order_by("pk")
        documents = list(invoices)
        people = {pk for row in documents for pk in _responsible(row) if pk is not None}
        working = set(
            User.objects.filter(pk__in=people, active=True, kind=UserKind.INTERNAL).values_list(
                "pk", flat=True
            )
        )
        for invoice in documents:
            reason = escape(reasons[invoice.pk])
            known = open_ones.get(invoice.pk)
            if known is not None:
                if known.note != reason:
                    service_for(Activity).update([known], {"note": reason}, actor=actor)
                continue
            assignee = next((pk for pk in _responsible(invoice) if pk in working), None)
            if assignee is not None:
                plan_activity(
                    invoice,
                    actor=actor,
                    type=EXCEPTION,
                    summary=_("Could not be posted by itself"),
                    note=reason,
                    assignee=assignee,
                    automated=True,
                )


def withdraw_failures(pks: Collection[int], *, actor: Actor) -> None:
    """Documents are posted after all: what said that they could not be is removed."""
    found = failures_of(pks)
    if found:
        service_for(Activity).delete(list(found.values()), actor=actor)


def _responsible(invoice: Invoice) -> tuple[int | None, ...]:
    origin = invoice.auto_post_origin
    return (
        invoice.salesperson_id,
        invoice.created_by_id,
        origin.created_by_id if origin is not None else None,
    )
