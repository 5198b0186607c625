"""The official PDF of a posted document: made once, by the first employee who prints or sends it, and never again."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from apps.accounting.selectors.documents import (
    INVOICE,
    current_entries,
    official_documents,
    official_field,
)
from apps.chatter.models import Attachment
from apps.chatter.services.attachments import make_attachments
from apps.chatter.types import NewFile, RecordRef
from apps.core.actor import Actor
from apps.reports.types import Archive


class InvoiceArchive(Archive):
    """Keeps the PDF of a posted document with the document. Customers never cause it to be made: until an employee did,
    they get a pro forma, which is not kept."""

    def find(self, pk: int) -> Attachment | None:
        return official_documents([pk]).get(pk)

    def mark(self, pk: int, *, internal: bool) -> str:
        entry = current_entries([pk]).get(pk) if internal else None
        return official_field(entry) if entry is not None else ""

    def keep(self, pk: int, mark: str, file: NewFile, *, actor: Actor) -> Attachment:
        try:
            with transaction.atomic():
                made = make_attachments([file], actor=actor, ref=RecordRef(INVOICE, pk))[0]
                Attachment.objects.filter(pk=made.pk).update(field=mark)
                made.field = mark
                return made
        except IntegrityError:
            # Somebody else's was first (unique constraint on model, record and field).
            return Attachment.objects.select_related("stored").get(model=INVOICE, object_id=pk, field=mark)


invoice_archive = InvoiceArchive()
