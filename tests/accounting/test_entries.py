"""Entries made by hand: drafts with items, posting, reversing, copying."""

from __future__ import annotations

import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apps.accounting.models import Account, JournalEntry, JournalItem
from apps.accounting.selectors.balances import differences
from apps.accounting.services.entry_posting import (
    cancel_drafts,
    duplicate,
    post_drafts,
    redraft_entries,
    reverse_due_entries,
    reverse_posted,
)
from apps.accounting.services.locks import set_lock_dates
from apps.core.errors import BusinessError, Conflict, PermissionDenied, ValidationFailed, WrongState
from apps.core.records import service_for
from tests.accounting.factories import Books, get_currency, make_partner, set_rate
from tests.accounting.raw_ledger import DAY, post, settle, spec_of

pytestmark = pytest.mark.django_db
MARCH = datetime.date(2026, 3, 31)


def rent(books: Books, amount: Any = "100.00", **values: Any) -> dict[str, Any]:
    a = books.accounts
    return {
        "company": books.company,
        "journal": books.journals.general,
        "date": DAY,
        "items": [
            {"account": a.expense, "debit": amount, "name": "Rent"},
            {"account": a.payable, "credit": amount},
        ],
        **values,
    }


def make(books: Books, *rows: dict[str, Any], role: str = "accountant") -> list[JournalEntry]:
    return service_for(JournalEntry).create(rows or [rent(books)], actor=books.actor(role))


def figures(entry: JournalEntry) -> list[tuple[Any, ...]]:
    rows = entry.items.order_by("position").values_list("account__code", "debit", "credit", "amount_currency")
    return [(code, str(d), str(c), str(a)) for code, d, c, a in rows]


# ------------------------------------------------------------------------------------------------------------ drafts
def test_a_draft_is_made_with_its_items(books: Books) -> None:
    vendor = make_partner("Landlord")
    person = make_partner("Ann", is_company=False, parent=vendor)

    entry = make(books, rent(books, partner=person))[0]

    assert (entry.state, entry.number, entry.partner_id) == ("draft", "", vendor.pk)
    assert figures(entry) == [
        ("604000", "100.0000", "0.0000", "100.0000"),
        ("440000", "0.0000", "100.0000", "-100.0000"),
    ]
    assert list(entry.items.order_by("position").values_list("partner_id", flat=True)) == [None, vendor.pk]
    settle()


def test_a_hundred_drafts_cost_as_many_statements_as_one(
    books: Books, django_assert_max_num_queries: Any
) -> None:
    from apps.core.testkit import count_queries

    make(books)
    with count_queries() as one:
        make(books)
    with count_queries() as many:
        made = make(books, *[rent(books) for _n in range(100)])
    with count_queries() as post_one:
        post_drafts(made[:1], actor=books.actor())
    with count_queries() as post_many:
        post_drafts(made[1:], actor=books.actor())
    settle()

    # Keys of many messages are drawn before they are copied in: a statement more than the INSERT of a few.
    assert len(many) <= len(one) + 1
    assert len(post_many) <= len(post_one) + 2
    numbers = list(JournalEntry.objects.posted().order_by("chain_index").values_list("number", flat=True))
    assert numbers == [f"MISC/2026/03/{n:04d}" for n in range(1, 101)]
    assert differences() == []


def test_amounts_in_other_currencies_follow_the_rate_of_the_day(books: Books) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    a, dollar = books.accounts, get_currency("USD")
    items = [
        {"account": a.expense, "amount_currency": Decimal("33.33"), "currency": dollar} for _n in range(3)
    ]
    items.append({"account": a.payable, "amount_currency": Decimal("-99.99"), "currency": dollar})

    entry = make(books, rent(books, currency=dollar, items=items))[0]

    assert figures(entry) == [
        ("604000", "30.3000", "0.0000", "33.3300"),
        ("604000", "30.3000", "0.0000", "33.3300"),
        ("604000", "30.3000", "0.0000", "33.3300"),
        ("440000", "0.0000", "90.9000", "-99.9900"),
    ]
    entry = make(
        books,
        rent(
            books,
            currency=dollar,
            items=[
                {"account": a.expense, "amount_currency": Decimal("10.01")},
                {"account": a.expense2, "amount_currency": Decimal("10.01")},
                {"account": a.payable, "amount_currency": Decimal("-20.02")},
            ],
        ),
    )[0]
    # 9.10 + 9.10 against 18.20: no cent is lost
    assert sum(item.balance for item in entry.items.all()) == 0
    post_drafts([entry], actor=books.actor())
    settle()


def test_the_cent_of_rounding_goes_to_the_largest_converted_item(books: Books) -> None:
    set_rate("USD", "2026-03-01", "3")
    a, dollar = books.accounts, get_currency("USD")
    items = [{"account": a.expense, "amount_currency": Decimal(1), "currency": dollar} for _n in range(3)]
    items.append({"account": a.payable, "amount_currency": Decimal(-3), "currency": dollar})

    entry = make(books, rent(books, currency=dollar, items=items))[0]

    assert [row[1:3] for row in figures(entry)] == [
        ("0.3300", "0.0000"),
        ("0.3300", "0.0000"),
        ("0.3300", "0.0000"),
        ("0.0000", "0.9900"),
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"debit": "1", "credit": "1"}, "items.0.credit"),
        ({"debit": "-1"}, "items.0.debit"),
        ({"debit": "1.005"}, "items.0.debit"),
        ({"debit": 1.5}, "items.0.debit"),
        ({"debit": "NaN"}, "items.0.debit"),
        ({"debit": "5", "balance": "5"}, "items.0.balance"),
        ({"debit": None}, "items.0.debit"),
        ({"account": None}, "items.0.account"),
        ({"colour": "red"}, "items.0.colour"),
        ({"debit": "5", "amount_currency": "6"}, "items.0.amount_currency"),
        ({"debit": "99.99"}, "items"),
    ],
)
def test_items_that_make_no_sense_are_refused_by_field(
    books: Books, change: dict[str, Any], field: str
) -> None:
    row = rent(books)
    row["items"][0] |= change

    with pytest.raises(ValidationFailed) as caught:
        make(books, row)

    assert field in caught.value.fields, caught.value.fields
    assert not JournalEntry.objects.exists()
    assert not JournalItem.objects.exists()


def test_accounts_of_a_draft_must_be_usable(books: Books, other_books: Books) -> None:
    a = books.accounts
    Account.objects.filter(pk=a.expense2.pk).update(deprecated=True)
    books.journals.general.allowed_accounts.set([a.expense, a.payable, a.expense2, a.off_balance])

    for account in (a.expense2, a.off_balance, a.bank, other_books.accounts.bank):
        row = rent(books)
        row["items"][0]["account"] = account
        with pytest.raises(ValidationFailed):
            make(books, row)

    assert not JournalItem.objects.exists()


def test_items_are_replaced_and_those_with_id_kept(books: Books) -> None:
    entry = make(books)[0]
    first, second = entry.items.order_by("position")
    a = books.accounts

    service_for(JournalEntry).update(
        [entry],
        {
            "date": MARCH,
            "items": [
                {"id": second.pk, "account": a.payable, "credit": "70.00"},
                {"account": a.expense2, "debit": "70.00"},
            ],
        },
        actor=books.actor(),
    )
    settle()

    rows = list(entry.items.order_by("position").values_list("pk", "account_id", "date"))
    assert rows[0] == (second.pk, a.payable.pk, MARCH)
    assert rows[1][1:] == (a.expense2.pk, MARCH)
    assert first.pk not in [row[0] for row in rows]
    with pytest.raises(ValidationFailed):
        service_for(JournalEntry).update(
            [entry], {"items": [{"id": first.pk, "account": a.payable, "credit": 0}]}, actor=books.actor()
        )


def test_items_follow_the_date_and_journal_of_their_draft(books: Books) -> None:
    entry = make(books)[0]

    service_for(JournalEntry).update(
        [entry], {"date": MARCH, "journal": books.journals.sale}, actor=books.actor()
    )
    settle()

    assert set(entry.items.values_list("date", "journal_id")) == {(MARCH, books.journals.sale.pk)}


def test_boxes_follow_from_taxes_and_sides(books: Books) -> None:
    a, t = books.accounts, books.taxes
    share = t.sale21.repartition.get(document="invoice", kind="tax")
    items = [
        {"account": a.bank, "debit": "121.00"},
        {"account": a.income, "credit": "100.00", "taxes": [t.sale21.pk]},
        {"account": a.tax_collected, "credit": "21.00", "tax": t.sale21, "tax_repartition": share.pk},
        {"account": a.expense, "debit": "50.00", "taxes": [t.purchase21.pk]},
        {"account": a.bank, "credit": "50.00"},
    ]

    entry = make(books, rent(books, items=items))[0]

    rows = list(entry.items.order_by("position").values_list("kind", "tax_pks", "tag_pks"))
    assert rows[1] == ("product", [t.sale21.pk], [books.tags.sale_base.pk])
    assert rows[2] == ("tax", [], [books.tags.sale_tax.pk])
    assert rows[3] == ("product", [t.purchase21.pk], [books.tags.purchase_base.pk])
    post_drafts([entry], actor=books.actor())
    settle()


def test_items_are_written_with_their_entry_only(books: Books) -> None:
    entry = make(books)[0]
    service = service_for(JournalItem)

    for call in (
        lambda: service.create([{}], actor=books.actor()),
        lambda: service.update(entry.items.all(), {"name": "x"}, actor=books.actor()),
        lambda: service.delete(entry.items.all(), actor=books.actor()),
    ):
        with pytest.raises(Conflict):
            call()


@pytest.mark.parametrize("role", ["billing", "auditor", "plain"])
def test_entries_are_for_accountants(books: Books, role: str) -> None:
    entry = make(books)[0]
    actor = books.actor(role)

    for call in (
        lambda: make(books, role=role),
        lambda: post_drafts([entry], actor=actor),
        lambda: cancel_drafts([entry], actor=actor),
        lambda: service_for(JournalEntry).delete([entry], actor=actor),
    ):
        with pytest.raises(PermissionDenied):
            call()

    entry.refresh_from_db()
    assert entry.state == "draft"


# ---------------------------------------------------------------------------------------------------------- posting
def test_a_posted_entry_is_beyond_writing(books: Books) -> None:
    entry = make(books)[0]
    actor = books.actor()

    post_drafts([entry], actor=actor)
    settle()

    assert (entry.state, entry.number) == ("posted", "MISC/2026/03/0001")
    service = service_for(JournalEntry)
    for call in (
        lambda: service.update([entry], {"date": MARCH}, actor=actor),
        lambda: service.update([entry], {"items": []}, actor=actor),
        lambda: service.delete([entry], actor=actor),
        lambda: post_drafts([entry], actor=actor),
        lambda: cancel_drafts([entry], actor=actor),
    ):
        with pytest.raises((Conflict, WrongState)):
            call()
    service.update([entry], {"narration": "seen", "checked": True}, actor=actor)
    settle()


def test_drafts_and_direct_postings_share_one_chain(books: Books) -> None:
    first = post(books, spec_of(books, date=DAY))[0]
    draft = make(books)[0]

    post_drafts([draft], actor=books.actor())
    last = post(books)[0]

    assert [first.number, draft.number, last.number] == [f"MISC/2026/03/000{n}" for n in (1, 2, 3)]
    assert [first.chain_index, draft.chain_index, last.chain_index] == [1, 2, 3]


def test_the_first_number_may_be_typed(books: Books) -> None:
    one, two = make(books, rent(books), rent(books))

    post_drafts([one], actor=books.actor(), wanted_number="J-2026-03-0041")
    post_drafts([two], actor=books.actor())
    settle()

    assert [one.number, two.number] == ["J-2026-03-0041", "J-2026-03-0042"]
    with pytest.raises(ValidationFailed):
        post_drafts(make(books), actor=books.actor(), wanted_number="J-2026-03-0099")
    with pytest.raises(ValidationFailed):
        post_drafts(make(books), actor=books.actor(), wanted_number="X-2025-03-0001")


def test_an_empty_draft_is_not_posted(books: Books) -> None:
    entry = make(books, rent(books, items=[]))[0]

    with pytest.raises(ValidationFailed, match="no items"):
        post_drafts([entry], actor=books.actor())

    entry.refresh_from_db()
    assert entry.state == "draft"


def test_a_draft_of_a_locked_period_moves_or_is_refused(books: Books) -> None:
    entry = make(books)[0]
    set_lock_dates(books.settings, actor=books.actor(), fiscal=MARCH, reason="March is done")

    with pytest.raises(Conflict, match="March is done"):
        post_drafts([entry], actor=books.actor(), keep_date=True)
    answer = post_drafts([entry], actor=books.actor())
    settle()

    assert entry.date > MARCH
    assert [(row["from"], row["to"], row["lock"]) for row in answer["moved"]] == [
        ("2026-03-15", entry.date.isoformat(), "fiscal")
    ]
    assert set(entry.items.values_list("date", flat=True)) == {entry.date}


def test_the_tax_lock_stops_taxed_entries_only(books: Books) -> None:
    a = books.accounts
    taxed = rent(books)
    taxed["items"][0]["taxes"] = [books.taxes.purchase21.pk]
    assert a.expense.pk
    plain_entry, taxed_entry = make(books, rent(books), taxed)
    set_lock_dates(books.settings, actor=books.actor(), tax=MARCH)

    post_drafts([plain_entry], actor=books.actor(), keep_date=True)
    with pytest.raises(Conflict):
        post_drafts([taxed_entry], actor=books.actor(), keep_date=True)
    settle()

    assert plain_entry.date == DAY


# --------------------------------------------------------------------------------------------------------- reversing
def test_a_reversal_takes_everything_back(books: Books) -> None:
    entry = make(books)[0]
    post_drafts([entry], actor=books.actor())

    answer = reverse_posted([entry], actor=books.actor(), date=MARCH, reason="wrong year")
    settle()

    mirror = JournalEntry.objects.get(pk=answer["entries"][0])
    assert (mirror.state, mirror.date, mirror.reversal_of_id) == ("posted", MARCH, entry.pk)
    assert mirror.reference == "Reversal of MISC/2026/03/0001, wrong year"
    assert figures(mirror) == [
        ("604000", "0.0000", "100.0000", "-100.0000"),
        ("440000", "100.0000", "0.0000", "100.0000"),
    ]
    assert set(
        JournalItem.objects.filter(account=books.accounts.payable).values_list("residual", flat=True)
    ) == {0}
    with pytest.raises(Conflict, match="already"):
        reverse_posted([entry], actor=books.actor())
    assert differences() == []


def test_a_reversal_may_be_a_draft(books: Books) -> None:
    entry = make(books)[0]
    post_drafts([entry], actor=books.actor())

    answer = reverse_posted([entry], actor=books.actor(), date=MARCH, post=False)
    draft = JournalEntry.objects.get(pk=answer["entries"][0])
    post_drafts([draft], actor=books.actor())
    settle()

    assert (draft.origin, draft.reversal_of_id, draft.number) == ("reversal", entry.pk, "MISC/2026/03/0002")


def test_entries_of_documents_are_taken_back_there(books: Books) -> None:
    for origin in ("invoice", "payment", "statement", "exchange", "cash_basis"):
        entry = post(books, spec_of(books, origin=origin))[0]
        with pytest.raises(Conflict, match="belongs to"):
            reverse_posted([entry], actor=books.actor())


def test_entries_are_reversed_on_their_day(books: Books) -> None:
    due = make(books, rent(books, auto_reverse_on=MARCH))[0]
    later = make(books, rent(books, auto_reverse_on=datetime.date(2199, 1, 1)))[0]
    post_drafts([due, later], actor=books.actor())
    told: list[tuple[int, int]] = []
    run: Any = SimpleNamespace(actor=books.system, report=lambda done, left: told.append((done, left)))

    reverse_due_entries(run)
    reverse_due_entries(run)
    settle()

    mirrors = JournalEntry.objects.filter(reversal_of__isnull=False)
    assert list(mirrors.values_list("reversal_of_id", "date")) == [(due.pk, MARCH)]
    assert told == [(1, 0), (0, 0)]


def test_drafts_are_cancelled_taken_up_copied_and_deleted(books: Books) -> None:
    entry = make(books)[0]
    actor = books.actor()

    cancel_drafts([entry], actor=actor)
    with pytest.raises(BusinessError):
        post_drafts([entry], actor=actor)
    redraft_entries([entry], actor=actor)
    copy = JournalEntry.objects.get(pk=duplicate([entry], actor=actor, date=MARCH)["entries"][0])
    service_for(JournalEntry).delete([entry], actor=actor)
    settle()

    assert (copy.state, copy.date, figures(copy)) == ("draft", MARCH, figures(copy))
    assert [row[0] for row in figures(copy)] == ["604000", "440000"]
    assert not JournalEntry.objects.filter(pk=entry.pk).exists()
