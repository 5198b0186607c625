"""Fields this module adds to models of the project."""

from django.db import models

from apps.core.models import ExtensionModel


class PartnerExtra(ExtensionModel):
    """Gadget habits of a partner."""

    extension_key = "gadgets"
    extension_title = "Gadgets"

    base = models.OneToOneField(
        "contacts.Partner", primary_key=True, on_delete=models.CASCADE, related_name="ext_gadgets"
    )
    loves_gadgets = models.BooleanField(default=False)
    gadget_limit = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"gadget habits of {self.pk}"
