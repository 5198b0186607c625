"""CAMT.052–054: signs, status, batches, parties, balances, references."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.accounting.compute.bank import BankFileError, Kind, ParsedLine, ParsedStatement, parse


def camt(
    entries: str = "", *, balances: tuple[str, str] | None = ("100.00", "100.00"), message: str = "053"
) -> bytes:
    outer, group = {
        "052": ("BkToCstmrAcctRpt", "Rpt"),
        "053": ("BkToCstmrStmt", "Stmt"),
        "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    }[message]
    bal = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{value.lstrip("-")}</Amt>'
        f"<CdtDbtInd>{'DBIT' if value.startswith('-') else 'CRDT'}</CdtDbtInd><Dt><Dt>2026-03-0{day}</Dt></Dt></Bal>"
        for code, value, day in zip(("OPBD", "CLBD"), balances or (), (2, 3), strict=False)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{message}.001.08">'
        f"<{outer}><GrpHdr><MsgId>M</MsgId></GrpHdr><{group}><Id>S-7</Id><CreDtTm>2026-03-03T20:00:00</CreDtTm>"
        "<Acct><Id><IBAN>BE68539007547034</IBAN></Id><Ccy>EUR</Ccy><Ownr><Nm>Our Company</Nm></Ownr></Acct>"
        f"{bal}{entries}</{group}></{outer}></Document>"
    ).encode()


def entry(
    amount: str,
    *,
    sign: str = "CRDT",
    extra: str = "",
    details: str = "",
    status: str = "BOOK",
    ref: str = "R1",
) -> str:
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd>{extra}<Sts><Cd>{status}</Cd></Sts>'
        "<BookgDt><Dt>2026-03-03</Dt></BookgDt><ValDt><Dt>2026-03-04</Dt></ValDt>"
        f"<AcctSvcrRef>{ref}</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd>"
        f"</Fmly></Domn></BkTxCd>{details}</Ntry>"
    )


def tx(inner: str) -> str:
    return f"<NtryDtls><TxDtls>{inner}</TxDtls></NtryDtls>"


def only(data: bytes) -> ParsedStatement:
    (statement,) = parse(data).statements
    return statement


def only_line(data: bytes) -> ParsedLine:
    (line,) = only(data).lines
    return line


PARTIES = (
    "<RltdPties><Dbtr><Pty><Nm>Payer</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>DE02120300000000202051</IBAN></Id></DbtrAcct>"
    "<Cdtr><Nm>Receiver</Nm></Cdtr><CdtrAcct><Id><Othr><Id>77-8</Id></Othr></Id></CdtrAcct></RltdPties>"
)


def test_a_statement_with_one_incoming_payment() -> None:
    details = tx(
        "<Refs><EndToEndId>E2E-1</EndToEndId><InstrId>I-1</InstrId><TxId>T-1</TxId><MndtId>MD-1</MndtId></Refs>"
        f"{PARTIES}<RltdAgts><DbtrAgt><FinInstnId><BICFI>BYLADEM1001</BICFI></FinInstnId></DbtrAgt></RltdAgts>"
        "<RmtInf><Ustrd>Invoice 17</Ustrd><Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf>"
    )

    file = parse(camt(entry("121.50", details=details), balances=("100.00", "221.50")))

    assert file.format == "camt.053"
    (statement,) = file.statements
    assert (statement.account_number, statement.currency, statement.name) == (
        "BE68539007547034",
        "EUR",
        "S-7",
    )
    assert (statement.opening, statement.closing) == (Decimal("100.00"), Decimal("221.50"))
    assert statement.date == dt.date(2026, 3, 3)
    assert statement.owner == "Our Company"
    assert statement.is_balanced is True
    assert file.all_problems == ()
    (line,) = statement.lines
    assert (line.date, line.value_date) == (dt.date(2026, 3, 3), dt.date(2026, 3, 4))
    assert (line.amount, line.currency) == (Decimal("121.50"), "EUR")
    assert line.label == "Invoice 17 RF18539007547034"
    assert (line.reference, line.structured_reference) == ("E2E-1", "RF18539007547034")
    assert (line.partner_name, line.account_number, line.partner_bic) == (
        "Payer",
        "DE02120300000000202051",
        "BYLADEM1001",
    )
    assert line.transaction_type == "PMNT-RCDT-ESCT"
    assert line.unique_id.startswith("R1-")
    assert dict(line.details) == {
        "bank_reference": "R1",
        "instruction_id": "I-1",
        "transaction_id": "T-1",
        "mandate": "MD-1",
    }


def test_money_out_is_negative_and_its_partner_is_the_creditor() -> None:
    line = only_line(camt(entry("20.00", sign="DBIT", details=tx(PARTIES))))

    assert line.amount == Decimal("-20.00")
    assert (line.partner_name, line.account_number) == ("Receiver", "77-8")


def test_a_reversal_keeps_its_printed_direction_and_the_roles_of_what_it_undoes() -> None:
    line = only_line(camt(entry("20.00", sign="CRDT", extra="<RvslInd>true</RvslInd>", details=tx(PARTIES))))

    assert line.amount == Decimal("20.00")
    assert line.partner_name == "Receiver"
    assert line.details["reversal"] == "true"


def test_we_are_never_our_own_partner() -> None:
    own = (
        "<RltdPties><Cdtr><Nm>Our Company</Nm></Cdtr><CdtrAcct><Id><IBAN>BE68 5390 0754 7034</IBAN></Id></CdtrAcct>"
        "</RltdPties>"
    )

    line = only_line(camt(entry("20.00", details=tx(own))))

    assert (line.partner_name, line.account_number) == ("", "")


@pytest.mark.parametrize("status", ["PDNG", "INFO", "FUTR"])
def test_entries_that_are_not_booked_are_left_out_and_counted(status: str) -> None:
    statement = only(camt(entry("5.00", status=status) + entry("7.00"), balances=("100.00", "107.00")))

    assert [line.amount for line in statement.lines] == [Decimal("7.00")]
    assert [(problem.code, problem.severity) for problem in statement.problems] == [("not_booked", "info")]
    assert "1 entries" in statement.problems[0].message


def batch(*amounts: str, currency: str = "EUR", sign: str = "") -> str:
    mark = f"<CdtDbtInd>{sign}</CdtDbtInd>" if sign else ""
    return "<NtryDtls>" + "".join(
        f"<TxDtls><Refs><EndToEndId>B{number}</EndToEndId></Refs>"
        f'<Amt Ccy="{currency}">{amount}</Amt>{mark}<RmtInf><Ustrd>part {number}</Ustrd></RmtInf></TxDtls>'
        for number, amount in enumerate(amounts, 1)
    ) + "</NtryDtls>"  # fmt: skip


def test_a_batch_that_sums_up_becomes_its_payments() -> None:
    statement = only(
        camt(entry("30.00", sign="DBIT", details=batch("10.00", "19.99", "0.01")), balances=("30", "0"))
    )

    assert [(line.amount, line.reference, line.label) for line in statement.lines] == [
        (Decimal("-10.00"), "B1", "part 1"),
        (Decimal("-19.99"), "B2", "part 2"),
        (Decimal("-0.01"), "B3", "part 3"),
    ]
    assert len({line.unique_id for line in statement.lines}) == 3
    assert statement.problems == ()


def test_a_batch_whose_parts_carry_the_other_sign_still_sums_up() -> None:
    statement = only(camt(entry("30.00", sign="DBIT", details=batch("10.00", "20.00", sign="CRDT"))))

    assert [line.amount for line in statement.lines] == [Decimal("-10.00"), Decimal("-20.00")]


@pytest.mark.parametrize(
    "details", [batch("10.00", "19.98"), batch("10.00", "20.00", currency="USD"), batch("10.00", "")],
    ids=["a cent short", "other currency", "part without amount"],
)  # fmt: skip
def test_a_batch_that_does_not_sum_up_stays_one_line(details: str) -> None:
    statement = only(camt(entry("30.00", details=details), balances=("0", "30")))

    (line,) = statement.lines
    assert line.amount == Decimal("30.00")
    assert line.details["batch_count"] == "2"
    assert line.label == "part 1 part 2"
    assert (line.reference, line.partner_name) == ("", "")
    assert [problem.code for problem in statement.problems] == ["batch_kept"]


def test_a_foreign_amount_has_the_sign_of_the_line_and_the_rate_as_printed() -> None:
    details = tx(
        '<AmtDtls><InstdAmt><Amt Ccy="USD">110.00</Amt></InstdAmt><TxAmt><Amt Ccy="EUR">100.00</Amt>'
        "<CcyXchg><SrcCcy>USD</SrcCcy><XchgRate>1.1</XchgRate></CcyXchg></TxAmt></AmtDtls>"
    )

    line = only_line(camt(entry("100.00", sign="DBIT", details=details)))

    assert (line.foreign_currency, line.foreign_amount, line.rate) == (
        "USD",
        Decimal("-110.00"),
        Decimal("1.1"),
    )


def test_a_gap_between_balances_and_lines_is_visible() -> None:
    statement = only(camt(entry("30.00"), balances=("100.00", "129.99")))

    assert statement.is_balanced is False
    (problem,) = statement.problems
    assert (problem.code, problem.severity) == ("unbalanced", "warning")
    assert "difference -0.01" in problem.message


@pytest.mark.parametrize(("message", "kind"), [("052", Kind.REPORT), ("054", Kind.NOTIFICATION)])
def test_reports_and_notifications_need_no_balances(message: str, kind: Kind) -> None:
    file = parse(camt(entry("1.00"), balances=None, message=message))

    assert file.format == f"camt.{message}"
    assert file.statements[0].kind is kind
    assert file.all_problems == ()


def test_a_statement_without_balances_says_so() -> None:
    statement = only(camt(entry("1.00"), balances=None))

    assert (statement.opening, statement.closing, statement.is_balanced) == (None, None, None)
    assert [problem.code for problem in statement.problems] == ["balance_missing"]


def test_zero_entries_are_left_out_with_a_word() -> None:
    statement = only(camt(entry("0.00")))

    assert statement.lines == ()
    assert [problem.code for problem in statement.problems] == ["zero_amount"]


def test_one_reference_for_payment_and_charge_gives_two_identities() -> None:
    # given a bank that gives the same reference to a transfer and to its charge
    data = camt(entry("20.00", sign="DBIT") + entry("0.50", sign="DBIT") + entry("0.50", sign="DBIT"))

    ids = [line.unique_id for line in only(data).lines]

    assert len(set(ids)) == 3
    assert ids[2] == f"{ids[1]}~2"
    assert [line.unique_id for line in only(data).lines] == ids


def test_the_identity_does_not_depend_on_the_message_it_came_in() -> None:
    report = only_line(camt(entry("20.00", ref="ABC"), balances=None, message="052"))
    statement = only_line(camt(entry("20.00", ref="ABC")))

    assert report.unique_id == statement.unique_id


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (camt().replace(b"<Stmt>", b"<X>").replace(b"</Stmt>", b"</X>"), "no_statement"),
        (camt(entry("1.00"))[:-200], "xml_damaged"),
        (camt(entry("1.00")).replace(b"2026-03-03</Dt></BookgDt>", b"2026-02-30</Dt></BookgDt>"), "bad_date"),
        (camt(entry("1,00")), "bad_amount"),
        (camt(entry("NaN")), "bad_amount"),
        (camt(entry("1.00", sign="BOTH")), "bad_amount"),
    ],
)
def test_damaged_files_are_refused_as_a_whole(broken: bytes, code: str) -> None:
    with pytest.raises(BankFileError) as caught:
        parse(broken)

    assert caught.value.code == code


def test_utf16_and_wrong_declarations_are_read() -> None:
    text = camt(entry("1.00", details=tx("<RmtInf><Ustrd>Größe</Ustrd></RmtInf>"))).decode()

    for data in (
        text.replace("UTF-8", "UTF-16").encode("utf-16"),
        text.replace("UTF-8", "ISO-8859-1").encode("latin-1"),
        text.encode("latin-1"),
        ("\ufeff" + text).encode(),
    ):
        assert only_line(data).label == "Größe"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-7"])
def test_document_types_and_entities_are_refused_in_every_encoding(encoding: str) -> None:
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    text = camt(entry("1.00")).decode().replace("<Document", f"{bomb}<Document").replace("UTF-8", encoding)
    text = text.replace("<Id>S-7</Id>", "<Id>&b;</Id>")

    with pytest.raises(BankFileError):
        parse(text.encode(encoding))


def test_an_external_entity_reads_no_file() -> None:
    text = (
        camt()
        .decode()
        .replace("<Document", '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><Document')
    )

    with pytest.raises(BankFileError) as caught:
        parse(text.replace("S-7", "&x;").encode())

    assert caught.value.code == "xml_doctype"


def test_a_document_type_alone_is_refused() -> None:
    text = (
        camt(entry("1.00"))
        .decode()
        .replace("<Document", '<!DOCTYPE Document SYSTEM "http://localhost/x.dtd"><Document')
    )

    with pytest.raises(BankFileError) as caught:
        parse(text.encode())

    assert caught.value.code == "xml_doctype"
