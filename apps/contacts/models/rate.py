"""Exchange rates by date."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel, CompanySharedMixin, Currency


class CurrencyRate(CompanySharedMixin, BaseModel):
    """From ``date`` on, one unit of ``base`` is worth ``rate`` units of ``currency``.

    A company's own rates have the company's currency as base; rates without a company serve all of them. Only root
    companies have rates of their own (trigger); branches use those of their root.
    """

    erp: ClassVar[ModelOptions] = ModelOptions()

    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="rates"
    )
    base = models.ForeignKey(
        Currency,
        verbose_name=_("in units per"),
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("One unit of this currency is worth the rate. Default: the company's currency."),
    )
    date = models.DateField(_("from"))
    rate = models.DecimalField(_("rate"), max_digits=24, decimal_places=12)

    class Meta:
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        ordering = ("-date", "currency_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["currency", "date", "company"],
                name="contacts_rate_once",
                nulls_distinct=False,
                violation_error_message=_("This currency has a rate for that day already."),
            ),
            models.CheckConstraint(
                condition=models.Q(rate__gt=0),
                name="contacts_rate_positive",
                violation_error_message=_("A rate is greater than zero."),
            ),
            models.CheckConstraint(
                condition=~models.Q(currency=models.F("base")) | models.Q(rate=1),
                name="contacts_rate_of_base_is_one",
                violation_error_message=_("A currency is worth exactly one of itself."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.date:%Y-%m-%d}: {self.rate.normalize():f}"
