"""Names that the whole of ``contacts`` agrees on; no ORM here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PartnerType(models.TextChoices):
    CONTACT = "contact", _("contact")
    INVOICE = "invoice", _("invoice address")
    DELIVERY = "delivery", _("delivery address")
    OTHER = "other", _("other address")


class AccountKind(models.TextChoices):
    IBAN = "iban", _("IBAN")
    BANK = "bank", _("other account number")


# Fields of a postal address; they travel together.
ADDRESS_FIELDS = ("street", "street2", "zip", "city", "state", "country")

# Fields that belong to the commercial entity and that its people and addresses repeat.
COMMERCIAL_FIELDS = ("tax_id", "registry", "industry")

MERGE_LIMIT = 3
MERGE_UNDO_DAYS = 30
RATE_JUMP = 20  # per cent; a larger step from one rate to the next is worth a warning
