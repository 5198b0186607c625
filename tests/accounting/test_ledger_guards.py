"""Posted entries attacked with plain SQL by the application's own database role: nothing may change, nothing may go."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.accounting.models import JournalEntry, JournalItem, PartialMatch
from tests.accounting.factories import Books, get_currency
from tests.accounting.raw_ledger import DAY, Forgery, draft_of, insert, post, refused, settle, spec_of, sql

pytestmark = pytest.mark.django_db


def test_the_attacker_is_the_application_and_no_superuser(books: Books) -> None:
    assert sql("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]


def test_a_forged_entry_that_is_sound_is_taken(books: Books) -> None:
    """The attacks below spoil one thing each; unspoiled they would succeed."""
    made = Forgery(books).sound().write()
    settle()

    again = Forgery(books).sound("7.00").write()
    settle()

    assert (made.number, again.number) == ("RAW/2026/0001", "RAW/2026/0002")


# ------------------------------------------------------------------------------------------------- changing entries
@pytest.mark.parametrize(
    "change",
    [
        "state = 'draft', number = '', hash = '', chain_index = NULL, posted_at = NULL",
        "state = 'cancelled', number = '', hash = '', chain_index = NULL, posted_at = NULL",
        "date = date + 1",
        "date = '2020-01-01'",
        "number = number || 'x'",
        "series_number = series_number + 1",
        "series_id = NULL",
        "revision = revision + 1",
        "chain_index = chain_index + 1",
        "digest = repeat('0', 64)",
        "hash = repeat('0', 64)",
        "reference = 'changed'",
        "partner_id = (SELECT min(id) FROM contacts_partner)",
        "journal_id = (SELECT max(id) FROM accounting_journal)",
        "currency_id = (SELECT max(id) FROM core_currency)",
        "origin = 'invoice'",
        "posted_at = now() - interval '1 year'",
        "posted_by_id = (SELECT min(id) FROM access_user)",
        "reversal_of_id = id",
        "caused_by_id = id",
        "created_at = now() - interval '1 year'",
    ],
)
def test_a_posted_entry_is_final(books: Books, change: str) -> None:
    books.user()
    entry = post(books)[0]

    with refused("accounting_entry_final"):
        sql(f"UPDATE accounting_journalentry SET {change} WHERE id = %s", entry.pk)


def test_a_posted_entry_keeps_its_key_and_company(books: Books, other_books: Books) -> None:
    entry = post(books)[0]

    with refused("accounting_entry_stays"):
        sql("UPDATE accounting_journalentry SET id = 999999999 WHERE id = %s", entry.pk)
    with refused("accounting_entry_stays"):
        sql(
            "UPDATE accounting_journalentry SET company_id = %s WHERE id = %s",
            other_books.company.pk,
            entry.pk,
        )


def test_posted_entries_are_not_deleted(books: Books) -> None:
    entry = post(books)[0]

    with refused("accounting_entry_kept"):
        sql("DELETE FROM accounting_journalentry WHERE id = %s", entry.pk)
    with refused("accounting_item_kept"):
        sql("DELETE FROM accounting_journalitem WHERE entry_id = %s", entry.pk)


@pytest.mark.parametrize(
    "table",
    [
        "accounting_journalentry",
        "accounting_journalitem",
        "accounting_partialmatch",
        "accounting_periodbalance",
        "accounting_partnerbalance",
        "accounting_numberseries",
        "accounting_journalchain",
        "accounting_lockexception",
        "accounting_accountingsettings",
        "accounting_invoice",
        "accounting_invoiceline",
        "accounting_account",
        "accounting_journal",
        "accounting_tax",
        "accounting_taxrepartition",
        "access_company",
    ],
)
def test_nothing_of_the_books_is_truncated(books: Books, table: str) -> None:
    post(books)
    names = [
        row[0] for row in sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 = 32")
    ]

    with refused(*names):
        sql(f"TRUNCATE {table} CASCADE")


def test_a_draft_with_items_posts_by_hand_and_is_final_then(books: Books) -> None:
    entry = draft_of(books)
    settle()
    _post_by_hand(books, entry)
    settle()

    entry.refresh_from_db()
    assert (entry.state, entry.items.filter(posted=True).count()) == ("posted", 2)
    with refused("accounting_entry_final"):
        sql("UPDATE accounting_journalentry SET date = date + 1 WHERE id = %s", entry.pk)


def test_to_draft_and_back_in_one_statement_is_no_way_round(books: Books) -> None:
    entry = post(books)[0]

    with refused("accounting_entry_final"):
        sql(
            "WITH back AS (UPDATE accounting_journalentry SET state = 'draft' WHERE id = %s RETURNING id) "
            "UPDATE accounting_journalitem SET name = 'y' WHERE entry_id IN (SELECT id FROM back)",
            entry.pk,
        )


def test_an_upsert_changes_nothing(books: Books) -> None:
    entry = post(books)[0]

    with refused("accounting_entry_final"):
        sql(
            f"INSERT INTO accounting_journalentry ({_columns()}) SELECT {_columns()} FROM accounting_journalentry "
            "WHERE id = %s ON CONFLICT (id) DO UPDATE SET date = '2020-01-01'",
            entry.pk,
        )


def _columns() -> str:
    return ", ".join(str(f.column) for f in JournalEntry._meta.concrete_fields)


# --------------------------------------------------------------------------------------------------- changing items
@pytest.mark.parametrize(
    "change",
    [
        "debit = debit + 1",
        "credit = credit + 1, debit = 0",
        "amount_currency = amount_currency + 1",
        "account_id = (SELECT max(id) FROM accounting_account WHERE type = 'income')",
        "partner_id = (SELECT min(id) FROM contacts_partner)",
        "name = 'changed'",
        "date = '2020-01-01'",
        "date_maturity = '2020-01-01'",
        "journal_id = (SELECT max(id) FROM accounting_journal)",
        "posted = false",
        "position = 77",
        "kind = 'tax'",
        "currency_id = (SELECT max(id) FROM core_currency)",
        "quantity = 5",
        "tax_id = (SELECT min(id) FROM accounting_tax)",
        "tax_base_amount = 9",
        "tax_pks = '{1}'",
        "tag_pks = '{1}'",
        "discount_date = '2026-01-01'",
        "discount_amount_currency = 1",
    ],
)
def test_a_posted_item_is_final(books: Books, change: str) -> None:
    entry = post(books)[0]

    with refused("accounting_item_final"):
        sql(f"UPDATE accounting_journalitem SET {change} WHERE entry_id = %s AND debit > 0", entry.pk)


def test_items_do_not_move(books: Books, other_books: Books) -> None:
    entry, other = post(books, spec_of(books), spec_of(books, "3.00"))
    draft = draft_of(books)
    settle()

    for target in (other.pk, draft.pk):
        with refused("accounting_item_stays"):
            sql("UPDATE accounting_journalitem SET entry_id = %s WHERE entry_id = %s", target, entry.pk)
    with refused("accounting_item_stays"):
        sql("UPDATE accounting_journalitem SET entry_id = %s WHERE entry_id = %s", entry.pk, draft.pk)
    with refused("accounting_item_stays"):
        sql(
            "UPDATE accounting_journalitem SET company_id = %s WHERE entry_id = %s",
            other_books.company.pk,
            entry.pk,
        )
    with refused("accounting_item_stays"):
        sql("UPDATE accounting_journalitem SET id = id + 1000000 WHERE entry_id = %s", entry.pk)


@pytest.mark.parametrize(
    "change", ["residual = 0", "residual_currency = 1", "residual = 50, residual_currency = 50"]
)
def test_what_is_open_follows_from_matchings_alone(books: Books, change: str) -> None:
    entry = post(books)[0]

    with refused("accounting_item_residual_derived"):
        sql(f"UPDATE accounting_journalitem SET {change} WHERE entry_id = %s AND debit > 0", entry.pk)


@pytest.mark.parametrize(("residual", "currency"), [(0, 0), (50, 100), (100, 0), (40, 40)])
def test_an_item_opens_by_its_own_amount(books: Books, residual: int, currency: int) -> None:
    forged = Forgery(books).sound()
    forged.items[0] |= {"residual": residual, "residual_currency": currency}

    with refused("accounting_item_residual_starts"):
        forged.write()


# -------------------------------------------------------------------------------------------- adding to a posted entry
@pytest.mark.parametrize("posted", [True, False])
def test_items_are_not_added_to_a_posted_entry(books: Books, posted: bool) -> None:
    entry = post(books)[0]
    for first, constraints in (
        (5, ["accounting_item_final"]),
        (0, ["accounting_item_final", "accounting_item_first"]),
    ):
        forged = Forgery(books, pk=entry.pk).item(books.accounts.bank, 10).item(books.accounts.cash, 0, 10)
        with refused(*constraints):
            forged.write_items(
                [{**row, "posted": posted, "position": first + row["position"]} for row in forged.items]
            )


def test_items_are_not_added_later_in_the_posting_transaction(books: Books) -> None:
    forged = Forgery(books).sound()
    more = Forgery(books, pk=forged.pk).item(books.accounts.bank, 10, position=5)
    more.item(books.accounts.cash, 0, 10, position=6)

    with refused("accounting_item_final"):
        forged.write()
        more.write_items()
    with refused("accounting_item_final"):
        forged.write()
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        more.write_items()


def test_copy_is_no_way_round(books: Books) -> None:
    entry = post(books)[0]
    row = dict(Forgery(books, pk=entry.pk).item(books.accounts.bank, 10, position=5).items[0])
    row["tax_pks"] = row["tag_pks"] = "{}"
    text = "\t".join(str(value) for value in row.values()) + "\n"

    with (
        refused("accounting_item_final"),
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY accounting_journalitem ({', '.join(row)}) FROM STDIN") as copy,
    ):
        copy.write(text)


def test_posted_items_need_their_entry(books: Books) -> None:
    """Items marked as posted without a posted entry would sit in the balances for ever."""
    forged = Forgery(books).sound()

    with refused("accounting_item_with_entry"):
        forged.write_items()


def test_items_of_a_draft_are_not_posted_alone(books: Books) -> None:
    entry = draft_of(books)
    settle()

    with refused("accounting_item_with_entry"):
        sql("UPDATE accounting_journalitem SET posted = true WHERE entry_id = %s", entry.pk)
    with refused("accounting_item_with_entry"):
        sql(
            "UPDATE accounting_journalitem SET posted = true, credit = 5 WHERE entry_id = %s AND debit = 0",
            entry.pk,
        )


def test_a_draft_is_not_posted_without_its_items(books: Books) -> None:
    entry = draft_of(books)
    settle()

    with refused("accounting_item_with_entry", "accounting_item_like_entry"):
        _post_by_hand(books, entry, items=False)


def test_items_of_a_draft_that_differ_from_it_are_not_posted(books: Books, other_books: Books) -> None:
    entry = draft_of(books)
    settle()

    for change in ("date = date + 1", f"journal_id = {books.journals.sale.pk}"):
        with refused("accounting_item_like_entry"):
            sql(f"UPDATE accounting_journalitem SET {change} WHERE entry_id = %s", entry.pk)
            _post_by_hand(books, entry)
    with refused("accounting_item_company_of_entry", "accounting_journalitem_company"):
        forged = Forgery(other_books, pk=entry.pk).item(other_books.accounts.bank, 10, posted=False)
        forged.write_items()


def _post_by_hand(books: Books, entry: JournalEntry, *, items: bool = True) -> None:
    """What the service does to a draft, in plain statements."""
    forged = Forgery(books, pk=entry.pk).sound()
    if items:
        sql("UPDATE accounting_journalitem SET posted = true WHERE entry_id = %s", entry.pk)
    columns: dict[str, Any] = {}

    def keep(_table: str, values: dict[str, Any]) -> None:
        columns.update(values)

    from tests.accounting import raw_ledger

    original, raw_ledger.insert = raw_ledger.insert, keep
    try:
        forged.write_entry()
    finally:
        raw_ledger.insert = original
    names = ("state", "series_id", "series_number", "number", "chain_index", "digest", "hash", "posted_at")
    sql(
        f"UPDATE accounting_journalentry SET {', '.join(f'{name} = %s' for name in names)} WHERE id = %s",
        *(columns[name] for name in names),
        entry.pk,
    )


# ---------------------------------------------------------------------------------------------------------- matchings
def _pair(books: Books) -> tuple[JournalItem, JournalItem]:
    back = spec_of(books)
    for item in back.items:
        item.balance, item.amount_currency = -item.balance, -item.amount_currency
    one, two = post(books, spec_of(books), back)
    return (
        JournalItem.objects.get(entry=one, account=books.accounts.receivable),
        JournalItem.objects.get(entry=two, account=books.accounts.receivable),
    )


def _match(books: Books, debit: JournalItem, credit: JournalItem, **values: Any) -> None:
    insert(
        "accounting_partialmatch",
        {
            "company_id": books.company.pk,
            "debit_item_id": debit.pk,
            "credit_item_id": credit.pk,
            "amount": 40,
            "debit_amount_currency": 40,
            "credit_amount_currency": 40,
            "date": DAY,
            "created_at": datetime.datetime.now(datetime.UTC),
            **values,
        },
    )


def test_a_matching_moves_what_is_open_and_its_removal_moves_it_back(books: Books) -> None:
    debit, credit = _pair(books)

    _match(books, debit, credit)
    settle()

    assert sql("SELECT residual, residual_currency FROM accounting_journalitem WHERE id = %s", debit.pk) == [
        (60, 60)
    ]
    assert sql("SELECT residual FROM accounting_journalitem WHERE id = %s", credit.pk) == [(-60,)]
    PartialMatch.objects.all().delete()
    assert sql("SELECT residual FROM accounting_journalitem WHERE id = %s", credit.pk) == [(-100,)]


def test_a_matching_is_never_changed(books: Books) -> None:
    debit, credit = _pair(books)
    _match(books, debit, credit)
    settle()

    with refused("accounting_match_final"):
        sql("UPDATE accounting_partialmatch SET amount = 1")


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        (
            {"amount": 101, "debit_amount_currency": 101, "credit_amount_currency": 101},
            "accounting_item_residual_range",
        ),
        (
            {"amount": -1, "debit_amount_currency": 1, "credit_amount_currency": 1},
            "accounting_match_positive",
        ),
        ({"debit_amount_currency": 9999, "credit_amount_currency": 9999}, "accounting_item_residual_range"),
        ({"debit_amount_currency": 9999}, "accounting_match_one_currency"),
        ({"credit_amount_currency": 0}, "accounting_match_one_currency"),
        ({"debit_amount_currency": 0, "credit_amount_currency": 0}, "accounting_match_own_currency"),
        ({"amount": Decimal("NaN")}, "accounting_item_residual_range"),
        ({"date": datetime.date(2020, 1, 1)}, "accounting_match_dated"),
        ({"date": datetime.date(2030, 1, 1)}, "accounting_match_dated"),
    ],
)
def test_a_matching_takes_no_more_than_there_is(
    books: Books, values: dict[str, Any], constraint: str
) -> None:
    debit, credit = _pair(books)

    with refused(constraint):
        _match(books, debit, credit, **values)


def test_a_matching_joins_a_debit_and_a_credit_of_one_account(books: Books, other_books: Books) -> None:
    debit, credit = _pair(books)
    income = JournalItem.objects.get(entry=debit.entry_id, account=books.accounts.income)
    foreign, _other = _pair(other_books)
    draft = draft_of(books).items.get(account=books.accounts.receivable)
    settle()

    with refused("accounting_match_sides"):
        _match(books, credit, debit)
    with refused("accounting_match_two_items"):
        _match(books, debit, debit)
    with refused("accounting_match_one_account"):
        _match(books, debit, income)
    with refused("accounting_match_one_account"):
        _match(books, foreign, credit)
    with refused("accounting_match_one_account"):
        _match(books, draft, credit)
    with refused("accounting_match_company"):
        _match(books, debit, credit, company_id=other_books.company.pk)


# ----------------------------------------------------------------------------------------------------------- balances
@pytest.mark.parametrize("folding", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounting_periodbalance SET debit = debit + 1",
        "DELETE FROM accounting_periodbalance",
        "UPDATE accounting_partnerbalance SET items = 0",
        "DELETE FROM accounting_partnerbalance",
        (
            "INSERT INTO accounting_periodbalance (company_id, account_id, month, currency_id, debit, credit, "
            "amount_currency, items) SELECT company_id, account_id, month, currency_id, 5, 0, 5, 1 "
            "FROM accounting_periodbalance LIMIT 1"
        ),
    ],
)
def test_balances_are_not_written_by_hand(books: Books, statement: str, folding: bool) -> None:
    post(books)

    with refused("accounting_balance_derived"):
        if folding:
            sql("SET LOCAL accounting.folding = 'on'")
        sql(statement)


def test_balances_hold_what_was_posted(books: Books) -> None:
    dollar = get_currency("USD")
    forged = Forgery(books).item(books.accounts.bank, 90, amount_currency=100, currency_id=dollar.pk)
    forged.item(books.accounts.income, 0, 90)
    forged.write()
    post(books)
    settle()

    rows = sql(
        "SELECT account_id, currency_id, month, sum(debit), sum(credit), sum(amount_currency), sum(items) "
        "FROM accounting_periodbalance GROUP BY 1, 2, 3 ORDER BY 1, 2"
    )
    month, euro, a = datetime.date(2026, 3, 1), books.company.currency_id, books.accounts
    assert sorted(rows) == sorted(
        [
            (a.bank.pk, dollar.pk, month, 90, 0, 100, 1),
            (a.income.pk, euro, month, 0, 190, -190, 2),
            (a.receivable.pk, euro, month, 100, 0, 100, 1),
        ]
    )
    assert sql("SELECT account_id, partner_id, sum(debit) FROM accounting_partnerbalance GROUP BY 1, 2") == [
        (a.receivable.pk, None, 100)
    ]
