"""The screens of the bank: what waits, proposals, previews, reconciling and undoing; files looked at and imported."""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounting.models import (
    BankStatement,
    Invoice,
    Journal,
    JournalItem,
    ReconcileRule,
    StatementLine,
)
from apps.accounting.screens import bank_import as bank_import_screen
from apps.accounting.services.bank_file_previews import preview_bank_file
from apps.chatter.models import Attachment
from apps.contacts.models import Partner
from apps.core.errors import ValidationFailed
from apps.core.jobs import engine
from apps.core.models import JobRun
from apps.core.records import service_for
from tests.accounting.bank_file_tools import CSV, IBAN, camt053
from tests.accounting.factories import Books
from tests.accounting.payment_helpers import account_balance, fresh, make_invoices, settled, term_item

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 20)
SHARED = Path(django_settings.BASE_DIR) / ".." / "shared" / "data" / "bank"
BANK = "/admin/accounting/bank/"
IMPORT = "/admin/accounting/bank-import/"


def browser(books: Books, role: str = "accountant") -> Client:
    client = Client()
    client.force_login(books.user(role))
    return client


def make_lines(books: Books, *amounts: str, **more: Any) -> list[StatementLine]:
    rows = [
        {"journal": books.journals.bank, "date": DAY, "amount": Decimal(amount), **more} for amount in amounts
    ]
    return service_for(StatementLine).create(rows, actor=books.actor())


def number(books: Books, invoice: Invoice, text: str) -> None:
    """Give the document's entry a number that labels can name."""
    Invoice.objects.filter(pk=invoice.pk).update(payment_reference=text)


def send(client: Client, what: str, line: StatementLine, **choice: Any) -> Any:
    return client.post(f"{BANK}{what}/", {"line": line.pk, **choice}, content_type="application/json")


# ------------------------------------------------------------------------------------------------------ reconciliation
def test_the_page_shows_what_waits_with_the_reason_of_the_strongest_proposal(
    books: Books, customer: Partner
) -> None:
    invoice = make_invoices(books, customer, untaxed="250.00")[0]
    number(books, invoice, "RF07 4711")
    line = make_lines(books, "250.00", label="Payment RF074711", partner_name="Somebody")[0]
    make_lines(books, "-3.00", label="Fee", journal=books.journals.bank2)

    page = browser(books).get(BANK)

    text = page.content.decode()
    assert page.status_code == 200
    assert f'data-line="{line.pk}"' in text
    assert "the label names it" in text
    assert text.count("data-line=") == 1  # the other journal's line is not here
    assert page.context["certain"] == 1
    assert [(j["name"], j["count"]) for j in page.context["journals"]] == [
        ("Bank", 1),
        ("Second bank", 1),
        ("Cash", 0),
    ]


def test_lines_are_found_by_words_and_by_amount(books: Books) -> None:
    lines = make_lines(books, "250.00", label="Rent for March") + make_lines(books, "-1234.50", label="Wages")
    client = browser(books)

    found = {
        q: [row["pk"] for row in client.get(BANK, {"q": q}).context["lines"]]
        for q in ("rent", "1,234.50", "nothing")
    }

    assert found == {"rent": [lines[0].pk], "1,234.50": [lines[1].pk], "nothing": []}


def test_the_preview_says_what_is_left_and_writes_nothing(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="200.00")[0]
    line = make_lines(books, "250.00")[0]
    client = browser(books)
    item = term_item(invoice)

    nothing = send(client, "preview", line)
    part = send(client, "preview", line, items=[item.pk])
    fee = {"account": books.accounts.write_off.pk, "amount": None, "label": "Tip"}
    whole = send(client, "preview", line, items=[item.pk], write_offs=[fee])
    rest = send(client, "preview", line, items=[item.pk], partner=customer.pk, rest_to_partner=True)
    limited = send(client, "preview", line, items=[item.pk], amounts={str(item.pk): "60.50"})

    def left(answer: Any) -> str:
        found = re.search(r"data-left>([^<]+)<", answer.json()["html"])
        assert found is not None
        return found.group(1)

    assert [left(a) for a in (nothing, part, whole, rest, limited)] == [
        "€250.00",
        "€50.00",
        "€0.00",
        "€0.00",
        "€189.50",
    ]
    assert [a.json()["ready"] for a in (nothing, part, whole)] == [False, True, True]
    assert [a.json()["complete"] for a in (part, whole, rest)] == [False, True, True]
    assert "658000 Small differences" in whole.json()["html"]
    assert not fresh(line).reconciled
    assert fresh(item).residual == Decimal("200.00")


def test_a_choice_that_is_too_much_is_refused_in_words(books: Books) -> None:
    line = make_lines(books, "250.00")[0]
    too_much = [{"account": books.accounts.write_off.pk, "amount": "300.00", "label": ""}]

    answer = send(browser(books), "preview", line, write_offs=too_much)

    assert answer.status_code == 200
    assert list(answer.json()) == ["refused"]
    assert "250.00" in answer.json()["refused"]
    assert "300.00" in answer.json()["refused"]


def test_a_line_is_reconciled_and_undone_from_the_screen(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="250.00")[0]
    line = make_lines(books, "245.00", label="Less a fee")[0]
    client = browser(books)
    fee = {"account": books.accounts.write_off.pk, "amount": "-5.00", "label": "Fee", "taxes": []}

    done = send(client, "match", line, items=[term_item(invoice).pk], write_offs=[fee])
    settled()
    state = (fresh(line).reconciled, fresh(invoice).payment_state)
    shown = client.get(BANK, {"journal": books.journals.bank.pk, "done": 1})
    again = send(client, "match", line, items=[term_item(invoice).pk])
    undone = send(client, "undo", line)
    settled()

    assert done.json() == {"message": "“Less a fee” is reconciled.", "complete": True}
    assert state == (True, "paid")
    assert "658000 Small differences" in shown.content.decode()
    assert again.status_code == 409
    assert undone.json()["url"] == f"{BANK}?journal={books.journals.bank.pk}&line={line.pk}"
    assert not fresh(line).reconciled
    assert fresh(invoice).residual_amount == Decimal("250.00")
    assert account_balance(books, books.accounts.write_off) == 0


def test_the_rest_stays_open_on_the_partner(books: Books, customer: Partner) -> None:
    line = make_lines(books, "80.00")[0]

    answer = send(browser(books), "match", line, partner=customer.pk, rest_to_partner=True)
    settled()

    item = JournalItem.objects.get(account=books.accounts.receivable)
    assert answer.json()["complete"] is True
    assert (item.partner_id, item.residual) == (customer.pk, Decimal("-80.00"))


def test_the_panel_offers_buttons_of_rules_and_open_items(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="70.00")[0]
    service_for(ReconcileRule).create_one(
        {"name": "Bank fees", "kind": "button", "account": books.accounts.expense2}, actor=books.actor()
    )
    line = make_lines(books, "70.00", label="something")[0]
    client = browser(books)

    panel = client.get(f"{BANK}panel/", {"line": line.pk}).content.decode()
    by_name = client.get(f"{BANK}items/", {"line": line.pk, "q": "prime"}).content.decode()
    by_amount = client.get(f"{BANK}items/", {"line": line.pk, "q": "70"}).content.decode()
    none = client.get(f"{BANK}items/", {"line": line.pk, "q": "zzz"}).content.decode()

    assert "rule “Bank fees”" in panel
    assert "the only open item of this amount" in panel
    box = f'value="{term_item(invoice).pk}"'
    assert [box in text for text in (panel, by_name, by_amount, none)] == [True, True, True, False]


@pytest.mark.parametrize("role", ["auditor", "billing", "plain"])
def test_who_may_look_and_who_may_reconcile(books: Books, role: str) -> None:
    line = make_lines(books, "80.00")[0]
    may = 200 if books.actor(role).can(StatementLine, "view") else 403
    client = browser(books, role)
    fee = [{"account": books.accounts.write_off.pk, "amount": None, "label": ""}]

    page = client.get(BANK)
    answers = [send(client, what, line, write_offs=fee).status_code for what in ("preview", "match", "undo")]
    batch = client.post(f"{BANK}batch/", {"journal": books.journals.bank.pk})
    upload = client.get(IMPORT)

    assert page.status_code == may
    assert all(status in (403, 404) for status in answers)
    assert batch.status_code in (403, 404)
    assert upload.status_code == 403
    assert not fresh(line).reconciled
    if may == 200:
        assert b"data-accept" not in page.content


def test_lines_of_another_company_are_not_there(books: Books, other_books: Books) -> None:
    line = make_lines(books, "80.00")[0]
    client = browser(other_books)

    answers = [client.get(f"{BANK}panel/", {"line": line.pk}), send(client, "preview", line)]
    page = client.get(BANK, {"journal": books.journals.bank.pk})

    assert [a.status_code for a in answers] == [404, 404]
    assert page.status_code == 404


@pytest.mark.parametrize("body", ["[]", "{", '{"line": "x"}', '{"line": 9223372036854775808}'])
def test_what_is_no_choice_is_refused(books: Books, body: str) -> None:
    client = browser(books)

    answers = [
        client.post(f"{BANK}{what}/", body, content_type="application/json").status_code
        for what in ("preview", "match", "undo")
    ]

    assert set(answers) <= {400, 404}


def test_the_number_of_queries_does_not_grow(books: Books, customer: Partner) -> None:
    client = browser(books)
    invoices = make_invoices(books, customer, 8, untaxed="50.00")

    def count(ask: Callable[[], Any]) -> int:
        ask()
        with CaptureQueriesContext(connection) as seen:
            assert ask().status_code == 200
        return len(seen)

    make_lines(books, "50.00", partner=customer)
    few = count(lambda: client.get(BANK))
    line = make_lines(books, *["50.00"] * 12, partner=customer)[0]
    many = count(lambda: client.get(BANK))
    items = [term_item(invoice).pk for invoice in invoices]
    one = count(lambda: send(client, "preview", line, items=items[:1]))
    line_of_many = make_lines(books, "400.00", partner=customer)[0]
    eight = count(lambda: send(client, "preview", line_of_many, items=items))

    assert few == many
    assert few < 45
    assert eight == one


# --------------------------------------------------------------------------------------------------- all that is certain
def test_what_is_certain_is_reconciled_in_the_background_and_told_line_by_line(
    books: Books, customer: Partner
) -> None:
    one, two = make_invoices(books, customer, 2, untaxed="100.00")
    number(books, one, "RF07 0001")
    number(books, two, "RF07 0002")
    sure = make_lines(books, "100.00", label="RF070001")[0]
    short = make_lines(books, "90.00", label="RF070002")[0]
    strange = make_lines(books, "-7.77", label="?")[0]
    client = browser(books)

    answer = client.post(f"{BANK}batch/", {"journal": books.journals.bank.pk})
    run = JobRun.objects.get(task="accounting.reconcile_bank_lines")
    engine.run_background(run.pk)
    settled()
    run.refresh_from_db()
    page = client.get(answer.headers["Location"])

    assert answer.status_code == 302
    assert run.state == "done", run.error
    assert run.result["done"] == 1
    assert dict(run.result["refused"]) == {
        short.pk: "No proposal is certain; have a look at it.",
        strange.pk: "No proposal is certain; have a look at it.",
    }
    assert [fresh(line).reconciled for line in (sure, short, strange)] == [True, False, False]
    assert fresh(one).payment_state == "paid"
    text = page.content.decode()
    assert "1 record was dealt with." in text
    assert text.count("have a look at it") >= 2


def test_two_lines_for_one_document_are_left_to_people(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="100.00")[0]
    number(books, invoice, "RF07 0001")
    first, second = make_lines(books, "100.00", "100.00", label="RF070001")
    client = browser(books)

    client.post(f"{BANK}batch/", {"journal": books.journals.bank.pk})
    engine.run_background(JobRun.objects.get().pk)
    settled()

    assert [fresh(line).reconciled for line in (first, second)] == [True, False]
    assert fresh(invoice).residual_amount == 0


# ---------------------------------------------------------------------------------------------------------------- files
def upload(client: Client, books: Books, data: bytes, name: str = "bank.xml", journal: Any = None) -> Any:
    target = (journal or books.journals.bank).pk
    return client.post(IMPORT, {"journal": target, "file": SimpleUploadedFile(name, data)})


def values_of(page: Any) -> dict[str, Any]:
    """What the second page would send when nothing is changed."""
    sent = {
        "journal": page.context["journal"].pk,
        "upload": page.context["upload"].pk,
        "token": page.context["upload"].access_token,
        "_step": "import",
    }
    table = page.context.get("table")
    if table is not None:
        sent["_table"] = "1"
        for bound in table:
            value = bound.value()
            if value not in (None, False):
                sent[bound.name] = "on" if value is True else value
        sent |= {column["name"]: column["role"] for column in page.context["columns"]}
    return sent


def test_a_file_is_looked_at_then_imported_and_kept(books: Books) -> None:
    client = browser(books)

    page = upload(client, books, camt053())
    looked = (StatementLine.objects.count(), page.content.decode())
    answer = client.post(IMPORT, values_of(page))
    again = upload(client, books, camt053())

    assert looked[0] == 0
    assert "CAMT.053" in looked[1]
    assert "2 movements are new" in looked[1]
    assert IBAN in looked[1]
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{BANK}?journal={books.journals.bank.pk}"
    statement = BankStatement.objects.get()
    assert statement.lines.count() == 2
    kept = Attachment.objects.get(model="accounting.bankstatement", object_id=statement.pk)
    assert kept.name == "bank.xml"
    assert "2 are there already" in again.content.decode()


def test_a_table_is_mapped_and_the_mapping_stays_with_the_journal(books: Books) -> None:
    client = browser(books)
    data = b"when;how much;what for\n01/02/2026;1.234,50;Rent\n03/02/2026;-7,25;Fee\n"

    page = upload(client, books, data, "mine.csv")
    asked = "Say which columns hold date and amount" in page.content.decode()
    sent = values_of(page) | {
        "col_0": "date",
        "col_1": "amount",
        "col_2": "label",
        "date_format": "DD/MM/YYYY",
        "decimal": ",",
        "remember": "on",
    }
    preview = client.post(f"{IMPORT}preview/", sent)
    made = client.post(IMPORT, sent)
    next_time = upload(client, books, data.replace(b"Fee", b"Fees"), "next.csv")

    assert asked
    assert "2 movements are new" in preview.json()["html"]
    assert "1,227.25" in preview.json()["html"]
    assert made.status_code == 302
    assert list(StatementLine.objects.order_by("pk").values_list("date", "amount", "label")) == [
        (datetime.date(2026, 2, 1), Decimal("1234.50"), "Rent"),
        (datetime.date(2026, 2, 3), Decimal("-7.25"), "Fee"),
    ]
    mapping = Journal.objects.get(pk=books.journals.bank.pk).import_mapping
    assert (mapping["columns"], mapping["decimal"]) == ({"date": 0, "amount": 1, "label": 2}, ",")
    assert next_time.context["saved"]
    assert "1 movement is new, 1 is there already" in re.sub(r"\s+", " ", next_time.content.decode())


def test_a_saved_mapping_that_does_not_fit_gives_way_to_the_headers(books: Books) -> None:
    journal = books.journals.bank
    Journal.objects.filter(pk=journal.pk).update(import_mapping={"columns": {"date": 7, "amount": 8}})
    journal.refresh_from_db()

    preview = preview_bank_file(CSV, "a.csv", journal, actor=books.actor())

    assert not preview.saved
    assert (preview.refusal, preview.fresh) == ("", 2)


def test_two_columns_of_one_meaning_are_refused(books: Books) -> None:
    client = browser(books)
    page = upload(client, books, CSV, "a.csv")

    answer = client.post(f"{IMPORT}preview/", values_of(page) | {"col_1": "date"})

    assert answer.status_code == 400
    assert answer.json()["fields"]["columns"] == ["Two columns are “Date”; choose one."]


def test_the_file_of_another_account_names_the_journal_that_it_fits(books: Books) -> None:
    from tests.accounting.test_bank_import import name_account

    name_account(books, "BE43068999999501")
    account = books.journals.bank.bank_account
    Journal.objects.filter(pk=books.journals.bank.pk).update(bank_account=None)
    Journal.objects.filter(pk=books.journals.bank2.pk).update(bank_account=account)
    name_account(books)

    page = upload(browser(books), books, camt053(iban="BE43068999999501"))
    sent = browser(books).post(IMPORT, values_of(page))

    text = page.content.decode()
    assert "BE43068999999501" in text
    assert f"?journal={books.journals.bank2.pk}" in text
    assert sent.status_code == 200  # the page again, with the refusal
    assert not StatementLine.objects.exists()


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"PK\x03\x04nothing"])
def test_what_is_no_bank_file_is_refused_at_once(books: Books, data: bytes) -> None:
    page = upload(browser(books), books, data, "x.bin")

    assert page.status_code == 200
    assert page.context["form"].errors["file"]
    assert not BankStatement.objects.exists()


def test_somebody_elses_upload_cannot_be_imported(books: Books) -> None:
    page = upload(browser(books), books, camt053())
    other = browser(books, "adviser")

    answer = other.post(IMPORT, values_of(page) | {"token": "no"}, follow=True)

    assert "Import a bank file" in answer.content.decode()
    assert not BankStatement.objects.exists()


def test_a_large_file_is_read_in_the_background(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_import_screen, "LARGE", 10)
    client = browser(books)

    page = upload(client, books, camt053())
    answer = client.post(IMPORT, values_of(page))
    run = JobRun.objects.get(task="accounting.import_bank_file")
    engine.run_background(run.pk)
    settled()
    run.refresh_from_db()

    assert "large" in page.content.decode()
    assert answer.headers["Location"] == reverse("admin:core_jobrun_change", args=[run.pk])
    assert run.state == "done", run.error
    assert (run.result["created"], run.done, run.total) == (2, 2, 2)
    assert StatementLine.objects.count() == 2


def test_the_job_tells_why_a_file_was_refused_and_writes_nothing(books: Books) -> None:
    client = browser(books)
    page = upload(client, books, camt053(currency="USD"))

    client.post(IMPORT, values_of(page) | {"background": "1"})
    run = JobRun.objects.get(task="accounting.import_bank_file")
    engine.run_background(run.pk)
    run.refresh_from_db()

    assert run.state == "failed"
    assert "USD" in run.error
    assert not StatementLine.objects.exists()


def test_files_of_real_banks_are_looked_at(books: Books) -> None:
    files = (
        sorted(p for p in SHARED.rglob("*") if p.is_file() and p.suffix != ".json") if SHARED.is_dir() else []
    )
    if not files:
        warnings.warn(f"{SHARED} is absent: previews of sample files were NOT tested", stacklevel=1)
        pytest.skip(f"{SHARED} is absent: previews of sample files were NOT tested")
    shown = refused = 0

    for path in files:
        try:
            preview = preview_bank_file(
                path.read_bytes(), path.name, books.journals.bank, actor=books.actor()
            )
        except ValidationFailed:
            refused += 1
            continue
        assert preview.refusal or preview.statements, path.name
        shown += bool(preview.statements)

    assert shown > 20
    assert shown > refused
    assert not StatementLine.objects.exists()


def test_choices_survive_as_json(books: Books, customer: Partner) -> None:
    """What a proposal's button carries is what the server takes back."""
    invoice = make_invoices(books, customer, untaxed="70.00")[0]
    number(books, invoice, "RF07 0007")
    line = make_lines(books, "70.00", label="RF070007")[0]
    client = browser(books)
    panel = client.get(f"{BANK}panel/", {"line": line.pk}).content.decode()
    found = re.search(r'data-proposal="([^"]+)"', panel)
    assert found is not None
    choice = json.loads(found.group(1).replace("&quot;", '"'))

    answer = send(client, "match", line, **choice)
    settled()

    assert answer.json()["complete"] is True
    assert fresh(invoice).payment_state == "paid"
