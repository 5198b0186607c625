"""Reference data of the world: currencies, countries and their states. Rows come from CLDR and libphonenumber."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions

WORLD = ModelOptions(exempt={"company": "facts of the world, the same for every company"})


class Currency(models.Model):
    """A currency of ISO 4217. ``rounding`` is its smallest step (0.01, 0.05, 1); ``decimals`` what is shown."""

    erp: ClassVar[ModelOptions] = WORLD

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(_("code"), max_length=3, unique=True)
    name = models.CharField(_("name"), max_length=80)
    symbol = models.CharField(_("symbol"), max_length=8, blank=True)
    symbol_before = models.BooleanField(_("symbol before the amount"), default=False)
    decimals = models.PositiveSmallIntegerField(_("decimals"), default=2)
    rounding = models.DecimalField(_("rounding step"), max_digits=12, decimal_places=6, default="0.01")
    unit_name = models.CharField(_("unit in words"), max_length=40, blank=True)
    subunit_name = models.CharField(_("subunit in words"), max_length=40, blank=True)
    active = models.BooleanField(_("active"), default=False, db_index=True)

    class Meta:
        verbose_name = _("currency")
        verbose_name_plural = _("currencies")
        ordering = ("code",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(rounding__gt=0), name="core_currency_rounding_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[A-Z]{3}$"), name="core_currency_code_is_iso"
            ),
            models.CheckConstraint(condition=models.Q(decimals__lte=6), name="core_currency_decimals_max"),
        )

    def __str__(self) -> str:
        return self.code


class Country(models.Model):
    """A country of ISO 3166 with its address and tax-id habits."""

    erp: ClassVar[ModelOptions] = WORLD

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(_("code"), max_length=2, unique=True)
    name = models.CharField(_("name"), max_length=80, unique=True)
    currency = models.ForeignKey(
        Currency,
        verbose_name=_("currency"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    phone_code = models.PositiveIntegerField(_("phone code"), null=True, blank=True)
    address_format = models.TextField(
        _("address format"),
        default="{street}\n{street2}\n{zip} {city}\n{state_name}\n{country_name}",
        help_text=_(
            "Placeholders: street, street2, zip, city, state_code, state_name, country_name, country_code, "
            "company_name."
        ),
    )
    state_required = models.BooleanField(_("state required"), default=False)
    zip_required = models.BooleanField(_("postal code required"), default=False)
    tax_id_label = models.CharField(_("name of the tax id"), max_length=40, blank=True)
    is_eu = models.BooleanField(_("member of the European Union"), default=False)

    class Meta:
        verbose_name = _("country")
        verbose_name_plural = _("countries")
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[A-Z]{2}$"), name="core_country_code_is_iso"
            ),
        )

    def __str__(self) -> str:
        return self.name


class CountryState(models.Model):
    """A state, province or canton, as addresses name it."""

    erp: ClassVar[ModelOptions] = WORLD

    id = models.BigAutoField(primary_key=True)
    country = models.ForeignKey(
        Country, verbose_name=_("country"), on_delete=models.PROTECT, related_name="states"
    )
    code = models.CharField(_("code"), max_length=8)
    name = models.CharField(_("name"), max_length=80)

    class Meta:
        verbose_name = _("state")
        verbose_name_plural = _("states")
        ordering = ("country_id", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["country", "code"],
                name="core_state_code_once",
                violation_error_message=_("This country already has a state with that code."),
            ),
        )

    def __str__(self) -> str:
        return self.name
