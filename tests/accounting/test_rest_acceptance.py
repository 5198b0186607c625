"""What an outside program finds in REST: setting up the books, the worked table of taxes, foreign currency, payments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.constants import TaxAmountType, TaxUse
from apps.accounting.models import AccountingSettings, JournalEntry
from apps.core.models import Currency
from tests.accounting.factories import Books, get_currency, make_company, make_tax, make_user, set_rate
from tests.accounting.rest_tools import Rest, line

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def rest(books: Books) -> Rest:
    return Rest(books)


# ------------------------------------------------------------------------------------------------------------ set-up
def test_a_new_company_gets_its_books_through_rest(books: Books, rest: Rest) -> None:
    company = make_company("Fresh NV", country="BE")
    books._users["fresh"] = make_user("adviser", company=company)
    fresh = Rest(books, "fresh")

    charts = fresh.get("charts/")["results"]
    made = fresh.post("settings/", {})
    twice = fresh.refused("post", "settings/", {})
    unknown = fresh.refused("post", f"settings/{made['id']}/actions/install_chart/", {"chart": "xx"})
    installed = fresh.act(f"settings/{made['id']}", "install_chart", {"chart": charts[0]["key"]})

    assert (charts[0]["key"], charts[0]["country"]) == ("be", "BE")
    assert (made["company"], made["fiscal_country"]) == (company.pk, company.country_id)
    assert twice[0] == 409
    assert unknown == (400, ["chart"])
    assert installed["receivable_account"] is not None
    assert fresh.get("journals/", limit=1)["count"] >= 6
    assert AccountingSettings.objects.filter(company=company).count() == 1
    assert rest.refused("post", "settings/", {"company": company.pk}) == (400, ["company"])


def test_settings_that_cannot_be_are_named(books: Books, rest: Rest) -> None:
    path = f"settings/{books.settings.pk}/"

    for field, value in (
        ("fiscal_year_last_month", 0),
        ("fiscal_year_last_day", 0),
        ("bank_prefix", None),
        ("bank_prefix", "5 0"),
        ("hard_lock_date", "2026-01-31"),
        ("receivable_account", books.accounts.income.pk),
        ("sale_tax", books.taxes.purchase21.pk),
        ("company", make_company().pk),
    ):
        assert rest.refused("patch", path, {field: value}) == (400, [field]), field
    assert AccountingSettings.objects.get(pk=books.settings.pk).version == 1


# ------------------------------------------------------------------------------------------------------ worked taxes
def taxes_of(books: Books) -> dict[str, int]:
    """The taxes of the worked table, by name; their sequence is their order."""
    number = iter(range(100, 200))

    def tax(name: str, amount: Any, kind: str = "percent", **options: Any) -> Any:
        options.setdefault("sequence", next(number))
        return make_tax(books, f"W {name}", amount, amount_type=kind, **options)

    found = {
        "21i": tax("21i", 21, included=True),
        "21": tax("21", 21),
        "12i": tax("12i", 12, included=True),
        "8i": tax("8i", 8, included=True),
        "5.5i": tax("5.5i", "5.5", included=True),
        "15": tax("15", 15),
        "19i": tax("19i", 19, included=True),
        "5i": tax("5i", 5, included=True),
        "10i": tax("10i", 10, included=True),
        "d10": tax("d10", 10, TaxAmountType.DIVISION),
        "f1": tax("f1", 1, TaxAmountType.FIXED),
        "after f1": tax("after f1", 21),
        "f2": tax("f2", 2, TaxAmountType.FIXED),
        "f1b": tax("f1b", 1, TaxAmountType.FIXED, include_base_amount=True),
        "after f1b": tax("after f1b", 21),
        "f2b": tax("f2b", 2, TaxAmountType.FIXED),
        "f.05i": tax("f.05i", "0.05", TaxAmountType.FIXED, included=True),
        "6a": tax("6a", 6, include_base_amount=True),
        "6b": tax("6b", 6, include_base_amount=True, is_base_affected=False),
        "3": tax("3", 3),
        "rc": tax("rc", 21, use=TaxUse.PURCHASE, reverse=True),
    }
    parts = [
        tax("g1", 10, TaxAmountType.DIVISION, use=TaxUse.NONE),
        tax("g2", 10, TaxAmountType.FIXED, use=TaxUse.NONE),
        tax("g3", 10, use=TaxUse.NONE),
    ]
    found["group"] = tax("group", 0, TaxAmountType.GROUP, children=parts)
    for rate in ("5", "3", "0.65", "9", "15"):
        found[f"d{rate}"] = tax(f"d{rate}", rate, TaxAmountType.DIVISION)
        found[f"d{rate}i"] = tax(f"d{rate}i", rate, TaxAmountType.DIVISION, included=True)
    return {name: row.pk for name, row in found.items()}


BRAZIL = ("5", "3", "0.65", "9", "15")
# name, currency, lines of (price, taxes, more), (untaxed, tax, total) by line and by total
WORKED: tuple[tuple[str, str, list[Any], tuple[str, ...], tuple[str, ...]], ...] = (
    ("T1", "EUR", [("21.53", ["21i"])] * 2, ("35.58", "7.48", "43.06"), ("35.59", "7.47", "43.06")),
    ("T2", "EUR", [("10.01", ["21"])] * 3, ("30.03", "6.30", "36.33"), ("30.03", "6.31", "36.34")),
    ("T3", "EUR", [("0.55", ["21"])] * 5, ("2.75", "0.60", "3.35"), ("2.75", "0.58", "3.33")),
    ("T4", "EUR", [("52.50", ["12i"])], ("46.87", "5.63", "52.50"), ()),
    ("T5", "EUR", [("124.40", ["8i"])], ("115.19", "9.21", "124.40"), ()),
    ("T6", "EUR", [("2300", ["5.5i", "15"])], ("2180.09", "446.92", "2627.01"), ()),
    ("T7", "JPY", [("27000", ["19i"])], ("22689", "4311", "27000"), ()),
    ("T7", "JPY", [("10920", ["19i"])], ("9176", "1744", "10920"), ()),
    ("T8", "XFV", [("5.00", ["5i"])], ("4.75", "0.25", "5.00"), ()),
    ("T8", "XFV", [("50.00", ["5i"])], ("47.60", "2.40", "50.00"), ()),
    ("T9", "JPY", [("13582", ["10i"])] * 2, ("24694", "2470", "27164"), ("24695", "2469", "27164")),
    (
        "T10",
        "EUR",
        [("11.90", ["21i"]), ("2.80", ["21i"])],
        ("12.14", "2.56", "14.70"),
        ("12.15", "2.55", "14.70"),
    ),
    ("T11", "EUR", [("200", ["d10"])], ("200.00", "22.22", "222.22"), ()),
    ("T12", "EUR", [("200", ["group"])], ("200.00", "52.22", "252.22"), ()),
    ("T13", "EUR", [("32.33", [f"d{r}" for r in BRAZIL])], ("32.33", "15.67", "48.00"), ()),
    ("T14", "EUR", [("48.00", [f"d{r}i" for r in BRAZIL])], ("32.33", "15.67", "48.00"), ()),
    ("T15", "EUR", [("20", ["f1", "after f1", "f2"], {"quantity": "5"})], ("100.00", "36.00", "136.00"), ()),
    (
        "T16",
        "EUR",
        [("19", ["f1b", "after f1b", "f2b"], {"quantity": "5"})],
        ("95.00", "36.00", "131.00"),
        (),
    ),
    ("T17", "EUR", [("0", ["f.05i"])], ("-0.05", "0.05", "0.00"), ()),
    (
        "T18",
        "EUR",
        [("15.89", ["6a", "6b", "3"])] * 2,
        ("31.78", "4.86", "36.64"),
        ("31.78", "4.89", "36.67"),
    ),
    ("T19", "EUR", [("121", ["21i"], {"discount": "10"})], ("90.00", "18.90", "108.90"), ()),
    ("T20", "EUR", [("100", ["rc"])], ("100.00", "0.00", "100.00"), ()),
)


@pytest.mark.parametrize("mode", ["line", "total"])
def test_the_worked_table_in_documents(
    books: Books, rest: Rest, customer: Any, vendor: Any, mode: str
) -> None:
    """T1 to T20, posted: the totals of each document, and items that balance."""
    taxes = taxes_of(books)
    get_currency("JPY")
    set_rate("JPY", "2026-01-01", "160")
    Currency.objects.create(code="XFV", name="Five", symbol="X", rounding=D("0.05"), active=True)
    set_rate("XFV", "2026-01-01", "2")
    rest.call("patch", f"settings/{books.settings.pk}/", {"tax_rounding": mode})
    bodies = []
    for number, (name, currency, lines, _line, _total) in enumerate(WORKED):
        bill = name == "T20"
        bodies.append(
            {
                "type": "vendor_bill" if bill else "customer_invoice",
                "partner": (vendor if bill else customer).pk,
                "reference": f"{name}-{number}",
                "date": "2026-03-15",
                "currency": currency,
                "lines": [line(p, [taxes[t] for t in names], **dict(*more)) for p, names, *more in lines],
            }
        )

    made = rest.post("invoices/", bodies)
    posted = rest.post("invoices/actions/post/", {"ids": [row["id"] for row in made]})

    assert posted["results"]
    for (name, _currency, _lines, by_line, by_total), row in zip(WORKED, made, strict=True):
        shown = (row["untaxed_amount"], row["tax_amount"], row["total_amount"])
        wanted = by_line if mode == "line" else by_total or by_line
        assert shown == wanted, (name, mode)
        document = rest.get(f"invoices/{row['id']}/")
        items = rest.items(document["journal_entry"])
        assert sum(D(item["debit"]) - D(item["credit"]) for item in items) == 0, name
        assert sum(D(item["amount_currency"]) for item in items) == 0, name


def test_amounts_have_the_decimals_of_their_currency(books: Books, rest: Rest, customer: Any) -> None:
    get_currency("JPY")
    set_rate("JPY", "2026-01-01", "160")

    made = rest.invoice(line("1000"), partner=customer.pk, currency="JPY")

    assert (made["total_amount"], made["total_company"]) == ("1000", "6.25")
    assert (made["lines"][0]["subtotal"], made["lines"][0]["total"]) == ("1000", "1000")
    (product, receivable) = rest.items(made["journal_entry"])
    assert (product["credit"], product["amount_currency"]) == ("6.25", "-1000")
    assert (receivable["debit"], receivable["residual"], receivable["residual_currency"]) == (
        "6.25",
        "6.25",
        "1000",
    )


# ------------------------------------------------------------------------------------------------- foreign currency
def test_the_worked_case_of_foreign_currency(books: Books, rest: Rest, customer: Any) -> None:
    """An invoice of USD 1,200 paid in two parts at other rates; taking the first part's matching off takes its loss back."""
    for day, rate in (("2026-02-01", "1.10"), ("2026-02-10", "1.20"), ("2026-02-20", "1.05")):
        set_rate("USD", day, rate)
    made = rest.invoice(line("1200"), partner=customer.pk, currency="USD", date="2026-02-01")
    path = f"invoices/{made['id']}"

    def pay(amount: str, day: str) -> tuple[Any, ...]:
        body = {"amount": amount, "date": day, "journal": books.journals.bank.pk, "currency": "USD"}
        rest.act(path, "register_payment", body)
        after = rest.get(f"{path}/")
        return after["payment_state"], after["residual_amount"], after["residual_company"]

    def last_difference() -> tuple[dict[str, Any], list[tuple[str, str]]]:
        match = rest.get("matches/", ordering="-id", limit=1, exchange_entry__isnull="false")["results"][0]
        return match, [(i["debit"], i["credit"]) for i in rest.items(match["exchange_entry"])]

    assert pay("500.00", "2026-02-10") == ("partial", "700.00", "636.36")
    match, difference = last_difference()
    assert difference == [("0.00", "37.88"), ("37.88", "0.00")]
    assert (match["amount"], match["debit_amount_currency"]) == ("416.67", "500.00")

    billing = Rest(books, "billing")
    refused = billing.refused("delete", f"matches/{match['id']}/")
    deleted = rest.call("delete", f"matches/{match['id']}/")

    assert (refused[0], deleted[0]) == (403, 204)
    after = rest.get(f"{path}/")
    assert (after["payment_state"], after["residual_amount"], after["residual_company"]) == (
        "not_paid",
        "1200.00",
        "1090.91",
    )
    (reversal,) = rest.get("journal-entries/", reversal_of=match["exchange_entry"])["results"]
    assert reversal["state"] == "posted"
    assert rest.call("get", f"matches/{match['id']}/")[0] == 404

    credit = rest.get("payments/", invoices=made["id"])["results"][0]["journal_entry"]
    open_item = next(i["id"] for i in rest.items(credit) if i["residual_currency"] == "-500.00")
    rest.act(path, "assign_credit", {"items": [open_item]})
    assert pay("700.00", "2026-02-20") == ("in_payment", "0.00", "0.00")
    assert last_difference()[1] == [("30.31", "0.00"), ("0.00", "30.31")]


# ---------------------------------------------------------------------------------------------------------- payments
def test_a_part_then_the_rest_with_a_write_off(books: Books, rest: Rest, customer: Any) -> None:
    made = rest.invoice(line("1000", [books.taxes.sale21.pk]), partner=customer.pk)
    path = f"invoices/{made['id']}"
    bank = {"journal": books.journals.bank.pk, "date": "2026-03-20", "currency": "EUR"}

    rest.act(path, "register_payment", {**bank, "amount": "400.00", "write_off_account": None})
    part = rest.get(f"{path}/")
    rest.act(
        path,
        "register_payment",
        {**bank, "amount": "815.00", "write_off_account": books.accounts.write_off.pk},
    )
    whole = rest.get(f"{path}/")

    assert (part["payment_state"], part["residual_amount"]) == ("partial", "810.00")
    assert (whole["payment_state"], whole["residual_amount"]) == ("in_payment", "0.00")
    payment = rest.get("payments/", invoices=made["id"], ordering="-id")["results"][0]
    write_off = [
        i for i in rest.items(payment["journal_entry"]) if i["account"] == books.accounts.write_off.pk
    ]
    assert [(i["debit"], i["credit"]) for i in write_off] == [("0.00", "5.00")]
    status, answer = rest.call("post", f"{path}/actions/register_payment/", {**bank, "amount": "1.00"})
    assert (status, answer["code"]) in ((400, "nothing_open"), (409, "wrong_state"))


def test_a_payment_booked_twice_by_mistake_is_one(books: Books, rest: Rest, customer: Any) -> None:
    made = rest.invoice(line("100"), partner=customer.pk)
    path, bank = f"invoices/{made['id']}", books.journals.bank.pk
    body = {"amount": "40.00", "journal": bank, "date": "2026-03-20", "idempotency_key": "shop-7"}

    first = rest.act(path, "register_payment", body)
    second = rest.act(path, "register_payment", body)
    header = {"idempotency-key": "post-1"}
    row = {"direction": "inbound", "partner": customer.pk, "amount": "5.00", "journal": bank}
    one = rest.call("post", "payments/", row, **header)
    two = rest.call("post", "payments/", row, **header)
    other = rest.call("post", "payments/", {**row, "amount": "6.00"}, **header)

    assert first["result"] == second["result"]
    assert rest.get(f"{path}/")["residual_amount"] == "60.00"
    assert (one[0], two[0], one[1]["id"]) == (201, 201, two[1]["id"])
    assert other[0] == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "-5"),
        ("amount", "1.005"),
        ("amount", "NaN"),
        ("amount", "1e30"),
        ("amount", None),
        ("direction", "sideways"),
        ("journal", 99999999),
        ("journal", "general"),
        ("currency", "QQQ"),
        ("partner", 99999999),
        ("partner", True),
        ("date", "2026-02-30"),
        ("check_number", -3),
        ("state", "paid"),
        ("number", "X"),
        ("nonsense", 1),
    ],
)
def test_payments_that_cannot_be(books: Books, rest: Rest, customer: Any, field: str, value: Any) -> None:
    good = {
        "direction": "inbound",
        "partner": customer.pk,
        "amount": "5.00",
        "journal": books.journals.bank.pk,
    }
    if value == "general":
        value = books.journals.general.pk

    assert rest.refused("post", "payments/", {**good, field: value}) == (400, [field])
    assert rest.get("payments/")["count"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_locked_day_is_named_the_same_everywhere(books: Books, rest: Rest, customer: Any) -> None:
    before = rest.invoice(line("50"), partner=customer.pk, date="2026-04-02")
    rest.act(f"settings/{books.settings.pk}", "set_hard_lock", {"date": "2026-03-31", "reason": "audit"})
    entries = JournalEntry.objects.count()
    bank = books.journals.bank.pk
    draft = rest.entry(
        {"account": books.accounts.income.pk, "debit": "1.00"},
        {"account": books.accounts.expense.pk, "credit": "1.00"},
        post=False,
    )

    refusals = [
        rest.refused("post", f"journal-entries/{draft['id']}/actions/post/", {"keep_date": True}),
        rest.refused(
            "post", "statement-lines/", {"journal": bank, "date": "2026-03-05", "label": "x", "amount": "1"}
        ),
        rest.refused(
            "post",
            f"invoices/{before['id']}/actions/register_payment/",
            {"journal": bank, "date": "2026-03-05", "amount": "5"},
        ),
    ]

    assert refusals == [(409, ["date"])] * 3
    assert JournalEntry.objects.filter(state="posted").count() == entries
    assert rest.act(f"journal-entries/{draft['id']}", "post")["date"] > "2026-03-31"
