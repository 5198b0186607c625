"""Importing bank files: everything once, of the right account and currency, all of a file or nothing."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.access.services.tokens import make_token
from apps.accounting.compute.bank import BankFileError, Kind, parse
from apps.accounting.models import BankStatement, Journal, JournalEntry, StatementLine
from apps.accounting.selectors.statements import statement_figures
from apps.accounting.services.bank_import import ImportResult, import_bank_file
from apps.contacts.models import BankAccount
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.models import Currency
from apps.core.records import service_for
from tests.accounting.bank_file_tools import CSV, IBAN, MOVEMENTS, camt053
from tests.accounting.factories import Books, get_currency, set_rate
from tests.accounting.payment_helpers import account_balance, settled

pytestmark = pytest.mark.django_db
SHARED = Path(django_settings.BASE_DIR) / ".." / "shared" / "data" / "bank"


def name_account(books: Books, number: str = IBAN) -> Journal:
    """The bank journal with its account number."""
    account = service_for(BankAccount).create_one(
        {"partner": books.company.partner, "number": number}, actor=books.system
    )
    journal: Journal = books.journals.bank
    journal.bank_account = account
    journal.save(update_fields=["bank_account"])
    return journal


def load(books: Books, data: bytes, name: str = "file.xml", journal: Journal | None = None) -> ImportResult:
    result = import_bank_file(data, name, journal or books.journals.bank, actor=books.actor())
    settled()
    return result


def nothing_was_written() -> bool:
    return not (
        BankStatement.objects.exists() or StatementLine.objects.exists() or JournalEntry.objects.exists()
    )


def test_a_statement_becomes_lines_and_entries(books: Books) -> None:
    name_account(books)

    result = load(books, camt053())

    statement = BankStatement.objects.get()
    figures = statement_figures([statement.pk])[statement.pk]
    rows = list(statement.lines.order_by("pk").values_list("amount", "partner_name", "label", "reference"))
    assert (result.created, result.duplicates, result.format) == (2, 0, "camt.053")
    assert rows == [
        (Decimal("250.00"), "Prime Customer", "Invoice INV/2026/00001", "E1"),
        (Decimal("-75.50"), "Good Vendor", "BILL 44", "E2"),
    ]
    assert (statement.balance_start, statement.balance_end) == (Decimal("1000.00"), Decimal("1174.50"))
    assert (figures.is_complete, statement.source_format) == (True, "camt.053")
    assert account_balance(books, books.accounts.bank) == Decimal("174.50")


def test_the_second_import_creates_nothing(books: Books) -> None:
    name_account(books)
    load(books, camt053())

    again = load(books, camt053())

    assert (again.created, again.duplicates, again.statements) == (0, 2, [])
    assert StatementLine.objects.count() == 2
    assert BankStatement.objects.count() == 1
    assert JournalEntry.objects.count() == 2


def test_an_overlapping_download_brings_what_is_new(books: Books) -> None:
    name_account(books)
    load(books, camt053())
    more = (*MOVEMENTS, ("2026-03-11", "10.00", "R3", "E3", "Other", "New"))

    result = load(books, camt053("1000.00", "1184.50", more, name="S-2"))

    statement = result.statements[0]
    assert (result.created, result.duplicates) == (1, 2)
    assert (statement.balance_start, statement.balance_end) == (Decimal("1174.50"), Decimal("1184.50"))
    assert statement_figures([statement.pk])[statement.pk].is_valid
    assert "overlap" in [problem.code for problem in result.problems]


def test_a_file_of_another_account_is_refused_and_names_both(books: Books) -> None:
    name_account(books)

    with pytest.raises(ValidationFailed) as refused:
        load(books, camt053(iban="BE43068999999501"))

    assert "BE43068999999501" in refused.value.message
    assert IBAN in refused.value.message
    assert nothing_was_written()


def test_a_journal_without_an_account_takes_it_and_says_so(books: Books) -> None:
    result = load(books, camt053())

    assert result.created == 2
    assert "account_unknown" in [problem.code for problem in result.problems]


def test_a_file_in_another_currency_is_refused_and_names_both(books: Books) -> None:
    with pytest.raises(ValidationFailed) as refused:
        load(books, camt053(currency="USD"))

    assert "USD" in refused.value.message
    assert "EUR" in refused.value.message
    assert nothing_was_written()


def test_a_line_in_another_currency_refuses_the_file_and_is_named(books: Books) -> None:
    with pytest.raises(ValidationFailed) as refused:
        load(books, camt053(line_currency="USD"))

    assert "Invoice INV/2026/00001" in refused.value.message
    assert nothing_was_written()


def test_a_balance_that_does_not_come_out_is_said(books: Books) -> None:
    result = load(books, camt053(closing="1180.00"))

    statement = result.statements[0]
    assert not statement_figures([statement.pk])[statement.pk].is_complete
    assert "incomplete" in [problem.code for problem in result.problems]


def test_a_notification_adds_detail_and_no_line(books: Books) -> None:
    poor = tuple((day, amount, ref, "", "", "") for day, amount, ref, *_rest in MOVEMENTS)
    load(books, camt053(movements=poor))

    result = load(books, camt053(message="054", name="N-1"))

    rows = StatementLine.objects.order_by("pk").values_list("partner_name", "label")
    assert (result.created, result.enriched) == (0, 2)
    assert list(rows) == [("Prime Customer", "Invoice INV/2026/00001"), ("Good Vendor", "BILL 44")]
    assert BankStatement.objects.count() == 1


def test_a_notification_without_its_movement_says_so(books: Books) -> None:
    result = load(books, camt053(message="054"))

    assert (result.created, result.enriched) == (0, 0)
    assert "no_movement" in [problem.code for problem in result.problems]
    assert nothing_was_written()


def test_a_table_follows_the_statement_before(books: Books) -> None:
    load(books, camt053(day="2026-03-09", movements=[("2026-03-09", "174.50", "R0", "E0", "X", "Y")]))

    result = load(books, CSV, "download.csv")

    statement = result.statements[0]
    assert (result.created, result.format) == (2, "csv")
    assert (statement.balance_start, statement.balance_end) == (Decimal("1174.50"), Decimal("1423.00"))


def test_the_partner_of_an_account_number_is_found(books: Books, customer: Any) -> None:
    service_for(BankAccount).create_one(
        {"partner": customer, "number": "BE43 0689 9999 9501"}, actor=books.system
    )
    data = camt053().replace(
        b"</Dbtr></RltdPties>",
        b"</Dbtr><DbtrAcct><Id><IBAN>BE43068999999501</IBAN></Id></DbtrAcct></RltdPties>",
    )

    load(books, data)

    assert StatementLine.objects.get(amount=250).partner_id == customer.pk
    assert StatementLine.objects.get(amount=Decimal("-75.5")).partner_id is None


def test_what_is_no_bank_file_is_refused(books: Books) -> None:
    with pytest.raises(ValidationFailed) as refused:
        load(books, b"%PDF-1.7 nothing", "a.pdf")

    assert "file" in refused.value.fields


def test_readers_cannot_import(books: Books) -> None:
    with pytest.raises(PermissionDenied):
        import_bank_file(camt053(), "a.xml", books.journals.bank, actor=books.actor("auditor"))

    assert nothing_was_written()


def test_a_locked_period_refuses_the_file(books: Books) -> None:
    books.settings.hard_lock_date = "2026-03-31"
    books.settings.save(update_fields=["hard_lock_date"])

    with pytest.raises(Exception, match="locked"):
        load(books, camt053())


def test_the_number_of_statements_does_not_grow(books: Books, django_assert_max_num_queries: Any) -> None:
    load(books, camt053(movements=[("2026-03-09", "1.00", "R0", "E0", "X", "Y")]))
    actor = books.actor()
    many = [("2026-03-10", "1.00", f"R{n}", f"E{n}", f"P{n}", f"L{n}") for n in range(1, 1501)]
    data = camt053("1000", "2500", many)

    with django_assert_max_num_queries(60):
        result = import_bank_file(data, "a.xml", books.journals.bank, actor=actor)
    settled()

    assert result.created == 1500


def test_a_file_is_imported_over_rest(books: Books) -> None:
    token = make_token(books.user(), name="test")[0]
    client = Client(headers={"authorization": f"Bearer {token}"})
    url = "/api/v1/accounting/bank-statements/import/"
    journal = books.journals.bank.pk

    made = client.post(url, {"file": SimpleUploadedFile("a.xml", camt053()), "journal": journal})
    none = client.post(url, {"journal": journal})
    strange = client.post(url, {"file": SimpleUploadedFile("a.xml", b"%PDF-1"), "journal": journal})
    shown = client.get(f"/api/v1/accounting/bank-statements/{made.json()['statements'][0]}/")
    lines = client.get("/api/v1/accounting/statement-lines/?ordering=id")

    assert made.status_code == 200, made.content
    assert (made.json()["created"], made.json()["duplicates"]) == (2, 0)
    assert (none.status_code, strange.status_code) == (400, 400)
    assert shown.json()["figures"]["computed_end"] == "1174.5"
    assert shown.json()["figures"]["is_complete"] is True
    assert [row["running_balance"] for row in lines.json()["results"]] == ["1250", "1174.5"]


# ------------------------------------------------------------------------------------------------ breadth: real files
def shared_files() -> list[Path]:
    if not SHARED.is_dir():
        return []
    return sorted(
        path
        for path in SHARED.rglob("*")
        if path.is_file() and not path.name.endswith(".json") and not path.name.startswith(".")
    )


def test_every_shared_file_imports_once(books: Books) -> None:
    files = shared_files()
    if not files:
        warnings.warn(f"{SHARED} is absent: imports of sample files were NOT tested", stacklevel=1)
        pytest.skip(f"{SHARED} is absent: imports of sample files were NOT tested")
    imported = refused = 0
    journals = _journals_by_currency(books)

    for path in files:
        data = path.read_bytes()
        try:
            parsed = parse(data, path.name)
        except BankFileError:
            continue
        codes = {line.currency for s in parsed.statements for line in s.lines} | {
            s.currency for s in parsed.statements
        }
        codes -= {""}
        journal = journals(next(iter(codes)) if len(codes) == 1 else "EUR")
        before = StatementLine.objects.count()
        try:
            first = load(books, data, path.name, journal)
        except ValidationFailed as exc:
            problem = exc.code if len(codes) > 1 else f"{path.name}: {exc.message}"
            assert problem in ("wrong_currency", "too_fine")
            assert StatementLine.objects.count() == before
            refused += 1
            continue
        again = load(books, data, path.name, journal)
        imported += 1

        lines = sum(len(s.lines) for s in parsed.statements if s.kind != Kind.NOTIFICATION)
        assert first.created + first.duplicates == lines, path.name
        assert (again.created, again.duplicates, again.statements) == (0, lines, []), path.name
        figures = statement_figures([s.pk for s in first.statements])
        if not all(figure.is_complete for figure in figures.values()):
            assert "incomplete" in [problem.code for problem in first.problems], path.name

    assert imported > 20
    assert imported > refused


def _journals_by_currency(books: Books) -> Any:
    made: dict[str, Journal] = {"EUR": books.journals.bank}

    def journal_of(code: str) -> Journal:
        if code not in made:
            if not Currency.objects.filter(code=code).exists():
                return made["EUR"]
            currency = get_currency(code)
            set_rate(code, "1980-01-01", "1.5")
            made[code] = service_for(Journal).create_one(
                {"name": f"Bank {code}", "type": "bank", "currency": currency}, actor=books.system
            )
        return made[code]

    return journal_of
