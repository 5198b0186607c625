"""A ledger of a known size for measuring: one company, three years, 200 accounts, 5,000 partners, 85 % settled.

Everything goes through the door into the ledger (`post_entries`) and through rows of `PartialMatch`, so every guard and
trigger has seen it. The same size gives the same amounts, except that the days end today.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.access.models import Company
from apps.accounting.constants import AccountType, JournalType, TaxUse
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Journal,
    JournalChain,
    JournalItem,
    PaymentMethodLine,
    Tax,
    TaxGroup,
    TaxRepartition,
)
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.copying import copy_rows, draw_keys
from apps.core.models import Country, Currency
from apps.core.records import service_for
from apps.core.unit_of_work import unit_of_work

NAME = "Ledger of measuring"
ITEMS = {"s": 20_000, "m": 200_000, "l": 1_000_000}
PARTNERS = {"s": 200, "m": 2_000, "l": 5_000}
DAYS = 3 * 365
BATCH = 1_500  # entries a transaction
PAID = 0.87  # of the documents; some of it only tomorrow
ITEMS_OF_A_CYCLE = 9.35  # a sale, 0.4 purchases, their payments and 0.1 other entries
RATE = Decimal("1.10")
CENT = Decimal("0.01")


@dataclass
class Books:
    """What the generator works with. Accounts by role; several for what companies have several of."""

    company: Company
    actor: Actor
    euro: int
    dollar: int
    sale: Journal
    purchase: Journal
    bank: Journal
    general: Journal
    receivable: int
    payable: int
    tax_out: int
    tax_in: int
    liquidity: int
    income: list[int]
    expense: list[int]
    other: list[int]
    partners: list[int]
    foreign: set[int] = field(default_factory=set)


def books_of(size: str) -> Books:
    """The company of a size, made when it is not there."""
    name = f"{NAME} ({size})"
    company = Company.objects.filter(name=name).first()
    if company is None:
        with transaction.atomic():
            company = _make(name, PARTNERS[size])
    accounts: dict[str, list[int]] = {}
    for pk, note in Account.objects.filter(company=company).order_by("code").values_list("pk", "note"):
        accounts.setdefault(note, []).append(pk)
    journals = {journal.code: journal for journal in Journal.objects.filter(company=company)}
    partners = list(Partner.objects.filter(company=company).order_by("pk").values_list("pk", flat=True))
    return Books(
        company=company,
        actor=system_actor(company_pk=company.pk, channel="command"),
        euro=Currency.objects.get(code="EUR").pk,
        dollar=Currency.objects.get(code="USD").pk,
        sale=journals["INV"],
        purchase=journals["BILL"],
        bank=journals["BNK"],
        general=journals["MISC"],
        receivable=accounts["receivable"][0],
        payable=accounts["payable"][0],
        tax_out=accounts["tax_out"][0],
        tax_in=accounts["tax_in"][0],
        liquidity=accounts["liquidity"][0],
        income=accounts["income"],
        expense=accounts["expense"],
        other=accounts["other"],
        partners=partners,
        foreign=set(partners[::10]),
    )


def _make(name: str, partners: int) -> Company:
    actor = system_actor(channel="command")
    Currency.objects.filter(code="USD").update(active=True)
    company = service_for(Company).create_one(
        {
            "name": name,
            "currency": Currency.objects.get(code="EUR"),
            "country": Country.objects.get(code="BE"),
        },
        actor=actor,
    )
    kinds = [
        ("receivable", "400000", AccountType.ASSET_RECEIVABLE, 1),
        ("payable", "440000", AccountType.LIABILITY_PAYABLE, 1),
        ("tax_out", "451000", AccountType.LIABILITY_CURRENT, 1),
        ("tax_in", "411000", AccountType.ASSET_CURRENT, 1),
        ("liquidity", "550000", AccountType.ASSET_CASH, 1),
        ("unaffected", "149000", AccountType.EQUITY_UNAFFECTED, 1),
        ("income", "700000", AccountType.INCOME, 60),
        ("expense", "600000", AccountType.EXPENSE, 100),
        ("outstanding", "499000", AccountType.ASSET_CURRENT, 1),
        ("other", "300000", AccountType.ASSET_CURRENT, 33),
    ]
    accounts = Account.objects.bulk_create(
        Account(
            company=company,
            code=str(int(first) + number),
            name=f"{role.capitalize()} {number}",
            type=kind,
            reconcile=role in ("receivable", "payable", "outstanding"),
            note=role,
        )
        for role, first, kind, count in kinds
        for number in range(count)
    )
    by_role = {account.note: account for account in reversed(accounts)}
    journals = Journal.objects.bulk_create(
        Journal(company=company, code=code, name=title, type=kind, default_account=by_role.get(role))
        for code, title, kind, role in (
            ("INV", "Sales", JournalType.SALE, "income"),
            ("BILL", "Purchases", JournalType.PURCHASE, "expense"),
            ("BNK", "Bank", JournalType.BANK, "liquidity"),
            ("MISC", "Miscellaneous", JournalType.GENERAL, ""),
        )
    )
    JournalChain.objects.bulk_create(JournalChain(journal=journal) for journal in journals)
    PaymentMethodLine.objects.bulk_create(
        PaymentMethodLine(
            journal=journals[2], direction=way, name="Manual", outstanding_account=by_role["outstanding"]
        )
        for way in ("inbound", "outbound")
    )
    tax = _tax(company, by_role["tax_out"])
    AccountingSettings.objects.create(
        company=company,
        fiscal_country=company.country,
        sale_tax=tax,
        receivable_account=by_role["receivable"],
        payable_account=by_role["payable"],
        income_account=by_role["income"],
        expense_account=by_role["expense"],
    )
    service_for(Partner).create(
        [
            {"name": f"Partner {number:05}", "is_company": True, "company": company}
            for number in range(partners)
        ],
        actor=actor,
    )
    return company


def _tax(company: Company, account: Account) -> Tax:
    group = TaxGroup.objects.create(company=company, name="Tax 15 %", country=company.country)
    tax = Tax.objects.create(
        company=company,
        name="15 %",
        amount=Decimal(15),
        use=TaxUse.SALE,
        group=group,
        country=company.country,
    )
    for document in TaxRepartition.Document.values:
        TaxRepartition.objects.create(tax=tax, document=document, kind=TaxRepartition.Kind.BASE, sequence=1)
        TaxRepartition.objects.create(
            tax=tax,
            document=document,
            kind=TaxRepartition.Kind.TAX,
            percent=Decimal(100),
            account=account,
            in_closing=True,
            sequence=2,
        )
    return tax


# --------------------------------------------------------------------------------------------------------- entries
def entries(books: Books, items: int, today: datetime.date) -> Iterator[tuple[EntrySpec, int, int]]:
    """Entries by date, each with the number of what it settles and its own (0: nothing). About `items` items."""
    chance = random.Random(items)
    cycles = round(items / ITEMS_OF_A_CYCLE)
    start = today - datetime.timedelta(days=DAYS)
    due: dict[datetime.date, list[tuple[int, ItemSpec, EntrySpec]]] = {}
    number = 0
    for cycle in range(cycles):
        day = start + datetime.timedelta(days=cycle * DAYS // cycles)
        for settled, item, document in due.pop(day, ()):
            yield _payment(books, document, item, day), settled, 0
        kinds: list[Callable[..., EntrySpec]] = [_sale]
        if chance.random() < 0.4:
            kinds.append(_purchase)
        if chance.random() < 0.1:
            yield _other(books, day, chance), 0, 0
        for kind in kinds:
            number += 1
            document = kind(books, day, chance)
            yield document, 0, number
            pays = day + datetime.timedelta(days=1 + min(int(chance.expovariate(1 / 30)), 200))
            if chance.random() < PAID and pays < today:
                due.setdefault(pays, []).append((number, document.items[0], document))
    for day in sorted(due):
        for settled, item, document in due[day]:
            yield _payment(books, document, item, day), settled, 0


def _document(
    books: Books,
    journal: Journal,
    day: datetime.date,
    chance: random.Random,
    *,
    sign: int,
    account: int,
    tax: int,
    lines: list[int],
) -> EntrySpec:
    """Lines on their accounts, 15 % of tax, and the rest on the partner's account, which is the first item."""
    partner = chance.choice(books.partners)
    foreign = partner in books.foreign
    currency = books.dollar if foreign else books.euro
    bases = [Decimal(chance.randint(500, 250_000)) / 100 for _line in lines]
    amounts = [*bases, (sum(bases) * Decimal("0.15")).quantize(CENT)]
    own = [(amount / RATE).quantize(CENT) for amount in amounts] if foreign else amounts
    items = [
        ItemSpec(
            account,
            sign * sum(own),
            currency,
            sign * sum(amounts),
            partner_pk=partner,
            kind="payment_term",
            name="Document",
            date_maturity=day + datetime.timedelta(days=30),
        )
    ]
    for line, balance, amount in zip([*lines, tax], own, amounts, strict=True):
        items.append(
            ItemSpec(
                line,
                -sign * balance,
                currency,
                -sign * amount,
                partner_pk=partner,
                name="What was agreed, delivered as ordered",
                kind="tax" if line == tax else "product",
            )
        )
    return EntrySpec(
        journal=journal,
        date=day,
        items=items,
        company_pk=books.company.pk,
        currency_pk=currency,
        origin="invoice",
        partner_pk=partner,
    )


def _sale(books: Books, day: datetime.date, chance: random.Random) -> EntrySpec:
    lines = chance.sample(books.income, 3)
    return _document(
        books, books.sale, day, chance, sign=1, account=books.receivable, tax=books.tax_out, lines=lines
    )


def _purchase(books: Books, day: datetime.date, chance: random.Random) -> EntrySpec:
    lines = chance.sample(books.expense, 2)
    return _document(
        books, books.purchase, day, chance, sign=-1, account=books.payable, tax=books.tax_in, lines=lines
    )


def _other(books: Books, day: datetime.date, chance: random.Random) -> EntrySpec:
    amount = Decimal(chance.randint(1_000, 900_000)) / 100
    half = (amount / 2).quantize(CENT)
    first, second, third = chance.sample(books.other, 3)
    parts = (
        (chance.choice(books.expense), amount),
        (first, -half),
        (second, half - amount),
        (third, Decimal(0)),
    )
    return EntrySpec(
        journal=books.general,
        date=day,
        items=[
            ItemSpec(account, value, books.euro, value, name="Costs of the month") for account, value in parts
        ],
        company_pk=books.company.pk,
        currency_pk=books.euro,
    )


def _payment(books: Books, document: EntrySpec, item: ItemSpec, day: datetime.date) -> EntrySpec:
    return EntrySpec(
        journal=books.bank,
        date=day,
        items=[
            ItemSpec(
                item.account_pk,
                -item.balance,
                item.currency_pk,
                -item.amount_currency,
                partner_pk=item.partner_pk,
                kind="payment_term",
                name="Payment",
            ),
            ItemSpec(
                books.liquidity,
                item.balance,
                item.currency_pk,
                item.amount_currency,
                partner_pk=item.partner_pk,
                name="Payment",
            ),
        ],
        company_pk=books.company.pk,
        currency_pk=document.currency_pk,
        origin="payment",
        partner_pk=item.partner_pk,
    )


# --------------------------------------------------------------------------------------------------------- writing
def fill(size: str, *, tell: Callable[[str], Any] = print) -> Books:
    """Fill the company of a size; one that is filled stays as it is."""
    books = books_of(size)
    if JournalItem.objects.filter(company=books.company).exists():
        return books
    today = datetime.datetime.now(tz=datetime.UTC).date()
    started, count, analyzed = time.perf_counter(), 0, 1
    open_items: dict[int, tuple[ItemSpec, datetime.date]] = {}
    batch: list[tuple[EntrySpec, int, int]] = []
    for given in entries(books, ITEMS[size], today):
        batch.append(given)
        if len(batch) == BATCH:
            count += _write(books, batch, open_items)
            batch = []
            if (
                count > analyzed * 3
            ):  # what autovacuum does between postings, when they are not a thousand a second
                _analyze()
                analyzed = count
            if count % 100_000 < BATCH * 5:
                tell(f"  {count} items, {count / (time.perf_counter() - started):,.0f}/s")
    if batch:
        count += _write(books, batch, open_items)
    tell(f"{count} items in {time.perf_counter() - started:.1f} s")
    with connection.cursor() as cursor:
        cursor.execute(
            "VACUUM (ANALYZE) accounting_journalitem, accounting_journalentry, accounting_partialmatch"
        )
        cursor.execute(
            "VACUUM (ANALYZE) accounting_periodbalance, accounting_partnerbalance, contacts_partner"
        )
    return books


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounting_journalitem, accounting_journalentry, accounting_partialmatch")


def _write(
    books: Books,
    batch: list[tuple[EntrySpec, int, int]],
    open_items: dict[int, tuple[ItemSpec, datetime.date]],
) -> int:
    with unit_of_work(books.actor):
        post_entries([spec for spec, _settles, _number in batch], actor=books.actor)
        for spec, _settles, number in batch:
            if number:
                open_items[number] = (spec.items[0], spec.date)
        pairs = [(*open_items.pop(settles), spec) for spec, settles, _number in batch if settles]
        if pairs:
            _match(books, pairs)
    return sum(len(spec.items) for spec, _settles, _number in batch)


def _match(books: Books, pairs: list[tuple[ItemSpec, datetime.date, EntrySpec]]) -> None:
    now = datetime.datetime.now(tz=datetime.UTC)
    full = draw_keys("accounting_fullmatch_id_seq", len(pairs))
    partial = draw_keys("accounting_partialmatch_id_seq", len(pairs))
    copy_rows(
        "accounting_fullmatch",
        ("id", "version", "created_at", "updated_at"),
        [(pk, 1, now, now) for pk in full],
    )
    rows = []
    for pk, (item, day, payment) in zip(partial, pairs, strict=True):
        other = payment.items[0]
        debit, credit = (item, other) if item.balance > 0 else (other, item)
        amount, currency = abs(item.balance), abs(item.amount_currency)
        rows.append(
            (
                pk,
                books.company.pk,
                debit.pk,
                credit.pk,
                amount,
                currency,
                currency,
                max(day, payment.date),
                now,
            )
        )
    copy_rows(
        "accounting_partialmatch",
        (
            "id",
            "company_id",
            "debit_item_id",
            "credit_item_id",
            "amount",
            "debit_amount_currency",
            "credit_amount_currency",
            "date",
            "created_at",
        ),
        rows,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounting_journalitem AS i SET full_match_id = n.match, matching_number = n.match::text "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS n(item, match) WHERE i.id = n.item",
            [
                [pk for item, _day, payment in pairs for pk in (item.pk, payment.items[0].pk)],
                [pk for pk in full for _side in (1, 2)],
            ],
        )
