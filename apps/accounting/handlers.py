"""What accounting does about events."""

from __future__ import annotations

from apps.accounting.events import InvoicePosted
from apps.accounting.services.mirroring import mirror_documents
from apps.core.actor import Actor
from apps.core.events import on


@on(InvoicePosted)
def mirror_between_companies(event: InvoicePosted, *, actor: Actor) -> None:
    """A document for a sister company appears there as a draft."""
    mirror_documents(event.pks)
