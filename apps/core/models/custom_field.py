"""Definitions of end-user fields; the values live in the ``custom`` column of the records."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models.base import ArchivableMixin, BaseModel


class CustomField(ArchivableMixin, BaseModel):
    """A typed field that an administrator adds to a kind of record, without a migration."""

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        LONG_TEXT = "long_text", _("long text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        BOOLEAN = "boolean", _("yes or no")
        DATE = "date", _("date")
        DATETIME = "datetime", _("date and time")
        CHOICE = "choice", _("choice")
        TAGS = "tags", _("several choices")
        RECORD = "record", _("link to a record")

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "a definition holds for the whole database, like a column"}
    )

    model = models.CharField(_("kind of record"), max_length=100, help_text=_("Such as projects.task."))
    key = models.CharField(_("key"), max_length=40)
    label = models.CharField(_("label"), max_length=100)
    type = models.CharField(_("type"), max_length=12, choices=Type.choices, default=Type.TEXT)
    choices = models.JSONField(
        _("choices"), default=list, blank=True, help_text=_('For choices: [["key", "Label"], …].')
    )
    target = models.CharField(
        _("linked kind of record"),
        max_length=100,
        blank=True,
        help_text=_("For links: such as contacts.partner."),
    )
    required = models.BooleanField(_("required"), default=False)
    filterable = models.BooleanField(
        _("filterable"),
        default=False,
        help_text=_("Lists can be filtered by it; the database keeps an index."),
    )
    help = models.CharField(_("help"), max_length=200, blank=True)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)

    class Meta:
        verbose_name = _("custom field")
        verbose_name_plural = _("custom fields")
        ordering = ("model", "sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["model", "key"],
                name="core_custom_field_key_once",
                violation_error_message=_("This kind of record already has a field with that key."),
            ),
            models.CheckConstraint(
                condition=models.Q(key__regex=r"^[a-z][a-z0-9_]{0,39}$"),
                name="core_custom_field_key_form",
                violation_error_message=_(
                    "A key has lower-case letters, digits and _, and begins with a letter."
                ),
            ),
        )

    def __str__(self) -> str:
        return self.label
