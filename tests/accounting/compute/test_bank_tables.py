"""CSV and XLSX: mapping, guessing, signs, running balances, code pages, hostile workbooks."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import Workbook

from apps.accounting.compute.bank import (
    BankFileError,
    ParsedFile,
    TableMapping,
    parse,
    read_table,
    suggest_mapping,
)

COLUMNS = {"date": "Date", "label": "Text", "amount": "Amount"}


def mapping(**values: Any) -> dict[str, Any]:
    return {"columns": COLUMNS, "date_format": "DD.MM.YYYY", "decimal": ",", **values}


def codes(file: ParsedFile) -> list[str]:
    return [problem.code for problem in file.all_problems]


def amounts(file: ParsedFile) -> list[Decimal]:
    return [line.amount for statement in file.statements for line in statement.lines]


def test_a_mapped_file() -> None:
    data = 'Bank export\n\nDate;Text;Amount\n01.03.2026;Café;1.234,56\n02.03.2026;"a;b";-7\n'.encode("cp1252")

    file = parse(data, mapping=mapping(skip_rows=2, currency="EUR", account_number="BE1"))

    assert (file.format, codes(file)) == ("csv", [])
    (statement,) = file.statements
    assert (statement.account_number, statement.currency) == ("BE1", "EUR")
    assert [(line.date, line.label, line.amount) for line in statement.lines] == [
        (dt.date(2026, 3, 1), "Café", Decimal("1234.56")),
        (dt.date(2026, 3, 2), "a;b", Decimal(-7)),
    ]


def test_headers_are_found_in_the_languages_of_banks() -> None:
    data = (
        'Umsätze Girokonto;;\n;;\n"Buchungstag";"Wertstellung";"Verwendungszweck";"Beguenstigter/Zahlungspflichtiger";'
        '"Betrag (EUR)";"Saldo (EUR)"\n13.03.2026;14.03.2026;Rechnung;Muster GmbH;-12,50;87,50\n'
    ).encode("latin-1")

    file = parse(data)

    (line,) = file.statements[0].lines
    assert (line.date, line.value_date) == (dt.date(2026, 3, 13), dt.date(2026, 3, 14))
    assert (line.label, line.partner_name, line.amount) == ("Rechnung", "Muster GmbH", Decimal("-12.50"))
    assert (file.statements[0].opening, file.statements[0].closing) == (Decimal("100.00"), Decimal("87.50"))
    assert codes(file) == ["mapping_guessed"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.234,56", "1234.56"), ("1,234.56", "1234.56"), ("-1 234,56", "-1234.56"), ("1'234.56", "1234.56"),
        ("(12.50)", "-12.50"), ("12.50-", "-12.50"), ("€ 12,50", "12.50"), ("12.50 EUR", "12.50"), ("-$5.00", "-5.00"),
        ("\u221212,50", "-12.50"), ("12.50 DR", "-12.50"), ("12.50 CR", "12.50"), ("1.234.567,8", "1234567.8"),
        ("0,5", "0.5"), ("+7", "7"), ("1\u00a0000,00", "1000.00"), ("000012,50", "12.50"),
    ],
)  # fmt: skip
def test_amounts_as_banks_print_them(text: str, expected: str) -> None:
    data = f"Date;Text;Amount\n13.03.2026;x;{text}\n".encode()

    assert amounts(parse(data)) == [Decimal(expected)]


@pytest.mark.parametrize(
    "text",
    ["1.50", "1.2345,00", "1234.567,00", "1,2,3", "NaN", "1e5", "Infinity", "١٢", "12,34.56", "1" * 16, ""],
)
def test_amounts_that_do_not_fit_the_mapping_are_not_bent(text: str) -> None:
    # given a mapping with a decimal comma, under which 1.50 must not become 150
    data = f"Date;Text;Amount\n13.03.2026;x;{text}\n".encode()

    with pytest.raises(BankFileError) as caught:
        parse(data, mapping=mapping(thousands="."))

    assert caught.value.code == "mapping"


def test_a_guessed_decimal_mark_is_reported_only_when_it_is_a_guess() -> None:
    sure = parse(b"Date;Text;Amount\n13.03.2026;x;1,234\n13.03.2026;x;5.5\n")
    unsure = parse(b"Date;Text;Amount\n13.03.2026;x;1,234\n")

    assert (amounts(sure), codes(sure)) == ([Decimal(1234), Decimal("5.5")], ["mapping_guessed"])
    assert (amounts(unsure), codes(unsure)) == ([Decimal(1234)], ["mapping_guessed", "decimal_guessed"])


def test_debit_and_credit_columns() -> None:
    data = b"Date;Text;Debit;Credit\n13.03.2026;out;12,50;\n13.03.2026;out too;-3,00;\n13.03.2026;in;;20,00\n"

    assert amounts(parse(data)) == [Decimal("-12.50"), Decimal("-3.00"), Decimal("20.00")]


def test_a_mark_beats_the_printed_sign() -> None:
    columns = COLUMNS | {"debit_credit_mark": "DC"}
    data = b"Date;Text;Amount;DC\n13.03.2026;out;12,50;S\n13.03.2026;in;-20,00;H\n"

    assert amounts(parse(data, mapping=mapping(columns=columns))) == [Decimal("-12.50"), Decimal("20.00")]
    with pytest.raises(BankFileError):
        parse(data, mapping=mapping(columns=columns, debit_value="D", credit_value="C"))


def test_the_running_balance_is_followed_in_either_order() -> None:
    rows = ["13.03.2026;a;10,00;110,00", "14.03.2026;b;-30,00;80,00", "15.03.2026;c;5,00;85,00"]

    for order in (rows, rows[::-1]):
        file = parse("\n".join(["Date;Text;Amount;Balance", *order]).encode())
        assert (file.statements[0].opening, file.statements[0].closing) == (Decimal(100), Decimal(85))
        assert codes(file) == ["mapping_guessed"]


def test_a_broken_running_balance_is_visible() -> None:
    data = b"Date;Text;Amount;Balance\n13.03.2026;a;10,00;110,00\n14.03.2026;b;-30,00;81,00\n"

    assert codes(parse(data)) == ["mapping_guessed", "running_balance", "unbalanced"]


def test_rows_in_other_currencies_are_left_out_and_counted() -> None:
    columns = COLUMNS | {"currency": "Cur"}
    data = b"Date;Text;Amount;Cur\n13.03.2026;a;10,00;EUR\n13.03.2026;b;11,00;USD\n13.03.2026;c;12,00;USD\n"

    file = parse(data, mapping=mapping(columns=columns, currency="EUR"))

    assert amounts(file) == [Decimal("10.00")]
    assert [str(problem) for problem in file.all_problems] == [
        "2 rows in another currency than EUR were left out."
    ]


def test_foreign_amounts_need_currency_and_amount_and_take_the_sign_of_the_line() -> None:
    columns = COLUMNS | {"foreign_amount": 3, "foreign_currency": 4}
    data = b"Date;Text;Amount;F;C\n13.03.2026;a;-10,00;11,00;USD\n13.03.2026;b;5,00;0,00;USD\n13.03.2026;c;5,00;5,00;EUR\n"

    file = parse(data, mapping=mapping(columns=columns, currency="EUR"))

    assert [(line.foreign_currency, line.foreign_amount) for line in file.statements[0].lines] == [
        ("USD", Decimal("-11.00")),
        ("", None),
        ("", None),
    ]


def test_label_columns_are_joined_and_several_accounts_become_several_statements() -> None:
    columns = {"date": 0, "label": [1, 2], "amount": 3, "own_account": 4}
    data = b"01.03.2026;A;B;1,00;111\n01.03.2026;A;A;2,00;222\n"

    file = parse(data, mapping=mapping(columns=columns, has_header=False))

    assert [(s.account_number, s.lines[0].label) for s in file.statements] == [("111", "A B"), ("222", "A")]


def test_one_bad_row_is_reported_and_a_wrong_mapping_refused() -> None:
    good = "01.03.2026;x;1,00\n" * 3
    data = f"Date;Text;Amount\n{good}31.02.2026;y;1,00\n".encode()

    file = parse(data, mapping=mapping())

    assert len(amounts(file)) == 3
    assert [(p.code, p.where) for p in file.all_problems] == [("line_unreadable", "row 5")]
    with pytest.raises(BankFileError) as caught:
        parse(data, mapping=mapping(date_format="YYYY-MM-DD"))
    assert caught.value.code == "mapping"


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("DD.MM.YYYY", "05.03.2026"), ("MM/DD/YYYY", "03/05/2026 10:15"), ("YYYY-MM-DD", "2026-03-05T00:00:00"),
        ("YYYYMMDD", "20260305"), ("DDMMYY", "050326"), ("%d/%m/%y", "5/3/26"), ("D MMM YYYY", "5 Mar 2026"),
    ],
)  # fmt: skip
def test_date_formats(date_format: str, text: str) -> None:
    data = f"Date;Text;Amount\n{text};x;1,00\n".encode()

    file = parse(data, mapping=mapping(date_format=date_format))

    assert file.statements[0].lines[0].date == dt.date(2026, 3, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": {"date": "Nope", "amount": "Amount"}}, {"columns": {"date": "Date"}}, {"colour": "red"},
        {"columns": {"dates": "Date"}}, {"delimiter": ";;"}, {"decimal": "x"}, {"encoding": "rot13"}, {"skip_rows": -1},
        {"date_format": "DD.MM"}, {"columns": {"date": 1.5, "amount": 2}}, {"columns": ["Date"]}, {"skip_rows": "1"},
        {"columns": {"date": -1, "amount": 2}}, {"decimal": ",", "thousands": ","},
    ],
)  # fmt: skip
def test_wrong_mappings_are_refused_with_a_reason(wrong: dict[str, Any]) -> None:
    with pytest.raises(BankFileError) as caught:
        parse(b"Date;Text;Amount\n01.03.2026;x;1,00\n", mapping=mapping(**wrong))

    assert caught.value.code in ("mapping", "mapping_needed")


def test_without_known_headers_a_mapping_is_asked_for() -> None:
    with pytest.raises(BankFileError) as caught:
        parse(b"foo;bar\n1;2\n")

    assert caught.value.code == "mapping_needed"


def test_the_preview_shows_raw_cells_and_the_suggestion() -> None:
    data = b"Export\nDate,Amount,Balance\n2026-03-01,5,10\n"

    suggestion = suggest_mapping(data)

    assert read_table(data)[1:] == [["Date", "Amount", "Balance"], ["2026-03-01", "5", "10"]]
    assert suggestion == TableMapping(
        columns={"date": 0, "amount": 1, "balance": 2}, delimiter=",", skip_rows=1
    )


def workbook(*rows: list[Any]) -> bytes:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_workbook_with_real_dates_and_numbers() -> None:
    data = workbook(
        ["Date", "Text", "Amount", "Balance"],
        [dt.datetime(2026, 3, 1, 12), "Café", 1533.1, 1633.2],
        ["02.03.2026", "text cell", "-33,10", 1600.1],
        [46084, "serial number", -0.1, 1600],
    )

    file = parse(data)

    assert file.format == "xlsx"
    assert [(line.date.day, line.label, line.amount) for line in file.statements[0].lines] == [
        (1, "Café", Decimal("1533.1")),
        (2, "text cell", Decimal("-33.10")),
        (3, "serial number", Decimal("-0.1")),
    ]
    assert (file.statements[0].opening, file.statements[0].closing) == (Decimal("100.1"), Decimal(1600))
    assert codes(file) == ["mapping_guessed", "date_order_guessed"]


def repacked(data: bytes, change: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
    return stream.getvalue()


def test_hostile_workbooks_are_refused() -> None:
    data = workbook(["Date", "Amount"], [dt.date(2026, 3, 1), 5])
    sheet = "xl/worksheets/sheet1.xml"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><worksheet>&b;</worksheet>'

    for change, code in (
        ({sheet: bomb}, "xml_doctype"),
        ({sheet: bomb.decode().encode("utf-16")}, "xml_doctype"),
        ({sheet: b" " * (65 * 1024 * 1024)}, "too_large"),
        ({sheet: b"<worksheet>"}, "table_damaged"),
        ({"xl/workbook.xml": b"<workbook/>"}, "table_damaged"),
    ):
        hostile = repacked(data, change)
        assert hostile != data
        with pytest.raises(BankFileError) as caught:
            parse(hostile)
        assert caught.value.code == code


def test_a_row_number_far_away_costs_nothing() -> None:
    data = workbook(["Date", "Amount"], [dt.date(2026, 3, 1), 5])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    far = (
        sheet.replace('r="A2"', 'r="A1048576"')
        .replace('r="B2"', 'r="B1048576"')
        .replace('<row r="2"', '<row r="1048576"')
    )
    assert far != sheet

    with pytest.raises(BankFileError):
        parse(repacked(data, {"xl/worksheets/sheet1.xml": far.encode()}))
