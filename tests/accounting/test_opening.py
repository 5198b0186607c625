"""Opening balances: rows of accounts and open items of partners, by service, REST and screen."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.access.services.tokens import make_token
from apps.accounting.models import AccountingSettings, JournalEntry, JournalItem
from apps.accounting.services.matching import reconcile_items
from apps.accounting.services.opening import set_opening_balances
from apps.contacts.models import Partner
from apps.core.errors import Conflict, ValidationFailed
from tests.accounting.factories import Books, get_currency, make_partner
from tests.accounting.payment_helpers import account_balance, book, lines_of, settled

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 1, 1)
PAGE = "/admin/accounting/opening/"


def set_items(books: Books, *items: dict[str, Any], balances: dict[str, str] | None = None) -> int:
    settings = AccountingSettings.objects.get(pk=books.settings.pk)
    made = set_opening_balances(
        [settings], actor=books.actor("adviser"), date=DAY, balances=balances or {}, items=list(items)
    )
    settled()
    return int(made)


def test_open_items_of_partners_stand_beside_balances_and_are_matched_later(
    books: Books, customer: Partner
) -> None:
    a = books.accounts
    contact = make_partner("Prime, accounting", parent=customer, is_company=False)
    entry = set_items(
        books,
        {
            "account": a.receivable.pk,
            "amount": "120.00",
            "partner": contact.pk,
            "label": "INV 2025-17",
            "date_maturity": "2026-01-15",
        },
        balances={str(a.bank.pk): "1000.00"},
    )

    item = JournalItem.objects.get(entry=entry, account=a.receivable)
    payment = book(books, books.journals.bank, "2026-01-20", (a.bank, "120.00"), (a.receivable, "-120.00"),
                   partner=customer)[1]  # fmt: skip
    reconcile_items([item, payment], actor=books.actor())
    settled()

    assert lines_of(JournalEntry.objects.get(pk=entry)) == [
        ("550000", "1000.00", "0.00", "1000.00"),
        ("400000", "120.00", "0.00", "120.00"),
        ("149000", "0.00", "1120.00", "-1120.00"),
    ]
    assert (item.partner_id, item.name, item.date_maturity) == (
        customer.pk,  # the commercial entity
        "INV 2025-17",
        datetime.date(2026, 1, 15),
    )
    item.refresh_from_db()
    assert item.residual == 0


def test_an_opening_in_foreign_currency_keeps_both_amounts(books: Books, vendor: Partner) -> None:
    usd = get_currency("USD")

    entry = set_items(
        books,
        {
            "account": books.accounts.payable.pk,
            "amount": "-90.00",
            "partner": vendor.pk,
            "currency": usd.pk,
            "amount_currency": "-100.00",
        },
    )

    item = JournalItem.objects.get(entry=entry, account=books.accounts.payable)
    assert (item.balance, item.amount_currency, item.currency_id) == (-90, -100, usd.pk)
    assert (item.residual, item.residual_currency) == (-90, -100)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"account": 999999999, "amount": "1.00"}, "items.0.account"),
        ({"amount": "1.00"}, "items.0.account"),
        ({"account": "receivable", "amount": "1.001"}, "items.0.amount"),
        ({"account": "receivable", "amount": "x"}, "items.0.amount"),
        ({"account": "receivable", "amount": "1.00", "partner": 999999999}, "items.0.partner"),
        ({"account": "receivable", "amount": "1.00", "date_maturity": "2026-01-31"}, "items.0.partner"),
        ({"account": "bank", "amount": "1.00", "date_maturity": "soon"}, "items.0.date_maturity"),
        ({"account": "bank", "amount": "1.00", "colour": "red"}, "items.0.colour"),
        ({"account": "bank", "amount": "1.00", "currency": 999999999}, "items.0.currency"),
        ({"account": "bank", "amount": "1.00", "currency": "USD", "amount_currency": "-1"}, "items.0.amount_currency"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_and_nothing_is_posted(books: Books, row: dict[str, Any], field: str) -> None:
    given = dict(row)
    if isinstance(given.get("account"), str):
        given["account"] = getattr(books.accounts, given["account"]).pk
    if given.get("currency") == "USD":
        given["currency"] = get_currency("USD").pk

    with pytest.raises(ValidationFailed) as refused:
        set_items(books, given)

    assert list(refused.value.fields) == [field]
    assert not JournalEntry.objects.exists()


def test_setting_them_again_settles_the_old_items_with_their_reversal(
    books: Books, customer: Partner
) -> None:
    row = {"account": books.accounts.receivable.pk, "partner": customer.pk}
    set_items(books, {**row, "amount": "120.00"})

    set_items(books, {**row, "amount": "100.00"})

    opened = JournalItem.objects.filter(account=books.accounts.receivable).exclude(residual=0)
    assert [item.residual for item in opened] == [Decimal("100.00")]
    assert account_balance(books, books.accounts.receivable) == Decimal("100.00")


def test_an_opening_of_which_something_is_settled_stays(books: Books, customer: Partner) -> None:
    a = books.accounts
    row = {"account": a.receivable.pk, "partner": customer.pk, "label": "INV 2025-17"}
    entry = set_items(books, {**row, "amount": "120.00"})
    item = JournalItem.objects.get(entry=entry, account=a.receivable)
    payment = book(books, books.journals.bank, "2026-01-20", (a.bank, "20.00"), (a.receivable, "-20.00"),
                   partner=customer)[1]  # fmt: skip
    reconcile_items([item, payment], actor=books.actor())
    settled()

    with pytest.raises(Conflict) as refused:
        set_items(books, {**row, "amount": "100.00"})

    assert "INV 2025-17" in refused.value.message
    assert AccountingSettings.objects.get(pk=books.settings.pk).opening_entry_id == entry


def test_over_rest(books: Books, customer: Partner) -> None:
    token = make_token(books.user("adviser"), name="t")[0]
    client = Client(headers={"authorization": f"Bearer {token}"})
    url = f"/api/v1/accounting/settings/{books.settings.pk}/actions/set_opening_balances/"
    body = {
        "date": "2026-01-01",
        "balances": {str(books.accounts.bank.pk): "10.00"},
        "items": [{"account": books.accounts.receivable.pk, "partner": customer.pk, "amount": "5.00"}],
    }

    answer = client.post(url, body, content_type="application/json")
    wrong = client.post(url, {**body, "items": [{"account": 1}]}, content_type="application/json")
    settled()

    assert answer.status_code == 200, answer.content
    assert account_balance(books, books.accounts.unaffected) == Decimal("-15.00")
    assert wrong.status_code == 400
    assert next(iter(wrong.json()["fields"])).startswith("items.0.")


# --------------------------------------------------------------------------------------------------------------- screen
def browser(books: Books, role: str = "adviser") -> Client:
    client = Client()
    client.force_login(books.user(role))
    return client


def parcel(*rows: dict[str, Any]) -> str:
    keys = [f"n{n}" for n in range(1, len(rows) + 1)]
    return json.dumps({"order": keys, "rows": dict(zip(keys, rows, strict=True))})


def test_the_screen_lists_the_accounts_posts_and_shows_what_was_set(books: Books, customer: Partner) -> None:
    a = books.accounts
    client = browser(books)
    empty = client.get(PAGE)
    rows = [
        {"account": a.bank.pk, "debit": "1000.00", "credit": "0"},
        {"account": a.payable.pk, "debit": "0", "credit": "0"},
        {"account": a.receivable.pk, "debit": "120", "credit": "", "partner": customer.pk, "label": "INV 17",
         "date_maturity": "2026-01-15"},
    ]  # fmt: skip

    done = client.post(PAGE, {"date": "2026-01-01", "grid_lines": parcel(*rows)})
    settled()
    again = client.get(PAGE)

    listed = [row["values"]["account"] for row in empty.context["grid_config"]["rows"]]
    assert a.bank.pk in listed
    assert not {a.off_balance.pk, a.unaffected.pk} & set(listed)
    assert done.status_code == 302
    assert account_balance(books, a.unaffected) == Decimal("-1120.00")
    held = {row["values"]["account"]: row["values"] for row in again.context["grid_config"]["rows"]}
    assert (held[a.bank.pk]["debit"], held[a.receivable.pk]["partner"]) == ("1000", customer.pk)
    assert held[a.payable.pk]["debit"] == "0"
    assert len(again.context["grid_config"]["rows"]) == len(listed)


def test_a_refused_row_is_marked_at_its_cell_and_what_was_typed_stays(books: Books) -> None:
    a = books.accounts
    rows = [
        {"account": a.bank.pk, "debit": "0", "credit": "0"},
        {"account": a.bank.pk, "debit": "0", "credit": "1.001"},
        {"account": a.cash.pk, "debit": "7.00", "credit": "0", "currency": get_currency("USD").pk},
    ]

    page = browser(books).post(PAGE, {"date": "2026-01-01", "grid_lines": parcel(*rows)})

    shown = page.context["grid_config"]["rows"]
    assert page.status_code == 200
    assert list(shown[1]["errors"]) == ["credit"]
    assert list(shown[2]["errors"]) == ["amount_currency"]
    assert shown[1]["values"]["credit"] == "1.001"
    assert not JournalEntry.objects.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"order": ["n1"], "rows": {}}'])
def test_a_damaged_grid_is_refused(books: Books, text: str) -> None:
    page = browser(books).post(PAGE, {"date": "2026-01-01", "grid_lines": text})

    assert page.status_code == 200
    assert page.context["form"].non_field_errors()
    assert not JournalEntry.objects.exists()


@pytest.mark.parametrize("role", ["accountant", "billing", "auditor", "plain"])
def test_others_than_advisers_do_not_open_it(books: Books, role: str) -> None:
    client = browser(books, role)

    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"date": "2026-01-01", "grid_lines": parcel()}).status_code == 403
    assert not JournalEntry.objects.exists()
