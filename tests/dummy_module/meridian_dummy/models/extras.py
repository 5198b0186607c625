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


class TaskExtra(ExtensionModel):
    """The gadget a task is about."""

    extension_key = "gadgets"
    extension_title = "Gadgets"

    base = models.OneToOneField(
        "projects.Task", primary_key=True, on_delete=models.CASCADE, related_name="ext_gadgets"
    )
    gadget = models.ForeignKey(
        "dummy.Gadget", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    shelf = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"gadget of task {self.pk}"
