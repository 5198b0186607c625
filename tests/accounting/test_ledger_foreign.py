"""Open amounts in foreign currency attacked with plain SQL by the application's own role: INSERT, UPDATE, COPY, triggers."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from django.db import connection

from apps.accounting.models import JournalItem
from tests.accounting.factories import Books, get_currency
from tests.accounting.payment_helpers import book
from tests.accounting.raw_ledger import DAY, Forgery, refused, settle, sql

pytestmark = pytest.mark.django_db


def _foreign(books: Books, balance: str, amount: str, currency: str = "USD") -> JournalItem:
    """An open item of ``balance`` in the books and ``amount`` in its currency, both signed."""
    items = book(
        books,
        books.journals.general,
        DAY,
        (books.accounts.receivable, balance, amount),
        (books.accounts.income, str(-Decimal(balance)), str(-Decimal(amount))),
        currency=currency,
    )
    settle()
    return items[0]


def _left(item: JournalItem) -> tuple[Decimal, Decimal]:
    return sql("SELECT residual, residual_currency FROM accounting_journalitem WHERE id = %s", item.pk)[0]  # type: ignore[return-value]


def test_a_sound_matching_in_foreign_currency_is_taken(books: Books) -> None:
    """120 USD at 60 and 240 USD at 120; the attacks below spoil one thing of it."""
    debit, credit = _foreign(books, "60", "120"), _foreign(books, "-120", "-240")

    _write_matches(books, [(debit, credit, 60, 120, 120)])
    settle()

    assert (_left(debit), _left(credit)) == ((0, 0), (-60, -120))


@pytest.mark.parametrize("by_copy", [False, True])
@pytest.mark.parametrize(
    ("amount", "debit_currency", "credit_currency", "constraint"),
    [
        # past zero in the currency alone, on both sides and on one
        (60, 121, 121, "accounting_item_residual_range"),
        (60, 240, 240, "accounting_item_residual_range"),
        (0, 121, 121, "accounting_item_residual_range"),
        (60, 121, 120, "accounting_match_one_currency"),
        (60, 120, 241, "accounting_match_one_currency"),
        (60, 120, 0, "accounting_match_one_currency"),
        # the wrong way round, which would raise what is open
        (60, -120, -120, "accounting_match_positive"),
        (-60, 120, 120, "accounting_match_positive"),
        # nothing left in the currency, something in the company's, and nobody booked the difference
        (40, 120, 120, "accounting_match_exchange"),
        (0, 120, 120, "accounting_match_exchange"),
    ],
)
def test_no_more_is_matched_in_foreign_currency_than_is_open(
    books: Books, amount: int, debit_currency: int, credit_currency: int, constraint: str, by_copy: bool
) -> None:
    debit, credit = _foreign(books, "60", "120"), _foreign(books, "-120", "-240")

    with refused(constraint):
        _write_matches(books, [(debit, credit, amount, debit_currency, credit_currency)], by_copy=by_copy)

    assert (_left(debit), _left(credit)) == ((60, 120), (-120, -240))


@pytest.mark.parametrize("by_copy", [False, True])
def test_several_matchings_together_take_no_more_than_one(books: Books, by_copy: bool) -> None:
    debit, credit = _foreign(books, "60", "120"), _foreign(books, "-120", "-240")
    half = (debit, credit, 20, 50, 50)

    with refused("accounting_item_residual_range"):
        _write_matches(books, [half, half, half], by_copy=by_copy)
    with refused("accounting_item_residual_range"):
        for _n in range(3):
            _write_matches(books, [half], by_copy=by_copy)

    assert _left(debit) == (60, 120)


def test_in_two_foreign_currencies_each_side_keeps_its_own_limit(books: Books) -> None:
    debit, credit = _foreign(books, "60", "120"), _foreign(books, "-60", "-50", "GBP")

    with refused("accounting_item_residual_range"):
        _write_matches(books, [(debit, credit, 60, 120, 51)])
    with refused("accounting_item_residual_range"):
        _write_matches(books, [(debit, credit, 60, 121, 50)])
    _write_matches(books, [(debit, credit, 60, 120, 50)])

    assert (_left(debit), _left(credit)) == ((0, 0), (0, 0))


def test_a_debit_never_stands_in_for_a_credit(books: Books) -> None:
    """A debit that was matched in part has room upwards; another debit cannot be settled by filling it again."""
    debit, credit, other = (
        _foreign(books, "60", "120"),
        _foreign(books, "-60", "-120"),
        _foreign(books, "9", "18"),
    )
    _write_matches(books, [(debit, credit, 60, 120, 120)])

    with refused("accounting_match_sides"):
        _write_matches(books, [(other, debit, 9, 18, 18)])

    assert (_left(debit), _left(other)) == ((0, 0), (9, 18))


@pytest.mark.parametrize(
    ("residual", "currency"),
    [("60", "121"), ("60", "-1"), ("-1", "120"), ("61", "120"), ("0", "-120"), ("60", "0")],
)
def test_an_item_never_opens_in_foreign_currency_by_another_amount(
    books: Books, residual: str, currency: str
) -> None:
    usd = get_currency("USD").pk
    forged = Forgery(books)
    forged.item(books.accounts.receivable, 60, amount_currency=120, currency_id=usd)
    forged.item(books.accounts.income, 0, 60, amount_currency=-120, currency_id=usd)
    forged.items[0] |= {"residual": Decimal(residual), "residual_currency": Decimal(currency)}

    with refused("accounting_item_residual_range", "accounting_item_residual_starts"):
        forged.write()


@pytest.mark.parametrize(
    "change", ["residual_currency = 0", "residual_currency = -1", "residual_currency = 240"]
)
def test_what_is_open_in_foreign_currency_is_not_written(books: Books, change: str) -> None:
    item = _foreign(books, "60", "120")

    with refused("accounting_item_residual_derived", "accounting_item_residual_range"):
        sql(f"UPDATE accounting_journalitem SET {change} WHERE id = %s", item.pk)


DISGUISES = {
    "a trigger on a table of his own": "accounting_sneak",
    "a trigger named like one of the books": "accounting_matches_made",
    "a name that contains the name": "x accounting_matches_made() line 1",
    "a name of two lines": "x\nPL/pgSQL function accounting_matches_made() line 1 at SQL statement",
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            "UPDATE accounting_journalitem SET residual_currency = 0 WHERE posted",
            "accounting_item_residual_derived",
        ),
        ("UPDATE accounting_periodbalance SET debit = debit + 1", "accounting_balance_derived"),
        ("DELETE FROM accounting_partnerbalance", "accounting_balance_derived"),
    ],
)
def test_a_temporary_trigger_is_no_way_round(
    books: Books, statement: str, constraint: str, disguise: str
) -> None:
    """Whoever may connect may make temporary tables with triggers: what these do is not done by the books."""
    _foreign(books, "60", "120")
    name = '"' + disguise.replace('"', '""') + '"'
    sql("CREATE TEMPORARY TABLE sneak (n integer)")
    sql(
        f"CREATE FUNCTION pg_temp.{name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {statement}; RETURN NEW; END $$"
    )
    sql(f"CREATE TRIGGER sneak AFTER INSERT ON sneak FOR EACH ROW EXECUTE FUNCTION pg_temp.{name}()")

    with refused(constraint):
        sql("INSERT INTO sneak VALUES (1)")


def _write_matches(
    books: Books, rows: list[tuple[JournalItem, JournalItem, int, int, int]], *, by_copy: bool = False
) -> None:
    """All rows in one statement, as INSERT or as COPY."""
    names = "company_id, debit_item_id, credit_item_id, amount, debit_amount_currency, credit_amount_currency, date, created_at"
    now = datetime.datetime.now(datetime.UTC)
    values = [
        (books.company.pk, d.pk, c.pk, amount, own, other, DAY, now) for d, c, amount, own, other in rows
    ]
    with connection.cursor() as cursor:
        if by_copy:
            with (
                connection.wrap_database_errors,
                cursor.copy(f"COPY accounting_partialmatch ({names}) FROM STDIN") as copy,
            ):
                for row in values:
                    copy.write_row(row)
        else:
            marks = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s)"] * len(values))
            cursor.execute(
                f"INSERT INTO accounting_partialmatch ({names}) VALUES {marks}",
                [value for row in values for value in row],
            )
