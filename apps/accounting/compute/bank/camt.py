"""CAMT.052, .053 and .054 of ISO 20022, every version, read by local names.

* Only booked entries (``Sts`` BOOK) become lines; pending and informational ones are counted and left out.
* ``CdtDbtInd`` is the direction of the money. ``RvslInd`` does not turn the sign, it says that debtor and creditor keep
  the roles of the payment that is undone.
* A batch entry becomes one line for each ``TxDtls`` when their amounts sum up to the entry to the cent, else one line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from lxml import etree

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, check_counts, finish
from apps.accounting.compute.bank.safe_xml import local_name, parse_xml
from apps.accounting.compute.bank.types import BankFileError, Kind, ParsedFile, ParsedLine
from apps.accounting.compute.bank.xml_nodes import Node

# Version 1 wrote its number into the name.
_MESSAGES = [
    f"{{*}}{name}{version}"
    for name in ("BkToCstmrStmt", "BkToCstmrAcctRpt", "BkToCstmrDbtCdtNtfctn")
    for version in ("", "V01", "V02", "V03")
]

_GROUPS = {
    "Stmt": ("camt.053", Kind.STATEMENT),
    "Rpt": ("camt.052", Kind.REPORT),
    "Ntfctn": ("camt.054", Kind.NOTIFICATION),
}
_ACCOUNT_IDS = ("Id/IBAN", "Id/Othr/Id", "Id/BBAN", "Id/PrtryAcct/Id", "Id/UPIC", "Prxy/Id")
_NOT_A_REFERENCE = frozenset({"NOTPROVIDED", "NOT PROVIDED", "NOTAVAILABLE", "NONREF", "NONE", "N/A"})
_LONGEST_LABEL = 2000
# Details by the group that holds them: most groups are absent from most transactions.
_DETAILS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "Refs": [
        ("message_id", ("MsgId",)),
        ("payment_information_id", ("PmtInfId",)),
        ("instruction_id", ("InstrId",)),
        ("transaction_id", ("TxId",)),
        ("uetr", ("UETR",)),
        ("mandate", ("MndtId",)),
        ("check_number", ("ChqNb",)),
    ],
    "Purp": [("purpose", ("Cd", "Prtry"))],
    "RtrInf": [("return_reason", ("Rsn/Cd", "Rsn/Prtry")), ("return_text", ("AddtlInf",))],
    "RmtInf": [
        ("invoice_number", ("Strd/RfrdDocInf/Nb", "Strd/RfrdDocInf/RfrdDocNb")),
        (
            "structured_reference_type",
            ("Strd/CdtrRefInf/Tp/CdOrPrtry/Cd", "Strd/CdtrRefInf/Tp/CdOrPrtry/Prtry"),
        ),
    ],
    "Chrgs": [("charges", ("TtlChrgsAndTaxAmt", "Amt"))],
}


def is_camt(root: etree._Element) -> bool:
    """Whether the tree holds a bank-to-customer message, alone or in an envelope."""
    return next(_messages(root), None) is not None


def parse_camt(data: bytes) -> ParsedFile:
    """Read a CAMT file. Raises ``BankFileError`` for damaged XML, missing statements, dates or amounts."""
    return parse_camt_root(parse_xml(data))


def parse_camt_root(root: etree._Element) -> ParsedFile:
    drafts: list[Draft] = []
    name = ""
    count = 0
    for message in _messages(root):
        for group in message:
            if (known := _GROUPS.get(local_name(group))) is None:
                continue
            name = name or known[0]
            drafts.append(_Statement(group, known[1]).read())
            count += len(drafts[-1].lines)
            check_counts(drafts, count)
    if not drafts:
        raise BankFileError("The CAMT file holds no statement, report or notification.", code="no_statement")
    return finish(drafts, name)


def _messages(root: etree._Element) -> Iterator[etree._Element]:
    return root.iter(*_MESSAGES)


def _date(node: Node, path: str) -> dt.date | None:
    """A ``Dt``/``DtTm`` choice, or a plain date. A date that is there but impossible refuses the file."""
    value = node.first(f"{path}/Dt", f"{path}/DtTm", path)
    if not value:
        return None
    try:
        return t.iso_day(value)
    except ValueError as exc:
        raise BankFileError(f"{path}: {value[:40]!r} is not a date.", code="bad_date") from exc


def _money(node: Node, path: str) -> tuple[Decimal, str] | None:
    element = node.find(path)
    if element is None or not (element.text or "").strip():
        return None
    try:
        return t.iso_amount(element.text or ""), t.currency(element.ccy)
    except ValueError as exc:
        raise BankFileError(
            f"{path}: {(element.text or '')[:40]!r} is not an amount.", code="bad_amount"
        ) from exc


def _is_debit(node: Node) -> bool | None:
    mark = node.first("CdtDbtInd").upper()
    return None if mark not in ("DBIT", "CRDT") else mark == "DBIT"


@dataclass(slots=True)
class _Entry:
    """What holds for all lines of one ``Ntry``."""

    node: Node
    amount: Decimal
    currency: str
    date: dt.date
    value_date: dt.date | None
    bank_reference: str
    is_reversal: bool
    where: str


class _Statement:
    """Reads one ``Stmt``, ``Rpt`` or ``Ntfctn``."""

    def __init__(self, element: etree._Element, kind: Kind) -> None:
        self.element = element
        self.node = Node(element, without="Ntry")
        self.draft = Draft(kind=kind, needs_balances=kind is Kind.STATEMENT)
        self.own_account = ""

    def read(self) -> Draft:
        node, draft = self.node, self.draft
        account = node.find("Acct") or Node.nothing()
        draft.account_number = account.first(*_ACCOUNT_IDS).replace(" ", "")
        self.own_account = t.bare_account(draft.account_number)
        draft.currency = t.currency(account.first("Ccy"))
        draft.owner = account.first("Ownr/Nm")
        draft.bank_code = account.first(
            "Svcr/FinInstnId/BICFI", "Svcr/FinInstnId/BIC", "Svcr/FinInstnId/ClrSysMmbId/MmbId"
        )
        draft.name = node.first("Id", "LglSeqNb", "ElctrncSeqNb")
        draft.start_date, draft.end_date = _date(node, "FrToDt/FrDtTm"), _date(node, "FrToDt/ToDtTm")
        balances = self._balances()
        if not draft.account_number:
            draft.warn("account_missing", "The statement does not say which account it is for.")
        self._entries(balances)
        draft.date = draft.date or draft.end_date or _date(node, "CreDtTm")
        return draft

    def _balances(self) -> dict[str, list[tuple[Decimal, str, dt.date | None]]]:
        found: dict[str, list[tuple[Decimal, str, dt.date | None]]] = {}
        for node in self.node.all("Bal"):
            code = node.first("Tp/CdOrPrtry/Cd", "Tp/Cd", "Tp/CdOrPrtry/Prtry", "Tp/Prtry").upper()
            if (money := _money(node, "Amt")) is None:
                continue
            value = -money[0] if _is_debit(node) else money[0]
            found.setdefault(code, []).append((value, money[1], _date(node, "Dt")))
        return found

    def _entries(self, balances: dict[str, list[tuple[Decimal, str, dt.date | None]]]) -> None:
        draft = self.draft
        booked = [code for code in ("OPBD", "PRCD", "CLBD", "ITBD") if code in balances]
        if not draft.currency:
            draft.currency = next((balances[code][0][1] for code in booked if balances[code][0][1]), "")
        if not draft.currency:
            amount = self.element.find("{*}Ntry/{*}Amt")
            draft.currency = t.currency(amount.get("Ccy")) if amount is not None else ""
        self._set_balances(balances)
        left_out = zero = 0
        for number, element in enumerate(self.element.iterchildren("{*}Ntry"), 1):
            node = Node(element)
            status = node.first("Sts/Cd", "Sts/Prtry", "Sts").upper()
            if status not in ("BOOK", ""):
                left_out += 1
                continue
            entry = self._entry(node, f"entry {number}")
            if not entry.amount:
                zero += 1
                continue
            draft.lines.extend(self._lines(entry))
        if left_out:
            draft.inform("not_booked", f"{left_out} entries are not booked yet and were left out.")
        if zero:
            draft.inform("zero_amount", f"{zero} entries without an amount were left out.")

    def _set_balances(self, balances: dict[str, list[tuple[Decimal, str, dt.date | None]]]) -> None:
        """Booked balances only. Interim ones (ITBD) stand in on the pages of a statement that is sent in parts."""
        draft = self.draft
        interim = list(balances.get("ITBD", []))
        opening = next((balances[code][0] for code in ("OPBD", "PRCD") if code in balances), None)
        closing = balances["CLBD"][-1] if "CLBD" in balances else None
        if opening is None and interim and (closing is not None or len(interim) > 1):
            opening = interim.pop(0)
        if closing is None and interim:
            closing = interim[-1]
        for label, balance in (("opening", opening), ("closing", closing)):
            if balance is None:
                continue
            value, currency, date = balance
            if currency and draft.currency and currency != draft.currency:
                draft.warn(
                    "balance_currency",
                    f"The {label} balance is in {currency}, the account in {draft.currency}.",
                )
                continue
            if label == "opening":
                draft.opening = value
            else:
                draft.closing, draft.date = value, date

    def _entry(self, node: Node, where: str) -> _Entry:
        money, debit = _money(node, "Amt"), _is_debit(node)
        if money is None or debit is None:
            raise BankFileError(f"{where}: the entry has no amount or no direction.", code="bad_amount")
        date = _date(node, "BookgDt") or _date(node, "ValDt") or self.draft.date or self.draft.end_date
        date = date or _date(self.node, "CreDtTm")
        if date is None:
            raise BankFileError(f"{where}: the entry has no date.", code="bad_date")
        return _Entry(
            node=node,
            amount=-money[0] if debit else money[0],
            currency=money[1] or self.draft.currency,
            date=date,
            value_date=_date(node, "ValDt"),
            bank_reference=node.first("AcctSvcrRef"),
            is_reversal=node.first("RvslInd").lower() in ("true", "1"),
            where=where,
        )

    def _lines(self, entry: _Entry) -> list[ParsedLine]:
        transactions = entry.node.all("NtryDtls/TxDtls") + entry.node.all("TxDtls")
        if len(transactions) < 2:
            return [self._line(entry, entry.amount, transactions)]
        amounts = _parts(entry, transactions)
        if amounts is None:
            self.draft.inform(
                "batch_kept",
                f"A batch of {len(transactions)} payments was kept as one line: their amounts do not make its total.",
                entry.where,
            )
            return [self._line(entry, entry.amount, transactions)]
        return [
            self._line(entry, amount, [transaction], is_part=True)
            for amount, transaction in zip(amounts, transactions, strict=True)
            if amount
        ]

    def _line(
        self, entry: _Entry, amount: Decimal, transactions: list[Node], *, is_part: bool = False
    ) -> ParsedLine:
        """One line from an entry and its details: none, one, or (for a batch kept whole) several."""
        own = transactions[0] if len(transactions) == 1 else None
        details: dict[str, str] = {}
        reference = structured = name = account = bic = ""
        foreign: tuple[str, Decimal, Decimal | None] | None = None
        bank_id = entry.bank_reference
        if own is not None:
            reference = _reference(own)
            structured = own.first("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/CdtrRefInf/CdtrRef")
            name, account, bic = self._partner(own, amount, entry.is_reversal, details)
            foreign = _foreign(own, amount, entry.currency)
            _read_details(own, details)
            bank_id = _bank_id(own, entry, is_part=is_part)
        elif transactions:
            details["batch_count"] = str(len(transactions))
        if entry.bank_reference:
            details["bank_reference"] = entry.bank_reference
        if entry.is_reversal:
            details["reversal"] = "true"
        if additional := entry.node.first("AddtlNtryInf"):
            details["additional_info"] = additional
        return ParsedLine(
            date=entry.date,
            amount=amount,
            value_date=entry.value_date,
            currency=entry.currency,
            label=_label(entry, transactions, structured, reference),
            reference=reference,
            structured_reference=structured,
            partner_name=name,
            account_number=account,
            partner_bic=bic,
            transaction_type=_transaction_code(own) or _transaction_code(entry.node),
            unique_id=bank_id,
            foreign_currency=foreign[0] if foreign else "",
            foreign_amount=foreign[1] if foreign else None,
            rate=foreign[2] if foreign else None,
            details=details,
        )

    def _partner(
        self, node: Node, amount: Decimal, is_reversal: bool, details: dict[str, str]
    ) -> tuple[str, str, str]:
        """Name, account and BIC of the other side: who paid for money in, who was paid for money out.

        Where the bank fills in the other role instead, it is taken only if its account is certainly not ours.
        """
        returned = is_reversal or node.find("RtrInf") is not None
        roles = ("Dbtr", "Cdtr") if (amount > 0) != is_reversal else ("Cdtr", "Dbtr")
        parties = [self._party(node, role) for role in roles]
        expected, opposite = parties
        chosen, role = expected, roles[0]
        expected_is_us = bool(expected[1]) and t.bare_account(expected[1]) == self.own_account
        opposite_is_other = bool(opposite[1]) and t.bare_account(opposite[1]) != self.own_account
        if (opposite_is_other and (expected_is_us or not any(expected))) or (
            returned and not any(expected) and any(opposite)
        ):
            chosen, role = opposite, roles[1]
        name, account, bic = chosen
        ultimate = node.first(f"RltdPties/Ultmt{role}/Nm", f"RltdPties/Ultmt{role}/Pty/Nm")
        if ultimate and ultimate != name:
            details["ultimate_partner"] = ultimate
        if creditor_id := node.first(
            "RltdPties/Cdtr/Id/PrvtId/Othr/Id", "RltdPties/Cdtr/Pty/Id/PrvtId/Othr/Id"
        ):
            details["creditor_id"] = creditor_id
        return name or ultimate, account.replace(" ", ""), bic

    @staticmethod
    def _party(node: Node, role: str) -> tuple[str, str, str]:
        parties = node.find("RltdPties") or Node.nothing()
        name = parties.first(f"{role}/Nm", f"{role}/Pty/Nm", f"{role}/Agt/FinInstnId/Nm")
        account = parties.find(f"{role}Acct") or Node.nothing()
        agent = f"RltdAgts/{role}Agt/FinInstnId"
        return name, account.first(*_ACCOUNT_IDS), node.first(f"{agent}/BICFI", f"{agent}/BIC")


def _parts(entry: _Entry, transactions: list[Node]) -> list[Decimal] | None:
    """Signed amounts of the transactions if they make the entry; their own signs are tried first, then the entry's."""
    amounts: list[Decimal] = []
    marks: list[bool | None] = []
    for transaction in transactions:
        for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/CntrValAmt/Amt", "AmtDtls/InstdAmt/Amt"):
            money = _money(transaction, path)
            if money is not None and (money[1] or entry.currency) == entry.currency:
                amounts.append(abs(money[0]))
                marks.append(_is_debit(transaction))
                break
        else:
            return None
    sign = -1 if entry.amount < 0 else 1
    for own_marks in (True, False):
        signed = [
            (-amount if mark else amount) if own_marks and mark is not None else sign * amount
            for amount, mark in zip(amounts, marks, strict=True)
        ]
        if sum(signed, Decimal(0)) == entry.amount:
            return signed
    return None


def _reference(node: Node) -> str:
    value = node.first("Refs/EndToEndId")
    return "" if value.upper() in _NOT_A_REFERENCE else value


def _bank_id(transaction: Node, entry: _Entry, *, is_part: bool) -> str:
    """The servicer's reference of the transaction, or the entry's completed by what tells the parts of a batch apart."""
    own = transaction.first("Refs/AcctSvcrRef")
    if own and is_part and own != entry.bank_reference:
        return own
    part = transaction.first("Refs/InstrId", "Refs/TxId", "Refs/EndToEndId")
    if entry.bank_reference:
        return f"{entry.bank_reference}/{part}" if is_part and part else entry.bank_reference
    return own or transaction.first("Refs/TxId", "Refs/UETR")


def _transaction_code(node: Node | None) -> str:
    if node is None:
        return ""
    parts = [node.first(f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    return "-".join(filter(None, parts)) or node.first("BkTxCd/Prtry/Cd")


def _foreign(node: Node, amount: Decimal, currency: str) -> tuple[str, Decimal, Decimal | None] | None:
    """Instructed or transaction amount in another currency than the entry, with the sign of the line."""
    for path in ("AmtDtls/InstdAmt", "AmtDtls/TxAmt", "AmtDtls/CntrValAmt"):
        money = _money(node, f"{path}/Amt")
        if money is None or not money[0] or not money[1] or money[1] == currency:
            continue
        exchange = next(
            (
                value
                for source in (path, "AmtDtls/TxAmt", "AmtDtls/CntrValAmt", "AmtDtls/InstdAmt")
                if (value := node.first(f"{source}/CcyXchg/XchgRate"))
            ),
            "",
        )
        foreign = abs(money[0])
        return money[1], foreign if amount > 0 else -foreign, t.rate(exchange)
    return None


def _read_details(node: Node, details: dict[str, str]) -> None:
    for group, entries in _DETAILS.items():
        if (holder := node.find(group)) is not None:
            for key, paths in entries:
                if value := holder.first(*paths):
                    details[key] = value


def _label(entry: _Entry, transactions: list[Node], structured: str, reference: str) -> str:
    """Remittance text; else what the bank adds; else the references: a line is never nameless if the file knows more."""
    texts: list[str] = []
    for transaction in transactions[:50]:
        for path in ("RmtInf/Ustrd", "RmtInf/Strd/AddtlRmtInf"):
            texts += [t.clean(element.text) for element in transaction.all(path)]
    if not any(texts):
        texts = [transaction.first("AddtlTxInf") for transaction in transactions[:50]]
    if not any(texts):
        texts = [structured or entry.node.first("AddtlNtryInf") or reference or entry.bank_reference]
    elif structured and not any(structured in text for text in texts):
        texts.append(structured)
    return " ".join(dict.fromkeys(filter(None, texts)))[:_LONGEST_LABEL]
