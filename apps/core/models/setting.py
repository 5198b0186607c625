"""Values of the settings that modules declare, for the whole system or for one company."""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models.base import BaseModel


class Setting(BaseModel):
    """One value of a declared setting; a row with a company wins over the one without."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "empty means the whole system; only administrators read the table"}
    )

    key = models.CharField(_("key"), max_length=120)
    company = models.ForeignKey(
        "access.Company",
        verbose_name=_("company"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
    )
    value = models.JSONField(_("value"), encoder=DjangoJSONEncoder, null=True)

    class Meta:
        verbose_name = _("setting")
        verbose_name_plural = _("settings")
        ordering = ("key", "company_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["key", "company"], name="core_setting_once", nulls_distinct=False
            ),
        )

    def __str__(self) -> str:
        return self.key
