"""Demo data: the books of the two companies, with documents and payments in every state, and the people who keep them.

Noordlicht keeps Dutch books in euro, Harbor & Pine American ones in dollars. Days count from today, amounts never change.
``billing``, ``accountant``, ``adviser`` and ``auditor`` are logins with that role (each is its own password).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.utils import timezone

from apps.access.constants import UserKind
from apps.access.models import Company, User
from apps.access.services import create_user
from apps.accounting.constants import (
    ROLE_ACCOUNTANT,
    ROLE_ADVISER,
    ROLE_AUDITOR,
    ROLE_BILLING,
    Direction,
    InvoiceType,
    JournalType,
)
from apps.accounting.models import (
    Account,
    BankStatement,
    Invoice,
    Journal,
    JournalEntry,
    PartnerTerms,
    Payment,
    PaymentTerm,
    ReconcileRule,
)
from apps.accounting.selectors.setup import default_journal, required, settings_of
from apps.accounting.services.charts import install_chart
from apps.accounting.services.entry_posting import post_drafts
from apps.accounting.services.opening import set_opening_balances
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.register import register_payment
from apps.accounting.services.setup import settings_for
from apps.accounting.services.unposting import cancel_invoices
from apps.contacts.models import BankAccount, Partner
from apps.core.actor import Actor, system_actor
from apps.core.models import Country
from apps.core.records import service_for

EUROPE = "Noordlicht Instruments"
AMERICA = "Harbor & Pine"
CHARTS = {EUROPE: "nl", AMERICA: "us"}
# login, name, role, companies
STAFF = (
    ("billing", "Bram Visser", ROLE_BILLING, (EUROPE, AMERICA)),
    ("accountant", "Anouk Hendriks", ROLE_ACCOUNTANT, (EUROPE, AMERICA)),
    ("adviser", "Alastair Reid", ROLE_ADVISER, (EUROPE, AMERICA)),
    ("auditor", "Odette Laurent", ROLE_AUDITOR, (EUROPE, AMERICA)),
)
# name, company, country, city, tax id, IBAN
VENDORS = (
    ("Glaswerk Delft", EUROPE, "NL", "Delft", "", "NL91ABNA0417164300"),
    ("Sensortechnik Brandt GmbH", EUROPE, "DE", "Jena", "DE136695976", "DE89370400440532013000"),
    ("Kantoorhuis Utrecht", EUROPE, "NL", "Utrecht", "", ""),
    ("Cascade Freight Lines", AMERICA, "US", "Portland", "", ""),
)
TAX_IDS = {"Brouwerij De Haan": "BE0477472701"}
OWN_ACCOUNTS = {EUROPE: "NL20INGB0001234567", AMERICA: "4518 0072 2290"}
# role or type of account, balance at the beginning of the year (debit positive)
OPENING: dict[str, tuple[tuple[str, str], ...]] = {
    EUROPE: (("bank", "48200.00"), ("cash", "350.00"), ("asset_fixed", "61000.00"), ("equity", "-50000.00")),
    AMERICA: (("bank", "23750.00"), ("asset_fixed", "18400.00"), ("equity", "-30000.00")),
}
Line = tuple[str, str, str]  # description, quantity, unit price
# Documents: company, type, partner, days from today, lines, what became of it
# (draft, posted, paid, half: paid in part, cancelled), vendor's reference
DOCUMENTS: tuple[tuple[str, str, str, int, tuple[Line, ...], str, str], ...] = (
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Universitair Ziekenhuis Lelie",
        -75,
        (("Spectrometer NL-200", "1", "12400.00"), ("Installation on site", "6", "95.00")),
        "paid",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Universitair Ziekenhuis Lelie",
        -40,
        (("Calibration of two photometers", "2", "310.00"),),
        "half",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Brouwerij De Haan",
        -62,
        (("Colour sensor CS-4", "3", "1485.50"), ("Mounting kit", "3", "79.95")),
        "posted",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Färberei Lindner",
        -12,
        (("Colour sensor CS-4", "1", "1485.50"), ("Training, half a day", "1", "420.00")),
        "posted",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_CREDIT_NOTE,
        "Brouwerij De Haan",
        -20,
        (("Mounting kit returned", "1", "79.95"),),
        "posted",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Universitair Ziekenhuis Lelie",
        0,
        (("Laboratory benches, first part", "4", "2150.00"),),
        "draft",
        "",
    ),
    (
        EUROPE,
        InvoiceType.CUSTOMER_INVOICE,
        "Färberei Lindner",
        -5,
        (("Entered twice", "1", "420.00"),),
        "cancelled",
        "",
    ),
    (
        EUROPE,
        InvoiceType.VENDOR_BILL,
        "Glaswerk Delft",
        -58,
        (("Cuvettes, box of 100", "12", "64.20"),),
        "paid",
        "GD-26-0871",
    ),
    (
        EUROPE,
        InvoiceType.VENDOR_BILL,
        "Sensortechnik Brandt GmbH",
        -33,
        (("CMOS line sensors", "40", "38.75"), ("Freight", "1", "55.00")),
        "posted",
        "RE-2026-1187",
    ),
    (
        EUROPE,
        InvoiceType.VENDOR_BILL,
        "Kantoorhuis Utrecht",
        -3,
        (("Rent of the workshop", "1", "3200.00"),),
        "draft",
        "2026-1104",
    ),
    (
        AMERICA,
        InvoiceType.CUSTOMER_INVOICE,
        "Cascade Water Authority",
        -48,
        (("Quarterly service visit", "2", "860.00"),),
        "paid",
        "",
    ),
    (
        AMERICA,
        InvoiceType.CUSTOMER_INVOICE,
        "Cascade Water Authority",
        -15,
        (("pH probes", "8", "142.50"), ("Field technician, hours", "11", "98.00")),
        "posted",
        "",
    ),
    (
        AMERICA,
        InvoiceType.CUSTOMER_INVOICE,
        "Blue Heron Labs",
        -2,
        (("Spectrometer NL-200, used", "1", "7900.00"),),
        "draft",
        "",
    ),
    (
        AMERICA,
        InvoiceType.VENDOR_BILL,
        "Cascade Freight Lines",
        -27,
        (("Carriage Portland – Salem", "3", "118.00"),),
        "posted",
        "CFL-55120",
    ),
)
LOAD = {"m": 2_000, "l": 50_000}
BATCH = 1_000
LOAD_MARK = "LOAD"


def load(size: str, *, actor: Actor) -> None:
    """Charts, opening balances, documents, payments and staff; books that have documents are left as they are."""
    companies = {company.name: company for company in Company.objects.filter(name__in=CHARTS)}
    _staff(companies, actor)
    _partners(companies, actor)
    for name, company in companies.items():
        keeper = system_actor(company_pk=company.pk, name=actor.name, channel=actor.channel)
        if not settings_for(company, actor=keeper).chart:
            install_chart(company, CHARTS[name], actor=keeper, language="en")
            _own_bank_account(company, keeper)
            _terms(company, keeper)
        if not JournalEntry.objects.filter(company=company).exists():
            _opening(company, keeper)
            _documents(company, keeper)
            _depreciation(company, keeper)
            _statement(company, keeper)


def _today() -> datetime.date:
    """The day that the story counts from: today, but never before the first exchange rates."""
    return max(timezone.localdate(), datetime.date(2026, 4, 1))


def _staff(companies: dict[str, Company], actor: Actor) -> None:
    held = set(User.objects.filter(login__in=[row[0] for row in STAFF]).values_list("login", flat=True))
    for login, name, role, where in STAFF:
        if login in held:
            continue
        home = companies[where[0]]
        user = create_user(
            login,
            name=name,
            kind=UserKind.INTERNAL,
            email=f"{login}@noordlicht.example",
            company=home,
            companies=[companies[item].pk for item in where],
            roles=[role],
            timezone=home.timezone,
            actor=actor,
        )
        # Past the policy of passwords: demo data is refused in production.
        user.set_password(login)
        user.save(update_fields=["password"])


def _partners(companies: dict[str, Company], actor: Actor) -> None:
    for name, owner, country, city, tax_id, iban in VENDORS:
        if Partner.objects.filter(name=name, is_company=True).exists():
            continue
        partner = service_for(Partner).create_one(
            {
                "name": name,
                "is_company": True,
                "company": companies[owner],
                "country": Country.objects.get(code=country),
                "city": city,
                "tax_id": tax_id,
                "supplier_rank": 1,
            },
            actor=actor,
        )
        if iban:
            service_for(BankAccount).create_one({"partner": partner, "number": iban}, actor=actor)
    for name, tax_id in TAX_IDS.items():
        lacking = list(Partner.objects.filter(name=name, is_company=True, tax_id=""))
        if lacking:
            service_for(Partner).update(lacking, {"tax_id": tax_id}, actor=actor)


def _own_bank_account(company: Company, actor: Actor) -> None:
    account = service_for(BankAccount).create_one(
        {"partner": Partner.objects.get(represents=company), "number": OWN_ACCOUNTS[company.name]},
        actor=actor,
    )
    journal = Journal.objects.get(company=company, code="BNK1")
    service_for(Journal).update([journal], {"bank_account": account}, actor=actor)


def _terms(company: Company, actor: Actor) -> None:
    """What was agreed with some customers, and terms that reward paying early."""
    service_for(PaymentTerm).create_one(
        {
            "company": company,
            "name": "30 days, 2 % within 10",
            "note": "30 days; 2 % discount when paid within 10 days",
            "early_discount": True,
            "discount_percent": 2,
            "discount_days": 10,
            "sequence": 20,
            "lines": [{"value": "percent", "amount": 100, "days": 30}],
        },
        actor=actor,
    )
    month = PaymentTerm.objects.get(company=company, name="30 days")
    for partner in Partner.objects.filter(company=company, is_company=True, customer_rank__gt=0).order_by(
        "pk"
    ):
        service_for(PartnerTerms).create_one(
            {"company": company, "partner": partner, "sale_term": month, "credit_limit": Decimal(25_000)},
            actor=actor,
        )


def _opening(company: Company, actor: Actor) -> None:
    settings = settings_for(company, actor=actor)
    rows = Account.objects.filter(company=company).order_by("code")
    chosen = {
        "bank": Journal.objects.get(company=company, code="BNK1").default_account_id,
        "cash": Journal.objects.get(company=company, code="CSH1").default_account_id,
    }
    balances = {}
    for part, amount in OPENING[company.name]:
        pk = chosen[part] if part in chosen else rows.filter(type=part).values_list("pk", flat=True)[0]
        balances[str(pk)] = amount
    set_opening_balances([settings], actor=actor, date=datetime.date(_today().year, 1, 1), balances=balances)


def _documents(company: Company, actor: Actor) -> None:
    plans = [plan for plan in DOCUMENTS if plan[0] == company.name]
    partners = {
        partner.name: partner
        for partner in Partner.objects.filter(name__in={plan[2] for plan in plans}, is_company=True)
    }
    today = _today()
    made = service_for(Invoice).create(
        [
            {
                "company": company,
                "type": type_,
                "partner": partners[name],
                "date": today + datetime.timedelta(days=days),
                "reference": reference,
                "lines": [
                    {"description": text, "quantity": Decimal(quantity), "unit_price": Decimal(price)}
                    for text, quantity, price in lines
                ],
            }
            for _owner, type_, name, days, lines, _fate, reference in plans
        ],
        actor=actor,
    )
    by_fate: dict[str, list[Invoice]] = {}
    for invoice, plan in zip(made, plans, strict=True):
        by_fate.setdefault(plan[5], []).append(invoice)
    booked = [*by_fate.get("paid", ()), *by_fate.get("half", ()), *by_fate.get("posted", ())]
    post_invoices(sorted(booked, key=lambda invoice: (invoice.date, invoice.pk)), actor=actor)
    if by_fate.get("cancelled"):
        cancel_invoices(by_fate["cancelled"], actor=actor)
    bank = Journal.objects.get(company=company, code="BNK1")
    for invoice in by_fate.get("paid", ()):
        register_payment([invoice], actor=actor, journal=bank, date=_after(invoice, 21))
    for invoice in by_fate.get("half", ()):
        register_payment(
            [invoice], actor=actor, journal=bank, date=_after(invoice, 14), amount=Decimal("300.00")
        )


def _after(invoice: Invoice, days: int) -> datetime.date:
    assert invoice.date is not None
    return min(invoice.date + datetime.timedelta(days=days), _today())


def _depreciation(company: Company, actor: Actor) -> None:
    """One entry by hand, at the end of last month."""
    cost = Account.objects.filter(company=company, type="expense_depreciation").order_by("code").first()
    asset = Account.objects.filter(company=company, type="asset_fixed").order_by("code").first()
    if cost is None or asset is None:
        return
    day = _today().replace(day=1) - datetime.timedelta(days=1)
    entry = service_for(JournalEntry).create_one(
        {
            "company": company,
            "journal": default_journal(settings_of(company.pk), JournalType.GENERAL),
            "date": day,
            "reference": "Depreciation of the month",
            "items": [
                {"account": cost.pk, "name": "Workshop machines", "debit": "410.00"},
                {"account": asset.pk, "name": "Workshop machines", "credit": "410.00"},
            ],
        },
        actor=actor,
    )
    post_drafts([entry], actor=actor)


def _statement(company: Company, actor: Actor) -> None:
    """A bank statement that waits to be explained: money of payments, an invoice less a fee, charges that a rule knows, and one
    movement that nobody expects."""
    journal = Journal.objects.get(company=company, code="BNK1")
    settings, day = settings_of(company.pk), _today()
    service_for(ReconcileRule).create_one(
        {
            "company": company,
            "name": "Charges of the bank",
            "nature": ReconcileRule.Nature.SENT,
            "label_test": ReconcileRule.LabelTest.CONTAINS,
            "label_text": "charges",
            "account": settings.expense_account_id,
            "line_label": "Bank charges",
        },
        actor=actor,
    )
    lines: list[dict[str, Any]] = [
        {
            "date": payment.date + datetime.timedelta(days=1),
            "amount": payment.amount if payment.direction == Direction.INBOUND else -payment.amount,
            "label": f"Transfer {payment.memo or payment.number}",
            "partner_name": str(payment.partner or ""),
        }
        for payment in Payment.objects.filter(journal=journal).select_related("partner").order_by("pk")
    ]
    invoice = (
        Invoice.objects.filter(
            company=company, type=InvoiceType.CUSTOMER_INVOICE, state="posted", residual_amount__gt=100
        )
        .select_related("partner")
        .order_by("-residual_amount", "pk")
        .first()
    )
    if invoice is not None:
        lines.append(
            {
                "date": day - datetime.timedelta(days=2),
                "amount": invoice.residual_amount - Decimal("9.50"),
                "label": f"{invoice.number} less charges abroad",
                "partner_name": str(invoice.partner),
            }
        )
    lines += [
        {
            "date": day - datetime.timedelta(days=1),
            "amount": Decimal("-14.20"),
            "label": "Charges of the month",
        },
        {
            "date": day,
            "amount": Decimal("95.00"),
            "label": "Thank you for the workshop",
            "partner_name": "G. de Vries",
        },
    ]
    opening = Decimal(dict(OPENING[company.name])["bank"])
    service_for(BankStatement).create_one(
        {
            "company": company,
            "journal": journal,
            "name": f"{day:%Y-%m}",
            "date": day,
            "balance_start": opening,
            "balance_end": opening + sum((line["amount"] for line in lines), Decimal(0)),
            "lines": lines,
        },
        actor=actor,
    )


# ---------------------------------------------------------------------------------------------------------- more of it
def seed(size: str, *, actor: Actor) -> None:
    """Posted invoices with five lines each, a third of them paid: 2,000 for ``m``, 50,000 for ``l``. Runs once a size."""
    wanted = LOAD.get(size, 0)
    company = Company.objects.get(name=EUROPE)
    keeper = system_actor(company_pk=company.pk, name=actor.name, channel=actor.channel)
    settings = settings_of(company.pk)
    customers = list(Partner.objects.filter(company=company, is_company=True).order_by("pk"))
    journal = default_journal(settings, JournalType.SALE)
    tax = settings.sale_tax_id
    income = required(settings, "income_account")
    held = Invoice.objects.filter(company=company, origin__startswith=LOAD_MARK).count()
    for start in range(held, wanted, BATCH):
        numbers = range(start, min(start + BATCH, wanted))
        rows = [_load_row(n, company, journal, customers, income, tax, wanted) for n in numbers]
        made = service_for(Invoice).create(rows, actor=keeper)
        post_invoices(made, actor=keeper)
        paid = [invoice for number, invoice in zip(numbers, made, strict=True) if number % 3 == 0]
        if paid:
            _pay(company, paid, keeper)


def _load_row(
    number: int,
    company: Company,
    journal: Journal,
    customers: Sequence[Partner],
    income: int,
    tax: int | None,
    wanted: int,
) -> dict[str, Any]:
    day = _today() - datetime.timedelta(days=(wanted - number) * 300 // wanted)
    return {
        "company": company,
        "type": InvoiceType.CUSTOMER_INVOICE,
        "journal": journal,
        "partner": customers[number * 7 % len(customers)],
        "date": max(day, datetime.date(_today().year, 1, 1)),
        "origin": f"{LOAD_MARK} {number:06}",
        "lines": [
            {
                "description": ("Cuvettes", "Lamp module", "Service visit", "Filter set", "Cable")[line],
                "quantity": Decimal(1 + (number + line) % 7),
                "unit_price": Decimal(1990 + number * 13 % 4000 + 250 * line) / 100,
                "account": income,
                "taxes": [tax] if tax else [],
            }
            for line in range(5)
        ],
    }


def _pay(company: Company, invoices: Sequence[Invoice], actor: Actor) -> None:
    bank = Journal.objects.get(company=company, code="BNK1")
    last = max(invoice.date for invoice in invoices if invoice.date)
    register_payment(invoices, actor=actor, journal=bank, date=last)
