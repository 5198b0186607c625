"""Test data of the books: a company with a small chart, journals, ways to pay and taxes, and people of every role.

``make_books`` writes with bulk inserts, because every test of this folder starts with it; what it makes obeys the
rules that the services enforce (``test_setup`` proves it by validating a set through them).
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.access.services import create_user
from apps.accounting.constants import (
    ROLE_ACCOUNTANT,
    ROLE_ADVISER,
    ROLE_AUDITOR,
    ROLE_BILLING,
    AccountType,
    Direction,
    Exigibility,
    JournalType,
    PriceInclusion,
    TaxAmountType,
    TaxUse,
)
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Journal,
    JournalChain,
    PaymentMethodLine,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxGroup,
    TaxRepartition,
    TaxTag,
)
from apps.contacts.models import CurrencyRate, Partner
from apps.core.actor import Actor, system_actor
from apps.core.models import Country, Currency
from apps.core.records import service_for

ROLES = {
    "billing": ROLE_BILLING,
    "accountant": ROLE_ACCOUNTANT,
    "adviser": ROLE_ADVISER,
    "auditor": ROLE_AUDITOR,
}
_numbers = itertools.count(1)

T = AccountType
# role: code, name, type, reconcile
ACCOUNTS: dict[str, tuple[str, str, str, bool]] = {
    "equity": ("100000", "Share capital", T.EQUITY, False),
    "unaffected": ("149000", "Result of the year", T.EQUITY_UNAFFECTED, False),
    "retained": ("140000", "Retained earnings", T.EQUITY, False),
    "fixed_asset": ("230000", "Machines", T.ASSET_FIXED, False),
    "receivable": ("400000", "Customers", T.ASSET_RECEIVABLE, True),
    "receivable2": ("400900", "Doubtful customers", T.ASSET_RECEIVABLE, True),
    "tax_deductible": ("411000", "Tax to get back", T.ASSET_CURRENT, False),
    "tax_receivable": ("411100", "Tax return, to receive", T.ASSET_CURRENT, False),
    "payable": ("440000", "Vendors", T.LIABILITY_PAYABLE, True),
    "tax_collected": ("451000", "Tax to pay", T.LIABILITY_CURRENT, False),
    "tax_payable": ("451100", "Tax return, to pay", T.LIABILITY_CURRENT, False),
    "transition": ("451900", "Tax not due yet", T.LIABILITY_CURRENT, True),
    "cash_basis_base": ("489000", "Base of taxes on payment", T.ASSET_CURRENT, False),
    "suspense": ("499000", "Bank suspense", T.ASSET_CURRENT, False),
    "outstanding_in": ("499100", "Outstanding receipts", T.ASSET_CURRENT, True),
    "outstanding_out": ("499200", "Outstanding payments", T.ASSET_CURRENT, True),
    "bank": ("550000", "Bank", T.ASSET_CASH, False),
    "bank2": ("550100", "Second bank", T.ASSET_CASH, False),
    "cash": ("570000", "Cash", T.ASSET_CASH, False),
    "transfer": ("580000", "Internal transfers", T.ASSET_CURRENT, True),
    "expense": ("604000", "Purchases", T.EXPENSE, False),
    "expense2": ("610000", "Services bought", T.EXPENSE, False),
    "exchange_loss": ("654000", "Exchange losses", T.EXPENSE, False),
    "discount_loss": ("657000", "Discounts given", T.EXPENSE, False),
    "cash_loss": ("657100", "Cash differences, loss", T.EXPENSE, False),
    "write_off": ("658000", "Small differences", T.EXPENSE, False),
    "income": ("700000", "Sales", T.INCOME, False),
    "income2": ("705000", "Services sold", T.INCOME, False),
    "exchange_gain": ("754000", "Exchange gains", T.INCOME_OTHER, False),
    "discount_gain": ("757000", "Discounts taken", T.INCOME_OTHER, False),
    "cash_gain": ("757100", "Cash differences, gain", T.INCOME_OTHER, False),
    "off_balance": ("900000", "Guarantees", T.OFF_BALANCE, False),
}

J = JournalType
# role: short code, name, type, role of the default account
JOURNALS: dict[str, tuple[str, str, str, str | None]] = {
    "sale": ("INV", "Customer invoices", J.SALE, "income"),
    "purchase": ("BILL", "Vendor bills", J.PURCHASE, "expense"),
    "bank": ("BNK1", "Bank", J.BANK, "bank"),
    "bank2": ("BNK2", "Second bank", J.BANK, "bank2"),
    "cash": ("CSH1", "Cash", J.CASH, "cash"),
    "general": ("MISC", "Miscellaneous", J.GENERAL, None),
    "exchange": ("EXCH", "Exchange differences", J.GENERAL, None),
    "cash_basis": ("CABA", "Taxes on payment", J.GENERAL, None),
}


@dataclass
class Books:
    """One company's books. ``accounts.receivable``, ``journals.sale``, ``taxes.sale21``, ``methods.bank_in`` …

    ``methods.*_in`` and ``*_out`` go through the outstanding accounts; ``*_in_direct`` and ``*_out_direct`` have none
    (a promise that the statement fulfils). ``system`` is the system's actor in the company, ``actor("billing")`` one of a
    user made when first asked for.
    """

    company: Company
    settings: AccountingSettings
    accounts: SimpleNamespace
    journals: SimpleNamespace
    taxes: SimpleNamespace
    methods: SimpleNamespace
    groups: SimpleNamespace
    tags: SimpleNamespace
    system: Actor
    _users: dict[str, User] = field(default_factory=dict)

    @property
    def currency(self) -> Currency:
        return self.company.currency

    def user(self, role: str = "accountant") -> User:
        """The user of this company with that role: billing, accountant, adviser, auditor, or none ("plain")."""
        if role not in self._users:
            self._users[role] = make_user(role, company=self.company)
        return self._users[role]

    def actor(self, role: str = "accountant") -> Actor:
        return actor_for(self.user(role))


def get_currency(code: str) -> Currency:
    """A currency that documents may use."""
    currency = Currency.objects.get(code=code)
    if not currency.active:
        Currency.objects.filter(pk=currency.pk).update(active=True)
        currency.active = True
    return currency


def set_rate(
    code: str, date: datetime.date | str, rate: Decimal | str, *, company: Company | None = None
) -> CurrencyRate:
    """From ``date`` on one unit of the company's currency (EUR when none is given) is worth ``rate`` units of ``code``."""
    day = datetime.date.fromisoformat(date) if isinstance(date, str) else date
    base = company.currency if company else get_currency("EUR")
    return CurrencyRate.objects.create(
        currency=get_currency(code), base=base, date=day, rate=Decimal(rate), company=company
    )


def make_company(
    name: str | None = None,
    *,
    currency: str = "EUR",
    country: str | None = "BE",
    parent: Company | None = None,
) -> Company:
    values: dict[str, Any] = {
        "name": name or f"Company {next(_numbers)}",
        "currency": get_currency(currency),
        "country": Country.objects.get(code=country) if country else None,
    }
    if parent is not None:
        values["parent"] = parent
    return service_for(Company).create_one(values, actor=system_actor(channel="test"))


def make_user(role: str = "accountant", *, company: Company, companies: Sequence[Company] = ()) -> User:
    """A user with one of the four roles; any other word makes one without a role."""
    login = f"{role}{next(_numbers)}@example.com"
    return create_user(
        login,
        name=role.capitalize(),
        company=company,
        companies=list(companies) or [company],
        roles=[ROLES[role]] if role in ROLES else [],
        actor=system_actor(channel="test"),
    )


def make_books(
    currency: str = "EUR",
    country: str | None = "BE",
    name: str | None = None,
    *,
    parent: Company | None = None,
) -> Books:
    """A company with everything a document, a payment or a closing needs, and no entries."""
    company = make_company(name, currency=currency, country=country, parent=parent)
    system = system_actor(company_pk=company.pk, channel="test")
    accounts = _accounts(company)
    journals = _journals(company, accounts)
    methods = _methods(accounts, journals)
    group_rows = TaxGroup.objects.bulk_create(
        TaxGroup(
            company=company,
            name=text,
            sequence=number,
            country=company.country,
            payable_account=accounts.tax_payable,
            receivable_account=accounts.tax_receivable,
        )
        for number, text in enumerate(("Tax 21 %", "Tax 15 %", "Tax 6 %", "Tax 0 %", "Other taxes"), 1)
    )
    groups = SimpleNamespace(
        **dict(zip(("vat21", "vat15", "vat6", "vat0", "other"), group_rows, strict=True))
    )
    tags = _tags(company)
    books = Books(
        company=company,
        settings=AccountingSettings(company=company),
        accounts=accounts,
        journals=journals,
        taxes=SimpleNamespace(),
        methods=methods,
        groups=groups,
        tags=tags,
        system=system,
    )
    _taxes(books)
    books.settings = _settings(books)
    return books


def _accounts(company: Company) -> SimpleNamespace:
    rows = Account.objects.bulk_create(
        Account(company=company, code=code, name=name, type=kind, reconcile=reconcile)
        for code, name, kind, reconcile in ACCOUNTS.values()
    )
    return SimpleNamespace(**dict(zip(ACCOUNTS, rows, strict=True)))


def _journals(company: Company, accounts: SimpleNamespace) -> SimpleNamespace:
    rows = [
        Journal(
            company=company,
            code=code,
            name=name,
            type=kind,
            default_account=getattr(accounts, account) if account else None,
            refund_series=kind in (J.SALE, J.PURCHASE),
            payment_series=kind in (J.BANK, J.CASH),
            suspense_account=accounts.suspense if kind in (J.BANK, J.CASH) else None,
            profit_account=accounts.cash_gain if kind == J.CASH else None,
            loss_account=accounts.cash_loss if kind == J.CASH else None,
            sequence=number,
        )
        for number, (code, name, kind, account) in enumerate(JOURNALS.values(), 1)
    ]
    Journal.objects.bulk_create(rows)
    JournalChain.objects.bulk_create(JournalChain(journal=row) for row in rows)
    return SimpleNamespace(**dict(zip(JOURNALS, rows, strict=True)))


def _methods(accounts: SimpleNamespace, journals: SimpleNamespace) -> SimpleNamespace:
    rows: dict[str, PaymentMethodLine] = {}
    for role in ("bank", "bank2", "cash"):
        for direction, short in ((Direction.INBOUND, "in"), (Direction.OUTBOUND, "out")):
            common = {"journal": getattr(journals, role), "direction": direction}
            rows[f"{role}_{short}"] = PaymentMethodLine(
                **common, name="Manual", outstanding_account=getattr(accounts, f"outstanding_{short}")
            )
            rows[f"{role}_{short}_direct"] = PaymentMethodLine(**common, name="By statement", sequence=20)
    PaymentMethodLine.objects.bulk_create(rows.values())
    return SimpleNamespace(**rows)


def _tags(company: Company) -> SimpleNamespace:
    """Boxes of the return: base and tax of sales (03, 54), of purchases (81, 59), of reverse charge (86, 55)."""
    country = company.country or Country.objects.get(code="BE")
    wanted = {
        "sale_base": ("T03", 1),
        "sale_tax": ("T54", 1),
        "purchase_base": ("T81", 1),
        "purchase_tax": ("T59", 1),
        "reverse_base": ("T86", 1),
        "reverse_tax": ("T55", 1),
    }
    TaxTag.objects.bulk_create(
        (TaxTag(country=country, grid=grid, sign=sign, name=grid) for grid, sign in wanted.values()),
        ignore_conflicts=True,
    )
    grids = [grid for grid, _sign in wanted.values()]
    found = {(tag.grid, tag.sign): tag for tag in TaxTag.objects.filter(country=country, grid__in=grids)}
    return SimpleNamespace(**{role: found[key] for role, key in wanted.items()})


# role: percent, use, keyword arguments of make_taxes
TAXES: dict[str, dict[str, Any]] = {
    "sale21": {"name": "21 %", "amount": 21, "group": "vat21"},
    "sale15": {"name": "15 %", "amount": 15, "group": "vat15"},
    "sale6": {"name": "6 %", "amount": 6, "group": "vat6"},
    "sale0": {"name": "0 %", "amount": 0, "group": "vat0"},
    "sale21_included": {"name": "21 % included", "amount": 21, "group": "vat21", "included": True},
    "sale6_included": {"name": "6 % included", "amount": 6, "group": "vat6", "included": True},
    "sale15_on_payment": {"name": "15 % on payment", "amount": 15, "group": "vat15", "on_payment": True},
    "sale21_on_payment": {"name": "21 % on payment", "amount": 21, "group": "vat21", "on_payment": True},
    "purchase21": {"name": "21 %", "amount": 21, "group": "vat21", "use": "purchase"},
    "purchase15": {"name": "15 %", "amount": 15, "group": "vat15", "use": "purchase"},
    "purchase6": {"name": "6 %", "amount": 6, "group": "vat6", "use": "purchase"},
    "purchase21_on_payment": {
        "name": "21 % on payment",
        "amount": 21,
        "group": "vat21",
        "use": "purchase",
        "on_payment": True,
    },
    "purchase21_reverse": {
        "name": "21 % reverse charge",
        "amount": 21,
        "group": "vat21",
        "use": "purchase",
        "reverse": True,
    },
}


def _taxes(books: Books) -> None:
    made = make_taxes(books, list(TAXES.values()))
    books.taxes = SimpleNamespace(**dict(zip(TAXES, made, strict=True)))


def make_tax(books: Books, name: str, amount: Decimal | int | str, **options: Any) -> Tax:
    """A tax with its repartition; see ``make_taxes`` for the options."""
    return make_taxes(books, [{"name": name, "amount": amount, **options}])[0]


def make_taxes(books: Books, wanted: Sequence[dict[str, Any]]) -> list[Tax]:
    """Taxes with their repartition, in five statements. Options: ``use``, ``amount_type``, ``included`` (None: as the
    company), ``include_base_amount``, ``is_base_affected``, ``on_payment``, ``reverse``, ``group`` (role or instance),
    ``shares`` (list of (percent, account or None) instead of one of 100 % on the tax account), ``children``, and any
    other field of the model."""
    taxes, shares = [], []
    for number, options in enumerate(wanted, 1):
        tax, parts = _tax(books, {"sequence": number, **options})
        taxes.append(tax)
        shares += parts
    Tax.objects.bulk_create(taxes)
    TaxRepartition.objects.bulk_create(row for row, _tags in shares)
    link = TaxRepartition.tags.through
    link.objects.bulk_create(
        link(taxrepartition_id=row.pk, taxtag_id=tag.pk) for row, row_tags in shares for tag in row_tags
    )
    for tax, options in zip(taxes, wanted, strict=True):
        if options.get("children"):
            tax.children.set(options["children"])
    return taxes


def _tax(books: Books, options: dict[str, Any]) -> tuple[Tax, list[tuple[TaxRepartition, list[TaxTag]]]]:
    values = dict(options)
    included = values.pop("included", None)
    on_payment = values.pop("on_payment", False)
    reverse = values.pop("reverse", False)
    shares = values.pop("shares", None)
    values.pop("children", None)
    group = values.pop("group", "other")
    use = values.setdefault("use", TaxUse.SALE)
    values["amount"] = Decimal(values["amount"])
    values.setdefault("country", books.company.country)
    values.setdefault("label", values["name"])
    if on_payment:
        values |= {"exigibility": Exigibility.PAYMENT, "transition_account": books.accounts.transition}
    inclusion = {None: PriceInclusion.DEFAULT, True: PriceInclusion.INCLUDED, False: PriceInclusion.EXCLUDED}
    tax = Tax(
        company=books.company,
        group=getattr(books.groups, group) if isinstance(group, str) else group,
        price_inclusion=inclusion[included],
        **values,
    )
    if tax.amount_type == TaxAmountType.GROUP:
        return tax, []
    collected, deductible = books.accounts.tax_collected, books.accounts.tax_deductible
    if shares is None:
        shares = [(100, deductible), (-100, collected)] if reverse else None
    if shares is None:
        shares = [(100, deductible if use == TaxUse.PURCHASE else collected)]
    tags = books.tags
    base_tag = (
        tags.reverse_base if reverse else (tags.purchase_base if use == TaxUse.PURCHASE else tags.sale_base)
    )
    tax_tag = tags.purchase_tax if use == TaxUse.PURCHASE else tags.sale_tax
    rows: list[tuple[TaxRepartition, list[TaxTag]]] = []
    for document in TaxRepartition.Document.values:
        base = TaxRepartition(tax=tax, document=document, kind=TaxRepartition.Kind.BASE, sequence=1)
        rows.append((base, [base_tag]))
        for position, (percent, account) in enumerate(shares, 2):
            part = TaxRepartition(
                tax=tax,
                document=document,
                kind=TaxRepartition.Kind.TAX,
                percent=Decimal(percent),
                account=account,
                in_closing=account is not None,
                sequence=position,
            )
            rows.append((part, [tags.reverse_tax if Decimal(percent) < 0 else tax_tag]))
    return tax, rows


def _settings(books: Books) -> AccountingSettings:
    a, j, t = books.accounts, books.journals, books.taxes
    row = AccountingSettings(
        company=books.company,
        fiscal_country=books.company.country,
        bank_prefix="550",
        cash_prefix="570",
        transfer_prefix="580",
        sale_tax=t.sale21,
        purchase_tax=t.purchase21,
        receivable_account=a.receivable,
        payable_account=a.payable,
        income_account=a.income,
        expense_account=a.expense,
        suspense_account=a.suspense,
        outstanding_receipts_account=a.outstanding_in,
        outstanding_payments_account=a.outstanding_out,
        transfer_account=a.transfer,
        exchange_gain_account=a.exchange_gain,
        exchange_loss_account=a.exchange_loss,
        discount_gain_account=a.discount_gain,
        discount_loss_account=a.discount_loss,
        cash_basis_base_account=a.cash_basis_base,
        exchange_journal=j.exchange,
        cash_basis_journal=j.cash_basis,
        cash_basis=True,
    )
    row.save()
    return row


def make_partner(name: str = "", *, company: Company | None = None, **values: Any) -> Partner:
    """A contact; an organisation unless ``is_company=False``. Shared by all companies unless ``company`` is given."""
    row = {"name": name or f"Partner {next(_numbers)}", "is_company": True, **values}
    if isinstance(row.get("country"), str):
        row["country"] = Country.objects.get(code=row["country"])
    if company is not None:
        row["company"] = company
    return service_for(Partner).create_one(row, actor=system_actor(channel="test"))


def make_term(books: Books, name: str, *parts: tuple[str, Any, int], **values: Any) -> PaymentTerm:
    """Payment terms of (value, amount, days) parts: ``make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))``."""
    term = PaymentTerm.objects.create(company=books.company, name=name, **values)
    PaymentTermLine.objects.bulk_create(
        PaymentTermLine(term=term, value=value, amount=Decimal(amount), days=days, sequence=number)
        for number, (value, amount, days) in enumerate(parts or (("percent", 100, 0),), 1)
    )
    return term
