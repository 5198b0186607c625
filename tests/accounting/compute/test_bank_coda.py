"""CODA: fixed records of 128 characters."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.accounting.compute.bank import BankFileError, ParsedFile, parse


def header() -> str:
    return (
        f"0000003032500005{'':8}{'REF1':10}{'OUR COMPANY':26}{'KREDBEBB':11}{'0123456789':11} 00000{'':39}2"
    )


def old_balance(amount: int = 1_000_000, sign: str = "0") -> str:
    account = f"{'BE68539007547034':31}   EUR"
    return f"12001{account}{sign}{amount:015}020325{'OUR COMPANY':26}{'Current account':35}007"


def movement(
    sequence: int,
    amount: int,
    *,
    detail: int = 0,
    sign: str = "0",
    text: str = "",
    kind: str = "0",
    code: str = "00150000",
    partner: str = "",
    ref: str = "BANKREF",
) -> list[str]:
    key = f"{sequence:04}{detail:04}"
    more = "1" if partner else "0"
    records = [f"21{key}{ref:21}{sign}{amount:015}030325{code}{kind}{text[:53]:53}0403250010{more} 0"]
    if partner:
        records += [
            f"22{key}{text[53:106]:53}{'E2E-1':35}{'GKCCBEBB':11}   {' ':1}{'':4}{'':4}{'':4}1 0",
            f"23{key}{'BE71096123456769':34}EUR{partner:35}{'':43}0 0",
        ]
    return records


def information(sequence: int, text: str, *, structured: str = "0") -> str:
    return f"31{sequence:04}0001{'BANKREF':21}00150000{structured}{text:73}{'':12}0 0"


def new_balance(amount: int) -> str:
    return f"8001{'BE68539007547034':31}   EUR0{amount:015}030325{'':64}0"


def trailer(debit: int, credit: int) -> str:
    return f"9{'':15}000005{debit:015}{credit:015}{'':75}2"


def coda(*records: str | list[str]) -> bytes:
    lines = [line for record in records for line in ([record] if isinstance(record, str) else record)]
    assert {len(line) for line in lines} == {128}
    return "\r\n".join(lines).encode("cp1252")


def codes(file: ParsedFile) -> list[str]:
    return [problem.code for problem in file.all_problems]


def test_a_payment_with_a_structured_communication() -> None:
    data = coda(
        header(),
        old_balance(),
        movement(1, 121_000, text="101090933755493", kind="1", partner="CAFÉ NV"),
        information(1, "001CAFÉ NV", structured="1"),
        new_balance(1_121_000),
        trailer(0, 121_000),
    )

    file = parse(data)

    assert file.format == "coda"
    assert codes(file) == []
    (statement,) = file.statements
    assert (statement.account_number, statement.currency, statement.name) == (
        "BE68539007547034",
        "EUR",
        "007",
    )
    assert (statement.opening, statement.closing, statement.is_balanced) == (
        Decimal(1000),
        Decimal(1121),
        True,
    )
    assert (statement.date, statement.bank_code, statement.owner) == (
        dt.date(2025, 3, 3),
        "KREDBEBB",
        "OUR COMPANY",
    )
    (line,) = statement.lines
    assert (line.date, line.value_date, line.amount) == (
        dt.date(2025, 3, 4),
        dt.date(2025, 3, 3),
        Decimal(121),
    )
    assert (line.structured_reference, line.label) == ("090933755493", "+++090/9337/55493+++")
    assert (line.partner_name, line.account_number, line.partner_bic) == (
        "CAFÉ NV",
        "BE71096123456769",
        "GKCCBEBB",
    )
    assert (line.reference, line.transaction_type) == ("E2E-1", "00150000")


def test_a_long_free_communication_runs_over_its_records() -> None:
    text = "Invoice " + "x" * 44 + " second part of the text"

    (statement,) = parse(coda(header(), old_balance(), movement(1, 5_000, text=text, partner="A"))).statements

    assert statement.lines[0].label == text


def test_a_total_gives_way_to_details_that_sum_up() -> None:
    data = coda(
        header(),
        old_balance(),
        movement(1, 30_000, sign="1", code="20101000", text="TOTAL"),
        movement(1, 10_000, detail=1, sign="1", code="60101000", text="ONE"),
        movement(1, 20_000, detail=2, sign="1", code="60101000", text="TWO"),
        new_balance(970_000),
        trailer(30_000, 0),
    )

    file = parse(data)

    assert [(line.label, line.amount) for line in file.statements[0].lines] == [
        ("ONE", Decimal(-10)),
        ("TWO", Decimal(-20)),
    ]
    assert codes(file) == []


def test_a_total_stays_where_the_details_do_not_sum_up() -> None:
    data = coda(
        header(),
        old_balance(),
        movement(1, 30_000, text="TOTAL"),
        movement(1, 10_000, detail=1, text="ONE"),
        movement(1, 19_000, detail=2, text="TWO"),
        new_balance(1_030_000),
    )

    file = parse(data)

    assert [(line.label, line.amount) for line in file.statements[0].lines] == [("TOTAL", Decimal(30))]
    assert codes(file) == ["batch_kept"]


def test_three_decimals_negative_balances_and_turnover() -> None:
    data = coda(header(), old_balance(500, "1"), movement(1, 1_125), new_balance(625), trailer(0, 1_000))

    file = parse(data)

    (statement,) = file.statements
    assert (statement.opening, statement.lines[0].amount) == (Decimal("-0.50"), Decimal("1.125"))
    assert codes(file) == ["turnover"]


def test_information_records_explain_their_movement() -> None:
    data = coda(
        header(),
        old_balance(),
        movement(1, 1_000),
        information(1, "Card 1234 at noon"),
        new_balance(1_001_000),
    )

    assert parse(data).statements[0].lines[0].label == "Card 1234 at noon"


def test_two_statements_in_a_file_and_a_cut_off_one() -> None:
    whole = [header(), old_balance(), *movement(1, 1_000), new_balance(1_001_000), trailer(0, 1_000)]

    file = parse(coda(*whole, header(), old_balance(), movement(1, 2_000)))

    assert [(s.closing, len(s.lines)) for s in file.statements] == [(Decimal(1001), 1), (None, 1)]
    assert codes(file) == ["cut_off", "balance_missing"]


def test_unreadable_records_are_reported() -> None:
    data = coda(header(), old_balance(), "5" + " " * 127, movement(1, 1_000), new_balance(1_001_000))

    file = parse(data)

    assert codes(file) == ["line_unreadable"]
    assert file.all_problems[0].where == "line 3"
    assert len(file.statements[0].lines) == 1


def test_stripped_blanks_at_the_end_of_records_do_no_harm() -> None:
    data = coda(header(), old_balance(), movement(1, 1_000, text="x"), new_balance(1_001_000))
    stripped = b"\n".join(line.rstrip() for line in data.splitlines())

    assert parse(stripped).statements == parse(data).statements


def test_a_header_alone_is_refused() -> None:
    with pytest.raises(BankFileError) as caught:
        parse(coda(header()))

    assert caught.value.code == "no_statement"
