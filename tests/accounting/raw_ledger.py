"""The ledger attacked from below: rows forged by hand, and what must be true when PostgreSQL refuses them.

``Forgery`` writes an entry the way the service does, with plain INSERTs, so that each test spoils exactly one thing.
``refused`` runs a block as if it were committed and proves that it was refused by name and changed nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.accounting.compute.payload import chain, digest_v1, payload_v1
from apps.accounting.models import Account, JournalChain, JournalEntry, NumberSeries
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books

DAY = datetime.date(2026, 3, 15)
WATCHED = (
    "accounting_journalentry",
    "accounting_journalitem",
    "accounting_numberseries",
    "accounting_journalchain",
    "accounting_periodbalance",
    "accounting_partnerbalance",
    "accounting_partialmatch",
    "accounting_accountingsettings",
    "accounting_lockexception",
    "accounting_account",
    "accounting_journal",
    "core_currency",
    "access_company",
)


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def settle() -> None:
    """Run what PostgreSQL checks at commit, inside the transaction of the test."""
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("SET CONSTRAINTS ALL DEFERRED")


def fingerprint() -> dict[str, Any]:
    return {
        table: sql(f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')[0]
        for table in WATCHED
    }


@contextmanager
def refused(*constraints: str) -> Iterator[None]:
    """The block, committed, is refused by one of ``constraints`` and leaves every row of the books as it was."""
    before = fingerprint()
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        yield
        settle()
    found = getattr(getattr(caught.value.__cause__, "diag", None), "constraint_name", None)
    assert found in constraints, f"{found}: {caught.value}"
    assert fingerprint() == before


def spec_of(books: Books, amount: str = "100.00", journal: str = "general", **more: Any) -> EntrySpec:
    """Receivable against income."""
    value, currency = Decimal(amount), books.company.currency_id
    values: dict[str, Any] = {
        "journal": getattr(books.journals, journal),
        "date": DAY,
        "company_pk": books.company.pk,
        "currency_pk": currency,
        "items": [
            ItemSpec(books.accounts.receivable.pk, value, currency, value, name="Receivable"),
            ItemSpec(books.accounts.income.pk, -value, currency, -value, name="Sale “x”\t\\ ü"),
        ],
    }
    return EntrySpec(**(values | more))


def post(books: Books, *specs: EntrySpec) -> list[JournalEntry]:
    with unit_of_work(books.system):
        made = post_entries(specs or [spec_of(books)], actor=books.system)
    if connection.in_atomic_block:
        settle()
    return made


def insert(table: str, values: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in values)
    sql(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(["%s"] * len(values))})', *values.values())


class Forgery:
    """One entry to be written by hand: ``entry`` and ``items`` hold the columns, ready to be spoiled."""

    def __init__(
        self, books: Books, *, journal: str = "general", pk: int | None = None, **entry: Any
    ) -> None:
        self.books = books
        self.journal = getattr(books.journals, journal)
        self.pk = pk or sql("SELECT nextval('accounting_document_key')")[0][0]
        now = timezone.now()
        self.entry: dict[str, Any] = {
            "id": self.pk,
            "company_id": books.company.pk,
            "journal_id": self.journal.pk,
            "currency_id": books.company.currency_id,
            "date": DAY,
            "state": "posted",
            "origin": "manual",
            "reference": "",
            "narration": "",
            "revision": 0,
            "checked": False,
            "version": 1,
            "custom": "{}",
            "created_at": now,
            "updated_at": now,
            "posted_at": now,
            **entry,
        }
        self.items: list[dict[str, Any]] = []
        self.forced: dict[str, Any] = {}

    def item(self, account: Account, debit: Any = 0, credit: Any = 0, **values: Any) -> Forgery:
        balance = Decimal(debit) - Decimal(credit)
        amount = Decimal(values.pop("amount_currency", balance))
        open_ = account.reconcile
        self.items.append(
            {
                "entry_id": self.pk,
                "company_id": self.entry["company_id"],
                "journal_id": self.entry["journal_id"],
                "date": self.entry["date"],
                "posted": True,
                "position": len(self.items),
                "kind": "product",
                "account_id": account.pk,
                "name": "x",
                "debit": Decimal(debit),
                "credit": Decimal(credit),
                "currency_id": self.books.company.currency_id,
                "amount_currency": amount,
                "tax_base_amount": 0,
                "tax_pks": [],
                "tag_pks": [],
                "residual": balance if open_ else 0,
                "residual_currency": amount if open_ else 0,
                "matching_number": "",
                **values,
            }
        )
        return self

    def sound(self, amount: Any = "100.00") -> Forgery:
        return self.item(self.books.accounts.receivable, amount).item(self.books.accounts.income, 0, amount)

    def force(self, **values: Any) -> Forgery:
        """Columns of the entry to be overwritten after number, digest and hash were computed."""
        self.forced = values
        return self

    def write_items(self, items: Sequence[dict[str, Any]] | None = None) -> None:
        for row in self.items if items is None else items:
            insert("accounting_journalitem", row)

    def write_entry(self) -> None:
        """Number, digest and hash as the service computes them, from the rows as they are; then the INSERT."""
        series = NumberSeries.objects.filter(journal=self.journal, kind="entry").order_by("-pk").first()
        if series is None:
            series = NumberSeries.objects.create(journal=self.journal, prefix="RAW/2026/", padding=4)
        link = JournalChain.objects.get(journal=self.journal)
        number = series.next_number
        text = f"{series.prefix}{number:0{series.padding}d}{series.suffix}"
        codes = dict(sql("SELECT id, code FROM core_currency"))
        rows = [
            (
                i["account_id"],
                i["amount_currency"],
                i["credit"],
                codes.get(i["currency_id"], "XXX"),
                i["debit"],
                i["name"],
                i.get("partner_id"),
            )
            for i in self.items
        ]
        payload = payload_v1((self.entry["company_id"], self.entry["date"], rows, self.journal.pk, text, 0))  # type: ignore[arg-type]
        digest = digest_v1(payload)
        hashed = chain(link.last_hash, digest)
        values = {
            **self.entry,
            "series_id": series.pk,
            "series_number": number,
            "number": text,
            "chain_index": link.length + 1,
            "digest": digest,
            "hash": hashed,
            **self.forced,
        }
        sql("UPDATE accounting_numberseries SET next_number = %s WHERE id = %s", number + 1, series.pk)
        sql(
            "UPDATE accounting_journalchain SET length = %s, last_hash = %s WHERE journal_id = %s",
            values["chain_index"],
            values["hash"],
            self.journal.pk,
        )
        insert("accounting_journalentry", values)

    def write(self) -> JournalEntry:
        self.write_items()
        self.write_entry()
        return JournalEntry.objects.get(pk=self.pk)


def draft_of(books: Books, amount: str = "100.00", journal: str = "general", **entry: Any) -> JournalEntry:
    """A draft with two items, written by hand."""
    blank = {"state": "draft", "posted_at": None, "number": "", "digest": "", "hash": ""}
    forged = Forgery(books, journal=journal, **(blank | entry))
    insert("accounting_journalentry", forged.entry)
    forged.sound(amount)
    forged.write_items([{**row, "posted": False} for row in forged.items])
    return JournalEntry.objects.get(pk=forged.pk)
