"""Small bank files for the tests of importing: written here, so that every amount in them is known."""

from __future__ import annotations

from collections.abc import Sequence

IBAN = "BE68539007547034"
# date, signed amount, bank's reference, end-to-end reference, payer, label
Movement = tuple[str, str, str, str, str, str]

MOVEMENTS: tuple[Movement, ...] = (
    ("2026-03-10", "250.00", "R1", "E1", "Prime Customer", "Invoice INV/2026/00001"),
    ("2026-03-10", "-75.50", "R2", "E2", "Good Vendor", "BILL 44"),
)


def camt053(
    opening: str = "1000.00",
    closing: str = "1174.50",
    movements: Sequence[Movement] = MOVEMENTS,
    *,
    iban: str = IBAN,
    currency: str = "EUR",
    name: str = "S-1",
    message: str = "053",
    day: str = "2026-03-10",
    line_currency: str = "",
) -> bytes:
    """A statement (or, with ``message="054"``, a notification) of one account."""
    tag, block = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}[message]
    balances = (
        ""
        if message == "054"
        else _balance("OPBD", opening, currency, day) + _balance("CLBD", closing, currency, day)
    )
    entries = "".join(_entry(movement, line_currency or currency) for movement in movements)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{message}.001.08">'
        f"<{tag}><GrpHdr><MsgId>M-{name}</MsgId><CreDtTm>{day}T20:00:00</CreDtTm></GrpHdr>"
        f"<{block}><Id>{name}</Id><CreDtTm>{day}T20:00:00</CreDtTm>"
        f"<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy></Acct>{balances}{entries}</{block}></{tag}></Document>"
    ).encode()


def _balance(code: str, amount: str, currency: str, day: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount.lstrip("-")}</Amt><CdtDbtInd>{_side(amount)}</CdtDbtInd>'
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _side(amount: str) -> str:
    return "DBIT" if amount.startswith("-") else "CRDT"


def _entry(movement: Movement, currency: str) -> str:
    day, amount, reference, end_to_end, party, label = movement
    role = "Cdtr" if amount.startswith("-") else "Dbtr"
    size = amount.lstrip("-")
    parties = f"<RltdPties><{role}><Pty><Nm>{party}</Nm></Pty></{role}></RltdPties>" if party else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{size}</Amt><CdtDbtInd>{_side(amount)}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt><AcctSvcrRef>{reference}</AcctSvcrRef>"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>"
        f'<Amt Ccy="{currency}">{size}</Amt><CdtDbtInd>{_side(amount)}</CdtDbtInd>{parties}'
        f"<RmtInf><Ustrd>{label}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


CSV = b"""Date;Label;Amount
2026-03-10;Invoice INV/2026/00001;250,00
2026-03-11;Fee;-1,50
"""
