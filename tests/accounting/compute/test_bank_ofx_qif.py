"""OFX in both syntaxes, and QIF with everything it leaves unsaid."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.accounting.compute.bank import BankFileError, Kind, ParsedFile, parse

HEADER = "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nENCODING:USASCII\r\nCHARSET:1252\r\n\r\n"


def sgml(
    transactions: str, *, balance: str = "<LEDGERBAL><BALAMT>50.00<DTASOF>20260331</LEDGERBAL>"
) -> bytes:
    return (
        f"{HEADER}<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS></SONRS></SIGNONMSGSRSV1>"
        "<BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>CAD<BANKACCTFROM><BANKID>16<ACCTID>12300 77<ACCTTYPE>CHECKING"
        f"</BANKACCTFROM><BANKTRANLIST><DTSTART>20260301<DTEND>20260331{transactions}</BANKTRANLIST>{balance}"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    ).encode("cp1252")


def stmttrn(
    amount: str = "-6.60",
    fitid: str = "F1",
    more: str = "<NAME>Café<MEMO>Café &amp; more",
    posted: str = "20260302120000.000[-5:EST]",
) -> str:
    return f"<STMTTRN><TRNTYPE>POS<DTPOSTED>{posted}<TRNAMT>{amount}<FITID>{fitid}{more}</STMTTRN>"


def codes(file: ParsedFile) -> list[str]:
    return [problem.code for problem in file.all_problems]


def test_sgml_without_closing_tags() -> None:
    file = parse(sgml(stmttrn() + stmttrn("+1000", "F2", "<CHECKNUM>17")))

    assert file.format == "ofx"
    (statement,) = file.statements
    assert (statement.account_number, statement.bank_code, statement.currency) == ("12300 77", "16", "CAD")
    assert (statement.kind, statement.date) == (Kind.LIST, dt.date(2026, 3, 31))
    assert (statement.start_date, statement.end_date) == (dt.date(2026, 3, 1), dt.date(2026, 3, 31))
    assert (statement.opening, statement.closing, statement.is_balanced) == (
        Decimal("-943.40"),
        Decimal(50),
        True,
    )
    assert codes(file) == ["opening_computed"]
    first, second = statement.lines
    assert (first.date, first.amount, first.unique_id) == (dt.date(2026, 3, 2), Decimal("-6.60"), "F1")
    assert (first.partner_name, first.label, first.transaction_type) == ("Café", "Café & more", "POS")
    assert (second.amount, second.details["check_number"]) == (Decimal(1000), "17")


def test_xml_and_sgml_read_alike() -> None:
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><?OFX OFXHEADER="200" VERSION="211"?><OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>'
        "<CURDEF>CAD</CURDEF><BANKACCTFROM><BANKID>16</BANKID><ACCTID>12300 77</ACCTID><ACCTTYPE>CHECKING</ACCTTYPE>"
        "</BANKACCTFROM><BANKTRANLIST><DTSTART>20260301</DTSTART><DTEND>20260331</DTEND><STMTTRN><TRNTYPE>POS</TRNTYPE>"
        "<DTPOSTED>20260302120000.000[-5:EST]</DTPOSTED><TRNAMT>-6.60</TRNAMT><FITID>F1</FITID><NAME>Café</NAME>"
        "<MEMO><![CDATA[Café & more]]></MEMO></STMTTRN></BANKTRANLIST><LEDGERBAL><BALAMT>50.00</BALAMT>"
        "<DTASOF>20260331</DTASOF></LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )

    assert parse(xml.encode()).statements == parse(sgml(stmttrn())).statements


def test_empty_values_without_closing_tag_swallow_nothing() -> None:
    (statement,) = parse(
        sgml(stmttrn(more="<CHECKNUM>\n<NAME>\n<MEMO>Hello\n") + stmttrn("1", "F2"))
    ).statements

    assert [(line.label, line.partner_name) for line in statement.lines] == [
        ("Hello", ""),
        ("Café & more", "Café"),
    ]


def test_movements_without_their_closing_tags() -> None:
    body = (stmttrn() + stmttrn("1", "F2")).replace("</STMTTRN>", "")

    assert [line.unique_id for line in parse(sgml(body)).statements[0].lines] == ["F1", "F2"]


def test_the_same_fitid_twice_is_one_movement_and_a_reused_one_is_two() -> None:
    file = parse(sgml(stmttrn() + stmttrn() + stmttrn("-7.00")))

    assert [line.amount for line in file.statements[0].lines] == [Decimal("-6.60"), Decimal("-7.00")]
    assert len({line.unique_id for line in file.statements[0].lines}) == 2
    assert "repeated" in codes(file)


def test_original_currency_is_converted_back_and_foreign_amounts_stay_foreign() -> None:
    converted = stmttrn("-110.00", "A", "<ORIGCURRENCY><CURRATE>1.1<CURSYM>USD</ORIGCURRENCY>")
    foreign = stmttrn("-5.00", "B", "<CURRENCY><CURRATE>1.1<CURSYM>USD</CURRENCY>")

    file = parse(sgml(converted + foreign))

    first, second = file.statements[0].lines
    assert (first.currency, first.foreign_currency, first.foreign_amount) == (
        "CAD",
        "USD",
        Decimal("-100.00"),
    )
    assert (second.currency, second.amount, second.foreign_amount) == ("USD", Decimal("-5.00"), None)
    assert codes(file) == ["other_currency"]


def test_securities_never_become_cash() -> None:
    data = (
        "<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>20260331<CURDEF>USD<INVACCTFROM><BROKERID>B<ACCTID>9"
        "</INVACCTFROM><INVTRANLIST><DTSTART>20260301<DTEND>20260331<BUYSTOCK><INVBUY><INVTRAN><FITID>1<DTTRADE>20260302"
        "</INVTRAN><UNITS>5<UNITPRICE>10<TOTAL>-50.00</INVBUY><BUYTYPE>BUY</BUYSTOCK><INCOME><INVTRAN><FITID>2"
        "</INVTRAN><TOTAL>3.00</INCOME><INVBANKTRAN>"
        + stmttrn("0.24", "3", "<NAME>Interest")
        + "<SUBACCTFUND>CASH"
        "</INVBANKTRAN></INVTRANLIST></INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>"
    )

    file = parse(data.encode())

    (statement,) = file.statements
    assert statement.kind is Kind.INVESTMENT
    assert [(line.unique_id, line.amount) for line in statement.lines] == [("3", Decimal("0.24"))]
    assert [(p.code, p.message.split()[0]) for p in file.all_problems] == [("investment", "2")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (sgml(stmttrn(posted="")), "bad_date"),
        (sgml(stmttrn(posted="20260231")), "bad_date"),
        (sgml(stmttrn(amount="")), "bad_amount"),
        (sgml(stmttrn(amount="1e5")), "bad_amount"),
        (sgml(stmttrn(), balance="<LEDGERBAL><BALAMT> <DTASOF>20260331</LEDGERBAL>"), "bad_amount"),
        (b"<OFX><SONRS><STATUS><CODE>15500<MESSAGE>wrong password</STATUS></SONRS></OFX>", "bank_error"),
        (b"<OFX><SONRS><STATUS><CODE>0</STATUS></SONRS></OFX>", "no_statement"),
        (b"<OFX>" + b"".join(b"<A%d>" % number for number in range(500)), "too_deep"),
    ],
)
def test_ofx_files_that_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(BankFileError) as caught:
        parse(data)

    assert caught.value.code == code


def test_a_ledger_balance_older_than_the_lines_is_not_used() -> None:
    file = parse(sgml(stmttrn(), balance="<LEDGERBAL><BALAMT>50.00<DTASOF>20260301</LEDGERBAL>"))

    assert (file.statements[0].opening, file.statements[0].closing) == (None, None)
    assert codes(file) == ["balance_older"]


def test_a_cut_off_ofx_file_warns() -> None:
    data = sgml(stmttrn() + stmttrn("-1", "F2"))

    file = parse(data[: data.index(b"<FITID>F2")])

    assert "cut_off" in codes(file)
    assert file.statements[0].lines[0].unique_id == "F1"


def qif(*records: str, kind: str = "Bank") -> bytes:
    return (f"!Type:{kind}\n" + "".join(f"{record}\n^\n" for record in records)).encode("cp1252")


@pytest.mark.parametrize(
    ("dates", "expected", "is_certain"),
    [
        (["8/12/13", "8/15/13"], "2013-08-12", True),
        (["12/8/13", "15/8/13"], "2013-08-12", True),
        (["31.01'24", "01.02'24"], "2024-01-31", True),
        (["1/31'04"], "2004-01-31", True),
        (["1/ 5'04", "1/31'04"], "2004-01-05", True),
        (["2024-03-01"], "2024-03-01", True),
        (["3/3/24"], "2024-03-03", True),
        (["1/2/24", "1/3/24", "2/1/24"], "2024-01-02", False),
        (["01.02.24"], "2024-02-01", False),
        (["12/31/1998"], "1998-12-31", True),
    ],
)
def test_the_date_order_is_guessed_from_the_whole_file(
    dates: list[str], expected: str, is_certain: bool
) -> None:
    file = parse(qif(*(f"D{date}\nT{number}.00\nPX" for number, date in enumerate(dates, 1))))

    assert file.statements[0].lines[0].date == dt.date.fromisoformat(expected)
    assert ("date_order_guessed" in codes(file)) is not is_certain


def test_the_mapping_settles_an_open_date_order() -> None:
    data = qif("D1/2/24\nT1.00\nPX")

    file = parse(data, mapping={"date_format": "DD/MM/YY"})

    assert file.statements[0].lines[0].date == dt.date(2024, 2, 1)
    assert codes(file) == ["currency_missing"]


def test_qif_fields_splits_and_code_page() -> None:
    record = "D31.01.2024\nT-1.234,56\nN0815\nPCafé Köln\nMRechnung\nLReise\nSHotel\nETeil 1\n$-1.000,00\nSEssen\n$-234,56"

    (statement,) = parse(qif(record)).statements

    (line,) = statement.lines
    assert (line.amount, line.partner_name, line.label) == (
        Decimal("-1234.56"),
        "Café Köln",
        "Café Köln Rechnung",
    )
    assert [(s.category, s.label, s.amount) for s in line.splits] == [
        ("Hotel", "Teil 1", Decimal("-1000.00")),
        ("Essen", "", Decimal("-234.56")),
    ]
    assert line.details == {"memo": "Rechnung", "category": "Reise", "check_number": "0815"}


def test_splits_that_do_not_sum_up_are_reported() -> None:
    assert "split_differs" in codes(parse(qif("D31.01.2024\nT5,00\nSA\n$2,00\nSB\n$2,00")))


def test_the_opening_balance_record_is_no_movement() -> None:
    file = parse(qif("D1/31/24\nT100.00\nPOpening Balance\nL[Checking]", "D2/15/24\nT-30.00\nPShop"))

    (statement,) = file.statements
    assert (statement.account_number, statement.opening, statement.closing) == (
        "Checking",
        Decimal(100),
        Decimal(70),
    )
    assert [line.amount for line in statement.lines] == [Decimal(-30)]


def test_accounts_and_investments() -> None:
    data = (
        b"!Account\nNChecking\nTBank\n^\n!Type:Bank\nD1/31/24\nT1.00\nPA\n^\n"
        b"!Account\nNBroker\nTInvst\n^\n!Type:Invst\nD1/31/24\nNBuy\nT500.00\n^\n!Type:Cat\nNFood\n^\n"
    )

    file = parse(data)

    assert [(s.account_number, len(s.lines)) for s in file.statements] == [("Checking", 1)]
    assert codes(file) == ["investment", "currency_missing"]


def test_an_unreadable_record_is_reported_and_the_rest_kept() -> None:
    file = parse(qif("D1/31/24\nTabc\nPBroken", "D1/30/24\nT1.00\nPGood"))

    assert [line.partner_name for line in file.statements[0].lines] == ["Good"]
    assert codes(file) == ["currency_missing", "line_unreadable"]


@pytest.mark.parametrize(
    "data", [b"!Type:Bank\n", b"!Type:Invst\nD1/1/24\nT5\n^\n", b"!Type:Bank\nDx\nTy\n^\n"]
)
def test_qif_without_movements_is_refused(data: bytes) -> None:
    with pytest.raises(BankFileError):
        parse(data)
