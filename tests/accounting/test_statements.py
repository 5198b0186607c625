"""Bank statements: lines are booked at once, fixed afterwards, taken back by an opposite entry; figures and gaps."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import Account, BankStatement, JournalEntry, JournalItem, StatementLine
from apps.accounting.selectors.statements import open_amounts, running_balances, statement_figures
from apps.contacts.selectors.rates import MissingRate
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.records import service_for
from tests.accounting.factories import Books, get_currency, set_rate
from tests.accounting.payment_helpers import account_balance, lines_of, settled

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 10)


def make_statement(
    books: Books, start: str, end: str, date: datetime.date = DAY, **more: Any
) -> BankStatement:
    return service_for(BankStatement).create_one(
        {
            "journal": books.journals.bank,
            "name": f"S {date}",
            "date": date,
            "balance_start": Decimal(start),
            "balance_end": Decimal(end),
            **more,
        },
        actor=books.actor(),
    )


def make_line(books: Books, amount: str, **more: Any) -> StatementLine:
    values = {"journal": books.journals.bank, "date": DAY, "amount": Decimal(amount), **more}
    return service_for(StatementLine).create_one(values, actor=books.actor())


def foreign_journal(books: Books, code: str) -> Any:
    """The second bank journal, in a foreign currency."""
    journal = books.journals.bank2
    journal.currency = get_currency(code)
    journal.save(update_fields=["currency"])
    return journal


def test_a_line_is_booked_at_once_against_suspense(books: Books) -> None:
    line = make_line(books, "250.00", label="Transfer of Prime")
    settled()

    assert line.entry is not None
    assert line.entry.number == "BNK1/2026/00001"
    assert (line.entry.origin, line.entry.state, line.reconciled) == ("statement", "posted", False)
    assert lines_of(line.entry) == [
        ("550000", "250.00", "0.00", "250.00"),
        ("499000", "0.00", "250.00", "-250.00"),
    ]
    assert Account.objects.get(pk=books.accounts.suspense.pk).reconcile
    assert JournalItem.objects.get(entry=line.entry, position=1).residual == Decimal("-250.00")


def test_a_line_of_a_foreign_journal_takes_the_rate_of_its_day(books: Books) -> None:
    set_rate("USD", "2026-03-01", "1.25")
    journal = foreign_journal(books, "USD")

    line = make_line(books, "-100.00", journal=journal)
    settled()

    assert line.entry is not None
    assert lines_of(line.entry) == [
        ("550100", "0.00", "80.00", "-100.00"),
        ("499000", "80.00", "0.00", "100.00"),
    ]


def test_a_foreign_amount_stands_on_the_suspense_side(books: Books) -> None:
    line = make_line(books, "92.50", foreign_currency=get_currency("USD"), foreign_amount=Decimal("100.00"))
    settled()

    assert line.entry is not None
    assert lines_of(line.entry) == [
        ("550000", "92.50", "0.00", "92.50"),
        ("499000", "0.00", "92.50", "-100.00"),
    ]
    left = open_amounts([line.pk])[line.pk]
    assert (left.amount, left.company) == (Decimal("100.00"), Decimal("92.50"))


def test_the_banks_own_rate_counts_when_the_foreign_amount_is_the_companys(books: Books) -> None:
    journal = foreign_journal(books, "USD")  # no rate is entered: none is needed

    line = make_line(
        books,
        "100.00",
        journal=journal,
        foreign_currency=books.currency,
        foreign_amount=Decimal("91.10"),
    )
    settled()

    assert line.entry is not None
    assert lines_of(line.entry) == [
        ("550100", "91.10", "0.00", "100.00"),
        ("499000", "0.00", "91.10", "-91.10"),
    ]


def test_a_foreign_journal_without_a_rate_is_refused(books: Books) -> None:
    journal = foreign_journal(books, "USD")

    with pytest.raises(MissingRate):
        make_line(books, "100.00", journal=journal)

    assert not StatementLine.objects.exists()
    assert not JournalEntry.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount": Decimal("0")}, None),
        ({"amount": Decimal("1.005")}, "amount"),
        ({"foreign_amount": Decimal("5")}, None),
    ],
)
def test_lines_that_no_bank_writes_are_refused(
    books: Books, values: dict[str, Any], field: str | None
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make_line(books, **{"amount": "10.00", **values})

    if field is not None:
        assert field in refused.value.fields
    assert not StatementLine.objects.exists()


def test_the_journals_own_currency_is_not_foreign(books: Books) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make_line(books, "10.00", foreign_currency=books.currency, foreign_amount=Decimal("10.00"))

    assert "foreign_currency" in refused.value.fields


def test_lines_belong_to_journals_of_money(books: Books) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make_line(books, "10.00", journal=books.journals.general)

    assert "journal" in refused.value.fields


def test_a_line_of_another_journal_is_not_of_the_statement(books: Books) -> None:
    statement = make_statement(books, "0", "10")

    with pytest.raises(ValidationFailed) as refused:
        make_line(books, "10.00", journal=books.journals.cash, statement=statement)

    assert "statement" in refused.value.fields


def test_what_the_bank_said_is_fixed_and_the_rest_may_be_mended(books: Books, customer: Any) -> None:
    line = make_line(books, "10.00", label="?")
    lines = service_for(StatementLine)

    with pytest.raises(ValidationFailed) as refused:
        lines.update([line], {"amount": Decimal("11.00")}, actor=books.actor())
    changed = lines.update(
        [line], {"label": "Fee", "partner": customer, "amount": Decimal("10.00")}, actor=books.actor()
    )[0]

    assert list(refused.value.fields) == ["amount"]
    assert (changed.label, changed.partner_id, changed.amount) == ("Fee", customer.pk, Decimal("10.00"))


def test_deleting_a_line_books_the_opposite_under_its_number(books: Books) -> None:
    line = make_line(books, "75.00")
    entry = line.entry
    assert entry is not None

    service_for(StatementLine).delete([line], actor=books.actor())
    settled()

    reversal = JournalEntry.objects.get(reversal_of=entry)
    assert not StatementLine.objects.exists()
    assert (reversal.number, reversal.revision) == (entry.number, 1)
    assert account_balance(books, books.accounts.bank) == 0
    assert not JournalItem.objects.filter(account=books.accounts.suspense).exclude(residual=0).exists()


def test_reading_does_not_allow_writing(books: Books) -> None:
    with pytest.raises(PermissionDenied):
        service_for(StatementLine).create_one(
            {"journal": books.journals.bank, "date": DAY, "amount": Decimal(1)}, actor=books.actor("auditor")
        )

    assert not StatementLine.objects.exists()


def test_the_number_of_statements_does_not_grow_with_the_lines(
    books: Books, django_assert_max_num_queries: Any
) -> None:
    make_line(books, "1.00")
    actor = books.actor()
    rows = [
        {"journal": books.journals.bank, "date": DAY, "amount": Decimal(n), "label": f"L{n}"}
        for n in range(1, 1001)
    ]

    with django_assert_max_num_queries(45):
        made = service_for(StatementLine).create(rows, actor=actor)
    settled()

    assert len(made) == 1000
    assert len({line.entry_id for line in made}) == 1000
    assert account_balance(books, books.accounts.bank) == Decimal(500501)


# ------------------------------------------------------------------------------------------------------------- figures
def test_complete_and_valid(books: Books) -> None:
    first = make_statement(books, "1000.00", "1174.50")
    make_line(books, "250.00", statement=first)
    make_line(books, "-75.50", statement=first)
    second = make_statement(books, "1174.40", "1174.40", date=datetime.date(2026, 3, 11))
    third = make_statement(books, "1174.40", "1200.00", date=datetime.date(2026, 3, 12))

    figures = statement_figures([first.pk, second.pk, third.pk])

    assert (figures[first.pk].computed_end, figures[first.pk].is_complete) == (Decimal("1174.50"), True)
    assert (figures[first.pk].is_valid, figures[first.pk].lines) == (True, 2)
    assert (figures[second.pk].is_valid, figures[second.pk].gap) == (False, Decimal("-0.10"))
    assert figures[second.pk].previous_pk == first.pk
    assert (figures[third.pk].is_valid, figures[third.pk].is_complete) == (True, False)


def test_running_balances_begin_with_the_first_statement(books: Books) -> None:
    statement = make_statement(books, "1000.00", "1174.50")
    one = make_line(books, "250.00", statement=statement)
    two = make_line(books, "-75.50", statement=statement)
    later = make_line(books, "10.00", date=datetime.date(2026, 4, 1))
    before = make_line(books, "5.00", date=datetime.date(2026, 2, 1))

    balances = running_balances([one.pk, two.pk, later.pk, before.pk])

    assert balances == {
        before.pk: Decimal("1000.00"),
        one.pk: Decimal("1250.00"),
        two.pk: Decimal("1174.50"),
        later.pk: Decimal("1184.50"),
    }
    assert running_balances([later.pk]) == {later.pk: Decimal("1184.50")}


def test_a_statement_with_lines_stays_in_its_journal(books: Books) -> None:
    statement = make_statement(books, "0", "10.00")
    make_line(books, "10.00", statement=statement)

    with pytest.raises(ValidationFailed):
        service_for(BankStatement).update([statement], {"journal": books.journals.cash}, actor=books.actor())

    assert BankStatement.objects.get().journal_id == books.journals.bank.pk
