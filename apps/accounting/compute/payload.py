"""The canonical form of a journal entry, version 1, and the hash chain over it.

The form is public: whoever has the rows can compute it and prove that nothing was altered. It is one line of JSON without
blanks, keys in alphabetical order, all characters but those that JSON must escape written as they are (UTF-8):

    {"company":1,"date":"2026-03-31","items":[{"account":7,"amount_currency":"100.0000","credit":"0.0000",
    "currency":"EUR","debit":"100.0000","name":"Rent","partner":null}],"journal":3,"number":"MISC/2026/03/0001",
    "revision":0,"v":1}

(broken into lines here only). ``company``, ``journal``, ``account`` and ``partner`` are primary keys; what is absent is
``null``. ``items`` stand in the order of their positions. Amounts are texts with exactly four decimals; ``currency`` is
the code of the item's own currency. ``revision`` tells the entries that share a number apart. Escaped are the quote, the
backslash and the characters below U+0020 (as ``\\b \\f \\n \\r \\t`` or ``\\u00xx`` in small letters). No text may hold NUL, which
PostgreSQL cannot store, nor half of a surrogate pair, which UTF-8 cannot.

    digest = sha256(payload as UTF-8), 64 small hexadecimal digits
    hash   = sha256(hash of the entry before in the series + digest, as ASCII text), the first one after nothing

PostgreSQL yields the same text with the expressions ``POSTGRES_ENTRY_V1`` and ``POSTGRES_ITEM_V1`` below, over rows called
``entry`` and ``item``, the item's currency code being ``item.currency`` and ``{items}`` standing for the aggregate
``string_agg(<item expression>, ',' ORDER BY item.position)``; ``postgres_v1`` puts the two together.

A later version of the form gets a new number and new functions; rows remember the version they were hashed with.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import NamedTuple

Day = date  # under a name that fields called ``date`` do not hide
VERSION = 1
STEP = Decimal("0.0001")
_ZERO = Decimal(0)

POSTGRES_ITEM_V1 = """
'{"account":' || item.account_id
|| ',"amount_currency":"' || item.amount_currency::numeric(20,4)::text
|| '","credit":"' || item.credit::numeric(20,4)::text
|| '","currency":' || to_json(item.currency::text)::text
|| ',"debit":"' || item.debit::numeric(20,4)::text
|| '","name":' || coalesce(to_json(item.name::text)::text, 'null')
|| ',"partner":' || coalesce(item.partner_id::text, 'null') || '}'
""".strip()

POSTGRES_ENTRY_V1 = """
'{"company":' || entry.company_id
|| ',"date":"' || to_char(entry.date, 'YYYY-MM-DD')
|| '","items":[' || coalesce({items}, '')
|| '],"journal":' || entry.journal_id
|| ',"number":' || coalesce(to_json(entry.number::text)::text, 'null')
|| ',"revision":' || entry.revision || ',"v":1}'
""".strip()

_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])
_quantize = _EXACT.quantize


class PayloadError(ValueError):
    """An entry that has no canonical form: an amount finer than four decimals, or a text that cannot be stored."""


class PayloadItem(NamedTuple):
    """One journal item; any tuple in this order will do."""

    account: int
    amount_currency: Decimal
    credit: Decimal
    currency: str
    debit: Decimal
    name: str | None
    partner: int | None


class PayloadEntry(NamedTuple):
    """One journal entry with its items in the order of their positions."""

    company: int
    date: Day
    items: Iterable[tuple[int, Decimal, Decimal, str, Decimal, str | None, int | None]]
    journal: int
    number: str | None
    revision: int


def payload_v1(entry: PayloadEntry) -> str:
    """The canonical text of an entry.

    Errors: ``PayloadError`` for an amount with more than four decimals or none at all, and for texts with NUL.
    """
    company, day, items, journal, number, revision = entry
    quoted = _quoted
    parts = []
    texts: dict[Decimal, str] = {_ZERO: "0.0000"}  # amounts repeat within an entry
    known = texts.get
    code, code_text = "", '""'  # as do currency and partner, mostly from one item to the next
    whom, whom_text = None, "null"
    try:
        for account, amount, credit, currency, debit, name, partner in items:
            if currency != code:
                code, code_text = currency, quoted(currency)
            if partner != whom:
                whom, whom_text = partner, "null" if partner is None else str(partner)
            parts.append(
                f'{{"account":{account},"amount_currency":"{known(amount) or _learn(amount, texts)}",'
                f'"credit":"{known(credit) or _learn(credit, texts)}","currency":{code_text},'
                f'"debit":"{known(debit) or _learn(debit, texts)}",'
                f'"name":{"null" if name is None else quoted(name)},'
                f'"partner":{whom_text}}}'
            )
    except (Inexact, InvalidOperation, TypeError) as error:
        raise PayloadError(f"An item of {number} has no canonical form: {error!r}") from error
    text = (
        f'{{"company":{company},"date":"{day.isoformat()}","items":[{",".join(parts)}],"journal":{journal},'
        f'"number":{"null" if number is None else quoted(number)},"revision":{revision},"v":1}}'
    )
    if "\\u0000" in text and _has_nul(text):
        raise PayloadError(f"A text of {number!r} holds the character NUL.")
    return text


def _learn(amount: Decimal, texts: dict[Decimal, str]) -> str:
    """The text of an amount, kept in ``texts`` for the next time it comes."""
    exact = _quantize(amount, STEP)
    if not exact.is_finite():
        raise TypeError(f"{amount!r} is no amount")
    text = texts[amount] = str(exact)
    return text


def _has_nul(text: str) -> bool:
    """Whether an escaped NUL stands in the text; a literal backslash before ``u0000`` is itself escaped."""
    return "\\u0000" in text.replace("\\\\", "")


def digest_v1(payload: str) -> str:
    """SHA-256 of the canonical text, 64 hexadecimal digits.

    Errors: ``PayloadError`` for half of a surrogate pair, which UTF-8 cannot write.
    """
    try:
        return sha256(payload.encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise PayloadError(f"A text cannot be written as UTF-8: {error}") from error


def chain(previous: str, digest: str) -> str:
    """The hash of an entry: over the hash of the one before in its series ("" for the first) and its own digest."""
    return sha256(f"{previous}{digest}".encode("ascii")).hexdigest()


def postgres_v1(items: str) -> str:
    """The SQL expression of an entry's canonical text, given one (a column, a subquery) of its joined items."""
    return POSTGRES_ENTRY_V1.replace("{items}", items)
