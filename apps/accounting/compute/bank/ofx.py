"""OFX 1.x (SGML, closing tags optional) and 2.x (XML), by one tolerant reader that knows no entities but the five.

* Bank and credit-card statements become lines. Of an investment statement only the cash movements (``INVBANKTRAN``) do;
  purchases, sales and income are counted in a problem and never become cash.
* OFX has no opening balance: it is the ledger balance less the lines, unless lines are younger than that balance.
* A missing date or amount refuses the file: half a statement is worse than none.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal

from apps.accounting.compute.bank import text as t
from apps.accounting.compute.bank.build import Draft, check_counts, finish
from apps.accounting.compute.bank.types import BankFileError, Kind, ParsedFile, ParsedLine

_TOKEN = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9_.]{0,63})(?:\s[^<>]*)?(/?)>([^<]*)")
_HEADER_FIELD = re.compile(r"^\s*([A-Z]{3,15})\s*:\s*(\S*)", re.MULTILINE)
_XML_ENCODING = re.compile(r"""<\?xml[^>]{0,200}encoding\s*=\s*["']([\w.:-]{1,40})""")
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\d|\s|\[|\.|T|$)", re.ASCII)
_ENTITY = re.compile(r"&(amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9A-Fa-f]{1,6});")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_MAX_DEPTH = 64
_MAX_TAGS = 3_000_000

_STATEMENTS = {
    "STMTRS": ("BANKACCTFROM", "BANKTRANLIST", Kind.LIST),
    "CCSTMTRS": ("CCACCTFROM", "BANKTRANLIST", Kind.LIST),
    "INVSTMTRS": ("INVACCTFROM", "INVTRANLIST", Kind.INVESTMENT),
}
# Groups that keep what is in them even if their closing tag is missing.
_ALWAYS_GROUPS = frozenset({
    "STMTTRN", "INVBANKTRAN", "BANKTRANLIST", "INVTRANLIST", "LEDGERBAL", "AVAILBAL", "BANKACCTFROM", "CCACCTFROM",
    "INVACCTFROM", "BANKACCTTO", "CCACCTTO", "PAYEE", "CURRENCY", "ORIGCURRENCY", "STATUS", "STMTRS",
    "CCSTMTRS", "INVSTMTRS", "STMTTRNRS", "CCSTMTTRNRS", "INVSTMTTRNRS",
})  # fmt: skip
_NOT_MOVEMENTS = frozenset({"DTSTART", "DTEND"})
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_NO_DECIMALS = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"})


@dataclass(slots=True)
class _Node:
    name: str
    value: str = ""
    children: list[_Node] = field(default_factory=list)

    def child(self, name: str) -> _Node | None:
        return next((node for node in self.children if node.name == name), None)

    def get(self, *path: str) -> str:
        node: _Node | None = self
        for name in path:
            node = node.child(name) if node is not None else None
        return node.value if node is not None else ""

    def all(self, names: frozenset[str]) -> list[_Node]:
        """Every node below with one of the names, in the order of the file."""
        found, stack = [], [self]
        while stack:
            node = stack.pop()
            if node.name in names:
                found.append(node)
            stack.extend(reversed(node.children))
        return found


def is_ofx(text: str) -> bool:
    head = text[:4000].upper()
    return "<OFX>" in head or "OFXHEADER" in head


def parse_ofx(data: bytes) -> ParsedFile:
    """Read an OFX or QFX file. Raises ``BankFileError`` for a refused sign-on, missing dates, amounts or accounts."""
    root, cut_off = _tree(_text(data))
    statements = root.all(frozenset(_STATEMENTS))
    if not statements:
        _refuse(root)
    drafts: list[Draft] = []
    for node in statements:
        drafts.append(_read(node))
        check_counts(drafts)
    if cut_off:
        drafts[-1].warn("cut_off", "The file breaks off; the last movement may be missing.")
    return finish(drafts, "ofx", ids_are_unique=True)


def _refuse(root: _Node) -> None:
    """Say why there is nothing to import: the bank's own error if it sent one."""
    for status in root.all(frozenset({"STATUS"})):
        code = status.get("CODE")
        if code.strip("0"):
            message = status.get("MESSAGE") or "no explanation"
            raise BankFileError(f"The bank answered with error {code}: {message}", code="bank_error")
    if root.all(frozenset({"ACCTINFO"})):
        raise BankFileError("The file lists accounts but holds no statement.", code="no_statement")
    raise BankFileError("The OFX file holds no statement.", code="no_statement")


def _text(data: bytes) -> str:
    """Decode by the header: CHARSET of version 1, the XML declaration of version 2."""
    head = data[:2000].decode("latin-1")
    match = _XML_ENCODING.search(head)
    fields = dict(_HEADER_FIELD.findall(head.partition("<OFX")[0]))
    declared = match.group(1) if match else fields.get("CHARSET", "")
    if declared.upper() in ("", "NONE"):
        declared = "utf-8" if fields.get("ENCODING", "").upper() in ("UTF-8", "UNICODE") else "cp1252"
    return t.decode(data, declared)


def _tree(text: str) -> tuple[_Node, bool]:
    """The document as a tree, and whether it breaks off.

    A tag followed by text is a value and needs no closing tag. A tag without text is taken for a group; if its parent is
    closed first it was an empty value, and what seemed to be inside it moves up.
    """
    text = _without(text, "<!--", "-->", keep=False)
    text = _without(text, "<![CDATA[", "]]>", keep=True)
    root = _Node("")
    stack = [root]
    open_names = {""}
    for count, match in enumerate(_TOKEN.finditer(text)):
        if count > _MAX_TAGS:
            raise BankFileError("The OFX file has too many elements; please split it.", code="too_long")
        closing, name, empty, value = match.group(1), match.group(2).upper(), match.group(3), match.group(4)
        if name in open_names:
            # Closed by its tag, or by the next of its kind: no group of OFX holds another of the same name.
            _close(stack, open_names, name)
        if closing:
            continue
        node = _Node(name, _unescape(value))
        stack[-1].children.append(node)
        if not node.value and not empty:
            if len(stack) >= _MAX_DEPTH:
                raise BankFileError("The OFX file is nested too deeply.", code="too_deep")
            stack.append(node)
            open_names.add(name)
    return root, any(node.name == "OFX" for node in stack)


def _without(text: str, start: str, end: str, *, keep: bool) -> str:
    """Drop the sections between two marks, or keep what they quote with its signs escaped. Linear in the text."""
    parts, position = [], 0
    while (begin := text.find(start, position)) >= 0 and (stop := text.find(end, begin + len(start))) >= 0:
        quoted = text[begin + len(start) : stop].replace("&", "&amp;").replace("<", "&lt;") if keep else ""
        parts += [text[position:begin], quoted]
        position = stop + len(end)
    return "".join(parts) + text[position:]


def _close(stack: list[_Node], open_names: set[str], name: str) -> None:
    """Close the open group of that name; what stands open inside it were empty values, or groups without an end."""
    while stack[-1].name != name:
        unclosed = stack.pop()
        open_names.discard(unclosed.name)
        if unclosed.name not in _ALWAYS_GROUPS:
            stack[-1].children += unclosed.children
            unclosed.children = []
    stack.pop()
    open_names.discard(name)


def _unescape(value: str) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if not name.startswith("#"):
            return _ENTITIES[name]
        code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        return chr(code) if 32 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else " "

    return t.clean(_ENTITY.sub(replace, value) if "&" in value else value)


def _date(value: str, what: str) -> dt.date:
    """YYYYMMDD[HHMMSS[.XXX]][[offset:zone]]: the day as the bank prints it, not shifted to UTC."""
    if not value:
        raise BankFileError(f"{what} is missing.", code="bad_date")
    match = _DATE.match(value)
    try:
        if match is None:
            raise ValueError("no date")
        return t.day(int(match.group(1)), int(match.group(2)), int(match.group(3)))
    except ValueError as exc:
        raise BankFileError(f"{what}: {value[:40]!r} is not a date.", code="bad_date") from exc


def _maybe_date(value: str) -> dt.date | None:
    try:
        return _date(value, "") if value else None
    except BankFileError:
        return None


def _amount(value: str, what: str) -> Decimal:
    if not value:
        raise BankFileError(f"{what} is missing.", code="bad_amount")
    try:
        return t.amount(value)
    except ValueError as exc:
        raise BankFileError(f"{what}: {value[:40]!r} is not an amount.", code="bad_amount") from exc


def _read(node: _Node) -> Draft:
    account_tag, list_tag, kind = _STATEMENTS[node.name]
    draft = Draft(kind=kind, needs_balances=False, currency=t.currency(node.get("CURDEF")))
    draft.account_number = node.get(account_tag, "ACCTID")
    draft.bank_code = node.get(account_tag, "BANKID") or node.get(account_tag, "BROKERID")
    for key, name in (("account_type", "ACCTTYPE"), ("branch", "BRANCHID")):
        if value := node.get(account_tag, name):
            draft.details[key] = value
    if not draft.account_number:
        draft.warn("account_missing", "The statement does not say which account it is for.")
    movements = node.child(list_tag)
    if movements is not None:
        draft.start_date, draft.end_date = (
            _maybe_date(movements.get("DTSTART")),
            _maybe_date(movements.get("DTEND")),
        )
        _read_movements(movements, draft)
    _set_balances(node, draft)
    draft.date = draft.date or draft.end_date or _maybe_date(node.get("DTASOF"))
    return draft


def _read_movements(movements: _Node, draft: Draft) -> None:
    securities = zero = 0
    for item in movements.children:
        if item.name in _NOT_MOVEMENTS or not item.children:
            continue
        source = item.child("STMTTRN") if item.name == "INVBANKTRAN" else item
        if source is None or source.name != "STMTTRN":
            securities += 1
            continue
        check_counts((), len(draft.lines))
        line = _line(source, draft.currency)
        if line.amount:
            draft.lines.append(line)
        else:
            zero += 1
    if securities:
        draft.warn(
            "investment",
            f"{securities} securities transactions were left out: they are not movements of cash.",
        )
    if zero:
        draft.inform("zero_amount", f"{zero} movements without an amount were left out.")


def _set_balances(node: _Node, draft: Draft) -> None:
    ledger = node.child("LEDGERBAL")
    if ledger is None:
        if draft.kind is not Kind.INVESTMENT:
            draft.warn("balance_missing", "The file gives no ledger balance to check the lines with.")
        return
    draft.closing = _amount(ledger.get("BALAMT"), "The amount of the ledger balance")
    draft.date = _maybe_date(ledger.get("DTASOF"))
    if any(line.currency != draft.currency for line in draft.lines):
        return
    if draft.date and any(line.date > draft.date for line in draft.lines):
        draft.warn(
            "balance_older", f"The ledger balance is of {draft.date}, but there are lines of later days."
        )
        draft.details["ledger_balance"] = t.plain(draft.closing)
        draft.closing = None
        return
    if not draft.lines:
        draft.inform("no_lines", "The account had no movements; the file gives its balance only.")
        return
    draft.opening = draft.closing - sum((line.amount for line in draft.lines), Decimal(0))
    draft.inform("opening_computed", "OFX has no opening balance; it was computed from the ledger balance.")
    if draft.date and draft.end_date and draft.end_date < draft.date:
        draft.inform(
            "balance_later", f"The ledger balance is of {draft.date}, the movements end on {draft.end_date}."
        )


def _line(node: _Node, home: str) -> ParsedLine:
    fitid = node.get("FITID")
    where = f"Movement {fitid}" if fitid else "A movement"
    amount = _amount(node.get("TRNAMT"), f"{where}, TRNAMT")
    name = node.get("NAME") or node.get("PAYEE", "NAME")
    memo = node.get("MEMO")
    details = {
        "memo": memo,
        "posted": node.get("DTPOSTED"),
        "check_number": node.get("CHECKNUM"),
        "bank_reference": node.get("SRVRTID"),
        "corrects": node.get("CORRECTFITID"),
        "category": node.get("SIC"),
    }
    currency, foreign_currency, foreign_amount, rate = _currencies(node, amount, home)
    partner = node.child("BANKACCTTO") or node.child("CCACCTTO")
    value_date = node.get("DTAVAIL")
    return ParsedLine(
        date=_date(node.get("DTPOSTED"), f"{where}, DTPOSTED"),
        amount=amount,
        value_date=_maybe_date(value_date),
        currency=currency,
        label=_label(name, memo) or node.get("TRNTYPE"),
        reference=node.get("REFNUM"),
        partner_name=name,
        account_number=partner.get("ACCTID") if partner is not None else "",
        partner_bic=partner.get("BANKID") if partner is not None else "",
        transaction_type=node.get("TRNTYPE").upper(),
        unique_id=fitid,
        foreign_currency=foreign_currency,
        foreign_amount=foreign_amount,
        rate=rate,
        details={key: value for key, value in details.items() if value},
    )


def _label(name: str, memo: str) -> str:
    """Name and memo without saying the same twice: banks cut the name and repeat it in the memo."""
    if not name or name.lower() in memo.lower():
        return memo or name
    return name if not memo or memo.lower() in name.lower() else f"{name} {memo}"


def _currencies(node: _Node, amount: Decimal, home: str) -> tuple[str, str, Decimal | None, Decimal | None]:
    """``CURRENCY``: the amount is in that currency. ``ORIGCURRENCY``: it was converted from it at the rate given."""
    given = node.child("CURRENCY")
    if given is not None and (code := t.currency(given.get("CURSYM"))) and code != home:
        return code, "", None, t.rate(given.get("CURRATE"))
    original = node.child("ORIGCURRENCY")
    if original is not None and (code := t.currency(original.get("CURSYM"))) and code != home:
        rate = t.rate(original.get("CURRATE"))
        if rate is not None:
            places = 0 if code in _NO_DECIMALS else 3 if code in _THREE_DECIMALS else 2
            foreign = (
                (amount / rate).quantize(Decimal(1).scaleb(-places)) if abs(amount / rate) < 10**15 else None
            )
            if foreign:
                return home, code, foreign, rate
    return home, "", None, None
