"""What accounting does about events, and where it takes part in what other modules do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.constants import SALE_TYPES
from apps.accounting.events import InvoicePosted
from apps.accounting.models import Invoice
from apps.accounting.selectors.documents import INVOICE, OFFICIAL
from apps.accounting.selectors.portal import was_invoiced
from apps.accounting.services.mirroring import mirror_documents
from apps.accounting.services.posting_failures import withdraw_failures
from apps.chatter.hooks import set_post_access
from apps.chatter.models import Attachment
from apps.contacts.models import Partner
from apps.contacts.services import add_ranks
from apps.core.actor import Actor
from apps.core.errors import Conflict
from apps.core.events import on
from apps.core.hooks import before_delete
from apps.portal.hooks import collect_frozen_account_fields

# Customers answer in the threads of their documents; who only reads the books does not write there.
set_post_access(INVOICE, "comment")


@on(InvoicePosted, together=True)
def mirror_between_companies(event: InvoicePosted, *, actor: Actor) -> None:
    """A document for a sister company appears there as a draft."""
    mirror_documents(event.pks)


@on(InvoicePosted, together=True)
def withdraw_reports_of_failure(event: InvoicePosted, *, actor: Actor) -> None:
    """What could not be posted on its day and now is needs nobody any more."""
    withdraw_failures(event.pks, actor=actor)


@on(InvoicePosted, together=True)
def count_appearances(event: InvoicePosted, *, actor: Actor) -> None:
    """Customers and vendors come first in choices the more often they appear. Here, so that postings never wait for a
    partner's row."""
    ranks: dict[tuple[int, int], list[int]] = {}
    counts: dict[int, list[int]] = {}
    rows = Invoice.objects.filter(pk__in=event.pks, commercial_partner__isnull=False)
    for kind, partner, entity in rows.values_list("type", "partner_id", "commercial_partner_id"):
        for pk in {partner, entity}:
            counts.setdefault(pk, [0, 0])[0 if kind in SALE_TYPES else 1] += 1
    for pk, (sales, purchases) in counts.items():
        ranks.setdefault((sales, purchases), []).append(pk)
    for (sales, purchases), pks in ranks.items():
        add_ranks(sorted(pks), customer=sales, supplier=purchases)


@collect_frozen_account_fields.register
def name_and_tax_id_once_invoiced(partner: Partner, actor: Actor) -> set[str] | None:
    """What a document carries is not changed by the customer himself any more."""
    entity = partner.commercial_entity_id or partner.pk
    return {"name", "tax_id", "company_name"} if was_invoiced(entity) else None


@before_delete.register
def official_documents_stay(model: type[Any], records: Sequence[Any], actor: Actor) -> None:
    """A PDF that stands for a posted document is not thrown away."""
    if model is Attachment and any(
        row.model == INVOICE and row.field.startswith(OFFICIAL) for row in records
    ):
        raise Conflict(_("This is the official PDF of a posted document; it stays with it."))
