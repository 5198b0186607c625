"""What an outside program finds in REST: entries by hand with their taxes, imported matchings, guards and warnings."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounting.models import AccountingSettings, FiscalPosition, Invoice, JournalEntry, JournalItem
from apps.core.models import Country, CountryState
from tests.accounting.factories import Books, make_partner, set_rate
from tests.accounting.raw_ledger import settle, sql
from tests.accounting.rest_tools import Rest, line

pytestmark = pytest.mark.django_db


@pytest.fixture
def rest(books: Books) -> Rest:
    return Rest(books, "adviser")


def shown(entry: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(i["account"], i["debit"], i["credit"], i["tax"], i["tag_pks"]) for i in entry["items"]]


# ---------------------------------------------------------------------------------------------------- taxed entries
def test_taxes_of_a_purchase_by_hand(books: Books, rest: Rest) -> None:
    a, t, tags = books.accounts, books.taxes, books.tags

    made = rest.entry(
        {"account": a.expense.pk, "debit": "100", "taxes": [t.purchase21.pk]},
        {"account": a.cash.pk, "credit": "121"},
        post=False,
    )

    assert shown(made) == [
        (a.expense.pk, "100.00", "0.00", None, [tags.purchase_base.pk]),
        (a.cash.pk, "0.00", "121.00", None, []),
        (a.tax_deductible.pk, "21.00", "0.00", t.purchase21.pk, [tags.purchase_tax.pk]),
    ]
    assert (made["items"][2]["tax_base_amount"], made["items"][2]["name"]) == ("100.00", "21 %")
    assert made["items"][0]["taxes"] == [t.purchase21.pk]
    posted = rest.act(f"journal-entries/{made['id']}", "post")
    assert shown(posted) == shown(made)


def test_the_side_chooses_invoice_or_credit_note(books: Books, rest: Rest) -> None:
    """A sales tax on the debit side takes the shares of credit notes."""
    a, tax = books.accounts, books.taxes.sale21
    by_document = {
        share.document: share.pk for share in tax.repartition.filter(kind="tax").order_by("sequence")
    }

    sold = rest.entry(
        {"account": a.income.pk, "credit": "10.01", "taxes": [tax.pk]},
        {"account": a.income.pk, "credit": "10.01", "taxes": [tax.pk]},
        {"account": a.income.pk, "credit": "10.01", "taxes": [tax.pk]},
        {"account": a.cash.pk, "debit": "36.33"},
        post=False,
    )
    returned = rest.entry(
        {"account": a.income.pk, "debit": "100", "taxes": [tax.pk]},
        {"account": a.cash.pk, "credit": "121"},
        post=False,
    )

    assert (sold["items"][4]["credit"], sold["items"][4]["tax_repartition"]) == (
        "6.30",
        by_document["invoice"],
    )
    assert sold["items"][4]["tax_base_amount"] == "-30.03"
    assert (returned["items"][2]["debit"], returned["items"][2]["tax_repartition"]) == (
        "21.00",
        by_document["refund"],
    )


def test_reverse_charge_and_foreign_currency_by_hand(books: Books, rest: Rest) -> None:
    a, t = books.accounts, books.taxes
    set_rate("USD", "2026-01-01", "1.10")

    reverse = rest.entry(
        {"account": a.expense.pk, "debit": "100", "taxes": [t.purchase21_reverse.pk]},
        {"account": a.cash.pk, "credit": "100"},
        compute_taxes=True,
        post=False,
    )
    foreign = rest.entry(
        {"account": a.income.pk, "currency": "USD", "amount_currency": "-100.33", "taxes": [t.sale21.pk]},
        {"account": a.bank.pk, "currency": "USD", "amount_currency": "121.40"},
        currency="USD",
    )

    assert [(i["account"], i["debit"], i["credit"]) for i in reverse["items"][2:]] == [
        (a.tax_deductible.pk, "21.00", "0.00"),
        (a.tax_collected.pk, "0.00", "21.00"),
    ]
    assert [(i["debit"], i["credit"], i["amount_currency"]) for i in foreign["items"]] == [
        ("0.00", "91.21", "-100.33"),
        ("110.36", "0.00", "121.40"),
        ("0.00", "19.15", "-21.07"),
    ]


def test_taxes_are_made_where_they_are_wanted_only(books: Books, rest: Rest) -> None:
    a, tax = books.accounts, books.taxes.sale21.pk
    base = {"account": a.income.pk, "credit": "100", "taxes": [tax]}

    plain = rest.entry(base, {"account": a.cash.pk, "debit": "100"}, post=False)
    never = rest.call(
        "post",
        "journal-entries/",
        {"items": [base, {"account": a.cash.pk, "debit": "121"}], "compute_taxes": False},
    )
    always = rest.call(
        "post",
        "journal-entries/",
        {"items": [base, {"account": a.cash.pk, "debit": "100"}], "compute_taxes": True},
    )
    both_sides = {"account": a.income.pk, "credit": "100", "taxes": [tax, books.taxes.purchase21.pk]}
    mixed = rest.refused(
        "post", "journal-entries/", {"items": [both_sides, {"account": a.cash.pk, "debit": "121"}]}
    )
    late = {"account": a.income.pk, "credit": "100", "taxes": [books.taxes.sale21_on_payment.pk]}
    waiting = rest.refused(
        "post", "journal-entries/", {"items": [late, {"account": a.receivable.pk, "debit": "121"}]}
    )
    at_once = rest.entry(late, {"account": a.cash.pk, "debit": "121"}, post=False)

    assert len(plain["items"]) == 2
    assert [(status, list(answer["fields"])) for status, answer in (never, always)] == [(400, ["items"])] * 2
    assert mixed == (400, ["items.0.taxes"])
    assert waiting == (400, ["items.0.taxes"])
    assert at_once["items"][2]["account"] == a.tax_collected.pk
    assert at_once["items"][2]["tag_pks"] == [books.tags.sale_tax.pk]
    assert JournalEntry.objects.count() == 2


def test_what_was_read_can_be_sent_back(books: Books, rest: Rest) -> None:
    a, tax = books.accounts, books.taxes.purchase21.pk
    made = rest.entry(
        {"account": a.expense.pk, "debit": "100", "taxes": [tax], "name": "Paper"},
        {"account": a.cash.pk, "credit": "121"},
        post=False,
    )
    path = f"journal-entries/{made['id']}/"
    base, cash, _tax = made["items"]

    same = rest.call("patch", path, {"items": made["items"]})
    changed = rest.call(
        "patch", path, {"items": [{"id": base["id"], "debit": "200"}, {"id": cash["id"], "credit": "242"}]}
    )
    unbalanced = rest.refused(
        "patch", path, {"items": [{"id": base["id"], "debit": "1"}, {"id": cash["id"]}]}
    )

    assert (same[0], shown(same[1])) == (200, shown(made))
    assert changed[0] == 200, changed
    assert [(i["name"], i["debit"], i["credit"]) for i in changed[1]["items"]] == [
        ("Paper", "200.00", "0.00"),
        ("", "0.00", "242.00"),
        ("21 %", "42.00", "0.00"),
    ]
    assert unbalanced == (400, ["items"])
    assert shown(rest.get(path)) == shown(changed[1])


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("account", 99999999, "items.1.account"),
        ("account", None, "items.1.account"),
        ("partner", 99999999, "items.1.partner"),
        ("currency", "QQQ", "items.1.currency"),
        ("credit", "1.005", "items.1.credit"),
        ("credit", "NaN", "items.1.credit"),
        ("debit", "1", "items.1.credit"),
        ("quantity", "0.0000001", "items.1.quantity"),
        ("name", "x" * 501, "items.1.name"),
        ("matching_number", "I" + "x" * 30, "items.1.matching_number"),
        ("nonsense", 1, "items.1.nonsense"),
    ],
)
def test_refusals_name_the_item(books: Books, rest: Rest, field: str, value: Any, named: str) -> None:
    rows: list[dict[str, Any]] = [
        {"account": books.accounts.expense.pk, "debit": "1"},
        {"account": books.accounts.cash.pk, "credit": "1"},
    ]
    rows[1][field] = value

    status, fields = rest.refused("post", "journal-entries/", {"items": rows})

    assert status == 400
    assert named in fields
    assert not JournalItem.objects.exists()


def test_the_account_of_another_company_is_named(books: Books, other_books: Books, rest: Rest) -> None:
    rows = [
        {"account": books.accounts.expense.pk, "debit": "1"},
        {"account": other_books.accounts.cash.pk, "credit": "1"},
    ]

    assert rest.refused("post", "journal-entries/", {"items": rows}) == (400, ["items.1.account"])


# ------------------------------------------------------------------------------------------------- imported matching
def test_imported_numbers_match_when_the_last_is_posted(books: Books, rest: Rest, customer: Any) -> None:
    a = books.accounts

    def draft(debit: str, credit: str) -> int:
        made = rest.entry(
            {
                "account": a.receivable.pk,
                "debit": debit,
                "credit": credit,
                "partner": customer.pk,
                "matching_number": "I77",
            },
            {"account": a.income.pk, "debit": credit, "credit": debit},
            post=False,
        )
        return int(made["id"])

    drafts = [draft("100", "0"), draft("0", "60"), draft("0", "40")]
    states = []
    for pk in drafts:
        rest.act(f"journal-entries/{pk}", "post")
        states.append([rest.items(other)[0]["matching_number"] for other in drafts])

    assert states[0] == states[1] == ["I77"] * 3
    assert len(set(states[2])) == 1
    assert states[2][0].isdigit()
    assert [rest.items(pk)[0]["residual"] for pk in drafts] == ["0.00"] * 3


# ---------------------------------------------------------------------------------------------------------- warnings
def test_a_reference_used_twice_warns(books: Books, rest: Rest, vendor: Any) -> None:
    bill = {"type": "vendor_bill", "partner": vendor.pk, "reference": "R-1"}
    first = rest.invoice(line("10"), **bill)

    second = rest.invoice(line("12"), post=False, **{**bill, "reference": "r-1"})
    other = rest.invoice(line("12"), post=False, **{**bill, "partner": make_partner("Else").pk})

    assert "warnings" not in second  # the answer to a write is not made to wait for them
    (warning,) = rest.get(f"invoices/{second['id']}/")["warnings"]
    assert (warning["code"], warning["documents"], warning["blocks"]) == (
        "same_reference",
        [first["id"]],
        False,
    )
    assert rest.get(f"invoices/{other['id']}/")["warnings"] == []
    rest.act(f"invoices/{second['id']}", "post")
    assert rest.get(f"invoices/{second['id']}/")["warnings"] == []


def test_a_payment_like_another_warns(books: Books, rest: Rest, customer: Any) -> None:
    row = {
        "direction": "inbound",
        "partner": customer.pk,
        "amount": "5.00",
        "date": "2026-03-15",
        "journal": books.journals.bank.pk,
    }
    first = rest.post("payments/", row)

    second = rest.post("payments/", row)

    assert first["warnings"] == []
    assert [warning["code"] for warning in second["warnings"]] == ["duplicate"]


# ----------------------------------------------------------------------------------------------------------- guards
def test_taxes_and_years_that_cannot_be(books: Books, rest: Rest, customer: Any) -> None:
    tax = books.taxes.sale21
    rest.invoice(line("10", [tax.pk]), partner=customer.pk)
    new = {"name": "New", "use": "sale", "amount_type": "percent", "group": books.groups.other.pk}

    assert rest.refused("post", "taxes/", {**new, "amount": "5.12345"}) == (400, ["amount"])
    assert rest.refused("post", "taxes/", {**new, "amount": "-100"}) == (400, ["amount"])
    assert rest.refused("patch", f"taxes/{tax.pk}/", {"repartition": []}) == (409, ["repartition"])
    assert rest.refused("patch", f"taxes/{tax.pk}/", {"amount": "22"})[0] == 400
    year = {"name": "2030", "date_from": "2030-01-01", "date_to": "2030-12-31"}
    rest.post("fiscal-years/", year)
    overlap = {"name": "x", "date_from": "2030-06-01", "date_to": "2031-05-31"}
    assert rest.refused("post", "fiscal-years/", overlap) == (409, ["company", "date_from", "date_to"])
    coins = {"name": "c", "rounding": "0", "method": "half_up", "strategy": "biggest_tax"}
    assert rest.refused("post", "cash-roundings/", coins) == (400, ["rounding"])


def test_documents_of_no_type_are_refused(books: Books, rest: Rest, customer: Any) -> None:
    body = {"partner": customer.pk, "lines": [line("1")]}

    assert rest.refused("post", "invoices/", {**body, "type": None}) == (400, ["type"])
    assert rest.refused("post", "invoices/", body) == (400, ["type"])
    bad = {**body, "type": "customer_invoice", "manual_taxes": 0}
    assert rest.refused("post", "invoices/", bad) == (400, ["manual_taxes"])
    assert not Invoice.objects.exists()


def test_write_offs_of_the_wrong_shape(books: Books, rest: Rest) -> None:
    row = {"journal": books.journals.bank.pk, "date": "2026-03-15", "label": "x", "amount": "10"}
    made = rest.post("statement-lines/", row)

    for bad in ([None], [7], [{"account": books.accounts.income.pk, "taxes": 3}], [{"nonsense": 1}]):
        path = f"statement-lines/{made['id']}/actions/reconcile/"
        assert rest.refused("post", path, {"write_offs": bad}) == (400, ["write_offs"])
    assert rest.get(f"statement-lines/{made['id']}/")["reconciled"] is False


def test_billing_reads_the_bank_and_changes_nothing_there(books: Books, rest: Rest) -> None:
    row = {"journal": books.journals.bank.pk, "date": "2026-03-15", "label": "x", "amount": "10"}
    made = rest.post("statement-lines/", row)
    billing = Rest(books, "billing")

    assert billing.get("statement-lines/")["count"] == 1
    assert billing.refused("post", "statement-lines/", row)[0] == 403
    path = f"statement-lines/{made['id']}/actions/reconcile/"
    assert billing.refused("post", path, {"rest_to_partner": True})[0] == 403


# --------------------------------------------------------------------------------------------------- reports, proof
def test_the_balance_sheet_and_the_proof(books: Books, rest: Rest, customer: Any) -> None:
    made = rest.invoice(line("100", [books.taxes.sale21.pk]), partner=customer.pk)
    sheet = rest.get("reports/balance-sheet/", date_to="2026-12-31")
    before = rest.get("reports/integrity/")
    settle()

    sql("ALTER TABLE accounting_journalitem DISABLE TRIGGER USER")
    sql("UPDATE accounting_journalitem SET name = 'altered' WHERE entry_id = %s", made["journal_entry"])
    settle()
    sql("ALTER TABLE accounting_journalitem ENABLE TRIGGER USER")
    after = rest.get("reports/integrity/", journal=books.journals.sale.pk)

    assert (sheet["assets"], sheet["liabilities"], sheet["equity"], sheet["result"]) == (
        "121.00",
        "21.00",
        "100.00",
        "100.00",
    )
    assert before["sound"] is True
    (row,) = after["rows"]
    assert (after["sound"], row["problem"], row["broken_entry"]) == (False, "content", made["journal_entry"])
    assert row["broken_number"] == made["number"]
    assert Rest(books, "billing").refused("get", "reports/integrity/")[0] == 403


def test_aged_to_the_day(books: Books, rest: Rest, customer: Any) -> None:
    for due in ("2026-06-30", "2026-06-29", "2026-05-31", "2026-05-30", "2026-03-01"):
        rest.invoice(line("100"), partner=customer.pk, date="2026-01-05", due_date=due)

    totals = rest.get("reports/aged-receivable/", date_to="2026-06-30")["totals"]

    assert list(totals.values()) == ["100.00", "200.00", "100.00", "0.00", "0.00", "100.00", "500.00"]


# --------------------------------------------------------------------------------------- where partners are and were
def test_the_union_begins_outside_the_fiscal_country(books: Books, rest: Rest) -> None:
    """A company in Belgium that is under Dutch tax law: Belgium is another member of the Union, the Netherlands are home."""
    netherlands = Country.objects.get(code="NL")
    AccountingSettings.objects.filter(pk=books.settings.pk).update(fiscal_country=netherlands)
    position = FiscalPosition.objects.create(
        company=books.company, name="Union", auto_apply=True, country_group="EU"
    )
    belgian, dutch = (make_partner(country=code) for code in ("BE", "NL"))

    abroad = rest.invoice(line("1"), partner=belgian.pk, post=False)
    home = rest.invoice(line("1"), partner=dutch.pk, post=False)

    assert (abroad["fiscal_position"], home["fiscal_position"]) == (position.pk, None)


def test_posted_documents_keep_the_code_of_the_state(books: Books, rest: Rest) -> None:
    oregon = CountryState.objects.get(country__code="US", code="OR")
    partner = make_partner("Rose City", country="US", state=oregon, city="Portland", zip="97201")

    made = rest.invoice(line("1"), partner=partner.pk)

    assert (made["partner_snapshot"]["state"], made["partner_snapshot"]["state_code"]) == ("Oregon", "OR")


def test_repetition_keeps_the_end_of_the_month(books: Books, rest: Rest, customer: Any) -> None:
    row = rest.invoice(
        line("10"),
        partner=customer.pk,
        date="2026-01-31",
        auto_post="monthly",
        auto_post_until="2026-05-15",
        post=False,
    )
    days = []
    pk = row["id"]
    for _ in range(3):
        rest.act(f"invoices/{pk}", "post")
        pk = rest.get("invoices/", auto_post_origin=row["id"], ordering="-id", limit=1)["results"][0]["id"]
        days.append(rest.get(f"invoices/{pk}/")["date"])

    assert days == ["2026-02-28", "2026-03-31", "2026-04-30"]
