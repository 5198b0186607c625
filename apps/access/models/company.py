"""Companies and their branches: whose books and documents the rows of the system are."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models import ArchivableMixin, BaseModel, Country, CountryState, Currency


class CompanyQuerySet(models.QuerySet["Company"]):
    def active(self) -> CompanyQuerySet:
        return self.filter(active=True)

    def roots(self) -> CompanyQuerySet:
        return self.filter(parent__isnull=True)


class Company(ArchivableMixin, BaseModel):
    """A legal entity, or a branch of one.

    A branch keeps the currency of its root, and the tree never changes after a company was made: both are
    refused by triggers, because ledgers depend on them. Archiving is refused while an active user has the
    company as its own.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("name", "parent", "currency", "country", "tax_id", "active"),
        exempt={"company": "the company itself; rows are narrowed by a rule on the actor's companies"},
    )

    name = models.CharField(_("name"), max_length=120, unique=True)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("branch of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="branches",
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="companies"
    )
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")

    street = models.CharField(_("street"), max_length=200, blank=True)
    street2 = models.CharField(_("street, second line"), max_length=200, blank=True)
    zip = models.CharField(_("postal code"), max_length=24, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    state = models.ForeignKey(
        CountryState,
        verbose_name=_("state"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    country = models.ForeignKey(
        Country, verbose_name=_("country"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    website = models.CharField(_("website"), max_length=200, blank=True)
    tax_id = models.CharField(_("tax id"), max_length=40, blank=True)
    registry = models.CharField(_("company registry"), max_length=60, blank=True)

    logo_attachment = models.BigIntegerField(
        _("logo"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Primary key of the attachment that holds it."),
    )
    primary_color = models.CharField(_("first colour"), max_length=7, default="#1f4e79")
    secondary_color = models.CharField(_("second colour"), max_length=7, default="#5b6770")
    font = models.CharField(_("font of documents"), max_length=60, default="DejaVu Sans")
    report_header = models.TextField(
        _("document header"), blank=True, help_text=_("A line under the company's name.")
    )
    report_footer = models.TextField(_("document footer"), blank=True)

    objects = CompanyQuerySet.as_manager()

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ("sequence", "name", "pk")
        constraints = (
            models.CheckConstraint(condition=~models.Q(name=""), name="access_company_has_name"),
            models.CheckConstraint(
                condition=~models.Q(parent=models.F("id")),
                name="access_company_not_own_parent",
                violation_error_message=_("A company cannot be a branch of itself."),
            ),
            models.CheckConstraint(
                condition=models.Q(primary_color__regex=r"^#[0-9a-fA-F]{6}$")
                & models.Q(secondary_color__regex=r"^#[0-9a-fA-F]{6}$"),
                name="access_company_colours",
                violation_error_message=_("A colour is # and six hexadecimal digits, such as #1f4e79."),
            ),
        )

    def __str__(self) -> str:
        return self.name
