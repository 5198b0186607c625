"""Merging contacts: those that posted entries name are kept."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from apps.accounting.constants import EntryState
from apps.accounting.models import Invoice, JournalEntry, JournalItem
from apps.contacts.hooks import before_merge
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import Conflict


@before_merge.register
def keep_partners_of_the_books(*, destination: Partner, sources: Sequence[Partner], actor: Actor) -> None:
    """Posted entries and documents are final, their partner too, so a contact that they name cannot vanish in another."""
    pks = [source.pk for source in sources]
    named = {
        *JournalItem.objects.filter(partner__in=pks, posted=True)
        .order_by()
        .values_list("partner_id", flat=True)[:1],
        *JournalEntry.objects.filter(partner__in=pks, state=EntryState.POSTED)
        .order_by()
        .values_list("partner_id", flat=True)[:1],
        *Invoice.objects.filter(partner__in=pks, state=EntryState.POSTED)
        .order_by()
        .values_list("partner_id", flat=True)[:1],
        *Invoice.objects.filter(commercial_partner__in=pks, state=EntryState.POSTED)
        .order_by()
        .values_list("commercial_partner_id", flat=True)[:1],
    }
    for source in sources:
        if source.pk in named:
            raise Conflict(
                _(
                    "“%(name)s” is named by posted entries, which never change. Keep this contact and merge the others "
                    "into it; where several are named, archive those that you no longer use."
                )
                % {"name": source},
                code="merge_posted",
            )
