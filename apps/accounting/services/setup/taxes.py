"""Writing taxes with their shares, tax groups and boxes of the return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.accounting.compute.tax_shares import Share, faults_of_shares
from apps.accounting.constants import RESULT_TYPES, Exigibility, TaxAmountType, TaxUse
from apps.accounting.errors import AccountInUse
from apps.accounting.models import (
    Account,
    AccountingSettings,
    InvoiceLine,
    JournalItem,
    Tax,
    TaxRepartition,
    TaxTag,
)
from apps.accounting.selectors.setup import settings_of_many
from apps.accounting.services.setup.accounts import trees_of
from apps.accounting.services.setup.parts import OwnerService, PartList, PartService
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service

AMOUNT_DECIMALS = 4


@service(Tax)
class TaxService(OwnerService[Tax]):
    """The one writer of taxes. ``repartition`` is the list of bases and shares for invoices and credit notes; left out, all of
    a new tax stays on the account of the line. Once posted documents carry a tax, PostgreSQL refuses another computation."""

    parts = {
        "repartition": PartList(
            TaxRepartition,
            "tax",
            ("document", "kind", "percent", "account", "tags", "in_closing", "sequence"),
            within="document",
        )
    }

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        settings = settings_of_many({pk_of(row["company"]) for row in rows if row.get("company")})
        for row in rows:
            company = pk_of(row.get("company"))
            if "country" not in row and company in settings:
                row["country"] = settings[company].fiscal_country_id
            if row.get("amount_type") == TaxAmountType.GROUP:
                row.setdefault("amount", 0)

    def prepare_update(self, records: Sequence[Tax], values: Values, actor: Actor) -> None:
        if "company" in values and any(r.company_id != pk_of(values["company"]) for r in records):
            raise ValidationFailed(fields={"company": [_("A tax stays in its company.")]})
        if values.get("active") is False:
            named = AccountingSettings.objects.filter(
                Q(sale_tax__in=records) | Q(purchase_tax__in=records)
            ).first()
            if named is not None:
                raise ValidationFailed(
                    fields={
                        "active": [_("It is a default tax of the settings; choose another one there first.")]
                    }
                )
        if "children" in values:
            self._check_children_fixed(records, {pk_of(child) for child in values["children"] or ()})

    def _check_children_fixed(self, records: Sequence[Tax], wanted: set[Any]) -> None:
        held: dict[int, set[int]] = {tax.pk: set() for tax in records}
        links = Tax.children.through.objects.filter(from_tax__in=held).values_list("from_tax_id", "to_tax_id")
        for owner, child in links:
            held[owner].add(child)
        for tax in records:
            if held[tax.pk] != wanted and _is_used(tax.pk):
                text = _("Tax %(tax)s stands on posted documents; make a new tax instead of changing it.")
                raise ValidationFailed(fields={"children": [text % {"tax": tax.name}]})

    def default_parts(self, record: Tax, name: str) -> list[Values]:
        if record.amount_type == TaxAmountType.GROUP:
            return []
        kinds = TaxRepartition.Kind
        return [
            {"document": document, "kind": kind}
            for document in TaxRepartition.Document.values
            for kind in (kinds.BASE, kinds.TAX)
        ]

    def validate(self, records: Sequence[Tax], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        transitions = Account.objects.in_bulk({tax.transition_account_id for tax in records} - {None})
        for tax in records:
            account = transitions.get(tax.transition_account_id)
            if tax.exigibility == Exigibility.PAYMENT and account is not None and not account.reconcile:
                errors["transition_account"] = [
                    _("Items of account %(account)s are not matched; switch that on at the account first.")
                    % {"account": account.code}
                ]
            if tax.amount != round(tax.amount, AMOUNT_DECIMALS):
                errors["amount"] = [_("At most %(places)d decimals.") % {"places": AMOUNT_DECIMALS}]
            if tax.amount_type == TaxAmountType.PERCENT and tax.amount <= -100:
                errors["amount"] = [_("A tax cannot take back all of the price or more.")]
            if tax.amount_type == TaxAmountType.GROUP:
                if tax.amount:
                    errors["amount"] = [_("A group has no amount of its own; its taxes have.")]
                if tax.exigibility == Exigibility.PAYMENT:
                    errors["exigibility"] = [_("Set it at the taxes of the group.")]
        if errors:
            raise ValidationFailed(fields=errors)
        self._check_tree(records)

    def _check_tree(self, records: Sequence[Tax]) -> None:
        """One name a use, scope and country in the whole tree of companies."""
        trees = trees_of({tax.company_id for tax in records})
        shared = [tax for tax in records if len(trees[tax.company_id]) > 1]
        if not shared:
            return
        trees_of({tax.company_id for tax in shared}, lock=True)
        companies = frozenset().union(*(trees[tax.company_id] for tax in shared))
        held = Tax.objects.filter(company__in=companies, name__in=[tax.name for tax in shared])
        for other in held:
            for tax in shared:
                if (
                    other.pk != tax.pk
                    and other.company_id in trees[tax.company_id]
                    and (other.name, other.use, other.scope, other.country_id)
                    == (tax.name, tax.use, tax.scope, tax.country_id)
                ):
                    text = _("There is a tax of this name, use and country already.")
                    raise ValidationFailed(fields={"name": [text]}, code="duplicate")

    def check_parts(self, records: Sequence[Tax], actor: Actor) -> None:
        _check_children(records)
        rows: dict[int, list[TaxRepartition]] = {tax.pk: [] for tax in records}
        for row in TaxRepartition.objects.filter(tax__in=rows).order_by("tax_id", "sequence", "pk"):
            rows[row.tax_id].append(row)
        for tax in records:
            shares = rows[tax.pk]
            if tax.amount_type == TaxAmountType.GROUP:
                if shares:
                    text = _("A group has no shares of its own; its taxes have.")
                    raise ValidationFailed(fields={"repartition": [text]})
                continue
            lists = [
                [Share(row.kind, row.percent) for row in shares if row.document == document]
                for document in TaxRepartition.Document.values
            ]
            faults = faults_of_shares(*lists)
            if faults:
                raise ValidationFailed(fields={"repartition": faults})

    def _write_parts(
        self,
        name: str,
        records: Sequence[Tax],
        wanted: Mapping[Any, Sequence[Mapping[str, Any]]],
        actor: Actor,
        *,
        many: bool,
    ) -> None:
        if name == "repartition":
            own = {pk: [dict(item) for item in items] for pk, items in wanted.items()}
            _settle_closing([item for items in own.values() for item in items])
            wanted = own
        super()._write_parts(name, records, wanted, actor, many=many)

    def before_delete(self, records: Sequence[Tax], actor: Actor) -> None:
        pks = [tax.pk for tax in records]
        through = InvoiceLine.taxes.through
        used = set(through.objects.filter(tax__in=pks).values_list("tax_id", flat=True).distinct())
        items = JournalItem.objects.filter(company__in={tax.company_id for tax in records})
        for tax in records:
            # Items name the taxes of their base in an array, which no foreign key guards.
            if tax.pk in used or items.filter(Q(tax=tax.pk) | Q(tax_pks__contains=[tax.pk])).exists():
                raise AccountInUse(
                    _("Tax %(tax)s stands on documents and stays. Archive it instead.") % {"tax": tax.name}
                )


def _settle_closing(items: Sequence[dict[str, Any]]) -> None:
    """A share is settled by the tax return unless said otherwise when its account is neither income nor expense."""
    open_ = [i for i in items if "in_closing" not in i and i.get("id") is None and i.get("account")]
    types = dict(
        Account.objects.filter(pk__in={pk_of(item["account"]) for item in open_}).values_list("pk", "type")
    )
    for item in open_:
        item["in_closing"] = types.get(pk_of(item["account"])) not in RESULT_TYPES


def _check_children(records: Sequence[Tax]) -> None:
    """Groups have taxes that are no groups, of their own use or none; others have no children."""
    owners = {tax.pk: tax for tax in records}
    children: dict[int, list[Tax]] = {pk: [] for pk in owners}
    links = Tax.children.through.objects.filter(from_tax__in=owners).select_related("to_tax")
    for link in links:
        children[link.from_tax_id].append(link.to_tax)
    trees = trees_of({tax.company_id for tax in records})
    for pk, tax in owners.items():
        held = children[pk]
        fault = ""
        if tax.amount_type != TaxAmountType.GROUP:
            fault = _("Only a group of taxes has taxes inside.") if held else ""
        elif not held:
            fault = _("A group needs at least one tax.")
        elif any(child.amount_type == TaxAmountType.GROUP for child in held):
            fault = _("A group cannot hold another group.")
        elif any(child.use not in (tax.use, TaxUse.NONE) for child in held):
            fault = _("Taxes of a group have the use of the group, or none of their own.")
        elif any(child.company_id not in trees[tax.company_id] for child in held):
            fault = _("A tax of the group belongs to another company.")
        if fault:
            raise ValidationFailed(fields={"children": [fault]})
    nested = Tax.children.through.objects.filter(
        to_tax__in=[tax.pk for tax in records if tax.amount_type == TaxAmountType.GROUP]
    )
    if nested.exists():
        raise ValidationFailed(
            fields={"amount_type": [_("The tax is part of a group; it cannot become one.")]}
        )
    parents = Tax.children.through.objects.filter(to_tax__in=owners).select_related("from_tax")
    for link in parents:
        child = owners[link.to_tax_id]
        if child.use not in (link.from_tax.use, TaxUse.NONE):
            text = _("The tax is part of group “%(group)s”, which has another use.")
            raise ValidationFailed(fields={"use": [text % {"group": link.from_tax.name}]})


def _is_used(tax_pk: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT accounting_tax_used(%s)", [tax_pk])
        return bool(cursor.fetchone()[0])


@service(TaxRepartition)
class TaxRepartitionService(PartService[TaxRepartition]):
    """Shares are written with their tax, because only the whole list makes sense."""


@service(TaxTag)
class TaxTagService(RecordService[TaxTag]):
    """The one writer of boxes of the return."""

    def prepare_update(self, records: Sequence[TaxTag], values: Values, actor: Actor) -> None:
        if {"country", "grid", "sign"} & set(values):
            self._check_unused(
                [
                    tag
                    for tag in records
                    if any(
                        name in values
                        and getattr(tag, f"{name}_id" if name == "country" else name) != pk_of(values[name])
                        for name in ("country", "grid", "sign")
                    )
                ]
            )

    def before_delete(self, records: Sequence[TaxTag], actor: Actor) -> None:
        self._check_unused(records)

    def _check_unused(self, tags: Sequence[TaxTag]) -> None:
        pks = [tag.pk for tag in tags]
        if not pks:
            return
        links = TaxRepartition.tags.through.objects.filter(taxtag__in=pks)
        if links.exists() or JournalItem.objects.filter(tag_pks__overlap=pks).exists():
            raise AccountInUse(
                _("Taxes or items of the books name this box; it stays as it is."),
            )
