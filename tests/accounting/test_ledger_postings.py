"""What a posting must be, attacked with plain SQL: balance, amounts, numbers, chain, locks, and the set-up under it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from apps.accounting.models import Account, AccountingSettings, JournalEntry, LockException, NumberSeries
from tests.accounting.factories import Books, get_currency, make_books, make_company
from tests.accounting.raw_ledger import DAY, Forgery, draft_of, insert, post, refused, settle, spec_of, sql

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------------------------------------------------ amounts
@pytest.mark.parametrize(("debit", "credit"), [(100, "99.99"), (0, 5), ("0.01", 0)])
def test_an_entry_balances(books: Books, debit: Any, credit: Any) -> None:
    forged = Forgery(books).item(books.accounts.bank, debit).item(books.accounts.income, 0, credit)

    with refused("accounting_entry_balances"):
        forged.write()


def test_an_entry_has_items(books: Books) -> None:
    with refused("accounting_entry_has_items"):
        Forgery(books).write()


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"debit": 10, "credit": 10}, "accounting_item_one_side"),
        ({"debit": -10, "amount_currency": -10}, "accounting_item_not_negative"),
        ({"debit": 10, "amount_currency": -10}, "accounting_item_signs_agree"),
        ({"kind": "gift"}, "accounting_item_kind_known"),
        ({"debit": Decimal("NaN"), "amount_currency": Decimal("NaN")}, "accounting_item_is_number"),
        ({"amount_currency": Decimal("NaN")}, "accounting_item_is_number"),
        ({"tax_base_amount": Decimal("NaN")}, "accounting_item_is_number"),
        ({"quantity": Decimal("NaN")}, "accounting_item_is_number"),
    ],
)
def test_a_row_has_one_side_and_numbers(books: Books, values: dict[str, Any], constraint: str) -> None:
    forged = Forgery(books).item(books.accounts.bank, 10).item(books.accounts.income, 0, 10)
    forged.items[0] |= values

    with refused(constraint):
        forged.write_items()


@pytest.mark.parametrize(
    ("code", "amount", "foreign"),
    [
        ("EUR", "10.005", "10.005"),
        ("JPY", "10.00", "10.50"),
        ("USD", "10.00", "10.001"),
        ("EUR", "10.001", "10"),
    ],
)
def test_no_amount_is_finer_than_its_currency(books: Books, code: str, amount: str, foreign: str) -> None:
    currency = get_currency(code)
    forged = Forgery(books)
    forged.item(books.accounts.bank, amount, amount_currency=foreign, currency_id=currency.pk)
    forged.item(books.accounts.income, 0, amount)

    with refused("accounting_item_exact"):
        forged.write()


@pytest.mark.parametrize("column", ["tax_base_amount", "discount_amount_currency"])
def test_side_amounts_are_not_finer_either(books: Books, column: str) -> None:
    forged = Forgery(books).sound()
    forged.items[0][column] = Decimal("1.001")

    with refused("accounting_item_exact"):
        forged.write()


def test_an_amount_in_company_currency_is_the_balance(books: Books) -> None:
    forged = (
        Forgery(books).item(books.accounts.bank, 10, amount_currency=11).item(books.accounts.income, 0, 10)
    )

    with refused("accounting_item_own_currency"):
        forged.write()


def test_an_account_with_a_currency_takes_no_other(books: Books) -> None:
    Account.objects.filter(pk=books.accounts.bank2.pk).update(currency=get_currency("USD"))

    with refused("accounting_item_account_currency"):
        Forgery(books).item(books.accounts.bank2, 10).item(books.accounts.income, 0, 10).write()


def test_off_balance_accounts_stand_alone(books: Books) -> None:
    with refused("accounting_entry_off_balance"):
        Forgery(books).item(books.accounts.off_balance, 10).item(books.accounts.income, 0, 10).write()


def test_items_are_of_the_company_of_their_entry(books: Books, other_books: Books) -> None:
    branch = make_company("Branch", parent=books.company)
    forged = Forgery(books).sound()
    for item in forged.items:
        item["company_id"] = branch.pk

    with refused("accounting_item_company_of_entry"):
        forged.write()
    with refused("accounting_journalitem_company"):
        Forgery(books).item(other_books.accounts.bank, 10).item(books.accounts.income, 0, 10).write()
    with refused("accounting_journalentry_company", "accounting_journalitem_company"):
        forged = Forgery(books).sound()
        forged.entry["journal_id"] = other_books.journals.general.pk
        for item in forged.items:
            item["journal_id"] = other_books.journals.general.pk
        forged.write()


@pytest.mark.parametrize(
    "values", [{"date": DAY + datetime.timedelta(1)}, {"posted": False}, {"journal_id": "sale"}]
)
def test_items_are_like_their_entry(books: Books, values: dict[str, Any]) -> None:
    forged = Forgery(books).sound()
    forged.items[1] |= {"journal_id": books.journals.sale.pk} if "journal_id" in values else values

    with refused("accounting_item_like_entry"):
        forged.write()


def test_a_posting_has_a_first_item(books: Books) -> None:
    """The first position is what two transactions that write one key collide on."""
    forged = Forgery(books).sound()
    for item in forged.items:
        item["position"] += 1

    with refused("accounting_item_first"):
        forged.write()


# ------------------------------------------------------------------------------------------------------------ numbers
def test_a_number_is_given_once(books: Books) -> None:
    Forgery(books).sound().write()
    settle()

    with refused("accounting_entry_number_once", "accounting_entry_series_once"):
        Forgery(books).sound().force(series_number=1, number="RAW/2026/0001").write()


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"series_number": 3, "number": "RAW/2026/0003"}, "accounting_entry_number_of_series"),
        ({"number": "RAW/2026/2"}, "accounting_entry_number_of_series"),
        ({"number": "RAW/2026/0099"}, "accounting_entry_number_of_series"),
        ({"number": "RAW/2026/0002 "}, "accounting_entry_number_of_series"),
        ({"number": ""}, "accounting_entry_posted_complete"),
        ({"series_number": 0, "number": "RAW/2026/0000"}, "accounting_entry_number_of_series"),
        ({"series_number": -1, "number": "RAW/2026/-001"}, "accounting_entry_number_of_series"),
        ({"revision": 1}, "accounting_entry_no_hole"),
        ({"revision": 7}, "accounting_entry_no_hole"),
        ({"chain_index": 3}, "accounting_entry_chained"),
        ({"chain_index": 0}, "accounting_entry_chained"),
        ({"chain_index": 1}, "accounting_entry_chain_once"),
        ({"digest": "0" * 64}, "accounting_entry_chained"),
        ({"hash": "0" * 64}, "accounting_entry_chained"),
        ({"hash": ""}, "accounting_entry_posted_complete"),
        ({"posted_at": None}, "accounting_entry_posted_complete"),
    ],
)
def test_number_and_chain_continue(books: Books, values: dict[str, Any], constraint: str) -> None:
    Forgery(books).sound().write()
    settle()

    with refused(constraint):
        Forgery(books).sound().force(**values).write()


@pytest.mark.parametrize("jump", [1, 7, 1000])
def test_a_series_leaves_no_hole(books: Books, jump: int) -> None:
    Forgery(books).sound().write()
    settle()
    number = 2 + jump

    with refused("accounting_series_fixed", "accounting_entry_no_hole"):
        sql("UPDATE accounting_numberseries SET next_number = %s", number)
        Forgery(books).sound().write()
    with refused("accounting_series_fixed", "accounting_entry_no_hole"):
        sql("UPDATE accounting_numberseries SET first_number = %s, next_number = %s", number, number)
        Forgery(books).sound().write()


@pytest.mark.parametrize(
    "change",
    [
        "next_number = next_number + 1",
        "next_number = first_number",
        "first_number = 0",
        "prefix = 'X/'",
        "suffix = '-x'",
        "padding = 9",
        "kind = 'refund'",
        "journal_id = (SELECT max(id) FROM accounting_journal)",
    ],
)
def test_a_series_in_use_is_fixed(books: Books, change: str) -> None:
    post(books)

    with refused("accounting_series_fixed", "accounting_series_next"):
        sql(f"UPDATE accounting_numberseries SET {change}")


def test_a_series_starts_where_its_first_entry_does(books: Books) -> None:
    with refused("accounting_series_next"):
        insert(
            "accounting_numberseries",
            {
                "journal_id": books.journals.general.pk,
                "kind": "entry",
                "prefix": "NEW/",
                "suffix": "",
                "padding": 4,
                "first_number": 1,
                "next_number": 9,
            },
        )


def test_a_number_is_not_taken_from_another_journal(books: Books) -> None:
    post(books, spec_of(books, journal="sale"))
    theirs = NumberSeries.objects.get(journal=books.journals.sale)
    Forgery(books).sound().write()
    settle()

    with refused("accounting_entry_number_of_series", "accounting_series_next"):
        Forgery(books).sound().force(
            series_id=theirs.pk, series_number=2, number=f"{theirs.prefix}00002"
        ).write()


def test_two_series_never_give_one_number(books: Books) -> None:
    for number in range(10):
        Forgery(books).sound(str(number + 1)).write()
    settle()
    NumberSeries.objects.create(journal=books.journals.general, prefix="RAW/2026/00", padding=2)

    with refused("accounting_entry_number_once"):
        Forgery(books).sound().write()


def test_a_draft_holds_no_number(books: Books) -> None:
    post(books)
    series = NumberSeries.objects.get()

    for values in (
        {"number": "X"},
        {"series_id": series.pk, "series_number": 2},
        {"chain_index": 2},
        {"hash": "0" * 64},
        {"digest": "0" * 64},
        {"revision": 1},
    ):
        with refused("accounting_entry_posted_complete"):
            draft_of(books, **values)


def test_a_further_revision_takes_the_one_before_back(books: Books) -> None:
    """A number is in force once: what repeats it must be the exact reversal of the entry before, then a new one."""
    entry = post(books)[0]
    series, link = NumberSeries.objects.get(), entry.chain_index
    assert link == 1

    for items in ([("receivable", 0, 100), ("bank", 100, 0)], [("receivable", 100, 0), ("income", 0, 100)]):
        forged = Forgery(books, revision=1, reversal_of_id=entry.pk)
        for name, debit, credit in items:
            forged.item(getattr(books.accounts, name), debit, credit)
        with refused("accounting_entry_revision"):
            _write_revision(forged, entry, series)
    forged = (
        Forgery(books, revision=1).item(books.accounts.receivable, 0, 100).item(books.accounts.income, 100)
    )
    with refused("accounting_entry_revision"):
        _write_revision(forged, entry, series)


def _write_revision(forged: Forgery, entry: JournalEntry, series: NumberSeries) -> None:
    from apps.accounting.compute.payload import chain, digest_v1, payload_v1

    rows = [
        (i["account_id"], i["amount_currency"], i["credit"], "EUR", i["debit"], i["name"], None)
        for i in forged.items
    ]
    digest = digest_v1(
        payload_v1((entry.company_id, DAY, rows, entry.journal_id, entry.number, 1))  # type: ignore[arg-type]
    )
    forged.write_items()
    values = {
        "series_id": series.pk,
        "series_number": entry.series_number,
        "number": entry.number,
        "chain_index": 2,
        "digest": digest,
        "hash": chain(entry.hash, digest),
    }
    insert("accounting_journalentry", forged.entry | values)
    sql(
        "UPDATE accounting_journalchain SET length = 2, last_hash = %s WHERE journal_id = %s",
        values["hash"],
        entry.journal_id,
    )


@pytest.mark.parametrize(
    "change",
    [
        "length = length + 1",
        "length = 0, last_hash = ''",
        "last_hash = repeat('0', 64)",
        "journal_id = (SELECT id FROM accounting_journal WHERE code = 'EXCH')",
    ],
)
def test_the_end_of_a_chain_is_its_last_entry(books: Books, change: str) -> None:
    entry = post(books)[0]
    sql("DELETE FROM accounting_journalchain WHERE journal_id = %s", books.journals.exchange.pk)

    with refused("accounting_chain_end"):
        sql(f"UPDATE accounting_journalchain SET {change} WHERE journal_id = %s", entry.journal_id)
    with refused("accounting_chain_end"):
        sql("DELETE FROM accounting_journalchain WHERE journal_id = %s", entry.journal_id)


def test_one_key_names_one_document(books: Books) -> None:
    entry = post(books)[0]

    with refused("accounting_document_one_key"):
        insert(
            "accounting_invoice",
            {
                "id": entry.pk,
                "company_id": books.company.pk,
                "journal_id": books.journals.sale.pk,
                "currency_id": books.company.currency_id,
                **_blank_invoice(),
            },
        )


def _blank_invoice() -> dict[str, Any]:
    """Every other column of an invoice at its default."""
    from django.utils import timezone

    from apps.accounting.models import Invoice

    row = Invoice(type="customer_invoice")
    row.created_at = row.updated_at = timezone.now()
    values = {}
    for field in Invoice._meta.concrete_fields:
        if field.column in ("id", "company_id", "journal_id", "currency_id"):
            continue
        value = getattr(row, field.attname)
        values[str(field.column)] = "{}" if value == {} else "[]" if value == [] else value
    return values


# -------------------------------------------------------------------------------------------------------------- locks
def _lock(books: Books, **dates: datetime.date | None) -> None:
    AccountingSettings.objects.filter(company=books.company).update(**dates)


@pytest.mark.parametrize(
    ("dates", "journal", "taxed"),
    [
        ({"fiscal_lock_date": DAY}, "general", False),
        ({"hard_lock_date": DAY}, "general", False),
        ({"tax_lock_date": DAY}, "general", True),
        ({"sale_lock_date": DAY}, "sale", False),
        ({"purchase_lock_date": DAY}, "purchase", False),
        ({"fiscal_lock_date": DAY + datetime.timedelta(400)}, "sale", True),
    ],
)
def test_nothing_is_posted_into_a_locked_period(
    books: Books, dates: dict[str, datetime.date], journal: str, taxed: bool
) -> None:
    _lock(books, **dates)
    forged = Forgery(books, journal=journal).sound()
    if taxed:
        forged.items[1]["tax_pks"] = [books.taxes.sale21.pk]

    with refused("accounting_entry_not_locked"):
        forged.write()


@pytest.mark.parametrize(
    ("dates", "journal", "taxed"),
    [
        ({"fiscal_lock_date": DAY - datetime.timedelta(1)}, "general", False),
        ({"tax_lock_date": DAY}, "general", False),
        ({"sale_lock_date": DAY}, "purchase", False),
        ({"purchase_lock_date": DAY}, "general", True),
    ],
)
def test_other_periods_stay_open(
    books: Books, dates: dict[str, datetime.date], journal: str, taxed: bool
) -> None:
    _lock(books, **dates)
    forged = Forgery(books, journal=journal).sound()
    if taxed:
        forged.items[1]["tax_pks"] = [books.taxes.sale21.pk]

    forged.write()
    settle()

    assert JournalEntry.objects.filter(state="posted").count() == 1


def test_a_branch_obeys_the_locks_of_its_parents(books: Books) -> None:
    branch = make_books(parent=books.company)
    twig = make_books(parent=branch.company)
    _lock(books, hard_lock_date=DAY)

    with refused("accounting_entry_not_locked"):
        Forgery(twig).sound().write()
    with refused("access_company_tree_fixed", "accounting_entry_not_locked"):
        sql("UPDATE access_company SET parent_id = NULL WHERE id = %s", branch.company.pk)
        Forgery(twig).sound().write()


def test_a_draft_is_not_posted_into_a_locked_period(books: Books) -> None:
    from tests.accounting.test_ledger_guards import _post_by_hand

    entry = draft_of(books)
    settle()
    _lock(books, fiscal_lock_date=DAY)

    with refused("accounting_entry_not_locked"):
        _post_by_hand(books, entry)


def test_an_exception_opens_one_lock_for_one_user(books: Books) -> None:
    adviser, accountant = books.user("adviser"), books.user("accountant")
    _lock(books, fiscal_lock_date=DAY, sale_lock_date=DAY)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    row = LockException.objects.create(
        company=books.company, kind="fiscal", user=accountant, until=until, reason="late bill"
    )

    with refused("accounting_entry_not_locked"):
        Forgery(books, posted_by_id=adviser.pk).sound().write()
    with refused("accounting_entry_not_locked"):
        Forgery(books, journal="sale", posted_by_id=accountant.pk).sound().write()
    with transaction.atomic():
        Forgery(books, posted_by_id=accountant.pk).sound().write()
        settle()

    sql("UPDATE accounting_lockexception SET revoked_at = now() WHERE id = %s", row.pk)
    with refused("accounting_entry_not_locked"):
        Forgery(books, posted_by_id=accountant.pk).sound().write()


def test_an_exception_is_kept_and_only_revoked(books: Books) -> None:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    row = LockException.objects.create(company=books.company, kind="fiscal", until=until, reason="late bill")

    with refused("accounting_lock_exception_kept"):
        sql("DELETE FROM accounting_lockexception WHERE id = %s", row.pk)
    for change in (
        "until = until + interval '9 years'",
        "kind = 'tax'",
        "lock_date = '2020-01-01'",
        "reason = 'other'",
    ):
        with refused("accounting_lock_exception_kept"):
            sql(f"UPDATE accounting_lockexception SET {change} WHERE id = %s", row.pk)
    sql("UPDATE accounting_lockexception SET revoked_at = now() WHERE id = %s", row.pk)
    with refused("accounting_lock_exception_kept"):
        sql("UPDATE accounting_lockexception SET revoked_at = NULL WHERE id = %s", row.pk)
    with refused("accounting_lock_hard_has_none"):
        LockException.objects.create(company=books.company, kind="hard", until=until, reason="x")


def test_the_hard_lock_only_moves_forward(books: Books, other_books: Books) -> None:
    _lock(books, hard_lock_date=DAY)

    for change in (
        "hard_lock_date = NULL",
        "hard_lock_date = hard_lock_date - 1",
    ):
        with refused("accounting_hard_lock_forward"):
            sql(f"UPDATE accounting_accountingsettings SET {change} WHERE company_id = %s", books.company.pk)
    with refused("accounting_hard_lock_forward"):
        sql("DELETE FROM accounting_accountingsettings WHERE company_id = %s", books.company.pk)
    AccountingSettings.objects.filter(company=other_books.company).delete()
    with refused("accounting_settings_stay"):
        sql(
            "UPDATE accounting_accountingsettings SET company_id = %s WHERE company_id = %s",
            other_books.company.pk,
            books.company.pk,
        )


# ------------------------------------------------------------------------------------------- the set-up under the books
@pytest.mark.parametrize("change", ["rounding = 0.1", "code = 'QQQ'"])
def test_a_currency_of_the_books_is_fixed(books: Books, change: str) -> None:
    post(books)

    with refused("accounting_currency_fixed"):
        sql(f"UPDATE core_currency SET {change} WHERE id = %s", books.company.currency_id)


def test_a_company_with_entries_keeps_its_currency(books: Books) -> None:
    post(books)

    with refused("accounting_company_currency_fixed"):
        sql(
            "UPDATE access_company SET currency_id = %s WHERE id = %s",
            get_currency("USD").pk,
            books.company.pk,
        )


@pytest.mark.parametrize(
    ("account", "change", "constraint"),
    [
        ("receivable", "type = 'asset_current'", "accounting_account_type_fixed"),
        ("income", "type = 'off_balance'", "accounting_account_type_fixed"),
        ("income", "type = 'asset_receivable', reconcile = true", "accounting_account_type_fixed"),
        (
            "income",
            "currency_id = (SELECT id FROM core_currency WHERE code = 'JPY')",
            "accounting_account_currency_fixed",
        ),
        ("receivable", "company_id = {other}", "accounting_account_company_fixed"),
    ],
)
def test_an_account_with_items_keeps_what_they_rest_on(
    books: Books, other_books: Books, account: str, change: str, constraint: str
) -> None:
    post(books)

    with refused(*constraint.split()):
        sql(
            f"UPDATE accounting_account SET {change.format(other=other_books.company.pk)} WHERE id = %s",
            getattr(books.accounts, account).pk,
        )


def test_matching_is_switched_on_and_off_with_what_is_open(books: Books) -> None:
    Forgery(books).item(books.accounts.suspense, 10).item(books.accounts.income, 0, 10).write()
    settle()
    suspense = books.accounts.suspense.pk

    sql("UPDATE accounting_account SET reconcile = true WHERE id = %s", suspense)
    assert sql("SELECT residual FROM accounting_journalitem WHERE account_id = %s", suspense) == [(10,)]
    sql("UPDATE accounting_account SET reconcile = false WHERE id = %s", suspense)

    assert sql("SELECT residual FROM accounting_journalitem WHERE account_id = %s", suspense) == [(0,)]


@pytest.mark.parametrize(
    "change",
    ["type = 'general'", "company_id = {other}", "currency_id = (SELECT max(id) FROM core_currency)"],
)
def test_a_journal_with_entries_keeps_its_kind(books: Books, other_books: Books, change: str) -> None:
    post(books, spec_of(books, journal="sale"))

    with refused("accounting_journal_type_fixed", "accounting_journal_currency_fixed"):
        sql(
            f"UPDATE accounting_journal SET {change.format(other=other_books.company.pk)} WHERE id = %s",
            books.journals.sale.pk,
        )


def test_a_tax_on_posted_items_is_fixed(books: Books) -> None:
    spec = spec_of(books)
    spec.items[1].tax_pks = [books.taxes.sale21.pk]
    post(books, spec)

    with refused("accounting_tax_fixed"):
        sql("UPDATE accounting_tax SET amount = 25 WHERE id = %s", books.taxes.sale21.pk)
    with refused("accounting_tax_fixed"):
        sql("UPDATE accounting_taxrepartition SET percent = 50 WHERE tax_id = %s", books.taxes.sale21.pk)
    with refused("accounting_tax_fixed"):
        sql("DELETE FROM accounting_taxrepartition WHERE tax_id = %s", books.taxes.sale21.pk)


@pytest.mark.parametrize("what", ["account_id", "currency_id"])
def test_what_does_not_exist_yet_cannot_be_posted_to(books: Books, what: str) -> None:
    """Made afterwards, in the same transaction, it could be another than the one that was judged."""
    forged = Forgery(books).sound().item(books.accounts.bank, 0)
    forged.items[2][what] = 2**40

    with refused("accounting_entry_links"):
        forged.write_items()
        forged.write_entry()
        sql("UPDATE accounting_account SET id = %s WHERE id = %s", 2**40, books.accounts.bank.pk)


def test_one_bad_entry_among_many_is_named(books: Books) -> None:
    good, bad = Forgery(books).sound(), Forgery(books).item(books.accounts.receivable, 10)
    good.write()

    with refused("accounting_entry_balances"):
        bad.write()
    settle()
    assert JournalEntry.objects.get(pk=good.pk).number == "RAW/2026/0001"
