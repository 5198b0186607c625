"""Official PDFs of posted documents: where they are kept.

An official PDF is a file of its invoice whose ``field`` names the journal entry that was in force when it was made. A
document that was reset and posted again has another entry, so that the PDF of before is no longer found; it stays, because
somebody may have received it.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Concat

from apps.accounting.constants import EntryState
from apps.accounting.models import Invoice
from apps.chatter.models import Attachment

INVOICE = Invoice._meta.label_lower
OFFICIAL = "official:"


def official_field(entry_pk: int) -> str:
    return f"{OFFICIAL}{entry_pk}"


def official_documents(pks: Iterable[int]) -> dict[int, Attachment]:
    """The official PDFs of those of the documents that have one, by document. One query."""
    wanted = Invoice.objects.filter(pk__in=list(pks), state=EntryState.POSTED).annotate(
        official=Concat(Value(OFFICIAL), Cast(F("journal_entry_id"), CharField()))
    )
    rows = Attachment.objects.select_related("stored").filter(
        Q(model=INVOICE) & Q(object_id__in=wanted.values("pk")) & Q(field__in=wanted.values("official"))
    )
    return {row.object_id: row for row in rows if row.object_id is not None}


def current_entries(pks: Iterable[int]) -> dict[int, int]:
    """The journal entry in force of each document that is posted."""
    rows = Invoice.objects.filter(pk__in=list(pks), state=EntryState.POSTED, journal_entry__isnull=False)
    return {pk: entry for pk, entry in rows.values_list("pk", "journal_entry_id") if entry is not None}
