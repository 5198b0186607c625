"""REST: ``contacts/partners``, bank accounts, tags, industries, currencies and rates, countries and states."""

from __future__ import annotations

from apps.api.base import Resource, resource
from apps.contacts.models import BankAccount, CurrencyRate, Industry, Partner, PartnerTag
from apps.core.models import Country, CountryState, Currency


@resource("contacts/partners")
class PartnerResource(Resource):
    """People and organisations."""

    model = Partner
    exclude = ("phone_digits", "image_attachment")
    detail_only = ("comment",)
    portal_fields = (
        "id", "name", "complete_name", "is_company", "parent", "type", "email", "phone", "mobile", "website", "street",
        "street2", "zip", "city", "state", "country", "tax_id", "language", "timezone", "active", "version",
    )


@resource("contacts/bank-accounts")
class BankAccountResource(Resource):
    """Bank accounts of partners; IBANs are checked."""

    model = BankAccount


@resource("contacts/tags")
class PartnerTagResource(Resource):
    """Tags of partners."""

    model = PartnerTag


@resource("contacts/industries")
class IndustryResource(Resource):
    """Industries."""

    model = Industry


@resource("contacts/currencies")
class CurrencyResource(Resource):
    """Currencies of ISO 4217."""

    model = Currency
    operations = ("list", "detail", "create", "update")


@resource("contacts/currency-rates")
class CurrencyRateResource(Resource):
    """Dated rates: units of the currency for one unit of the base."""

    model = CurrencyRate


@resource("contacts/countries")
class CountryResource(Resource):
    """Countries of ISO 3166."""

    model = Country
    operations = ("list", "detail", "create", "update")


@resource("contacts/states")
class CountryStateResource(Resource):
    """States and provinces."""

    model = CountryState
