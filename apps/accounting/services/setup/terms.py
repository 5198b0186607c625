"""Writing fiscal positions, payment terms, cash roundings, and what was agreed with partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.compute.positions import EU
from apps.accounting.compute.terms import EarlyDiscount, TermLine, check_terms
from apps.accounting.constants import AccountType
from apps.accounting.models import (
    Account,
    CashRounding,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    PartnerTerms,
    PaymentTerm,
    PaymentTermLine,
)
from apps.accounting.services.setup.parts import OwnerService, PartList, PartService
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import pk_of
from apps.core.models import CountryState
from apps.core.records import RecordService, Values, service


# ---------------------------------------------------------------------------------------------------------- positions
@service(FiscalPosition)
class FiscalPositionService(OwnerService[FiscalPosition]):
    """The one writer of fiscal positions. ``tax_map``: list of ``source`` and ``target`` (empty: the tax is left out; twice the
    same source: several instead of one); ``account_map`` likewise."""

    parts = {
        "tax_map": PartList(FiscalPositionTax, "position", ("source", "target"), ordered=False),
        "account_map": PartList(FiscalPositionAccount, "position", ("source", "target"), ordered=False),
    }

    def prepare_update(self, records: Sequence[FiscalPosition], values: Values, actor: Actor) -> None:
        if "company" in values and any(r.company_id != pk_of(values["company"]) for r in records):
            raise ValidationFailed(fields={"company": [_("A fiscal position stays in its company.")]})

    def validate(self, records: Sequence[FiscalPosition], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        for position in records:
            if position.country_group not in ("", EU):
                errors["country_group"] = [_("The only group of countries is EU.")]
            if bool(position.zip_from) != bool(position.zip_to):
                missing = "zip_to" if position.zip_from else "zip_from"
                errors[missing] = [_("Give both ends of the range of postal codes.")]
            elif position.zip_from:
                low, high = position.zip_from.strip(), position.zip_to.strip()
                if low.isdigit() and high.isdigit():
                    width = max(len(low), len(high))
                    low, high = low.rjust(width, "0"), high.rjust(width, "0")
                    position.zip_from, position.zip_to = low, high
                if low > high:
                    errors["zip_to"] = [_("The range of postal codes ends before it begins.")]
                if position.country_id is None:
                    errors["country"] = [_("Postal codes are compared within one country; name it.")]
        if errors:
            raise ValidationFailed(fields=errors)

    def after_create(self, records: Sequence[FiscalPosition], rows: Sequence[Values], actor: Actor) -> None:
        self._check_states(records)

    def after_update(
        self,
        records: Sequence[FiscalPosition],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if {"states", "country"} & set(values):
            self._check_states(records)

    def _check_states(self, records: Sequence[FiscalPosition]) -> None:
        countries = {position.pk: position.country_id for position in records}
        links = FiscalPosition.states.through.objects.filter(fiscalposition__in=countries)
        pairs = list(links.values_list("fiscalposition_id", "countrystate_id"))
        homes = dict(
            CountryState.objects.filter(pk__in={s for _p, s in pairs}).values_list("pk", "country_id")
        )
        if any(homes[state] != countries[position] for position, state in pairs):
            raise ValidationFailed(fields={"states": [_("States belong to the country of the position.")]})

    def check_parts(self, records: Sequence[FiscalPosition], actor: Actor) -> None:
        for row in FiscalPositionTax.objects.filter(
            position__in=records, target__isnull=False
        ).select_related("source", "target"):
            assert row.target is not None
            if row.source.use != row.target.use:
                raise ValidationFailed(
                    fields={
                        "tax_map": [
                            _("Tax %(source)s and tax %(target)s are not used for the same.")
                            % {"source": row.source.name, "target": row.target.name}
                        ]
                    }
                )


@service(FiscalPositionTax)
class FiscalPositionTaxService(PartService[FiscalPositionTax]):
    """Written with the position."""


@service(FiscalPositionAccount)
class FiscalPositionAccountService(PartService[FiscalPositionAccount]):
    """Written with the position."""


# -------------------------------------------------------------------------------------------------------------- terms
@service(PaymentTerm)
class PaymentTermService(OwnerService[PaymentTerm]):
    """The one writer of payment terms. ``lines`` are their parts; left out, all is due at once."""

    parts = {
        "lines": PartList(PaymentTermLine, "term", ("value", "amount", "days", "delay", "day", "sequence"))
    }

    def prepare_update(self, records: Sequence[PaymentTerm], values: Values, actor: Actor) -> None:
        if "company" in values and any(r.company_id != pk_of(values["company"]) for r in records):
            raise ValidationFailed(fields={"company": [_("Payment terms stay in their company.")]})

    def default_parts(self, record: PaymentTerm, name: str) -> list[Values]:
        return [{"value": PaymentTermLine.Value.PERCENT, "amount": 100, "days": 0}]

    def check_parts(self, records: Sequence[PaymentTerm], actor: Actor) -> None:
        lines: dict[int, list[TermLine]] = {term.pk: [] for term in records}
        rows = PaymentTermLine.objects.filter(term__in=lines).order_by("term_id", "sequence", "pk")
        for row in rows:
            lines[row.term_id].append(TermLine(row.value, row.amount, row.days, row.delay, row.day))
        for term in records:
            discount = None
            if term.early_discount:
                discount = EarlyDiscount(term.discount_percent, term.discount_days, term.discount_mode)
            check_terms(lines[term.pk], discount)


@service(PaymentTermLine)
class PaymentTermLineService(PartService[PaymentTermLine]):
    """Written with the terms, because only the whole list adds up."""


@service(CashRounding)
class CashRoundingService(RecordService[CashRounding]):
    """The one writer of cash roundings."""

    def validate(self, records: Sequence[CashRounding], actor: Actor) -> None:
        names = ("profit_account", "loss_account")
        held = Account.objects.in_bulk({getattr(r, f"{n}_id") for r in records for n in names} - {None})
        for row in records:
            for name in names:
                account = held.get(getattr(row, f"{name}_id"))
                if account is not None and not account.is_result:
                    raise ValidationFailed(fields={name: [_("Choose an account of income or expenses.")]})


# ----------------------------------------------------------------------------------------------------------- partners
@service(PartnerTerms)
class PartnerTermsService(RecordService[PartnerTerms]):
    """The one writer of what was agreed with partners."""

    def prepare_update(self, records: Sequence[PartnerTerms], values: Values, actor: Actor) -> None:
        for name in ("partner", "company"):
            if name in values and any(getattr(r, f"{name}_id") != pk_of(values[name]) for r in records):
                raise ValidationFailed(fields={name: [_("It is fixed; make new terms instead.")]})

    def validate(self, records: Sequence[PartnerTerms], actor: Actor) -> None:
        types = {
            "receivable_account": AccountType.ASSET_RECEIVABLE,
            "payable_account": AccountType.LIABILITY_PAYABLE,
        }
        held = Account.objects.in_bulk({getattr(r, f"{n}_id") for r in records for n in types} - {None})
        for row in records:
            for name, type_ in types.items():
                account = held.get(getattr(row, f"{name}_id"))
                if account is not None and account.type != type_:
                    text = _("Choose an account of type “%(type)s”.") % {"type": type_.label}
                    raise ValidationFailed(fields={name: [text]})
