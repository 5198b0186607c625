"""The demo story of the books: whole, balanced, and the same when told again."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import Sum

from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.accounting import demo
from apps.accounting.models import (
    AccountingSettings,
    BankStatement,
    Invoice,
    JournalEntry,
    JournalItem,
    Payment,
    PeriodBalance,
)
from apps.accounting.selectors.bank_matching import proposals_for
from apps.accounting.selectors.statements import statement_figures
from apps.core.actor import system_actor


@pytest.fixture
def told(told_story: None, db: None) -> None:
    """The story, with its tables."""


def check_now() -> None:
    """Let PostgreSQL look at everything it otherwise checks at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_books_are_whole(told: None) -> None:
    check_now()

    assert set(AccountingSettings.objects.values_list("company__name", "chart")) == {
        ("Noordlicht Instruments", "nl"),
        ("Harbor & Pine", "us"),
    }
    europe = Company.objects.get(name=demo.EUROPE)
    states = Counter(Invoice.objects.filter(company=europe).values_list("state", flat=True))
    assert states["posted"] == 7
    assert states["cancelled"] == 1
    assert states["draft"] >= 2
    payment_states = set(
        Invoice.objects.filter(company=europe, state="posted").values_list("payment_state", flat=True)
    )
    assert {"partial", "not_paid"} <= payment_states
    assert payment_states & {"paid", "in_payment"}
    assert Payment.objects.filter(company=europe).count() == 3
    sums = JournalItem.objects.filter(posted=True).aggregate(d=Sum("debit"), c=Sum("credit"))
    balances = PeriodBalance.objects.aggregate(d=Sum("debit"), c=Sum("credit"))
    assert sums["d"] == sums["c"] == balances["d"] == balances["c"] > Decimal(100_000)


def test_sales_abroad_carry_no_domestic_tax(told: None) -> None:
    brewery = Invoice.objects.filter(partner__name="Brouwerij De Haan", type="customer_invoice").get()
    hospital = Invoice.objects.filter(partner__name="Universitair Ziekenhuis Lelie").order_by("date", "pk")[0]

    assert (brewery.untaxed_amount, brewery.tax_amount) == (Decimal("4696.35"), Decimal(0))
    assert (hospital.untaxed_amount, hospital.tax_amount) == (Decimal("12970.00"), Decimal("2723.70"))


def test_a_bank_statement_waits_to_be_explained(told: None) -> None:
    europe = Company.objects.get(name=demo.EUROPE)
    statement = BankStatement.objects.get(company=europe)
    lines = list(statement.lines.order_by("pk"))

    found = proposals_for(lines, actor=actor_for(User.objects.get(login="accountant")))

    assert statement_figures([statement.pk])[statement.pk].is_complete
    assert not any(line.reconciled for line in lines)
    assert len(lines) == 6
    assert [bool(found.get(line.pk)) for line in lines] == [True] * 5 + [False]


def test_each_role_signs_in_with_its_name(told: None) -> None:
    for login in ("billing", "accountant", "adviser", "auditor"):
        user = User.objects.get(login=login)
        assert user.check_password(login)
        assert actor_for(user).has_role(f"accounting.{login}")


def test_told_again_it_changes_nothing(told: None) -> None:
    before = [model.objects.count() for model in (Invoice, JournalEntry, JournalItem, Payment, User)]

    demo.load("s", actor=system_actor(name="Demo"))

    assert [model.objects.count() for model in (Invoice, JournalEntry, JournalItem, Payment, User)] == before


def test_seeding_is_set_based_and_runs_once(told: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo.LOAD, "m", 60)
    monkeypatch.setattr(demo, "BATCH", 25)
    before = Invoice.objects.count()

    started = time.perf_counter()
    demo.seed("m", actor=system_actor(name="Seed"))
    took = time.perf_counter() - started
    demo.seed("m", actor=system_actor(name="Seed"))
    check_now()

    made = Invoice.objects.filter(origin__startswith=demo.LOAD_MARK)
    assert Invoice.objects.count() == before + 60
    assert made.filter(state="posted").count() == 60
    assert made.filter(payment_state__in=["paid", "in_payment"]).count() == 20
    assert took < 10
