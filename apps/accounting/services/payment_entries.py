"""The entry of a payment: money put aside for the bank statement, against a receivable or payable.

A payment has an entry when its method names an outstanding account, or, without a method, the company does. Received:
debit outstanding, credit receivable. Further lines (write-offs, early discounts) stand between the two: the receivable takes
what they leave. Amounts are converted at the rate of the payment's day, each by itself; the receivable balances.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.compute.numbering import NumberDateMismatch, check_date, detect
from apps.accounting.constants import Direction, EntryOrigin, SeriesKind
from apps.accounting.models import (
    AccountingSettings,
    Journal,
    JournalEntry,
    NumberSeries,
    Payment,
    PaymentMethodLine,
)
from apps.accounting.selectors.setup import settings_of_many
from apps.accounting.selectors.setup_memory import SetupMemory
from apps.accounting.services.ledger import EntrySpec, ItemSpec
from apps.contacts.models import Partner
from apps.contacts.selectors.rates import rates_on_days
from apps.core.models import Currency
from apps.core.money import convert

ZERO = Decimal(0)


@dataclass(slots=True)
class ExtraLine:
    """A line beside money and receivable. ``amount`` is signed (debit positive) and in the payment's currency."""

    account_pk: int
    amount: Decimal
    name: str = ""
    kind: str = "product"
    tax_pk: int | None = None
    repartition_pk: int | None = None
    tax_base: Decimal = ZERO  # in the payment's currency
    tax_pks: Sequence[int] = ()
    tag_pks: Sequence[int] = ()


@dataclass(slots=True)
class PaymentSetup:
    """What the entries of some payments are made with; read once for all of them."""

    settings: dict[int, AccountingSettings]
    journals: dict[int, Journal]
    methods: dict[int, PaymentMethodLine]
    currencies: dict[int, Currency]
    entities: dict[int, int | None]
    rates: dict[tuple[int, int, datetime.date], Decimal] = field(default_factory=dict)
    earlier: dict[int, JournalEntry] = field(default_factory=dict)
    series: dict[int, NumberSeries] = field(default_factory=dict)
    #: The set-up as the transaction sees it, for callers who asked for it.
    memory: SetupMemory | None = None

    def company_currency(self, company_pk: int) -> Currency:
        return self.settings[company_pk].company.currency


def read_setup(payments: Sequence[Payment]) -> PaymentSetup:
    """Six statements, whatever the number of payments; one more for foreign money, two for numbers given earlier."""
    companies = {payment.company_id for payment in payments}
    setup = PaymentSetup(
        settings=settings_of_many(companies),
        journals=Journal.objects.in_bulk({payment.journal_id for payment in payments}),
        methods=PaymentMethodLine.objects.select_related("outstanding_account").in_bulk(
            {p.method_line_id for p in payments} - {None}
        ),
        currencies=Currency.objects.in_bulk({payment.currency_id for payment in payments}),
        entities=dict(
            Partner.objects.filter(
                pk__in={p.partner_id for p in payments if p.partner_id is not None}
            ).values_list("pk", "commercial_entity_id")
        ),
    )
    for company_pk in companies:
        company: Company = setup.settings[company_pk].company
        days = rates_on_days(
            {
                (setup.currencies[p.currency_id], p.date)
                for p in payments
                if p.company_id == company_pk and p.currency_id != company.currency_id
            },
            company,
        )
        for (currency_pk, day), rate in days.items():
            setup.rates[company_pk, currency_pk, day] = rate
    numbered = [payment.pk for payment in payments if payment.number]
    if numbered:
        for entry in JournalEntry.objects.filter(payment__in=numbered, revision=0).order_by("pk"):
            setup.earlier[entry.payment_id] = entry  # type: ignore[index]
        setup.series = NumberSeries.objects.in_bulk({e.series_id for e in setup.earlier.values()})  # type: ignore[arg-type]
    return setup


def outstanding_account(payment: Payment, setup: PaymentSetup) -> int | None:
    """Where the money waits for the bank statement; ``None`` makes the payment a promise without an entry."""
    if payment.method_line_id is not None:
        return setup.methods[payment.method_line_id].outstanding_account_id
    settings = setup.settings[payment.company_id]
    if payment.direction == Direction.INBOUND:
        return settings.outstanding_receipts_account_id
    return settings.outstanding_payments_account_id


def entry_spec(
    payment: Payment, account_pk: int, setup: PaymentSetup, extras: Sequence[ExtraLine] = ()
) -> EntrySpec:
    """The entry of a payment. Items: money, counterpart, then the further lines."""
    journal = setup.journals[payment.journal_id]
    sign = 1 if payment.direction == Direction.INBOUND else -1
    label = payment.memo or payment.reference or _("Payment")
    partner_pk = setup.entities.get(payment.partner_id) if payment.partner_id else None
    money = _item(account_pk, sign * payment.amount, payment, setup, label, partner_pk)
    others = []
    for extra in extras:
        item = _item(extra.account_pk, extra.amount, payment, setup, extra.name or label, partner_pk)
        item.kind = extra.kind
        item.tax_pk, item.repartition_pk = extra.tax_pk, extra.repartition_pk
        item.tax_base_amount = in_company(extra.tax_base, payment, setup)
        item.tax_pks, item.tag_pks = extra.tax_pks, extra.tag_pks
        others.append(item)
    assert payment.counterpart_account_id is not None  # checked before
    counterpart = ItemSpec(
        payment.counterpart_account_id,
        -sum((item.balance for item in others), money.balance),
        payment.currency_id,
        -sum((item.amount_currency for item in others), money.amount_currency),
        partner_pk=partner_pk,
        name=label,
        date_maturity=payment.date,
    )
    earlier = _number_kept(payment, setup)
    return EntrySpec(
        journal=journal,
        date=payment.date,
        items=[money, counterpart, *others],
        company_pk=payment.company_id,
        currency_pk=payment.currency_id,
        origin=EntryOrigin.PAYMENT.value,
        kind=(SeriesKind.PAYMENT if journal.payment_series else SeriesKind.ENTRY).value,
        reference=payment.memo or payment.reference,
        partner_pk=partner_pk,
        payment_pk=payment.pk,
        series=setup.series[earlier.series_id] if earlier else None,  # type: ignore[index]
        series_number=earlier.series_number if earlier else None,
    )


def write_off_spec(
    payment: Payment, journal: Journal, setup: PaymentSetup, extras: Sequence[ExtraLine]
) -> EntrySpec:
    """The further lines of a promise, which has no entry that they could stand in. Items: counterpart, lines."""
    spec = entry_spec(payment, payment.counterpart_account_id or 0, setup, extras)
    _money, counterpart, *others = spec.items
    counterpart.balance = -sum((item.balance for item in others), ZERO)
    counterpart.amount_currency = -sum((item.amount_currency for item in others), ZERO)
    spec.items = [counterpart, *others]
    spec.journal, spec.kind, spec.origin = journal, SeriesKind.ENTRY.value, EntryOrigin.WRITE_OFF.value
    spec.payment_pk = spec.series = spec.series_number = None
    return spec


def in_company(amount: Decimal, payment: Payment, setup: PaymentSetup) -> Decimal:
    """An amount of the payment's currency in the company's, at the rate of the payment's day."""
    own = setup.company_currency(payment.company_id)
    if payment.currency_id == own.pk or not amount:
        return amount
    rate = setup.rates[payment.company_id, payment.currency_id, payment.date]
    return convert(amount, rate_from=rate, rate_to=1, target_currency=own)


def _item(
    account_pk: int,
    amount: Decimal,
    payment: Payment,
    setup: PaymentSetup,
    label: str,
    partner_pk: int | None,
) -> ItemSpec:
    return ItemSpec(
        account_pk,
        in_company(amount, payment, setup),
        payment.currency_id,
        amount,
        partner_pk=partner_pk,
        name=label,
    )


def _number_kept(payment: Payment, setup: PaymentSetup) -> JournalEntry | None:
    """The entry whose number a payment keeps when it is confirmed again: of its journal, in a period that holds its date."""
    earlier = setup.earlier.get(payment.pk)
    if earlier is None or earlier.journal_id != payment.journal_id:
        return None
    settings = setup.settings[payment.company_id]
    end = (settings.fiscal_year_last_month, settings.fiscal_year_last_day)
    try:
        check_date(detect(earlier.number, fiscal_year_end=end), earlier.number, payment.date)
    except NumberDateMismatch:
        return None
    return earlier
