"""Unrealised exchange differences (spec: USD 700 carried at 636.36, rate 1.05 → 30.31 gained)."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from django.db import connection

from apps.accounting.models import JournalEntry, JournalItem
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.revaluation import revalue, unrealised
from apps.contacts.models import Partner
from apps.core.errors import ValidationFailed
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books, get_currency, set_rate

DAY = datetime.date(2026, 6, 30)


@pytest.fixture
def claim(books: Books, customer: Partner) -> JournalEntry:
    """A claim of USD 700 that the books carry at 636.36."""
    dollar = get_currency("USD")
    set_rate("USD", "2026-06-30", "1.05")
    with unit_of_work(books.system):
        return post_entries(
            [
                EntrySpec(
                    journal=books.journals.sale,
                    date=datetime.date(2026, 5, 1),
                    company_pk=books.company.pk,
                    currency_pk=dollar.pk,
                    items=[
                        ItemSpec(
                            books.accounts.receivable.pk,
                            Decimal("636.36"),
                            dollar.pk,
                            Decimal(700),
                            partner_pk=customer.pk,
                        ),
                        ItemSpec(books.accounts.income.pk, Decimal("-636.36"), dollar.pk, Decimal(-700)),
                    ],
                )
            ],
            actor=books.system,
        )[0]


@pytest.mark.django_db
def test_open_items_are_worth_what_the_day_says(books: Books, claim: JournalEntry) -> None:
    found = unrealised(books.company, DAY)

    assert [(row.carried, row.worth, row.difference) for row in found] == [
        (Decimal("636.36"), Decimal("666.67"), Decimal("30.31"))
    ]


@pytest.mark.django_db
def test_the_difference_is_booked_and_taken_back_next_day(books: Books, claim: JournalEntry) -> None:
    answer = revalue([books.settings], actor=books.actor("adviser"), date=DAY)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    entry, back = (JournalEntry.objects.get(pk=answer[key]) for key in ("entry", "reversal"))
    gain = JournalItem.objects.get(entry=entry, account=books.accounts.exchange_gain)
    assert (answer["difference"], gain.credit) == ("30.31", Decimal("30.31"))
    assert (entry.date, back.date) == (DAY, datetime.date(2026, 7, 1))
    carried = JournalItem.objects.filter(account=books.accounts.receivable)
    assert sum(item.debit - item.credit for item in carried) == Decimal("636.36")
    original = JournalItem.objects.get(entry=claim, account=books.accounts.receivable)
    assert (original.residual, original.residual_currency) == (Decimal("636.36"), Decimal(700))


@pytest.mark.django_db
def test_nothing_open_is_said_plainly(books: Books) -> None:
    with pytest.raises(ValidationFailed, match="Nothing in foreign currency"):
        revalue([books.settings], actor=books.actor("adviser"), date=DAY)
