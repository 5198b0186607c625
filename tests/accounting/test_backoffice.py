"""The screens of accounting: who may open them, what they offer to whom, and that they write through the services."""

from __future__ import annotations

import datetime
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounting.constants import ROLE_AUDITOR
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Invoice,
    JournalEntry,
    JournalItem,
    Payment,
    PaymentTerm,
    Tax,
)
from apps.accounting.services.payments import post_payments
from apps.accounting.services.posting import post_invoices
from apps.backoffice.services import start_bulk_action
from apps.contacts.models import Partner
from apps.core.actions import get_action
from apps.core.jobs import engine
from apps.core.records import service_for
from tests.accounting.factories import Books, make_term
from tests.accounting.invoice_tools import line, make

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 2)
PAGES = (
    "accounting_dashboard",
    "accounting_reconcile",
    "accounting_trial_balance",
    "accounting_general_ledger",
    "accounting_aged_receivable",
    "accounting_aged_payable",
)
LISTS = [
    "account",
    "accountgroup",
    "accountingsettings",
    "bankstatement",
    "cashrounding",
    "fiscalposition",
    "fiscalyear",
    "incoterm",
    "invoice",
    "journal",
    "journalentry",
    "journalitem",
    "ledgergroup",
    "lockexception",
    "partnerterms",
    "payment",
    "paymentterm",
    "statementline",
    "reconcilerule",
    "tax",
    "taxgroup",
    "taxtag",
]


def browser(books: Books, role: str) -> Client:
    client = Client()
    client.force_login(books.user(role))
    return client


def make_invoices(books: Books, partner: Partner, count: int = 1, **values: Any) -> list[Invoice]:
    rows = [
        {
            "type": "customer_invoice",
            "partner": partner.pk,
            "date": DAY,
            "lines": [{"description": "Lamps", "quantity": "2", "unit_price": "100"}],
            **values,
        }
        for _n in range(count)
    ]
    return service_for(Invoice).create(rows, actor=books.system)


def posted_invoice(books: Books, partner: Partner, **values: Any) -> Invoice:
    invoice = make_invoices(books, partner, **values)[0]
    post_invoices([invoice], actor=books.system)
    invoice.refresh_from_db()
    return invoice


def grid(rows: dict[str, dict[str, Any]], order: list[Any] | None = None) -> str:
    return json.dumps({"order": order or list(rows), "rows": rows})


def form_values(response: Any) -> dict[str, Any]:
    """What a browser would send back from a form page without changes."""
    form = response.context["adminform"].form
    sent: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if value is None or value is False:
            continue
        sent[bound.html_name] = "on" if value is True else value
    return sent


# ------------------------------------------------------------------------------------------------------------ who sees
@pytest.mark.parametrize("role", ["billing", "accountant", "adviser", "auditor"])
def test_every_page_and_list_opens_for_those_who_may_view(role: str, books: Books, customer: Partner) -> None:
    posted_invoice(books, customer)
    client = browser(books, role)
    actor = books.actor(role)

    answers = {name: client.get(reverse(f"admin:{name}")).status_code for name in PAGES}
    answers |= {
        name: client.get(reverse(f"admin:accounting_{name}_changelist")).status_code for name in LISTS
    }

    expected: dict[str, int] = dict.fromkeys(PAGES, 200)
    for name in LISTS:
        expected[name] = 200 if f"accounting.{name}:view" in actor.permissions else 403
    assert answers == expected


def test_an_employee_without_a_role_sees_no_books(books: Books, customer: Partner) -> None:
    """He may know the names of accounts and taxes, and documents that are his own; nothing of the ledger."""
    invoice = posted_invoice(books, customer)
    client = browser(books, "plain")
    permissions = books.actor("plain").permissions
    addresses = [reverse(f"admin:{name}") for name in PAGES]
    addresses += [
        reverse("admin:accounting_invoice_change", args=[invoice.pk]),
        reverse("admin:accounting_register") + f"?pk={invoice.pk}",
        reverse("admin:accounting_transfer"),
        reverse("admin:accounting_settings"),
        reverse("admin:accounting_chart"),
        reverse("admin:accounting_locks"),
        reverse("admin:accounting_figure") + "?figure=end",
    ]

    lists = {name: client.get(reverse(f"admin:accounting_{name}_changelist")).status_code for name in LISTS}

    assert {client.get(address).status_code for address in addresses} <= {403, 404}
    assert lists == {name: 200 if f"accounting.{name}:view" in permissions else 403 for name in LISTS}
    assert {"journalentry", "journalitem", "payment"} <= {name for name in lists if lists[name] == 403}
    assert not client.get(reverse("admin:accounting_invoice_changelist")).context["cl"].result_list


def test_the_auditor_reads_and_has_nothing_to_press(books: Books, customer: Partner) -> None:
    invoice = posted_invoice(books, customer)
    draft = make_invoices(books, customer)[0]
    client = browser(books, "auditor")
    addresses = [
        reverse("admin:accounting_invoice_change", args=[invoice.pk]),
        reverse("admin:accounting_invoice_change", args=[draft.pk]),
        reverse("admin:accounting_journalentry_change", args=[invoice.journal_entry_id]),
        reverse("admin:accounting_reconcile") + "?all=1",
        reverse("admin:accounting_account_change", args=[books.accounts.income.pk]),
    ]

    for address in addresses:
        page = client.get(address)
        text = page.content.decode()
        main = text[text.index('id="content"') :]
        assert page.status_code == 200
        assert not re.search(r'name="(_save|_continue|_post|item)"(?![^>]*disabled)', main), address
        assert "/actions/" not in main, address
        assert "data-add-line" not in main, address
    for name in ("accounting_register", "accounting_transfer", "accounting_chart", "accounting_locks"):
        assert client.get(reverse(f"admin:{name}") + f"?pk={invoice.pk}").status_code in (403, 404)
    refused = client.post(
        reverse("admin:accounting_invoice_preview"),
        json.dumps({"type": "customer_invoice", "rows": [], "header": {}}),
        content_type="application/json",
    )
    assert refused.status_code == 403
    refused = client.post(
        reverse("admin:accounting_entry_preview"),
        json.dumps({"company": books.company.pk, "rows": []}),
        content_type="application/json",
    )
    assert refused.status_code == 403


def test_another_company_finds_nothing(books: Books, other_books: Books, customer: Partner) -> None:
    invoice = posted_invoice(books, customer)
    client = browser(other_books, "adviser")

    assert client.get(reverse("admin:accounting_invoice_change", args=[invoice.pk])).status_code == 404
    assert client.get(reverse("admin:accounting_register") + f"?pk={invoice.pk}").status_code == 404
    assert client.post(
        reverse("admin:accounting_invoice_match", args=[invoice.pk]), {"item": "1"}
    ).status_code in (403, 404)


# ------------------------------------------------------------------------------------------------------------ invoices
def preview(client: Client, books: Books, rows: list[dict[str, Any]], **body: Any) -> Any:
    return client.post(
        reverse("admin:accounting_invoice_preview"),
        json.dumps(
            {
                "type": "customer_invoice",
                "company": books.company.pk,
                "header": {},
                "automatic": ["payment_term", "fiscal_position", "journal", "currency", "due_date"],
                "rows": rows,
                **body,
            }
        ),
        content_type="application/json",
    )


def test_the_preview_warns_with_links_and_not_of_the_draft_itself(books: Books, vendor: Partner) -> None:
    first, second = (
        make(books, vendor, type="vendor_bill", reference="F-1", lines=[line(100)]) for _n in range(2)
    )
    header = {"partner": str(vendor.pk), "reference": "f -1", "date": "2026-03-02"}
    client = browser(books, "billing")

    answer = preview(client, books, [], type="vendor_bill", header=header, record=second.pk)
    other = preview(client, books, [], type="vendor_bill", header={**header, "reference": "F-2"})

    (warning,) = answer.json()["warnings"]
    assert warning["links"] == [
        {"text": str(first), "url": reverse("admin:accounting_invoice_change", args=[first.pk])}
    ]
    assert (warning["blocks"], other.json()["warnings"]) == (False, [])


def test_actions_lead_to_what_they_made_and_warn_only_of_what_is_dangerous(
    books: Books, customer: Partner
) -> None:
    invoice = posted_invoice(books, customer)
    client = browser(books, "accountant")

    asked = client.get(reverse("admin:accounting_invoice_do", args=[invoice.pk, "reverse"]))
    dangerous = client.get(reverse("admin:accounting_invoice_do", args=[invoice.pk, "reset"]))
    done = client.post(
        reverse("admin:accounting_invoice_do", args=[invoice.pk, "reverse"]),
        {"_confirmed": "1", "in-reason": "Returned"},
    )

    note = Invoice.objects.get(reversed_invoice=invoice)
    assert done.headers["Location"] == reverse("admin:accounting_invoice_change", args=[note.pk])
    assert "bo-warning" not in asked.content.decode()
    assert "Empty: today." in asked.content.decode()
    assert "payments are unmatched" in dangerous.content.decode()


def test_digits_find_accounts_by_the_beginning_of_their_code(books: Books) -> None:
    client = browser(books, "accountant")
    address = reverse("admin:autocomplete") + "?target=accounting.account&term="

    found = [row["text"] for row in client.get(address + "70").json()["results"]]
    named = [row["text"] for row in client.get(address + "services").json()["results"]]

    assert found == ["700000 Sales", "705000 Services sold"]
    assert "705000 Services sold" in named


def test_tax_items_of_an_entry_are_told_before_it_is_saved(books: Books) -> None:
    rows = [
        {"account": books.accounts.expense.pk, "debit": "100", "taxes": [books.taxes.purchase21.pk]},
        {"account": books.accounts.bank.pk, "credit": "5"},
    ]
    client = browser(books, "accountant")

    told = client.post(
        reverse("admin:accounting_entry_preview"),
        json.dumps({"company": books.company.pk, "date": "2026-03-02", "rows": rows}),
        content_type="application/json",
    )
    wrong = client.post(
        reverse("admin:accounting_entry_preview"),
        json.dumps({"company": books.company.pk, "date": "soon", "rows": rows}),
        content_type="application/json",
    )

    (item,) = told.json()["items"]
    assert (item["balance"], item["amount"]) == ("21", "€21.00")
    assert item["account"].startswith("411000")
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["date"])
    assert not JournalEntry.objects.exists()


def test_the_preview_is_what_posting_books(books: Books, customer: Partner) -> None:
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    header = {"partner": str(customer.pk), "date": "2026-03-02", "payment_term": str(term.pk)}
    rows: list[dict[str, Any]] = [
        {"key": "n1", "kind": "product", "quantity": "3", "unit_price": "33.33", "discount": "10"},
        {"key": "n2", "kind": "section", "description": "Services"},
        {
            "key": "n3",
            "kind": "product",
            "quantity": "1",
            "unit_price": "50",
            "taxes": [books.taxes.sale6.pk],
        },
    ]

    told = preview(
        browser(books, "billing"),
        books,
        rows,
        header=header,
        automatic=["fiscal_position", "journal", "currency"],
    ).json()

    invoice = posted_invoice(
        books,
        customer,
        payment_term=term.pk,
        lines=[{k: v for k, v in row.items() if k != "key"} for row in rows],
    )
    shown = {"untaxed": invoice.untaxed_amount, "total": invoice.total_amount}
    assert {name: told["totals"][name] for name in shown} == {n: f"€{v:.2f}" for n, v in shown.items()}
    assert told["lines"] == {
        "n1": {"subtotal": "89.99", "total": "108.89"},
        "n3": {"subtotal": "50.00", "total": "53.00"},
    }
    assert [part["amount"] for part in told["parts"]] == ["€48.57", "€113.32"]
    assert [group["name"] for group in told["totals"]["groups"]] == ["Tax 21 %", "Tax 6 %"]
    assert told["defaults"] == {"account": books.accounts.income.pk, "taxes": [books.taxes.sale21.pk]}


def test_the_preview_costs_the_same_for_one_line_and_a_thousand(
    books: Books, customer: Partner, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    client = browser(books, "billing")
    header = {"partner": str(customer.pk)}
    line = {"kind": "product", "quantity": "2", "unit_price": "10"}
    preview(client, books, [{"key": "a", **line}], header=header)  # permissions and settings are read once
    with django_assert_max_num_queries(40) as one:
        preview(client, books, [{"key": "a", **line}], header=header)
    with django_assert_num_queries(len(one.captured_queries)):
        answer = preview(client, books, [{"key": f"n{n}", **line} for n in range(1000)], header=header)

    assert answer.json()["totals"]["untaxed"] == "€20,000.00"
    assert not Invoice.objects.exists()


def test_the_preview_names_the_cell_that_is_wrong(books: Books, customer: Partner) -> None:
    answer = preview(
        browser(books, "billing"),
        books,
        [
            {
                "key": "n1",
                "kind": "product",
                "quantity": "1",
                "unit_price": "1",
                "account": books.accounts.receivable.pk,
            }
        ],
        header={"partner": str(customer.pk)},
    )

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["lines.0.account"]


def test_the_preview_says_that_the_period_is_locked(books: Books, customer: Partner) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(sale_lock_date=datetime.date(2026, 3, 31))
    told = preview(
        browser(books, "billing"),
        books,
        [{"key": "n1", "kind": "product", "quantity": "1", "unit_price": "1"}],
        header={"partner": str(customer.pk), "date": "2026-03-02"},
    ).json()

    assert len(told["warnings"]) == 1
    assert "2026-03-31" in told["warnings"][0]["text"]


def test_an_invoice_is_made_from_the_grid_and_posted(books: Books, customer: Partner) -> None:
    rows = {
        "n1": {"kind": "product", "description": "Lamps", "quantity": "2", "unit_price": "100"},
        "n2": {"kind": "note", "description": "With thanks"},
    }

    answer = browser(books, "billing").post(
        reverse("admin:accounting_invoice_add"),
        {
            "type": "customer_invoice",
            "partner": customer.pk,
            "date": "2026-03-02",
            "auto_post": "no",
            "grid_lines": grid(rows),
            "_post": "1",
        },
    )

    invoice = Invoice.objects.get()
    assert answer.headers["Location"] == reverse("admin:accounting_invoice_change", args=[invoice.pk])
    assert (invoice.state, invoice.total_amount) == ("posted", Decimal("242"))
    assert [line.kind for line in invoice.lines.order_by("sequence")] == ["product", "note"]


def test_a_refusal_keeps_what_was_typed_and_marks_the_cell(books: Books, customer: Partner) -> None:
    rows = {"n1": {"kind": "product", "description": "Lamps", "quantity": "many", "unit_price": "100"}}

    answer = browser(books, "billing").post(
        reverse("admin:accounting_invoice_add"),
        {"type": "customer_invoice", "partner": customer.pk, "auto_post": "no", "grid_lines": grid(rows)},
    )

    (row,) = answer.context["grid_config"]["rows"]
    assert answer.status_code == 200
    assert row["values"]["quantity"] == "many"
    assert "quantity" in row["errors"]
    assert not Invoice.objects.exists()


def test_only_changed_lines_are_sent_and_written(books: Books, customer: Partner) -> None:
    lines = [{"description": f"Part {n}", "quantity": "1", "unit_price": "10"} for n in range(5)]
    invoice = make_invoices(books, customer, lines=lines)[0]
    client = browser(books, "billing")
    address = reverse("admin:accounting_invoice_change", args=[invoice.pk])
    page = client.get(address)
    pks = [row["pk"] for row in page.context["grid_config"]["rows"]]
    changed = {
        str(pks[1]): {"kind": "product", "unit_price": "15"},
        "n1": {"kind": "product", "unit_price": "1"},
    }
    order = [pks[1], pks[0], pks[2], pks[4], "n1"]

    client.post(address, {**form_values(page), "grid_lines": json.dumps({"order": order, "rows": changed})})

    kept = list(invoice.lines.order_by("sequence").values_list("description", "unit_price"))
    assert kept == [("Part 1", 15), ("Part 0", 10), ("Part 2", 10), ("Part 4", 10), ("", 1)]
    assert list(invoice.lines.order_by("sequence").values_list("pk", flat=True))[:4] == order[:4]
    invoice.refresh_from_db()
    assert invoice.untaxed_amount == Decimal("46")


def test_lists_by_type_add_up_and_cost_the_same_for_many(
    books: Books, customer: Partner, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = browser(books, "billing")
    post_invoices(make_invoices(books, customer, 2), actor=books.system)
    address = reverse("admin:accounting_invoice_changelist") + "?type__exact=customer_invoice"
    client.get(address)
    with django_assert_max_num_queries(40) as few:
        client.get(address)
    post_invoices(make_invoices(books, customer, 20), actor=books.system)
    with django_assert_num_queries(len(few.captured_queries)):
        page = client.get(address)

    assert page.context["cl"].sums == {"untaxed": "€4,400.00", "total": "€5,324.00", "residual": "€5,324.00"}
    assert "Customer invoices" in page.content.decode()


# ------------------------------------------------------------------------------------------------------------ payments
def test_a_payment_is_registered_with_a_write_off(books: Books, customer: Partner) -> None:
    invoice = posted_invoice(books, customer)
    client = browser(books, "billing")
    address = reverse("admin:accounting_register") + f"?pk={invoice.pk}"
    key = client.get(address).context["key"]
    values = {
        "pk": str(invoice.pk),
        "key": key,
        "way": f"m:{books.methods.bank_in.pk}",
        "date": "2026-03-10",
        "amount": "240",
        "instalments": "full",
        "difference": "write_off",
        "write_off_account": books.accounts.write_off.pk,
        "write_off_label": "Coins",
    }
    shown = client.post(reverse("admin:accounting_register_preview"), values).json()["html"]

    for _twice in range(2):
        client.post(address, values)

    assert "€240.00" in shown
    assert "€2.00" in shown
    invoice.refresh_from_db()
    assert (invoice.residual_amount, Payment.objects.count()) == (0, 1)
    written = JournalItem.objects.get(account=books.accounts.write_off)
    assert (written.debit, written.name) == (Decimal("2"), "Coins")


def test_a_credit_is_used_and_taken_back_from_the_totals(books: Books, customer: Partner) -> None:
    invoice = posted_invoice(books, customer)
    advance = service_for(Payment).create_one(
        {
            "direction": "inbound",
            "partner": customer.pk,
            "amount": Decimal("50"),
            "journal": books.journals.bank,
            "date": DAY,
            "company": books.company.pk,
        },
        actor=books.system,
    )
    post_payments([advance], actor=books.system)
    client = browser(books, "billing")
    address = reverse("admin:accounting_invoice_change", args=[invoice.pk])
    match = reverse("admin:accounting_invoice_match", args=[invoice.pk])
    (credit,) = client.get(address).context["outstanding"]

    client.post(match, {"item": credit["pk"]})
    invoice.refresh_from_db()
    assert invoice.residual_amount == Decimal("192")
    (made,) = client.get(address).context["payments_made"]
    client.post(match, {"match": made["match"]})

    invoice.refresh_from_db()
    assert (made["amount"], invoice.residual_amount) == ("€50.00", Decimal("242"))


def test_money_moves_between_own_accounts(books: Books) -> None:
    answer = browser(books, "billing").post(
        reverse("admin:accounting_transfer"),
        {
            "source": books.journals.bank.pk,
            "target": books.journals.cash.pk,
            "amount": "75",
            "date": "2026-03-03",
            "memo": "Till",
        },
    )

    assert answer.status_code == 302
    assert sorted(Payment.objects.values_list("direction", "amount")) == [
        ("inbound", Decimal("75")),
        ("outbound", Decimal("75")),
    ]
    assert not JournalItem.objects.filter(account=books.accounts.transfer).exclude(residual=0).exists()


# -------------------------------------------------------------------------------------------------------------- ledger
def test_an_entry_is_made_from_its_grid_and_posted(books: Books) -> None:
    rows = {
        "n1": {"kind": "product", "account": books.accounts.expense.pk, "debit": "12.50", "credit": "0"},
        "n2": {
            "kind": "product",
            "account": books.accounts.bank.pk,
            "debit": "0",
            "credit": "12.50",
            "name": "Stamps",
        },
    }

    browser(books, "accountant").post(
        reverse("admin:accounting_journalentry_add"),
        {"journal": books.journals.general.pk, "date": "2026-03-02", "grid_lines": grid(rows), "_post": "1"},
    )

    entry = JournalEntry.objects.get()
    assert entry.state == "posted"
    assert list(entry.items.order_by("position").values_list("balance", "name")) == [
        (Decimal("12.5"), ""),
        (Decimal("-12.5"), "Stamps"),
    ]


def test_an_entry_that_does_not_balance_comes_back(books: Books) -> None:
    rows = {"n1": {"kind": "product", "account": books.accounts.expense.pk, "debit": "12.50", "credit": "0"}}

    answer = browser(books, "accountant").post(
        reverse("admin:accounting_journalentry_add"),
        {"journal": books.journals.general.pk, "date": "2026-03-02", "grid_lines": grid(rows), "_save": "1"},
    )

    assert answer.status_code == 200
    assert answer.context["grid_config"]["rows"][0]["values"]["debit"] == "12.50"
    assert not JournalEntry.objects.exists()


def test_billing_cannot_make_entries(books: Books) -> None:
    client = browser(books, "billing")

    assert client.get(reverse("admin:accounting_journalentry_add")).status_code == 403
    assert client.post(reverse("admin:accounting_reconcile"), {"item": "1"}).status_code == 403


def test_items_are_added_up_by_account_and_lead_on(books: Books, customer: Partner) -> None:
    posted_invoice(books, customer)
    client = browser(books, "accountant")

    page = client.get(reverse("admin:accounting_journalitem_changelist") + "?group=account&posted__exact=1")

    groups = {group["title"]: group["balance"] for group in page.wsgi_request.item_groups}
    assert groups == {
        "400000 Customers": "€242.00",
        "451000 Tax to pay": "-€42.00",
        "700000 Sales": "-€200.00",
    }
    first = page.wsgi_request.item_groups[0]["url"]
    narrowed = client.get(reverse("admin:accounting_journalitem_changelist") + first)
    assert [item.account_id for item in narrowed.context["cl"].result_list] == [books.accounts.receivable.pk]


def test_items_are_matched_on_the_screen(books: Books, customer: Partner) -> None:
    invoice = posted_invoice(books, customer)
    advance = service_for(Payment).create_one(
        {
            "direction": "inbound",
            "partner": customer.pk,
            "amount": Decimal("240"),
            "journal": books.journals.bank,
            "date": DAY,
            "company": books.company.pk,
        },
        actor=books.system,
    )
    post_payments([advance], actor=books.system)
    client = browser(books, "accountant")
    page = client.get(reverse("admin:accounting_reconcile"))
    pks = [row["pk"] for column in page.context["columns"] for row in column["rows"]]

    answer = client.post(
        reverse("admin:accounting_reconcile")
        + f"?account={books.accounts.receivable.pk}&partner={customer.commercial_entity_id}",
        {"item": pks, "account": books.accounts.write_off.pk, "label": "Rest"},
    )

    invoice.refresh_from_db()
    assert (len(pks), answer.status_code) == (2, 302)
    assert invoice.residual_amount == 0
    assert JournalItem.objects.get(account=books.accounts.write_off).debit == Decimal("2")


def test_a_figure_of_the_trial_balance_leads_to_its_items(books: Books, customer: Partner) -> None:
    posted_invoice(books, customer)
    client = browser(books, "auditor")
    period = "?date_from=2026-01-01&date_to=2026-12-31"

    page = client.get(reverse("admin:accounting_trial_balance") + period)
    row = next(row for row in page.context["rows"] if row["code"] == "400000")
    title, address, amount = row["cells"][1]
    items = client.get(address).context["items"]
    ledger = client.get(row["url"])
    aged = client.get(reverse("admin:accounting_aged_receivable") + "?on=2026-03-20&partner=all")

    assert (str(title), amount) == ("Debit", "€242.00")
    assert [item["debit"] for item in items] == ["€242.00"]
    assert [line["balance"] for line in ledger.context["lines"]] == ["€242.00"]
    assert aged.context["total"][1] == "€242.00"
    assert [item["residual"] for item in aged.context["items"]] == ["€242.00"]


# --------------------------------------------------------------------------------------------------------------- setup
def test_accounts_are_edited_in_the_list(books: Books) -> None:
    client = browser(books, "adviser")
    address = reverse("admin:accounting_account_changelist")
    page = client.get(address)
    formset = page.context["cl"].formset
    values: dict[str, Any] = {"_save": "Save"}
    for bound in formset.management_form:
        values[bound.html_name] = bound.value()
    for form in formset.forms:
        for bound in form:
            value = bound.value()
            if value not in (None, False):
                values[bound.html_name] = "on" if value is True else value
        if form.instance.pk == books.accounts.income.pk:
            values[f"{form.prefix}-name"] = "Goods sold"

    client.post(address, values)

    assert Account.objects.get(pk=books.accounts.income.pk).name == "Goods sold"
    assert Account.objects.get(pk=books.accounts.expense.pk).name == "Purchases"


def test_parts_of_payment_terms_are_written_with_them(books: Books) -> None:
    client = browser(books, "adviser")
    values = {
        "name": "Half and half",
        "sequence": "10",
        "discount_percent": "0",
        "discount_days": "0",
        "discount_mode": "included",
        "lines-TOTAL_FORMS": "2",
        "lines-INITIAL_FORMS": "0",
        "lines-0-value": "percent",
        "lines-0-amount": "50",
        "lines-0-days": "0",
        "lines-0-delay": "days_after",
        "lines-0-day": "0",
        "lines-0-sequence": "1",
        "lines-1-value": "percent",
        "lines-1-amount": "50",
        "lines-1-days": "30",
        "lines-1-delay": "days_after",
        "lines-1-day": "0",
        "lines-1-sequence": "2",
    }
    told = client.post(reverse("admin:accounting_term_preview"), values).json()["html"]
    wrong = client.post(reverse("admin:accounting_paymentterm_add"), {**values, "lines-1-amount": "40"})

    assert "50%" in told
    assert told.count("500.00") == 2
    assert wrong.status_code == 200
    assert not PaymentTerm.objects.exists()
    client.post(reverse("admin:accounting_paymentterm_add"), values)
    term = PaymentTerm.objects.get()
    assert list(term.lines.order_by("sequence").values_list("amount", "days")) == [(50, 0), (50, 30)]


def test_a_tax_shows_what_it_makes_of_a_hundred(books: Books) -> None:
    client = browser(books, "adviser")
    page = client.get(reverse("admin:accounting_tax_change", args=[books.taxes.purchase21_reverse.pk]))
    values = form_values(page)
    for form in page.context["inline_admin_formsets"][0].formset.forms:
        for bound in form:
            value = bound.value()
            if value not in (None, False):
                values[bound.html_name] = value
    for bound in page.context["inline_admin_formsets"][0].formset.management_form:
        values[bound.html_name] = bound.value()

    told = client.post(reverse("admin:accounting_tax_preview"), values).json()["html"]

    assert told.count("€21.00") == 4  # to get back and to pay, on an invoice and on a credit note
    assert told.count("-€21.00") == 2
    assert (
        Tax.objects.get(pk=books.taxes.purchase21_reverse.pk).version
        == books.taxes.purchase21_reverse.version
    )


def test_lock_dates_ask_before_they_catch_drafts(books: Books, customer: Partner) -> None:
    make_invoices(books, customer)
    client = browser(books, "accountant")
    address = reverse("admin:accounting_locks")

    asked = client.post(address, {"sale": "2026-03-31", "reason": "March is done"})
    books.settings.refresh_from_db()
    assert asked.status_code == 200
    assert len(asked.context["findings"]) == 1
    assert books.settings.sale_lock_date is None
    client.post(address, {"sale": "2026-03-31", "reason": "March is done", "_confirmed": "1"})

    books.settings.refresh_from_db()
    assert books.settings.sale_lock_date == datetime.date(2026, 3, 31)
    assert "hard" not in asked.context["form"].fields  # an accountant sets soft locks only


def test_a_chart_is_shown_before_it_is_installed(books: Books) -> None:
    client = browser(books, "adviser")
    address = reverse("admin:accounting_chart")
    before = Account.objects.count()

    page = client.get(address + "?chart=be")

    assert page.context["preview"].chart.key == "be"
    assert "Belgium: minimum chart of companies (MAR/PCMN)</option>" in page.content.decode()
    assert len(page.context["preview"].accounts) > 50
    assert Account.objects.count() == before
    assert browser(books, "accountant").get(address).status_code == 403


# ---------------------------------------------------------------------------------------------------------------- bulk
def test_bulk_posting_tells_what_became_of_each(books: Books, customer: Partner) -> None:
    good = make_invoices(books, customer, 3)
    (bad,) = make_invoices(books, customer, lines=[{"kind": "note", "description": "Nothing to pay"}])
    declared = get_action(Invoice, "post")
    assert declared is not None
    run = start_bulk_action(declared, [*(i.pk for i in good), bad.pk], {}, actor=books.actor("billing"))

    engine.run_background(run.pk)

    page = browser(books, "billing").get(reverse("admin:core_jobrun_change", args=[run.pk]))
    (tab,) = [tab for tab, _html in page.context["record_tabs"] if tab.key == "outcomes"]
    assert (tab.context["done"], tab.context["failed"]) == (3, 1)
    first = tab.context["outcomes"][0]
    assert first["url"] == reverse("admin:accounting_invoice_change", args=[bad.pk])
    assert first["error"]
    assert Invoice.objects.filter(state="posted").count() == 3


def test_the_auditors_role_stays_a_reader() -> None:
    from apps.accounting.declared import ROLES

    (role,) = [role for role in ROLES if role.code == ROLE_AUDITOR]
    assert set(role.grants.values()) == {"view"}
