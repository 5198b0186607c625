"""What a process remembers is what the open transaction sees, whoever changed it and whatever became of the change."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.memory import HELD, Memory
from apps.core.models import Currency
from apps.core.testkit import run_in_threads

SCOPE = "accounting.setup"


def names() -> Memory[dict[str, str]]:
    return Memory(SCOPE, dict)


def read(memory: Memory[dict[str, str]], code: str) -> str:
    """The name of a currency as users of a memory ask for it: from the rows only when it is not held."""
    held = memory.now()
    if code not in held:
        held[code] = Currency.objects.get(code=code).name
    return held[code]


@pytest.mark.django_db
def test_what_is_held_costs_one_statement_until_something_changes() -> None:
    memory = names()
    before = read(memory, "EUR")

    with CaptureQueriesContext(connection) as seen:
        assert read(memory, "EUR") == before
    assert len(seen) == 1

    Currency.objects.filter(code="EUR").update(name="Common money")
    assert read(memory, "EUR") == "Common money"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_currency SET name = 'By hand' WHERE code = 'EUR'")
    assert read(memory, "EUR") == "By hand"


@pytest.mark.django_db
def test_a_change_that_is_rolled_back_was_never_remembered() -> None:
    memory = names()
    before = read(memory, "EUR")

    with pytest.raises(IntegrityError), transaction.atomic():
        Currency.objects.filter(code="EUR").update(name="Passing")
        assert read(memory, "EUR") == "Passing"
        raise IntegrityError
    assert read(memory, "EUR") == before

    with transaction.atomic():
        Currency.objects.filter(code="EUR").update(name="Staying")
        assert read(memory, "EUR") == "Staying"
    assert read(memory, "EUR") == "Staying"


@pytest.mark.django_db
def test_few_states_are_held() -> None:
    memory = names()

    for number in range(HELD + 3):
        Currency.objects.filter(code="EUR").update(name=f"Name {number}")
        assert read(memory, "EUR") == f"Name {number}"

    assert len(memory._held) == HELD


@pytest.mark.django_db(transaction=True)
def test_others_see_a_change_when_it_is_committed() -> None:
    Currency.objects.update_or_create(code="EUR", defaults={"name": "Old"})
    memory = names()
    assert read(memory, "EUR") == "Old"

    with transaction.atomic():
        Currency.objects.filter(code="EUR").update(name="New")
        assert read(memory, "EUR") == "New"
        (outside,) = run_in_threads([lambda: read(memory, "EUR")])
        assert outside == "Old"
    (after,) = run_in_threads([lambda: read(memory, "EUR")])

    assert after == "New"


@pytest.mark.django_db
def test_old_notes_go_and_the_latest_stay() -> None:
    memory = names()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_change")
        for number in range(600):
            cursor.execute("UPDATE core_currency SET name = %s WHERE code = 'EUR'", [f"Name {number}"])
        cursor.execute("SELECT count(*) FROM core_change WHERE scope = %s", [SCOPE])
        (kept,) = cursor.fetchone()

    assert 256 <= kept <= 513
    assert read(memory, "EUR") == "Name 599"
