"""Where other modules take part in the portal. No ORM here."""

from __future__ import annotations

from apps.core.hooks import Collect

collect_frozen_account_fields = Collect(
    "portal.collect_frozen_account_fields",
    "(partner, actor) -> set of field names of the partner that the customer may not change himself any more, such as "
    "name and tax_id once an invoice carries them.",
)
