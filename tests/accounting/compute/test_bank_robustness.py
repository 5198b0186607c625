"""Whatever bytes arrive: a reading or a ``BankFileError``, in under a second, and never anything else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.accounting.compute.bank import BankFileError, ParsedFile, detect_format, parse
from apps.accounting.compute.bank.camt import parse_camt
from apps.accounting.compute.bank.coda import parse_coda
from apps.accounting.compute.bank.csv import parse_table
from apps.accounting.compute.bank.mt940 import parse_mt940
from apps.accounting.compute.bank.ofx import parse_ofx
from apps.accounting.compute.bank.qif import parse_qif
from apps.accounting.compute.bank.types import MAX_BYTES, MAX_LINES

MT940 = (
    b":20:START\n:25:50880050/0194787400EUR\n:28C:12/1\n:60F:C260301EUR100,00\n:61:2603020303CR121,50NTRFNONREF//BANKREF1\n"
    b":86:166?00GUTSCHRIFT?20EREF+E2E?21SVWZ+Rechnung?32Name\n:61:2603020303D1,NTRFX//Y\n/OCMT/USD1,00/EXCH/1,1\n"
    b":86:/TRTP/SEPA/IBAN/NL1/REMI/USTD//x/\n:62F:C260302EUR220,50\n:64:C260302EUR1,\n-\n"
)
CAMT = (
    b'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
    b'<Stmt><Id>1</Id><Acct><Id><IBAN>BE1</IBAN></Id></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1'
    b'</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal><Ntry><Amt Ccy="EUR">3.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts><BookgDt>'
    b'<Dt>2026-03-01</Dt></BookgDt><NtryDtls><TxDtls><AmtDtls><TxAmt><Amt Ccy="EUR">1.00</Amt></TxAmt></AmtDtls></TxDtls><TxDtls>'
    b'<AmtDtls><TxAmt><Amt Ccy="EUR">2.00</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>'
)
OFX = (
    b"OFXHEADER:100\nCHARSET:1252\n\n<OFX><STMTRS><CURDEF>EUR<BANKACCTFROM><ACCTID>1</BANKACCTFROM><BANKTRANLIST><STMTTRN>"
    b"<TRNTYPE>DEBIT<DTPOSTED>20260301<TRNAMT>-1.00<FITID>1<NAME>x &amp; y<ORIGCURRENCY><CURRATE>1.1<CURSYM>USD</ORIGCURRENCY>"
    b"</STMTTRN></BANKTRANLIST><LEDGERBAL><BALAMT>5<DTASOF>20260301</LEDGERBAL></STMTRS></OFX>"
)
QIF = b"!Account\nNBank\n^\n!Type:Bank\nD31.01'24\nT-1.234,56\nPHotel\nSA\n$-1.000,00\nSB\n$-234,56\n^\nD01.02'24\nT5\n^\n"
CSV = b'Date;Text;Amount;Balance;Currency\n01.03.2026;"a;b";1.234,56;2.000,00;EUR\n02.03.2026;x;-1,00;1.999,00;EUR\n'
CODA = (
    b"0000003032500005" + b" " * 111 + b"2\n12001BE68539007547034                  EUR0000000001000000020325" + b" " * 61
    + b"007\n2100010000REF                  0000000000121000030325001500001101090933755493" + b" " * 38
    + b"0303250010100\n2200010000" + b" " * 116 + b"1 0\n8001BE68539007547034                  EUR0000000001121000030325\n"
)  # fmt: skip
SEEDS = {"mt940": MT940, "camt": CAMT, "ofx": OFX, "qif": QIF, "csv": CSV, "coda": CODA}
READERS: dict[str, Callable[[bytes], ParsedFile]] = {
    "mt940": parse_mt940,
    "camt": parse_camt,
    "ofx": parse_ofx,
    "qif": parse_qif,
    "csv": parse_table,
    "coda": parse_coda,
}
SECOND = 1.0
SCRAPS = st.sampled_from(
    [b"<", b">", b"</", b":61:", b":86:", b"?20", b"\n", b"\r", b"-", b"\x00", b"9" * 40, b"^", b"$", b'"', b"'", b"\xff",
     b"NaN", b"1E9", b"0230", b"&#0;", b"&#xD800;", b"<![CDATA[", b"<!--", b",", b".", b";", b"\xd9\xa3", b"\xe2\x88\x92",
     b"<STMTTRN>", b"D", b"!Type:Bank\n", b"\xc3", b"SVWZ+", b"//", b"2100010000"]
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.sampled_from("idrct"), st.integers(0, 10_000), st.integers(0, 60), SCRAPS),
    min_size=1,
    max_size=12,
)


def edited(data: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    """Insert, delete, replace, copy and truncate at places that wrap around the data."""
    for kind, place, length, scrap in edits:
        at = place % (len(data) + 1)
        if kind == "i":
            data = data[:at] + scrap + data[at:]
        elif kind == "d":
            data = data[:at] + data[at + length :]
        elif kind == "r":
            data = data[:at] + scrap + data[at + len(scrap) :]
        elif kind == "c":
            data = data[:at] + data[at : at + length] * 2 + data[at:]
        elif place % 7 == 0:
            data = data[:at]
    return data


def read_or_refuse(
    read: Callable[[bytes], ParsedFile], data: bytes
) -> tuple[ParsedFile | None, BankFileError | None]:
    try:
        return read(data), None
    except BankFileError as exc:
        return None, exc


def read_quickly(read: Callable[[bytes], ParsedFile], data: bytes) -> ParsedFile | None:
    """The file, or ``None`` where it was refused with message and code; any other error fails the test by itself."""
    started = time.process_time()
    file, refusal = read_or_refuse(read, data)
    assert time.process_time() - started < SECOND
    if refusal is not None:
        assert refusal.message
        assert refusal.code
    return file


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_good_files(name: str) -> None:
    file = parse(SEEDS[name])

    assert detect_format(SEEDS[name]) == name
    assert all(statement.lines for statement in file.statements)


@pytest.mark.parametrize("name", SEEDS)
@given(edits=EDITS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_files_raise_nothing_but_bank_file_error(
    name: str, edits: list[tuple[str, int, int, bytes]]
) -> None:
    data = edited(SEEDS[name], edits)

    for read in (parse, READERS[name]):
        file = read_quickly(read, data)
        for statement in file.statements if file else ():
            ids = [line.unique_id for line in statement.lines]
            assert len(ids) == len(set(ids))
            assert all(line.amount and line.amount.is_finite() for line in statement.lines)
            assert not any(char < " " for line in statement.lines for char in line.label + line.partner_name)


@given(data=st.binary(max_size=2_000))
@example(b"")
@example(b"\xff\xfe")
@example(b"\xff\xfe\x00\x00")
@example(b"PK\x03\x04")
@example(b"<")
@example(b":\n:")
@example(b"\x00\x00\x00\x01")
@settings(max_examples=200, deadline=None)
def test_random_bytes_raise_nothing_but_bank_file_error(data: bytes) -> None:
    for read in (parse, *READERS.values()):
        read_quickly(read, data)


@given(text=st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_random_text_raises_nothing_but_bank_file_error(text: str) -> None:
    for read in (parse, *READERS.values()):
        read_quickly(read, text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "data",
    [
        b"<OFX>" + b"<!--" * 50_000,
        b"<OFX>" + b"<![CDATA[" * 30_000,
        b"<OFX>" + b"<A " * 50_000,
        b"<Document>" + b"<a>" * 50_000,
        b":20:\n:61:260302C1,NTRFX\n:86:166?20" + b"SVWZ+a" * 50_000,
        b":20:\n" + b":86:xyz\n" * 20_000,
        b":20:\n" * 20_000,
        b"Date;Amount\n" + b'"' * 200_000,
        b"Date;Amount\n01.03.2026;" + b"1" * 200_000,
        CODA[:128] + b"\n" + b"2\n" * 20_000,
        b" " * 200_000,
        b"-" * 200_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_long_repetitions_take_no_time(data: bytes) -> None:
    assert read_quickly(parse, data) is None or detect_format(data) == "mt940"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"%PDF-1.7 ...", "unknown_format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "unknown_format"),
        (b"PK\x03\x04 not a workbook", "unknown_format"),
        (b"<html><body>log in</body></html>", "unknown_format"),
        (b"<Document><CstmrPmtStsRpt/></Document>", "unknown_format"),
        (b"\x7fELF\x00\x01\x02", "unknown_format"),
        (b"Dear customer,\nno statement today\n", "mapping_needed"),
        (b"x" * (MAX_BYTES + 1), "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_what_is_no_bank_file_is_named(data: bytes, code: str) -> None:
    with pytest.raises(BankFileError) as caught:
        parse(data)

    assert caught.value.code == code


def test_the_name_of_the_file_stands_in_the_message() -> None:
    with pytest.raises(BankFileError) as caught:
        parse(b"%PDF", "march.pdf")

    assert caught.value.message.startswith("march.pdf: This is a PDF.")


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(BankFileError) as caught:
        parse(b"Date;Amount\n" + b"01.03.2026;1\n" * (MAX_LINES + 2_000))

    assert caught.value.code == "too_long"


@pytest.mark.parametrize("name", ["mt940", "camt", "ofx", "qif", "csv", "coda"])
def test_bytes_before_and_after_do_not_hide_the_format(name: str) -> None:
    padded = b"\xef\xbb\xbf" + SEEDS[name].replace(b"\n", b"\r\n") + b"\r\n\x1a"

    assert detect_format(padded) == name
    if name != "camt":
        assert [s.lines for s in parse(padded).statements] == [s.lines for s in parse(SEEDS[name]).statements]
