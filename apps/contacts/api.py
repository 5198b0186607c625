"""REST: ``contacts/partners``, bank accounts, tags, industries, currencies and rates, countries and states."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.api.base import DETAIL, LIST, Resource, resource, route
from apps.contacts.models import BankAccount, CurrencyRate, Industry, Partner, PartnerMerge, PartnerTag
from apps.contacts.selectors import address_get, duplicates_of
from apps.contacts.services import export_vcards, import_vcards
from apps.core.errors import ValidationFailed
from apps.core.models import Country, CountryState, Currency


@resource("contacts/partners")
class PartnerResource(Resource):
    """People and organisations."""

    model = Partner
    exclude = ("phone_digits", "image_attachment")
    detail_only = ("comment",)
    portal_fields = (
        "id",
        "name",
        "complete_name",
        "is_company",
        "parent",
        "type",
        "email",
        "phone",
        "mobile",
        "website",
        "street",
        "street2",
        "zip",
        "city",
        "state",
        "country",
        "tax_id",
        "language",
        "timezone",
        "active",
        "version",
    )

    @route("duplicates", summary="Other organisations with the same tax id or registry")
    def duplicates(self, request: Any, record: Partner) -> list[dict[str, Any]]:
        """Worth a warning, never a refusal; archived ones are among them."""
        return [
            {"id": found.partner.pk, "complete_name": found.partner.complete_name, "field": found.field}
            for found in duplicates_of(record, actor=request.actor)
        ]

    @route("addresses", summary="The contact to use for each purpose")
    def addresses(self, request: Any, record: Partner) -> dict[str, int]:
        """Nearest contact, invoice, delivery and other address, as primary keys."""
        nearest = address_get([record], ["invoice", "delivery", "other"])[record.pk]
        return {kind: partner.pk for kind, partner in sorted(nearest.items())}

    @route("vcard", summary="The contact as a vCard", produces="text/vcard")
    def vcard(self, request: Any, record: Partner) -> HttpResponse:
        answer = HttpResponse(
            export_vcards([record], actor=request.actor), content_type="text/vcard; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="contact-{record.pk}.vcf"'
        return answer

    @route(
        "import-vcards",
        methods=("POST",),
        detail=False,
        permission="add",
        upload=True,
        summary="Contacts from vCards",
    )
    def import_cards(self, request: Any) -> dict[str, Any]:
        """A vCard file as ``file``: all cards become contacts, or none; known addresses are left out and named."""
        file = request.FILES.get("file")
        if file is None:
            raise ValidationFailed(fields={"file": [_("Send a vCard file.")]})
        result = import_vcards(file.read(), actor=request.actor)
        return {"ids": [partner.pk for partner in result.partners], "known": result.known}


@resource("contacts/merges")
class PartnerMergeResource(Resource):
    """Merges of duplicates; they can be taken back for thirty days."""

    model = PartnerMerge
    exclude = ("journal",)
    operations = (LIST, DETAIL)


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
