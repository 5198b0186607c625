"""Entries and documents for the tests of matching and payments, booked straight into the ledger."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.accounting.constants import EntryOrigin, EntryState, InvoiceType, ItemKind
from apps.accounting.models import (
    Invoice,
    Journal,
    JournalEntry,
    JournalItem,
    PaymentTerm,
    Tax,
    TaxRepartition,
)
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.payment_state import refresh_invoices
from apps.contacts.models import Partner
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books, get_currency

DAY = datetime.date(2026, 3, 15)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def settled() -> None:
    """Run what PostgreSQL checks at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


Amounts = tuple[Any, str] | tuple[Any, str, str]  # account, balance[, amount in currency]


def book(
    books: Books,
    journal: Journal,
    date: datetime.date | str,
    *lines: Amounts,
    currency: str | None = None,
    partner: Partner | None = None,
    origin: str = EntryOrigin.MANUAL,
    **more: Any,
) -> list[JournalItem]:
    """Post an entry of (account, balance, amount in currency) lines; answers its items in their order."""
    money = get_currency(currency) if currency else books.currency
    spec = EntrySpec(
        journal=journal,
        date=day(date) if isinstance(date, str) else date,
        company_pk=books.company.pk,
        currency_pk=money.pk,
        origin=origin,
        partner_pk=partner.pk if partner else None,
        items=[
            ItemSpec(
                line[0].pk,
                Decimal(line[1]),
                money.pk,
                Decimal(line[2] if len(line) > 2 else line[1]),
                partner_pk=partner.pk if partner else None,
            )
            for line in lines
        ],
        **more,
    )
    with unit_of_work(books.system):
        entry = post_entries([spec], actor=books.system)[0]
    return items_of(entry)


def items_of(entry: JournalEntry) -> list[JournalItem]:
    return list(JournalItem.objects.filter(entry=entry).order_by("position"))


def fresh(item: Any) -> Any:
    return type(item).objects.get(pk=item.pk)


def lefts(*items: JournalItem) -> list[tuple[str, str]]:
    """What is open on items: (company, own currency) as text."""
    rows = JournalItem.objects.in_bulk([item.pk for item in items])
    return [(f"{rows[i.pk].residual:.2f}", f"{rows[i.pk].residual_currency:.2f}") for i in items]


def lines_of(entry: JournalEntry) -> list[tuple[str, str, str, str]]:
    """(account code, debit, credit, amount in currency) of an entry's items in their order."""
    rows = JournalItem.objects.filter(entry=entry).select_related("account").order_by("position")
    return [
        (row.account.code, f"{row.debit:.2f}", f"{row.credit:.2f}", f"{row.amount_currency:.2f}")
        for row in rows
    ]


def account_balance(books: Books, account: Any) -> Decimal:
    rows = JournalItem.objects.filter(account=account, posted=True).values_list("debit", "credit")
    return sum((debit - credit for debit, credit in rows), Decimal(0))


SIGN = {
    InvoiceType.CUSTOMER_INVOICE: 1,
    InvoiceType.CUSTOMER_CREDIT_NOTE: -1,
    InvoiceType.VENDOR_BILL: -1,
    InvoiceType.VENDOR_CREDIT_NOTE: 1,
}


def make_invoices(
    books: Books,
    partner: Partner,
    number: int = 1,
    *,
    untaxed: str = "100.00",
    plain: str = "0",
    tax: Tax | None = None,
    tax_amount: str = "0",
    date: datetime.date = DAY,
    due: Sequence[tuple[datetime.date, str]] = (),
    kind: str = InvoiceType.CUSTOMER_INVOICE,
    currency: str | None = None,
    rate: str = "1",
    discount: tuple[datetime.date, str] | None = None,
    term: PaymentTerm | None = None,
    **fields: Any,
) -> list[Invoice]:
    """Posted documents of one line, all alike: entry, totals and number, as posting makes them.

    ``plain`` is a second line without tax; ``due``: (date, amount) of instalments instead of one; ``discount``: (until, amount that settles it).
    """
    money = get_currency(currency) if currency else books.currency
    sign = SIGN[InvoiceType(kind)]
    sale = kind in (InvoiceType.CUSTOMER_INVOICE, InvoiceType.CUSTOMER_CREDIT_NOTE)
    net, vat, more = Decimal(untaxed), Decimal(tax_amount), Decimal(plain)
    total = net + more + vat
    journal = books.journals.sale if sale else books.journals.purchase
    entity = partner.commercial_entity
    invoices = Invoice.objects.bulk_create(
        Invoice(
            company=books.company,
            type=kind,
            journal=journal,
            partner=partner,
            commercial_partner=entity,
            date=date,
            accounting_date=date,
            due_date=due[-1][0] if due else date,
            currency=money,
            rate=Decimal(rate),
            payment_term=term,
            untaxed_amount=net + more,
            tax_amount=vat,
            total_amount=total,
            residual_amount=total,
            **fields,
        )
        for _n in range(number)
    )
    specs = [_spec(books, row, money, sign, sale, due, discount, tax, more) for row in invoices]
    with unit_of_work(books.system):
        entries = post_entries(specs, actor=books.system)
        for row, entry in zip(invoices, entries, strict=True):
            row.journal_entry, row.number, row.state = entry, entry.number, EntryState.POSTED
            row.series_id, row.series_number = entry.series_id, entry.series_number
        Invoice.objects.bulk_update(invoices, ["journal_entry", "number", "state", "series", "series_number"])
        refresh_invoices([row.pk for row in invoices], actor=books.system, records=invoices)
    settled()
    return invoices


def _company(amount: Decimal, rate: Decimal) -> Decimal:
    return (amount / rate).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")


def _spec(
    books: Books,
    row: Invoice,
    money: Any,
    sign: int,
    sale: bool,
    due: Sequence[tuple[datetime.date, str]],
    discount: tuple[datetime.date, str] | None,
    tax: Tax | None,
    plain: Decimal,
) -> EntrySpec:
    a = books.accounts
    partner_pk = row.commercial_partner_id
    taxed = row.untaxed_amount - plain
    net = _company(taxed, row.rate)
    vat = _company(row.tax_amount, row.rate)
    refund = row.type in (InvoiceType.CUSTOMER_CREDIT_NOTE, InvoiceType.VENDOR_CREDIT_NOTE)
    shares = _shares(tax, "refund" if refund else "invoice")
    on_payment = tax is not None and tax.exigibility == "payment"
    base = ItemSpec(
        (a.income if sale else a.expense).pk,
        -sign * net,
        money.pk,
        -sign * taxed,
        partner_pk=partner_pk,
        name="Work",
        tax_pks=[tax.pk] if tax else (),
        tag_pks=[] if on_payment or not tax else shares["base"],
    )
    items = [base]
    if plain:  # a line without tax
        account = a.income2 if sale else a.expense2
        balance = -sign * _company(plain, row.rate)
        items.append(ItemSpec(account.pk, balance, money.pk, -sign * plain, partner_pk=partner_pk))
    if tax and vat:
        items.append(
            ItemSpec(
                tax.transition_account_id if on_payment else shares["account"],
                -sign * vat,
                money.pk,
                -sign * row.tax_amount,
                partner_pk=partner_pk,
                name=tax.name,
                kind=ItemKind.TAX,
                tax_pk=tax.pk,
                repartition_pk=shares["pk"],
                tax_base_amount=net,
                tag_pks=[] if on_payment else shares["tax"],
            )
        )
    open_ = -sum((item.balance for item in items), Decimal(0))
    parts = [(d, Decimal(text)) for d, text in due] or [(row.due_date, row.total_amount)]
    for place, (date, amount) in enumerate(parts):
        balance = open_ if place == len(parts) - 1 else sign * _company(amount, row.rate)
        open_ -= balance
        items.append(
            ItemSpec(
                (a.receivable if sale else a.payable).pk,
                balance,
                money.pk,
                sign * amount,
                partner_pk=partner_pk,
                kind=ItemKind.PAYMENT_TERM,
                date_maturity=date,
                discount_date=discount[0] if discount else None,
                discount_amount_currency=sign * Decimal(discount[1]) if discount else None,
            )
        )
    return EntrySpec(
        journal=row.journal,
        date=row.accounting_date,
        items=items,
        company_pk=books.company.pk,
        currency_pk=money.pk,
        origin=EntryOrigin.INVOICE,
        kind="refund" if refund else "entry",
        partner_pk=partner_pk,
        invoice_pk=row.pk,
    )


def _shares(tax: Tax | None, document: str) -> dict[str, Any]:
    if tax is None:
        return {}
    rows = list(TaxRepartition.objects.filter(tax=tax, document=document).prefetch_related("tags"))
    base = next(row for row in rows if row.kind == "base")
    part = next(row for row in rows if row.kind == "tax")
    return {
        "base": [tag.pk for tag in base.tags.all()],
        "tax": [tag.pk for tag in part.tags.all()],
        "pk": part.pk,
        "account": part.account_id,
    }


def term_item(invoice: Invoice) -> JournalItem:
    return JournalItem.objects.get(entry=invoice.journal_entry, kind=ItemKind.PAYMENT_TERM)
