"""The journal of merged partners."""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.contacts.models.partner import Partner
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel


class PartnerMerge(BaseModel):
    """That duplicates were merged into ``destination``, with all that is needed to take it back for a while.

    ``journal`` holds the removed partners' fields, every repointed row and the rows that had to go.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "a record of the house-keeping; narrowed by the destination's visibility"}
    )

    destination = models.ForeignKey(
        Partner, verbose_name=_("kept contact"), on_delete=models.CASCADE, related_name="merges"
    )
    names = models.JSONField(_("merged contacts"), default=list)
    journal = models.JSONField(default=dict, encoder=DjangoJSONEncoder, editable=False)
    undone_at = models.DateTimeField(_("taken back on"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("merge of contacts")
        verbose_name_plural = _("merges of contacts")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return ", ".join(self.names)
