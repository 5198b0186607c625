"""Numbers, dates and the company's letterhead as printed documents show them: in the document's own language."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils import formats, translation

from apps.access.models import Company
from apps.chatter.models import Attachment
from apps.chatter.selectors.files import image_url
from apps.core.models import Currency
from apps.core.money import decimals_of, format_money, format_number

_FONT = re.compile(r"[A-Za-z0-9 -]{1,60}")


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The company as sender of a document."""

    name: str
    lines: tuple[str, ...]
    header: str
    footer: str
    contacts: tuple[str, ...]
    tax_id: str
    registry: str
    logo_url: str
    accent: str
    second: str
    font: str


def letterhead_of(company: Company) -> Letterhead:
    """Name, address, colours and logo. One query when there is a logo."""
    place = f"{company.zip} {company.city}".strip()
    country = company.country.name if company.country else ""
    logo = Attachment.objects.filter(pk=company.logo_attachment).first() if company.logo_attachment else None
    return Letterhead(
        name=company.name,
        lines=tuple(line for line in (company.street, company.street2, place, country) if line),
        header=company.report_header,
        footer=company.report_footer,
        contacts=tuple(text for text in (company.phone, company.email, company.website) if text),
        tax_id=company.tax_id,
        registry=company.registry,
        logo_url=image_url(logo) if logo is not None and logo.is_image else "",
        accent=company.primary_color,
        second=company.secondary_color,
        font=company.font if _FONT.fullmatch(company.font) else "DejaVu Sans",
    )


class Writer:
    """Writes values in one language; amounts in one currency unless another is named."""

    def __init__(self, language: str, currency: Currency) -> None:
        self.language = language
        self.currency = currency
        self._decimals = decimals_of(currency.rounding)

    def money(self, amount: Decimal, currency: Currency | None = None) -> str:
        return format_money(amount, language=self.language, currency=currency or self.currency)

    def figure(self, amount: Decimal) -> str:
        """An amount without its currency, for columns whose heading names it."""
        return format_number(amount, language=self.language, decimals=self._decimals)

    def price(self, price: Decimal) -> str:
        """A price with all its digits, at least as many as the currency has."""
        places = max(self._decimals, -int(price.normalize().as_tuple().exponent)) if price else self._decimals
        return format_number(price, language=self.language, decimals=places)

    def number(self, value: Decimal) -> str:
        return format_number(value, language=self.language)

    def day(self, value: datetime.date | str | None) -> str:
        if not value:
            return ""
        day = datetime.date.fromisoformat(value) if isinstance(value, str) else value
        with translation.override(self.language):
            return formats.date_format(day, "DATE_FORMAT")


def language_of(*wanted: str) -> str:
    """The first language that the system has, else its own."""
    known = {code for code, _name in settings.LANGUAGES}
    for code in wanted:
        plain = code.lower().replace("_", "-")
        for candidate in (plain, plain.partition("-")[0]):
            if candidate in known:
                return candidate
    return str(settings.LANGUAGE_CODE)
