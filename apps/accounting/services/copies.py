"""Copies of documents: plain duplicates, credit notes, debit notes, and the next one of a chain that repeats.

A copy is a new draft made through the service of documents, with today's defaults for what is not copied.
"""

from __future__ import annotations

import datetime
from calendar import monthrange
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.compute.recurrence import MONTHS, add_months, is_month_end
from apps.accounting.constants import SALE_TYPES, AutoPost
from apps.accounting.models import Invoice
from apps.accounting.services.invoice_lines import line_values, read_lines
from apps.accounting.services.invoices import InvoiceService
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.records import Values, service_for

REPEATING = frozenset({AutoPost.MONTHLY, AutoPost.QUARTERLY, AutoPost.YEARLY})
LAST_DAY = 31  # of a chain that began on the last day of a month
#: What every copy takes over; links by their column.
COPIED = (
    "type",
    "company_id",
    "journal_id",
    "partner_id",
    "shipping_partner_id",
    "bank_account_id",
    "payment_term_id",
    "fiscal_position_id",
    "cash_rounding_id",
    "incoterm_id",
    "incoterm_place",
    "currency_id",
    "narration",
    "origin",
    "salesperson_id",
)


def copy_values(invoice: Invoice, lines: Sequence[Any], changes: Mapping[str, Any]) -> Values:
    """A document as a caller would hand it in, with ``changes``; ``None`` in them leaves a field to the defaults."""
    values: Values = {name.removesuffix("_id"): getattr(invoice, name) for name in COPIED}
    if invoice.rate_is_manual:
        values |= {"rate": invoice.rate, "rate_is_manual": True}
    values["lines"] = [line_values(line) for line in lines]
    values.update(changes)
    return values


def make_copies(
    invoices: Sequence[Invoice],
    changes: Sequence[Mapping[str, Any]],
    *,
    actor: Actor,
    fixed: Sequence[Mapping[str, Any]] | None = None,
) -> list[Invoice]:
    """New drafts from documents: a constant number of statements for any number of them."""
    if not invoices:
        return []
    lines = read_lines({invoice.pk for invoice in invoices})
    rows = [
        copy_values(invoice, lines[invoice.pk], change)
        for invoice, change in zip(invoices, changes, strict=True)
    ]
    writer = service_for(Invoice)
    assert isinstance(writer, InvoiceService)
    return writer.make(rows, actor=actor, fixed=fixed)


@action(Invoice, name="duplicate", permission="add", title=gettext_lazy("Duplicate"), icon="content_copy")
def duplicate(invoices: Sequence[Invoice], *, actor: Actor) -> dict[str, Any]:
    """New drafts with the same lines, not dated and without the vendor's reference. Answers their keys."""
    made = make_copies(invoices, [{} for _invoice in invoices], actor=actor)
    return {"created": [invoice.pk for invoice in made]}


def repeat(invoices: Sequence[Invoice], *, actor: Actor) -> list[Invoice]:
    """The next document of each chain that repeats, as a draft that posts itself on its day; none after the chain's end.

    The day of the month is that of the first one: 31 January is followed by 28 February and 31 March.
    """
    chosen, changes, fixed = [], [], []
    for invoice in invoices:
        if invoice.auto_post not in REPEATING or invoice.date is None:
            continue
        keep = invoice.auto_post_day or (LAST_DAY if is_month_end(invoice.date) else invoice.date.day)
        day = following_day(invoice.date, invoice.auto_post, keep)
        if invoice.auto_post_until is not None and day > invoice.auto_post_until:
            continue
        chosen.append(invoice)
        changes.append(
            {
                "date": day,
                "auto_post": invoice.auto_post,
                "auto_post_until": invoice.auto_post_until,
                "reference": invoice.reference if invoice.type in SALE_TYPES else "",
            }
        )
        fixed.append(
            {
                "auto_post_origin": invoice.auto_post_origin_id or invoice.pk,
                "auto_post_day": keep,
            }
        )
    try:
        return make_copies(chosen, changes, actor=actor, fixed=fixed)
    except ValidationFailed as exc:
        text = next((texts[0] for texts in exc.fields.values()), exc.message)
        raise ValidationFailed(
            _(
                "The next document of the repetition cannot be made: %(problem)s Mend the lines, or end the repetition."
            )
            % {"problem": text},
            code="repetition",
            fields={"auto_post": [text]},
        ) from exc


def following_day(day: datetime.date, period: str, keep: int) -> datetime.date:
    """The day one period after ``day``: the day of the month ``keep``, or the last where the month is shorter."""
    month = add_months(day.replace(day=1), MONTHS[period])
    return month.replace(day=min(keep, monthrange(month.year, month.month)[1]))
