"""The abstract bases of every business model, and the options that tell the platform about it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions


class BaseModel(models.Model):
    """A record with an author, dates and an optimistic ``version``.

    ``version`` grows by one with each write through a service; interfaces send back the version they showed and
    a stale one is refused.
    """

    erp: ClassVar[ModelOptions] = ModelOptions()

    id = models.BigAutoField(primary_key=True)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created on"), auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(_("changed on"), auto_now=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("changed by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        abstract = True


class ArchivableMixin(models.Model):
    """Soft archive: an inactive record stays linked but leaves lists and choices."""

    active = models.BooleanField(_("active"), default=True, db_index=True)

    class Meta:
        abstract = True


class CompanyOwnedMixin(models.Model):
    """A row of exactly one company."""

    company = models.ForeignKey(
        "access.Company", verbose_name=_("company"), on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        abstract = True


class CompanySharedMixin(models.Model):
    """A row of one company, or of all when ``company`` is empty."""

    company = models.ForeignKey(
        "access.Company",
        verbose_name=_("company"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: shared by all companies."),
    )

    class Meta:
        abstract = True


class CustomFieldsMixin(models.Model):
    """End-user fields: typed values by key in one JSONB column; definitions are ``core.CustomField`` rows."""

    custom = models.JSONField(_("custom fields"), default=dict, blank=True, editable=False)

    class Meta:
        abstract = True


class ExtensionModel(models.Model):
    """Fields that another module adds to a model, in a table of its own.

    Subclass it with ``base = models.OneToOneField(Target, primary_key=True, on_delete=CASCADE,
    related_name="ext_<key>")`` and set ``extension_key = "<key>"``. All own fields need a default or ``null``,
    because records without a row must be readable. The fields appear as ``ext.<key>.<field>`` everywhere.
    """

    extension_key: ClassVar[str] = ""
    extension_title: ClassVar[Any] = ""
    erp: ClassVar[ModelOptions] = ModelOptions()

    class Meta:
        abstract = True


def custom_fields_index(name: str) -> GinIndex:
    """A containment index on ``custom``, for models with many custom fields."""
    return GinIndex(fields=["custom"], name=name, opclasses=["jsonb_path_ops"])


def options_of(model: type[models.Model]) -> ModelOptions:
    """The platform options of a model; the defaults for models that declare none."""
    return getattr(model, "erp", ModelOptions())


def company_mode(model: type[models.Model]) -> str:
    """``owned``, ``inherited``, ``shared`` or ``none``, read from the mixins (or ``erp.company`` for unusual models)."""
    declared = options_of(model).company
    if declared != "none":
        return declared
    if issubclass(model, CompanyOwnedMixin):
        return "owned"
    if issubclass(model, CompanySharedMixin):
        return "shared"
    return "none"
