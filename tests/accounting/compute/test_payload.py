"""The canonical form of an entry and the hash chain: one text, whoever computes it."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounting.compute.payload import (
    POSTGRES_ITEM_V1,
    PayloadEntry,
    PayloadError,
    PayloadItem,
    chain,
    digest_v1,
    payload_v1,
    postgres_v1,
)

NASTY = [
    'a "quoted" name',
    "back\\slash and \\u0000 as typed",
    "tab\tline\nreturn\rfeed\fbell\bnull-ish\x01\x1f",
    "delete \x7f and c1 \x85",
    "separators \u2028 \u2029 \ufeff",
    "emoji 🧾👩‍👩‍👧 and Zürich, Łódź, 東京, ‏עברית",
    "",
    " blanks ",
    "</script>&amp;'",
    "\U0010ffff\ufffe",
]

keys = st.integers(1, 2**62)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
amounts = st.decimals(min_value=-(10**15), max_value=10**15, places=4) | st.decimals(
    min_value=-1000, max_value=1000, places=2
)
item_rows = st.builds(
    PayloadItem,
    account=keys,
    amount_currency=amounts,
    credit=amounts,
    currency=st.sampled_from(["EUR", "USD", "JPY"]),
    debit=amounts,
    name=st.none() | texts | st.sampled_from(NASTY),
    partner=st.none() | keys,
)
entries = st.builds(
    PayloadEntry,
    company=keys,
    date=st.dates(),
    items=st.lists(item_rows, max_size=6),
    journal=keys,
    number=st.none() | texts,
    revision=st.integers(0, 50),
)

D = Decimal


def reference(entry: PayloadEntry) -> str:
    """The form as the standard library writes it."""

    def text(amount: D) -> str:
        plain = f"{amount:.4f}"
        return "0.0000" if D(plain) == 0 else plain

    body: dict[str, Any] = {
        "company": entry.company,
        "date": entry.date.isoformat(),
        "items": [
            {
                "account": account,
                "amount_currency": text(amount),
                "credit": text(credit),
                "currency": currency,
                "debit": text(debit),
                "name": name,
                "partner": partner,
            }
            for account, amount, credit, currency, debit, name, partner in entry.items
        ],
        "journal": entry.journal,
        "number": entry.number,
        "revision": entry.revision,
        "v": 1,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


HUNDRED = D(100)


def example(name: str | None = "Rent", amount: D = HUNDRED) -> PayloadEntry:
    rows = [
        PayloadItem(7, amount, D(0), "EUR", amount, name, None),
        PayloadItem(9, -amount, amount, "EUR", D(0), name, 12),
    ]
    return PayloadEntry(1, date(2026, 3, 31), rows, 3, "MISC/2026/03/0001", 0)


def test_the_documented_text() -> None:
    assert payload_v1(example()) == (
        '{"company":1,"date":"2026-03-31","items":['
        '{"account":7,"amount_currency":"100.0000","credit":"0.0000","currency":"EUR","debit":"100.0000",'
        '"name":"Rent","partner":null},'
        '{"account":9,"amount_currency":"-100.0000","credit":"100.0000","currency":"EUR","debit":"0.0000",'
        '"name":"Rent","partner":12}'
        '],"journal":3,"number":"MISC/2026/03/0001","revision":0,"v":1}'
    )


@given(entry=entries)
def test_equal_to_the_standard_library(entry: PayloadEntry) -> None:
    text = payload_v1(entry)

    assert text == reference(entry)
    assert digest_v1(text) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "amount",
    [D("-0"), D("-0.00"), D("1E+3"), D("1.50"), D("0.0001"), D("1.50000"), D(7), D("9999999999999999.9999")],
)
def test_the_way_an_amount_is_held_does_not_matter(amount: D) -> None:
    assert payload_v1(example(amount=amount)) == reference(example(amount=amount))
    assert '"-0.0000"' not in payload_v1(example(amount=amount))


@pytest.mark.parametrize(
    "amount", [D("0.00001"), D("100.00005"), D("NaN"), D("sNaN"), D("Infinity"), None, "", 1.5]
)
def test_amounts_without_a_canonical_text_are_refused(amount: Any) -> None:
    rows = [PayloadItem(7, D(1), D(0), "EUR", amount, "Rent", None)]

    with pytest.raises(PayloadError):
        payload_v1(PayloadEntry(1, date(2026, 3, 31), rows, 3, "A", 0))


@pytest.mark.parametrize("name", ["\0", "a\0b", "\\\0", "\\\\\0\\u0000"])
def test_nul_is_refused(name: str) -> None:
    with pytest.raises(PayloadError, match="NUL"):
        payload_v1(example(name=name))
    with pytest.raises(PayloadError, match="NUL"):
        payload_v1(example()._replace(number=name))


@pytest.mark.parametrize("name", ["\\u0000", "\\\\u0000", "\\\\\\u0000"])
def test_a_typed_escape_is_no_nul(name: str) -> None:
    assert payload_v1(example(name=name)) == reference(example(name=name))


def test_half_a_surrogate_pair_has_no_digest() -> None:
    with pytest.raises(PayloadError, match="UTF-8"):
        digest_v1(payload_v1(example(name="\ud800")))


def test_the_chain() -> None:
    digest = digest_v1("one")
    first = chain("", digest)

    assert first == hashlib.sha256(digest.encode("ascii")).hexdigest()
    assert chain(first, digest) == hashlib.sha256((first + digest).encode("ascii")).hexdigest()
    assert chain(first, digest) != first
    with pytest.raises(UnicodeEncodeError):
        chain("é", digest)


def test_every_field_changes_the_text() -> None:
    entry = example()
    (first, second) = entry.items
    others = [
        entry._replace(company=2),
        entry._replace(date=date(2026, 4, 1)),
        entry._replace(journal=4),
        entry._replace(number="MISC/2026/03/0002"),
        entry._replace(revision=1),
        entry._replace(items=[second, first]),
        entry._replace(items=[first]),
        *(
            entry._replace(items=[PayloadItem(*first)._replace(**change), second])
            for change in (
                {"account": 8},
                {"amount_currency": D("100.0001")},
                {"credit": D("0.0001")},
                {"currency": "USD"},
                {"debit": D("100.0001")},
                {"name": "rent"},
                {"name": None},
                {"partner": 1},
            )
        ),
    ]

    digests = {digest_v1(payload_v1(each)) for each in [entry, *others]}

    assert len(digests) == len(others) + 1


def postgres(entry: PayloadEntry) -> tuple[str, str, str]:
    """(text, digest, hash of a first entry) as PostgreSQL computes them from rows."""
    rows = list(entry.items)
    items = f"""
        SELECT string_agg({POSTGRES_ITEM_V1}, ',' ORDER BY item.position)
        FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::text[], %s::numeric[], %s::text[], %s::bigint[])
             WITH ORDINALITY
             AS item (account_id, amount_currency, credit, currency, debit, name, partner_id, position)
    """
    sql = f"""
        WITH made AS (
            SELECT {postgres_v1(f"({items})")} AS payload
            FROM (VALUES (%s::bigint, %s::date, %s::bigint, %s::text, %s::int))
                 AS entry (company_id, date, journal_id, number, revision)
        ), digested AS (
            SELECT payload, encode(sha256(convert_to(payload, 'UTF8')), 'hex') AS digest FROM made
        )
        SELECT payload, digest, encode(sha256(convert_to('' || digest, 'UTF8')), 'hex') FROM digested
    """
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(7)]
    with connection.cursor() as cursor:
        cursor.execute(
            sql, [*columns, entry.company, entry.date, entry.journal, entry.number, entry.revision]
        )
        return cursor.fetchone()


@pytest.mark.django_db
@pytest.mark.parametrize("name", [*NASTY, None])
def test_postgresql_writes_the_same_text(name: str | None) -> None:
    entry = example(name=name, amount=D("1234.5"))._replace(number=name)

    text, digest, link = postgres(entry)

    assert text == payload_v1(entry)
    assert digest == digest_v1(payload_v1(entry))
    assert link == chain("", digest)


@pytest.mark.django_db
def test_postgresql_writes_every_character_alike() -> None:
    plane = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x10000)]))
    entry = example(name=plane)

    assert postgres(entry)[0] == payload_v1(entry)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=entries)
def test_postgresql_agrees_on_any_entry(entry: PayloadEntry) -> None:
    assert postgres(entry)[0] == payload_v1(entry)
