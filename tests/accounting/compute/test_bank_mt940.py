"""MT940 and MT942: fields, the many dialects of :86:, and files that are damaged."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.accounting.compute.bank import Kind, ParsedFile, ParsedLine, parse

HEAD = ":20:START\n:25:50880050/0194787400EUR\n:28C:12/1\n:60F:C260301EUR100,00\n"


def mt940(body: str, closing: str = ":62F:C260331EUR100,\n-\n", head: str = HEAD) -> bytes:
    return (head + body + closing).encode()


def only_line(body: str) -> ParsedLine:
    (statement,) = parse(mt940(body)).statements
    (line,) = statement.lines
    return line


def codes(file: ParsedFile) -> list[str]:
    return [problem.code for problem in file.all_problems]


def test_a_statement_with_german_subfields() -> None:
    body = (
        ":61:2603020303CR121,50NTRFNONREF//BANKREF1\n"
        ":86:166?00GUTSCHRIFT?100399?20EREF+E2E-1?21MREF+M-7?22SVWZ+Rechnung 4711 vom 01.?23\n"
        "03.2026?30BYLADEM1001?31DE02120300000000202051?32Musterfrau und Söhne GmbH ?33& Co?34901\n"
    )

    file = parse(mt940(body, ":62F:C260302EUR221,5\n-\n"))

    assert file.format == "mt940"
    assert codes(file) == []
    (statement,) = file.statements
    assert (statement.bank_code, statement.account_number, statement.currency) == (
        "50880050",
        "0194787400",
        "EUR",
    )
    assert (statement.name, statement.date) == ("12/1", dt.date(2026, 3, 2))
    assert (statement.opening, statement.closing, statement.is_balanced) == (
        Decimal(100),
        Decimal("221.5"),
        True,
    )
    (line,) = statement.lines
    assert (line.date, line.value_date, line.amount) == (
        dt.date(2026, 3, 3),
        dt.date(2026, 3, 2),
        Decimal("121.50"),
    )
    assert (line.reference, line.label) == ("E2E-1", "Rechnung 4711 vom 01. 03.2026")
    assert (line.partner_name, line.account_number) == (
        "Musterfrau und Söhne GmbH & Co",
        "DE02120300000000202051",
    )
    assert (line.partner_bic, line.transaction_type) == ("BYLADEM1001", "NTRF")
    assert line.unique_id.startswith("BANKREF1-")
    assert dict(line.details) == {
        "transaction_code": "166",
        "posting_text": "GUTSCHRIFT",
        "prima_nota": "0399",
        "return_reason": "901",
        "mandate": "M-7",
        "bank_reference": "BANKREF1",
    }


@pytest.mark.parametrize(
    ("mark", "amount"),
    [
        ("C", "5"),
        ("D", "-5"),
        ("RC", "-5"),
        ("RD", "5"),
        ("CR", "5"),
        ("DR", "-5"),
        ("RCR", "-5"),
        ("RDN", "5"),
    ],
)
def test_signs(mark: str, amount: str) -> None:
    line = only_line(f":61:260302{mark}5,NTRFNONREF\n")

    assert line.amount == Decimal(amount)
    assert (line.details.get("reversal") == "true") is mark.startswith("R")


def test_full_subfields_run_on_and_short_ones_end() -> None:
    full = "A" * 20 + " Telefo"
    line = only_line(f":61:260302C5,NTRFX\n:86:166?20{full}?21n 12?22Kurz?23Ende\n")

    assert line.label == f"{'A' * 20} Telefon 12 Kurz Ende"


def test_a_reference_ends_with_its_short_subfield() -> None:
    line = only_line(":61:260302C5,NTRFX\n:86:159?20EREF+ABC 5?21Grund: Konto gesperrt\n")

    assert (line.reference, line.label) == ("ABC 5", "Grund: Konto gesperrt")


@pytest.mark.parametrize("nothing", ["NOTPROVIDED", "NONREF", "notprovided"])
def test_words_for_nothing_are_no_reference(nothing: str) -> None:
    assert only_line(f":61:260302C5,NTRFX\n:86:166?20EREF+{nothing}?21SVWZ+x\n").reference == ""


def test_slash_tags_of_the_dutch_banks() -> None:
    line = only_line(
        ":61:260302D5,NTRFEREF//R2\n:86:/TRTP/SEPA OVERBOEKING/IBAN/NL13TEST0123456789/BIC/TESTNL2A/NAME/J. Jansen\n"
        "/REMI/Factuur 17/EREF/E-17/MARF/M1/CSID/C1\n"
    )

    assert (line.partner_name, line.account_number) == ("J. Jansen", "NL13TEST0123456789")
    assert (line.partner_bic, line.label, line.reference) == ("TESTNL2A", "Factuur 17", "E-17")
    assert (line.details["mandate"], line.details["creditor_id"]) == ("M1", "C1")


def test_slash_tags_with_counterparty_and_structured_remittance() -> None:
    line = only_line(
        ":61:260302C5,NTRFEREF//R2\n"
        ":86:/EREF/E-1//CNTP/NL32INGB0000012345/INGBNL2A/ING BANK NV INZAKE WEB///REMI/STRD/CUR/9001123412341234/\n"
    )

    assert (line.account_number, line.partner_bic) == ("NL32INGB0000012345", "INGBNL2A")
    assert line.partner_name == "ING BANK NV INZAKE WEB"
    assert (line.structured_reference, line.reference) == ("9001123412341234", "E-1")


def test_prose_is_joined_where_the_width_cut_it() -> None:
    cut = "x" * 63 + "ab"
    line = only_line(f":61:260302C5,NTRFX\n:86:first line\n{cut}\nc rest\n")

    assert line.label == f"first line {'x' * 63}abc rest"


def test_the_supplement_and_repeated_86_fields_are_kept() -> None:
    line = only_line(":61:260302D5,N0600733959555      T-MOBILE BV\n:86:NOTE ONE   \n:86:NOTE TWO\n")

    assert (line.label, line.details["supplement"]) == ("NOTE ONE NOTE TWO", "T-MOBILE BV")
    assert (line.transaction_type, line.details["customer_reference"]) == ("N060", "0733959555")


def test_original_amount_and_rate() -> None:
    line = only_line(":61:260302D100,NTRFNONREF//B\n/OCMT/USD110,00/EXCH/1,1\n:86:x\n")

    assert (line.foreign_currency, line.foreign_amount, line.rate) == (
        "USD",
        Decimal("-110.00"),
        Decimal("1.1"),
    )


@pytest.mark.parametrize(
    ("field", "booked"),
    [("2512310102", "2026-01-02"), ("2601021231", "2025-12-31"), ("2603050304", "2026-03-04")],
)
def test_the_entry_date_takes_the_nearest_year(field: str, booked: str) -> None:
    assert only_line(f":61:{field}C5,NTRFX\n").date == dt.date.fromisoformat(booked)


def test_february_30_becomes_the_last_of_february_and_nothing_is_lost() -> None:
    file = parse(mt940(":61:260230C5,NTRFX\n:61:260301C7,NTRFX\n", ":62F:C260230EUR112,\n"))

    assert [(line.date.isoformat(), line.amount) for line in file.statements[0].lines] == [
        ("2026-02-28", Decimal(5)),
        ("2026-03-01", Decimal(7)),
    ]
    assert file.statements[0].date == dt.date(2026, 2, 28)
    assert codes(file) == ["date_moved", "date_moved"]


def test_an_unreadable_movement_is_reported_and_the_rest_read() -> None:
    file = parse(mt940(":61:what\n:86:is this\n:61:261301C1,NTRFX\n:61:260302C7,NTRFX\n"))

    assert [line.amount for line in file.statements[0].lines] == [Decimal(7)]
    assert codes(file) == ["line_unreadable", "line_unreadable", "unbalanced"]
    assert file.all_problems[0].where == "line 5"


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    data = mt940(":61:260302C7,NTRFX\n:86:166?20SVWZ+Rechn")[: -len(":62F:C260331EUR100,\n-\n")]

    file = parse(data)

    (line,) = file.statements[0].lines
    assert (line.amount, line.label) == (Decimal(7), "Rechn")
    assert codes(file) == ["balance_missing"]


def test_a_statement_without_its_start_does_not_swallow_the_one_before() -> None:
    second = ":60F:C260401EUR1,\n:61:260402C1,NTRFX\n:62F:C260402EUR2,\n-\n"
    file = parse(mt940(":61:260302C7,NTRFX\n", second))

    assert [(s.account_number, s.opening, s.closing, len(s.lines)) for s in file.statements] == [
        ("0194787400", Decimal(100), None, 1),
        ("0194787400", Decimal(1), Decimal(2), 1),
    ]
    assert codes(file) == ["start_missing", "balance_missing"]


def test_a_tag_broken_by_the_width_is_mended() -> None:
    line = only_line(":61:2603020302CR\n30,00N062NONREF\n:\n86:166?00TEXT?20SVWZ+Test\n")

    assert (line.amount, line.label, line.details["posting_text"]) == (Decimal(30), "Test", "TEXT")


def test_an_interim_report_is_checked_by_its_sums() -> None:
    body = (
        ":20:X\n:25:PL29114010810000267002001002\n:28C:1/1\n:34F:PLN0,\n:13D:2603021815+0100\n"
        ":61:2603020302CN0,01NTRFNONREF//A1\n:86:in\n:61:2603020302D2,NTRFNONREF//A2\n:90D:1PLN2,00\n:90C:2PLN0,03\n-\n"
    )

    file = parse(body.encode())

    assert file.format == "mt942"
    (statement,) = file.statements
    assert (statement.kind, statement.currency, statement.date) == (Kind.REPORT, "PLN", dt.date(2026, 3, 2))
    assert [line.amount for line in statement.lines] == [Decimal("0.01"), Decimal(-2)]
    assert codes(file) == ["turnover"]
    assert "2 credits of 0.03, the file holds 1 of 0.01" in file.all_problems[0].message


def test_equal_movements_have_identities_of_their_own_that_survive_a_second_reading() -> None:
    body = ":61:260302C5,NTRFNONREF\n:86:Coffee\n" * 3
    first = [line.unique_id for line in parse(mt940(body)).statements[0].lines]
    again = [line.unique_id for line in parse(mt940(body).replace(b"\n", b"\r\n")).statements[0].lines]

    assert len(set(first)) == 3
    assert again == first


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("NL13TEST0123456789", ("", "NL13TEST0123456789")),
        ("1291.99.348EUR", ("", "1291.99.348")),
        ("TESTBANK/123456/EUR", ("TESTBANK", "123456")),
        ("NL13TEST0123456789 EUR", ("", "NL13TEST0123456789")),
    ],
)
def test_account_identifications(account: str, expected: tuple[str, str]) -> None:
    head = f":20:X\n:25:{account}\n:60F:C260301EUR100,\n"
    (statement,) = parse(mt940("", head=head)).statements

    assert (statement.bank_code, statement.account_number) == expected
    assert statement.currency == "EUR"


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "utf-8", "utf-16"])
def test_old_code_pages(encoding: str) -> None:
    text = HEAD + ":61:260302C5,NTRFX\n:86:Größenänderung für Café\n:62F:C260302EUR105,\n-\n"

    (statement,) = parse(text.encode(encoding)).statements

    assert statement.lines[0].label == "Größenänderung für Café"


def test_central_european_code_pages_are_taken_by_currency() -> None:
    text = (
        ":20:X\n:25:1\n:60F:C260301HUF100,\n:61:260302C5,NTRFX\n:86:Őrült díj fűnyíró\n:62F:C260302HUF105,\n"
    )

    for encoding in ("cp1250", "cp852"):
        assert parse(text.encode(encoding)).statements[0].lines[0].label == "Őrült díj fűnyíró"
