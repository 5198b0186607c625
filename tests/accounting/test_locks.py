"""Lock dates: setting them, who may, what must be in order, exceptions, and what they say about themselves."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.accounting.models import AccountingSettings, LockException
from apps.accounting.selectors.locks import (
    OpenDateRequest,
    effective_locks,
    explain_lock,
    open_date,
    open_dates,
)
from apps.accounting.services.locks import revoke_exceptions, set_hard_lock, set_lock_dates
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.models import OutboxEvent
from apps.core.records import service_for
from tests.accounting.factories import Books, make_books
from tests.accounting.raw_ledger import DAY, draft_of, post, settle, spec_of

pytestmark = pytest.mark.django_db
MARCH = datetime.date(2026, 3, 31)
TODAY = datetime.date(2026, 6, 10)


def locks(books: Books) -> dict[str, datetime.date | None]:
    row = AccountingSettings.objects.get(company=books.company)
    return {
        kind: getattr(row, f"{kind}_lock_date")
        for kind in ("fiscal", "tax", "sale", "purchase", "hard")
        if getattr(row, f"{kind}_lock_date")
    }


def exception(books: Books, *, actor: str = "adviser", **values: object) -> LockException:
    until = timezone.now() + datetime.timedelta(hours=2)
    row = {"company": books.company, "kind": "fiscal", "until": until, "reason": "late bill", **values}
    return service_for(LockException).create_one(row, actor=books.actor(actor))


def test_soft_locks_are_set_and_lifted_by_accountants(books: Books) -> None:
    actor = books.actor("accountant")

    set_lock_dates(books.settings, actor=actor, fiscal=MARCH, sale=DAY, reason="March is done")
    set_lock_dates(books.settings, actor=actor, lift=["sale"])

    assert locks(books) == {"fiscal": MARCH}
    events = OutboxEvent.objects.filter(name="accounting.LockDatesChanged")
    assert [event.payload["company_pk"] for event in events] == [books.company.pk] * 2


@pytest.mark.parametrize("role", ["billing", "auditor", "plain"])
def test_others_set_no_locks(books: Books, role: str) -> None:
    with pytest.raises(PermissionDenied):
        set_lock_dates(books.settings, actor=books.actor(role), fiscal=MARCH)
    with pytest.raises(PermissionDenied):
        set_hard_lock(books.settings, actor=books.actor("accountant"), date=MARCH)

    assert locks(books) == {}


def test_a_lock_needs_a_date_or_a_name(books: Books) -> None:
    actor = books.actor("accountant")

    for inputs in ({}, {"lift": ["hard"]}, {"lift": ["sale"], "sale": MARCH}):
        with pytest.raises(ValidationFailed):
            set_lock_dates(books.settings, actor=actor, **inputs)  # type: ignore[arg-type]

    assert locks(books) == {}


def test_drafts_are_named_by_soft_locks_and_stop_the_hard_one(books: Books) -> None:
    draft = draft_of(books, journal="sale")
    settle()
    actor = books.actor("adviser")

    answer = set_lock_dates(books.settings, actor=actor, fiscal=MARCH, sale=MARCH, purchase=MARCH)
    with pytest.raises(Conflict, match=str(draft.pk)) as caught:
        set_hard_lock(books.settings, actor=actor, date=MARCH)

    assert [text.split(":")[0] for text in answer["warnings"]] == ["Everything", "Sales"]
    assert caught.value.code == "unfinished"
    assert "hard" not in locks(books)


def test_drafts_of_branches_count_and_later_ones_do_not(books: Books) -> None:
    branch = make_books(parent=books.company)
    late = draft_of(books, date=MARCH + datetime.timedelta(1))
    settle()
    actor = books.actor("adviser")

    set_hard_lock(books.settings, actor=actor, date=DAY)
    assert locks(books) == {"hard": DAY}
    caught = draft_of(branch, date=MARCH)
    settle()
    with pytest.raises(Conflict, match=str(caught.pk)) as refusal:
        set_hard_lock(books.settings, actor=actor, date=MARCH)

    assert str(late.pk) not in str(refusal.value)


def test_the_hard_lock_goes_forward_only(books: Books) -> None:
    actor = books.actor("adviser")
    set_hard_lock(books.settings, actor=actor, date=MARCH)

    with pytest.raises(Conflict, match="2026-03-31"):
        set_hard_lock(books.settings, actor=actor, date=DAY)

    assert locks(books) == {"hard": MARCH}


def test_the_service_meets_the_lock_at_commit(books: Books) -> None:
    set_lock_dates(books.settings, actor=books.actor("accountant"), fiscal=MARCH)

    with pytest.raises(Exception, match="locked up to 2026-03-31"):
        post(books, spec_of(books))


def test_exceptions_are_the_advisers(books: Books) -> None:
    set_lock_dates(books.settings, actor=books.actor("accountant"), fiscal=MARCH)

    with pytest.raises(PermissionDenied):
        exception(books, actor="accountant")
    row = exception(books, user=books.user("accountant"))
    with pytest.raises(PermissionDenied):
        revoke_exceptions([row], actor=books.actor("accountant"))
    with pytest.raises((PermissionDenied, Conflict)):
        service_for(LockException).update([row], {"reason": "other"}, actor=books.actor("adviser"))
    with pytest.raises((PermissionDenied, Conflict)):
        service_for(LockException).delete([row], actor=books.actor("adviser"))

    assert effective_locks(books.company.pk, actor=books.actor("accountant")) == {}
    assert effective_locks(books.company.pk, actor=books.actor("billing"))["fiscal"].lock.date == MARCH
    revoke_exceptions([row], actor=books.actor("adviser"))
    assert effective_locks(books.company.pk, actor=books.actor("accountant"))["fiscal"].lock.date == MARCH


def test_an_exception_makes_sense(books: Books) -> None:
    with pytest.raises(ValidationFailed) as caught:
        exception(books)
    assert "not set" in caught.value.fields["kind"][0]
    set_lock_dates(books.settings, actor=books.actor("accountant"), fiscal=MARCH)

    for values in (
        {"kind": "hard"},
        {"kind": "sale"},
        {"until": timezone.now() - datetime.timedelta(seconds=1)},
        {"reason": "  "},
        {"lock_date": MARCH},
    ):
        with pytest.raises(ValidationFailed):
            exception(books, **values)

    assert not LockException.objects.exists()


def test_a_lock_explains_itself(books: Books) -> None:
    branch = make_books(parent=books.company)
    actor = books.actor("accountant")
    set_lock_dates(books.settings, actor=actor, fiscal=MARCH, reason="Audit of the quarter")

    told = explain_lock(branch.company.pk, DAY, "general", actor=branch.system, today=TODAY)

    assert told is not None
    assert (told.kind, told.date, told.company_pk) == ("fiscal", MARCH, books.company.pk)
    assert (told.set_by, told.reason, told.reopens) == (
        actor.name,
        "Audit of the quarter",
        datetime.date(2026, 4, 30),
    )
    assert "Audit of the quarter" in told.text
    assert "2026-04-30" in told.text
    assert (
        explain_lock(branch.company.pk, MARCH + datetime.timedelta(1), "general", actor=branch.system) is None
    )


def test_closed_days_move_to_open_ones(
    books: Books, other_books: Books, django_assert_num_queries: object
) -> None:
    set_lock_dates(books.settings, actor=books.actor("accountant"), fiscal=MARCH)
    pk, actor = books.company.pk, books.system

    assert open_date(pk, DAY, "sale", actor=actor, today=TODAY, series_reset="year") == TODAY
    assert open_date(pk, DAY, "sale", actor=actor, today=TODAY, series_reset="month") == datetime.date(
        2026, 4, 30
    )
    assert open_date(pk, DAY, "general", actor=actor, today=datetime.date(2026, 4, 7)) == datetime.date(
        2026, 4, 7
    )
    wanted = [
        OpenDateRequest(pk, DAY, "general"),
        OpenDateRequest(other_books.company.pk, DAY, "general"),
    ] * 20
    with django_assert_num_queries(2):  # type: ignore[operator]
        days = open_dates(wanted, actor=actor, today=TODAY)
    assert set(days[::2]) == {datetime.date(2026, 4, 30)}
    assert set(days[1::2]) == {DAY}
