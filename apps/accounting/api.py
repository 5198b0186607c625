"""REST: ``accounting/invoices``, ``journal-entries``, ``journal-items``, ``payments``, and how the books are set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import Q
from django.utils import timezone

from apps.access.models import Company
from apps.accounting import bank_api, report_api  # noqa: F401 - they declare the bank and the reports
from apps.accounting.constants import PURCHASE_TYPES, SALE_TYPES, EntryState
from apps.accounting.models import (
    Account,
    AccountGroup,
    AccountingSettings,
    CashRounding,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    FiscalYear,
    Incoterm,
    Invoice,
    InvoiceLine,
    Journal,
    JournalEntry,
    JournalItem,
    LedgerGroup,
    LockException,
    PartialMatch,
    Payment,
    PaymentMethodLine,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxGroup,
    TaxRepartition,
    TaxTag,
)
from apps.accounting.selectors.invoices import warnings_of
from apps.accounting.selectors.payments import warnings_of as payment_warnings_of
from apps.accounting.services.charts import available_charts, charts_for
from apps.api.base import (
    CREATE,
    DELETE,
    DETAIL,
    LIST,
    READ_ONLY,
    UPDATE,
    Computed,
    Filter,
    Input,
    NestedSpec,
    Resource,
    endpoint,
    resource,
)
from apps.core.actor import Actor
from apps.core.rules import visible

OWN_CURRENCY = "company__currency"
NO_PRODUCTS = "Always null: products come with their own module."


def _either(value: bool, condition: Q) -> Q:
    return condition if value else ~condition


# ---------------------------------------------------------------------------------------------------------- set-up
@resource("accounting/accounts")
class AccountResource(Resource):
    """Accounts of the ledger. An account with items is deprecated, never deleted."""

    model = Account
    exclude = ("template_key",)
    detail_only = ("note",)


@resource("accounting/account-groups")
class AccountGroupResource(Resource):
    """Headings of the chart, by ranges of code prefixes."""

    model = AccountGroup


@resource("accounting/journals")
class JournalResource(Resource):
    """Journals with their ways to pay."""

    model = Journal
    exclude = ("template_key", "import_mapping")
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "payment_methods": NestedSpec(
            PaymentMethodLine,
            link="journal",
            fields=(
                "direction",
                "code",
                "name",
                "outstanding_account",
                "sequence",
                "next_check_number",
                "check_layout",
                "check_preprinted",
                "check_overflow",
                "active",
            ),
            ordering=("direction", "sequence", "pk"),
        ),
    }


@resource("accounting/ledger-groups")
class LedgerGroupResource(Resource):
    """Sets of journals that a second view of the books leaves out."""

    model = LedgerGroup


@resource("accounting/tax-groups")
class TaxGroupResource(Resource):
    """Taxes that documents sum up in one row."""

    model = TaxGroup
    exclude = ("template_key",)


@resource("accounting/tax-tags")
class TaxTagResource(Resource):
    """Boxes of tax returns."""

    model = TaxTag


@resource("accounting/taxes")
class TaxResource(Resource):
    """Taxes with their shares. A tax on posted documents keeps its amount: make a new one instead."""

    model = Tax
    exclude = ("template_key",)
    detail_only = ("legal_note",)
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "repartition": NestedSpec(
            TaxRepartition,
            link="tax",
            fields=("document", "kind", "percent", "account", "tags", "in_closing", "sequence"),
            ordering=("document", "kind", "sequence", "pk"),
            writes="service",
            help="Shares for invoices and for credit notes; left out: all of the amount, on the line's account.",
        ),
    }


@resource("accounting/fiscal-positions")
class FiscalPositionResource(Resource):
    """What replaces taxes and accounts for some partners."""

    model = FiscalPosition
    exclude = ("template_key",)
    detail_only = ("note",)
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "tax_map": NestedSpec(
            FiscalPositionTax, link="position", fields=("source", "target"), writes="service"
        ),
        "account_map": NestedSpec(
            FiscalPositionAccount, link="position", fields=("source", "target"), writes="service"
        ),
    }


@resource("accounting/payment-terms")
class PaymentTermResource(Resource):
    """Payment terms with their parts."""

    model = PaymentTerm
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "lines": NestedSpec(
            PaymentTermLine,
            link="term",
            fields=("value", "amount", "days", "delay", "day", "sequence"),
            ordering=("sequence", "pk"),
            writes="service",
        ),
    }


@resource("accounting/cash-roundings")
class CashRoundingResource(Resource):
    """How totals are rounded to coins."""

    model = CashRounding


@resource("accounting/incoterms")
class IncotermResource(Resource):
    """Trade terms."""

    model = Incoterm


@resource("accounting/settings")
class AccountingSettingsResource(Resource):
    """How each company keeps its books: made once a company, and never deleted. What is left out begins as it is for the
    parent. Lock dates, charts and opening balances are set by actions."""

    model = AccountingSettings
    operations = (LIST, DETAIL, CREATE, UPDATE)
    currency = OWN_CURRENCY


@endpoint(
    "accounting/charts",
    model="accounting.AccountingSettings",
    summary="Charts of accounts",
)
def charts(request: Any) -> dict[str, Any]:
    """The charts that the action `install_chart` of settings takes, those of the company's country first."""
    company = Company.objects.select_related("country").filter(pk=request.actor.company_pk).first()
    rows = charts_for(company) if company is not None else available_charts()
    return {
        "results": [
            {"key": row.key, "title": row.title, "country": row.country, "version": row.version}
            for row in rows
        ]
    }


@resource("accounting/fiscal-years")
class FiscalYearResource(Resource):
    """Fiscal years that differ from the usual one."""

    model = FiscalYear


@resource("accounting/lock-exceptions")
class LockExceptionResource(Resource):
    """Leave to post into a locked period."""

    model = LockException
    operations = (LIST, DETAIL, CREATE)


# ------------------------------------------------------------------------------------------------------- documents
def _overdue(value: bool, *, actor: Actor) -> Q:
    late = Q(state=EntryState.POSTED, due_date__lt=timezone.localdate()) & ~Q(residual_amount=0)
    return _either(value, late)


def _unpaid(value: bool, *, actor: Actor) -> Q:
    return _either(value, Q(state=EntryState.POSTED) & ~Q(residual_amount=0))


def _warnings(row: Mapping[str, Any], *, actor: Actor) -> list[dict[str, Any]]:
    """Drafts only: nothing is asked for a document that is booked."""
    if row["state"] != EntryState.DRAFT or not actor.is_internal:
        return []
    found = visible(Invoice, actor).select_related("partner").filter(pk=row["id"]).first()
    return [
        {
            "code": warning.code,
            "message": str(warning.text),
            "documents": list(warning.pks),
            "blocks": warning.blocks,
        }
        for warning in (warnings_of(found, actor) if found is not None else ())
    ]


@resource("accounting/invoices")
class InvoiceResource(Resource):
    """Customer invoices, vendor bills, credit notes and receipts with their lines.

    Amounts are in the document's currency. A line without ``taxes`` takes the default ones, ``[]`` means none; without
    ``account`` it takes the journal's. Posted documents change by actions only.
    """

    model = Invoice
    exclude = ("series", "auto_post_day", "posted_before")
    currencies: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("untaxed_company", "total_company", "residual_company"), OWN_CURRENCY
    )
    detail_only = ("narration", "tax_totals", "instalments", "partner_snapshot", "manual_taxes")
    computed: ClassVar[Mapping[str, Any]] = {
        "warnings": Computed(
            row=_warnings,
            needs=("state",),
            type=list,
            in_list=False,
            in_answers=False,
            help="of a draft, when it is read: what to look at before it is confirmed, such as a vendor's reference that is"
            " used already",
        ),
    }
    inputs: ClassVar[Mapping[str, Input]] = {
        "quick_total": Input(
            str,
            nullable=True,
            help="Total with tax, as a decimal string: one line is made whose price leads to exactly this total.",
        ),
    }
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "lines": NestedSpec(
            InvoiceLine,
            link="invoice",
            with_document=True,
            fields=(
                "sequence",
                "kind",
                "description",
                "product_code",
                "unit",
                "quantity",
                "unit_price",
                "discount",
                "account",
                "taxes",
                "subtotal",
                "total",
            ),
            inputs={"product": Input(int, nullable=True, help=NO_PRODUCTS)},
            ordering=("sequence", "pk"),
            writes="service",
            currency="invoice__currency",
        ),
    }
    filters: ClassVar[Mapping[str, Any]] = {
        "overdue": Filter(apply=_overdue, type=bool),
        "unpaid": Filter(apply=_unpaid, type=bool),
        "sales": Filter(
            apply=lambda value, *, actor: _either(value, Q(type__in=sorted(SALE_TYPES))), type=bool
        ),
        "purchases": Filter(
            apply=lambda value, *, actor: _either(value, Q(type__in=sorted(PURCHASE_TYPES))), type=bool
        ),
    }
    portal_fields = (
        "id",
        "version",
        "type",
        "state",
        "payment_state",
        "number",
        "date",
        "due_date",
        "delivery_date",
        "currency",
        "untaxed_amount",
        "tax_amount",
        "total_amount",
        "residual_amount",
        "reference",
        "payment_reference",
        "narration",
        "partner",
        "company",
        "lines",
    )


IN_COMPANY_CURRENCY: Mapping[str, str] = dict.fromkeys(
    ("debit", "credit", "balance", "residual", "tax_base_amount"), OWN_CURRENCY
)
ITEM_FIELDS = (
    "position",
    "account",
    "partner",
    "name",
    "debit",
    "credit",
    "currency",
    "amount_currency",
    "date_maturity",
    "quantity",
    "kind",
    "tax",
    "tax_repartition",
    "tax_pks",
    "tag_pks",
    "tax_base_amount",
    "residual",
    "residual_currency",
    "matching_number",
)


def _taxes_of(row: Mapping[str, Any], *, actor: Actor) -> list[int]:
    return list(row["tax_pks"])


@resource("accounting/journal-entries")
class JournalEntryResource(Resource):
    """Entries of the ledger. Those made by hand are drafts until posted; posted ones are reversed, never changed.

    Items with ``taxes`` get their tax items when the entry does not balance without them.
    """

    model = JournalEntry
    exclude = ("series",)
    inputs: ClassVar[Mapping[str, Input]] = {
        "compute_taxes": Input(
            bool,
            nullable=True,
            help="true: the tax items are made anew from the items with taxes; false: none are made.",
        ),
    }
    detail_only = ("narration",)
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "items": NestedSpec(
            JournalItem,
            link="entry",
            fields=ITEM_FIELDS,
            read_only=("position", "kind", "tax_pks", "tag_pks"),
            computed={"taxes": Computed(row=_taxes_of, needs=("tax_pks",), type=list)},
            inputs={
                "taxes": Input(Tax, many=True, nullable=True, help="Taxes whose base the item is."),
                "matching_number": Input(
                    str, nullable=True, help="“I…”: posted items of an account with the same one are matched."
                ),
            },
            ordering=("position", "pk"),
            writes="service",
            currencies=IN_COMPANY_CURRENCY,
        ),
    }


@resource("accounting/journal-items")
class JournalItemResource(Resource):
    """Items of entries. They are written with their entry; actions match them."""

    model = JournalItem
    operations = READ_ONLY
    fields = (
        "id",
        "entry",
        "company",
        "journal",
        "date",
        "posted",
        *ITEM_FIELDS,
        "balance",
        "discount_date",
        "full_match",
    )
    currencies = IN_COMPANY_CURRENCY
    filters: ClassVar[Mapping[str, Any]] = {
        "open": Filter(
            apply=lambda value, *, actor: _either(
                value, Q(posted=True) & ~Q(residual=0, residual_currency=0)
            ),
            type=bool,
        ),
        "account_type": Filter(path="account__type", type=str),
        "account_types": Filter(
            apply=lambda value, *, actor: Q(account__type__in=value.split(",")),
            type=str,
            help="several, separated by commas",
        ),
    }


@resource("accounting/matches")
class PartialMatchResource(Resource):
    """What settled what. Made by payments and by the action ``reconcile`` of journal items; deleting one undoes it, with the
    exchange difference and the taxes that it made."""

    model = PartialMatch
    operations = (*READ_ONLY, DELETE)
    currencies: ClassVar[Mapping[str, str]] = {
        "amount": OWN_CURRENCY,
        "debit_amount_currency": "debit_item__currency",
        "credit_amount_currency": "credit_item__currency",
    }


def _payment_warnings(pks: Sequence[int], *, actor: Actor) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {pk: [] for pk in pks}
    for warning in payment_warnings_of(list(visible(Payment, actor).filter(pk__in=pks)), actor):
        found[warning.payment_pk].append({"code": warning.code, "message": str(warning.text)})
    return found


@resource("accounting/payments")
class PaymentResource(Resource):
    """Payments received and sent. ``idempotency_key`` makes a second booking of one payment impossible."""

    model = Payment
    computed: ClassVar[Mapping[str, Any]] = {
        "warnings": Computed(
            batch=_payment_warnings, type=list, in_list=False, help="such as a payment like it"
        ),
    }
