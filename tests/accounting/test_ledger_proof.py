"""The proofs: chains walked again, balances compared with items, folding that loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounting.models import PartnerBalance, PeriodBalance
from apps.accounting.selectors.balances import differences
from apps.accounting.selectors.chain import JournalProof, verify_journals
from apps.accounting.services.balances import BooksDiffer, check_balances, fold, fold_balances
from tests.accounting.factories import Books, make_partner
from tests.accounting.raw_ledger import Forgery, draft_of, post, settle, spec_of, sql

pytestmark = pytest.mark.django_db


@contextmanager
def guards_off(*tables: str) -> Iterator[None]:
    """What the owner of the tables can do: switch the triggers off. The proofs must find what he changes then."""
    settle()
    for table in tables:
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    try:
        yield
    finally:
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        sql("SET CONSTRAINTS ALL DEFERRED")
        for table in tables:
            sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def proof_of(books: Books, journal: str = "general") -> JournalProof:
    return verify_journals([getattr(books.journals, journal).pk])[0]


def test_sound_journals_are_found_sound(books: Books) -> None:
    first = post(books, *[spec_of(books, f"{n}.00") for n in range(1, 6)])
    draft_of(books)
    post(books, spec_of(books, journal="sale"))

    proof, sale, empty = (proof_of(books, name) for name in ("general", "sale", "exchange"))

    assert (proof.sound, proof.entries, proof.broken) == (True, 5, 0)
    assert (proof.first_number, proof.first_hash) == (first[0].number, first[0].hash)
    assert (proof.last_number, proof.last_hash) == (first[-1].number, first[-1].hash)
    assert (sale.sound, sale.entries, empty.sound, empty.entries) == (True, 1, True, 0)


@pytest.mark.parametrize(
    ("table", "change", "problem"),
    [
        ("journalitem", "UPDATE {t} SET debit = debit + 1 WHERE entry_id = {pk} AND debit > 0", "content"),
        ("journalitem", "UPDATE {t} SET name = 'y' WHERE entry_id = {pk}", "content"),
        (
            "journalitem",
            "UPDATE {t} SET partner_id = {partner} WHERE entry_id = {pk} AND debit > 0",
            "content",
        ),
        ("journalitem", "UPDATE {t} SET account_id = {bank} WHERE entry_id = {pk} AND debit > 0", "content"),
        ("journalitem", "DELETE FROM {t} WHERE entry_id = {pk} AND debit > 0", "content"),
        ("journalitem", "DELETE FROM {t} WHERE entry_id = {pk}", "content"),
        ("journalentry", "UPDATE {t} SET number = number || 'x' WHERE id = {pk}", "content"),
        ("journalentry", "UPDATE {t} SET revision = 1 WHERE id = {pk}", "content"),
        ("journalentry", "UPDATE {t} SET digest = repeat('0', 64) WHERE id = {pk}", "content"),
        ("journalentry", "UPDATE {t} SET hash = repeat('0', 64) WHERE id = {pk}", "link"),
        ("journalentry", "UPDATE {t} SET chain_index = 99 WHERE id = {pk}", "place"),
        ("journalentry", "UPDATE {t} SET series_number = 99 WHERE id = {pk}", "number"),
    ],
)
def test_an_altered_row_is_named(books: Books, table: str, change: str, problem: str) -> None:
    entries = post(books, *[spec_of(books, f"{n}.00") for n in range(1, 6)])
    target = entries[2]
    values = {"pk": target.pk, "t": f"accounting_{table}", "bank": books.accounts.bank.pk}

    with guards_off(f"accounting_{table}"):
        sql(change.format(**values, partner=make_partner("Other").pk))

    proof = proof_of(books)
    assert proof.problem == problem
    if problem == "place":
        assert proof.broken_pk == entries[3].pk, "the first one that does not follow"
    else:
        assert (proof.broken_pk, proof.broken_number.rstrip("x")) == (target.pk, target.number)


def test_an_entry_moved_in_time_is_named(books: Books) -> None:
    entries = post(books, spec_of(books), spec_of(books))

    with guards_off("accounting_journalentry", "accounting_journalitem"):
        sql("UPDATE accounting_journalentry SET date = '2020-01-01' WHERE id = %s", entries[1].pk)
        sql("UPDATE accounting_journalitem SET date = '2020-01-01' WHERE entry_id = %s", entries[1].pk)

    assert (proof_of(books).broken_pk, proof_of(books).problem) == (entries[1].pk, "content")


def test_an_entry_resealed_breaks_the_next_one(books: Books) -> None:
    """Whoever computes a new digest and hash for a changed entry breaks the link of the one after it."""
    entries = post(books, spec_of(books), spec_of(books), spec_of(books))

    with guards_off("accounting_journalentry"):
        sql(
            "UPDATE accounting_journalentry SET digest = accounting_sha256('forged'), "
            "hash = accounting_sha256(accounting_sha256('forged')) WHERE id = %s",
            entries[0].pk,
        )
    proof = proof_of(books)

    assert (proof.problem, proof.broken_pk, proof.broken) == ("content", entries[0].pk, 2)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_entry_is_noticed(books: Books, place: int) -> None:
    entries = post(books, spec_of(books), spec_of(books), spec_of(books))

    with guards_off("accounting_journalentry", "accounting_journalitem"):
        sql("DELETE FROM accounting_journalitem WHERE entry_id = %s", entries[place].pk)
        sql("DELETE FROM accounting_journalentry WHERE id = %s", entries[place].pk)

    proof = proof_of(books)
    assert proof.problem == ("end" if place == 2 else "place")
    assert proof.broken_pk == (None if place == 2 else entries[place + 1].pk)


def test_the_command_reports_and_ends_with_one(books: Books) -> None:
    entries = post(books, spec_of(books), spec_of(books))
    out = StringIO()

    call_command("verify_ledger", company=books.company.pk, stdout=out)
    assert f"{entries[0].number} {entries[0].hash[:16]}" in out.getvalue()
    assert "all sound" in out.getvalue()

    with guards_off("accounting_journalitem"):
        sql("UPDATE accounting_journalitem SET name = 'y' WHERE entry_id = %s", entries[1].pk)
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("verify_ledger", journal=["MISC"], json=True, stdout=out)

    assert caught.value.returncode == 1
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(row["broken_pk"], row["problem"]) for row in told if row["problem"]] == [
        (entries[1].pk, "content")
    ]
    with pytest.raises(CommandError) as caught:
        call_command("verify_ledger", journal=["NONE"])
    assert caught.value.returncode == 2


# ----------------------------------------------------------------------------------------------------------- balances
def runner() -> Any:
    lines: list[str] = []
    told: list[tuple[int, int]] = []
    return SimpleNamespace(
        log=lines.append, lines=lines, report=lambda done, left: told.append((done, left)), told=told
    )


def test_folding_keeps_every_sum(books: Books) -> None:
    partner = make_partner("Prime")
    for n in range(1, 8):
        spec = spec_of(books, f"{n}.00")
        spec.items[0].partner_pk = partner.pk if n % 2 else None
        post(books, spec)
    rows = PeriodBalance.objects.count()
    sums = sql(
        "SELECT account_id, sum(debit), sum(credit), sum(items) FROM accounting_periodbalance GROUP BY 1 ORDER BY 1"
    )
    run = runner()

    fold_balances(run)

    assert (rows, PeriodBalance.objects.count(), PartnerBalance.objects.count()) == (14, 2, 2)
    assert run.told == [(21, 0)]
    assert sums == sql(
        "SELECT account_id, sum(debit), sum(credit), sum(items) FROM accounting_periodbalance GROUP BY 1 ORDER BY 1"
    )
    assert differences() == []
    assert fold() == 0


def test_the_proof_is_silent_over_sound_books(books: Books) -> None:
    post(books)
    draft_of(books)
    run = runner()

    check_balances(run)

    assert run.lines == []


@pytest.mark.parametrize(
    ("table", "change", "kind"),
    [
        ("periodbalance", "UPDATE {t} SET debit = debit + 1 WHERE debit > 0", "period"),
        ("periodbalance", "UPDATE {t} SET items = items + 1", "period"),
        ("periodbalance", "DELETE FROM {t}", "period"),
        ("partnerbalance", "UPDATE {t} SET amount_currency = 0", "partner"),
        ("partnerbalance", "DELETE FROM {t}", "partner"),
        ("journalitem", "UPDATE {t} SET residual = 1, residual_currency = 1 WHERE debit > 0", "residual"),
        ("journalitem", "UPDATE {t} SET debit = debit + 1 WHERE debit > 0", "period"),
    ],
)
def test_the_proof_names_what_differs(books: Books, table: str, change: str, kind: str) -> None:
    post(books)

    with guards_off(f"accounting_{table}"):
        sql(change.format(t=f"accounting_{table}"))
    run = runner()
    with pytest.raises(BooksDiffer):
        check_balances(run)

    assert kind in {difference.kind for difference in differences()}
    assert len(run.lines) == len(differences())


def test_python_and_postgresql_seal_alike(books: Books) -> None:
    """Texts that JSON must escape, amounts of every size, currencies and partners: one digest on both sides."""
    partner = make_partner("Ünïcode ☃")
    names = ['"quoted" \\ back', "tab\tnew\nline\r", "\x01\x1f\x7f", "☃ 𝄞 ’", "", "/'<>&"]
    forged = Forgery(books)
    for n, name in enumerate(names, 1):
        forged.item(books.accounts.bank, f"{n}.10", name=name, partner_id=partner.pk)
        forged.item(books.accounts.income, 0, f"{n}.10", name=name[::-1])
    forged.item(books.accounts.bank, "999999999999999.99").item(
        books.accounts.income, 0, "999999999999999.99"
    )

    forged.write()
    settle()

    assert proof_of(books).sound
