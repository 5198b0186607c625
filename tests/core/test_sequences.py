"""Drawing numbers: whose sequence, which range, what a roll-back leaves, and how editing keeps the count."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.core.actor import Actor
from apps.core.declarations import SequenceSpec
from apps.core.errors import Conflict, NotVisible, PermissionDenied, ValidationFailed
from apps.core.models import Sequence, SequenceRange
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.sequences import service
from apps.core.sequences.counters import object_name
from apps.core.sequences.service import (
    SequenceMissing,
    draw,
    draw_each,
    draw_from,
    draw_many,
    set_next_number,
    set_next_number_of_range,
    sync_declared,
    upcoming_numbers,
)
from apps.core.testkit import count_queries

date = datetime.date
DAY = date(2026, 5, 1)
FAST, GAPLESS = Sequence.Implementation.FAST, Sequence.Implementation.GAPLESS
KINDS = pytest.mark.parametrize("kind", [FAST, GAPLESS])


def make(world: SimpleNamespace, **values: Any) -> Sequence:
    defaults = {"code": "tests.order", "title": "Orders", "prefix": "SO-", "padding": 3}
    return service_for(Sequence).create_one({**defaults, **values}, actor=world.system)


def update(world: SimpleNamespace, sequence: Sequence, **values: Any) -> Sequence:
    return service_for(Sequence).update([sequence], values, actor=world.system)[0]


def take(count: int = 1, on: date = DAY, company: int | None = None) -> list[str]:
    return draw_many("tests.order", count, company_pk=company, on=on)


def object_exists(item: Sequence | SequenceRange) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [object_name(item)])
        return bool(cursor.fetchone()[0])


# ------------------------------------------------------------------------------------------------------ the examples
@KINDS
def test_counting_anew_each_year(world: SimpleNamespace, kind: str) -> None:
    make(world, prefix="SO/%(range_year)s/", padding=5, use_date_ranges=True, implementation=kind)

    assert draw("tests.order", company_pk=world.a.pk, on=date(2026, 12, 31)) == "SO/2026/00001"
    assert draw("tests.order", company_pk=world.a.pk, on=date(2027, 1, 1)) == "SO/2027/00001"
    assert draw("tests.order", company_pk=world.a.pk, on=date(2026, 12, 31)) == "SO/2026/00002"


@KINDS
def test_step_and_padding(world: SimpleNamespace, kind: str) -> None:
    make(world, prefix="P%(y)s-", step=2, next_number=7, implementation=kind)

    assert [draw("tests.order", company_pk=None, on=date(2026, 3, 1)) for _ in range(2)] == [
        "P26-007",
        "P26-009",
    ]


@KINDS
def test_counting_down(world: SimpleNamespace, kind: str) -> None:
    make(world, prefix="", step=-1, next_number=1, implementation=kind)

    assert take(4) == ["001", "000", "-001", "-002"]


# ---------------------------------------------------------------------------------------------------- whose sequence
def test_own_sequence_goes_before_the_shared_one(world: SimpleNamespace) -> None:
    make(world, prefix="SHARED-")
    make(world, prefix="A-", company=world.a)

    assert take(company=world.a.pk) == ["A-001"]
    assert take(company=world.b.pk) == ["SHARED-001"]
    assert take(company=None) == ["SHARED-002"]


def test_a_missing_sequence_is_an_error_that_says_what_to_do(world: SimpleNamespace) -> None:
    make(world, company=world.b)

    with pytest.raises(SequenceMissing, match=r"code “tests\.order”.*Technical, Sequences") as refusal:
        take(company=world.a.pk)

    assert refusal.value.sequence_code == "tests.order"
    assert refusal.value.as_dict()["code"] == "sequence_missing"


def test_archived_sequences_give_no_numbers(world: SimpleNamespace) -> None:
    sequence = make(world)
    service_for(Sequence).archive([sequence], actor=world.system)

    with pytest.raises(SequenceMissing):
        take()


def test_one_active_sequence_for_a_code_and_company(world: SimpleNamespace) -> None:
    first = make(world)

    with pytest.raises(Conflict, match="already has an active sequence with that code"):
        make(world)

    service_for(Sequence).archive([first], actor=world.system)
    assert make(world).pk != first.pk


# ------------------------------------------------------------------------------------------------------------- sets
@KINDS
def test_many_numbers_cost_as_many_statements_as_one(world: SimpleNamespace, kind: str) -> None:
    make(world, implementation=kind, use_date_ranges=True)
    take()

    with count_queries() as one:
        take(1)
    with count_queries() as many:
        numbers = take(500)

    assert len(one) == len(many) == 3
    assert numbers == [f"SO-{number:03d}" for number in range(3, 503)]


@KINDS
def test_numbers_follow_the_order_of_their_dates(world: SimpleNamespace, kind: str) -> None:
    make(world, prefix="%(range_year)s-", implementation=kind, use_date_ranges=True)
    days = [date(2027, 1, 1), date(2026, 1, 1), date(2027, 6, 1), date(2026, 2, 1), date(2026, 1, 1)]

    drawn = draw_each("tests.order", days, company_pk=None)

    assert [item.text for item in drawn] == ["2027-001", "2026-001", "2027-002", "2026-002", "2026-003"]
    assert [item.number for item in drawn] == [1, 1, 2, 2, 3]
    assert {item.prefix for item in drawn} == {"2026-", "2027-"}
    assert {item.range_pk for item in drawn} == set(SequenceRange.objects.values_list("pk", flat=True))


def test_nothing_asked_nothing_drawn(world: SimpleNamespace) -> None:
    sequence = make(world)

    assert draw_each("tests.order", [], company_pk=None) == []
    assert draw_many("tests.order", 0, company_pk=None) == []
    assert upcoming_numbers([sequence]) == {sequence: 1}


def test_a_held_sequence_is_drawn_from_directly(world: SimpleNamespace) -> None:
    sequence = make(world, company=world.b, suffix="/%(month)s")

    drawn = draw_from(sequence, [date(2026, 5, 1)])[0]

    assert (drawn.text, drawn.number, drawn.suffix, drawn.range_pk) == ("SO-001/05", 1, "/05", None)


def test_today_is_the_company_s_day(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """On New Year's Eve at 23:30 UTC it is next year already in Brussels."""
    make(world, prefix="%(year)s-%(current_year)s-%(h24)s-")
    type(world.a).objects.filter(pk=world.a.pk).update(timezone="Europe/Brussels")
    eve = datetime.datetime(2026, 12, 31, 23, 30, tzinfo=datetime.UTC)
    monkeypatch.setattr(service.timezone, "now", lambda: eve)

    assert draw("tests.order", company_pk=world.a.pk) == "2027-2027-00-001"
    assert draw("tests.order", company_pk=world.b.pk) == "2026-2026-23-002"
    assert draw("tests.order", company_pk=world.a.pk, on=date(2026, 5, 1)) == "2026-2027-00-003"


# ------------------------------------------------------------------------------------------------------------ ranges
@KINDS
def test_a_missing_range_is_the_calendar_year_clipped_by_its_neighbours(
    world: SimpleNamespace, kind: str
) -> None:
    sequence = make(world, implementation=kind, use_date_ranges=True)
    service_for(SequenceRange).create(
        [
            {"sequence": sequence, "date_from": date(2026, 7, 1), "date_to": date(2027, 6, 30)},
            {"sequence": sequence, "date_from": date(2026, 2, 1), "date_to": date(2026, 2, 28)},
        ],
        actor=world.system,
    )

    days = [date(2026, 3, 15), date(2027, 8, 1), date(2026, 1, 1), date(2030, 5, 5), date(2027, 6, 30)]
    for day in days:
        assert take(on=day) == ["SO-001"]

    assert list(sequence.ranges.values_list("date_from", "date_to")) == [
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
        (date(2026, 3, 1), date(2026, 6, 30)),
        (date(2026, 7, 1), date(2027, 6, 30)),
        (date(2027, 7, 1), date(2027, 12, 31)),
        (date(2030, 1, 1), date(2030, 12, 31)),
    ]


def test_overlapping_ranges_are_refused(world: SimpleNamespace) -> None:
    sequence, other = make(world), make(world, code="tests.other")
    ranges = service_for(SequenceRange)
    first = {"date_from": date(2026, 1, 1), "date_to": date(2026, 6, 30)}
    ranges.create_one({"sequence": sequence, **first}, actor=world.system)

    with pytest.raises(Conflict, match="cannot overlap"):
        ranges.create_one(
            {"sequence": sequence, "date_from": date(2026, 6, 30), "date_to": date(2026, 12, 31)},
            actor=world.system,
        )
    with pytest.raises(ValidationFailed, match="cannot end before it begins"):
        ranges.create_one(
            {"sequence": sequence, "date_from": date(2028, 2, 1), "date_to": date(2028, 1, 1)},
            actor=world.system,
        )
    ranges.create_one({"sequence": other, **first}, actor=world.system)
    ranges.create_one(
        {"sequence": sequence, "date_from": date(2026, 7, 1), "date_to": date(2026, 7, 1)}, actor=world.system
    )

    assert SequenceRange.objects.count() == 3


OVERLAP = """
INSERT INTO core_sequencerange (version, created_at, updated_at, date_from, date_to, next_number, sequence_id)
SELECT 1, now(), now(), '2026-12-31', '2027-12-31', 1, sequence_id FROM core_sequencerange
"""
CODE_TWICE = """
INSERT INTO core_sequence (version, created_at, updated_at, active, code, title, prefix, suffix, padding, step,
                           next_number, implementation, use_date_ranges)
SELECT 1, now(), now(), true, code, title, '', '', 1, 1, 1, 'fast', false FROM core_sequence
"""


@pytest.mark.parametrize(
    ("_case", "statement"),
    [
        ("step zero", "UPDATE core_sequence SET step = 0"),
        ("padding", "UPDATE core_sequence SET padding = 21"),
        ("order of range", "UPDATE core_sequencerange SET date_to = '2025-12-31'"),
        ("overlap", OVERLAP),
        ("code twice", CODE_TWICE),
    ],
)
def test_postgresql_refuses_what_no_service_would_write(
    world: SimpleNamespace, _case: str, statement: str
) -> None:
    make(world, use_date_ranges=True)
    take()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert take() == ["SO-002"]


# ---------------------------------------------------------------------------------------------------------- editing
@KINDS
def test_setting_the_next_number_restarts(world: SimpleNamespace, kind: str) -> None:
    sequence = make(world, implementation=kind, step=5)
    take(3)

    set_next_number([sequence], actor=world.system, number=100)

    assert upcoming_numbers([sequence]) == {sequence: 100}
    assert take(2) == ["SO-100", "SO-105"]
    set_next_number([sequence], actor=world.system, number=1)
    assert take() == ["SO-001"]


@KINDS
def test_setting_the_next_number_of_a_range(world: SimpleNamespace, kind: str) -> None:
    sequence = make(world, implementation=kind, use_date_ranges=True)
    take(2)
    take(on=date(2027, 5, 1))
    of_2026 = sequence.ranges.get(date_from=date(2026, 1, 1))

    set_next_number_of_range([of_2026], actor=world.system, number=50)

    assert take() == ["SO-050"]
    assert take(on=date(2027, 5, 1)) == ["SO-002"]


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize(("before", "after"), [(FAST, GAPLESS), (GAPLESS, FAST)])
def test_switching_the_kind_keeps_the_next_number(
    world: SimpleNamespace, before: str, after: str, ranges: bool
) -> None:
    sequence = make(world, implementation=before, use_date_ranges=ranges, step=3, next_number=4)
    first = take(3)

    sequence = update(world, sequence, implementation=after)

    members: list[Any] = [sequence, *sequence.ranges.all()]
    assert [object_exists(item) for item in members] == [after == FAST] * len(members)
    assert take(2) == (["SO-010", "SO-013"] if ranges else ["SO-013", "SO-016"])
    assert len(set(first)) == 3
    sequence = update(world, sequence, implementation=before)
    assert take() == (["SO-016"] if ranges else ["SO-019"])


@KINDS
def test_changing_the_step_keeps_the_next_number(world: SimpleNamespace, kind: str) -> None:
    sequence = make(world, implementation=kind)
    take(5)

    update(world, sequence, step=10)

    assert take(2) == ["SO-006", "SO-016"]


@KINDS
def test_changing_the_look_keeps_the_count(world: SimpleNamespace, kind: str) -> None:
    sequence = make(world, implementation=kind)
    take(2)

    update(world, sequence, prefix="X", padding=0)

    assert take() == ["X3"]


def test_a_wrong_placeholder_is_refused_when_saved(world: SimpleNamespace) -> None:
    sequence = make(world)

    with pytest.raises(ValidationFailed, match=r"“%\(yaer\)s” is not a known placeholder") as refusal:
        update(world, sequence, suffix="/%(yaer)s")

    assert list(refusal.value.fields) == ["suffix"]
    sequence.refresh_from_db()
    assert sequence.suffix == ""
    with pytest.raises(ValidationFailed):
        make(world, code="tests.new", prefix="%Y")
    assert not Sequence.objects.filter(code="tests.new").exists()


def test_a_date_range_stays_with_its_sequence(world: SimpleNamespace) -> None:
    sequence, other = make(world, use_date_ranges=True), make(world, code="tests.other")
    take()
    item = sequence.ranges.get()

    with pytest.raises(ValidationFailed, match="correct the marked fields"):
        service_for(SequenceRange).update([item], {"sequence": other}, actor=world.system)

    item.refresh_from_db()
    assert item.sequence_id == sequence.pk


# ------------------------------------------------------------------------------------------------- roll-back, removal
def test_a_roll_back_leaves_a_gap_in_a_fast_sequence_only(world: SimpleNamespace) -> None:
    make(world)
    make(world, code="tests.gapless", implementation=GAPLESS)

    with transaction.atomic():
        take(2)
        draw_many("tests.gapless", 2, company_pk=None)
        transaction.set_rollback(True)

    assert take() == ["SO-003"]
    assert draw("tests.gapless", company_pk=None) == "SO-001"


def test_sequence_objects_live_and_die_with_their_rows(world: SimpleNamespace) -> None:
    sequence = make(world, use_date_ranges=True)
    take()
    members = [sequence, sequence.ranges.get()]
    assert [object_exists(item) for item in members] == [True, True]

    with transaction.atomic():
        service_for(Sequence).delete([sequence], actor=world.system)
        transaction.set_rollback(True)
    assert [object_exists(item) for item in members] == [True, True]

    names = [object_name(item) for item in members]
    service_for(Sequence).delete([sequence], actor=world.system)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_sequences WHERE sequencename = ANY(%s)", [names])
        assert cursor.fetchone() == (0,)


def test_upcoming_numbers_take_nothing(world: SimpleNamespace) -> None:
    fast, gapless = make(world, use_date_ranges=True), make(world, code="tests.g", implementation=GAPLESS)
    take(4)
    item = fast.ranges.get()

    with count_queries() as seen:
        found = upcoming_numbers([fast, gapless, item])

    assert found == {fast: 1, gapless: 1, item: 5}
    assert len(seen) == 2
    assert upcoming_numbers([item]) == {item: 5}
    assert take() == ["SO-005"]


# ------------------------------------------------------------------------------------------------------------ rights
def technician(actor: Actor, *operations: str) -> Actor:
    keys = {
        f"core.{model}:{operation}" for model in ("sequence", "sequencerange") for operation in operations
    }
    return Actor(
        kind="internal", user_pk=actor.user_pk, company_pk=actor.company_pk, company_pks=actor.company_pks,
        permissions=frozenset(keys),
    )  # fmt: skip


def test_sequences_of_other_companies_are_out_of_sight(world: SimpleNamespace) -> None:
    theirs = make(world, company=world.b, use_date_ranges=True)
    take(company=world.b.pk)
    shared = make(world, code="tests.shared", use_date_ranges=True)
    draw("tests.shared", company_pk=None, on=date(2026, 1, 1))
    ann = technician(world.ann, "view", "change")

    assert list(visible(Sequence, ann).filter(code__startswith="tests.")) == [shared]
    assert list(visible(SequenceRange, ann)) == [shared.ranges.get()]
    with pytest.raises(NotVisible):
        set_next_number([theirs], actor=ann, number=5)
    with pytest.raises(NotVisible):
        set_next_number_of_range([theirs.ranges.get()], actor=ann, number=5)
    assert take(company=world.b.pk) == ["SO-002"]


def test_changing_the_count_needs_the_right(world: SimpleNamespace) -> None:
    sequence = make(world)

    with pytest.raises(PermissionDenied, match="'change' on sequence"):
        set_next_number([sequence], actor=technician(world.ann, "view"), number=5)
    with pytest.raises(ValidationFailed) as refusal:
        service_for(Sequence).update(
            [sequence], {"next_number": 9}, actor=technician(world.ann, "view", "change")
        )

    assert list(refusal.value.fields) == ["next_number"]
    assert take() == ["SO-001"]


# ------------------------------------------------------------------------------------------------------ declarations
def test_declared_sequences_are_made_once_and_then_left_alone(world: SimpleNamespace) -> None:
    specs = [
        SequenceSpec(
            "tests.order", "Orders", prefix="D-%(year)s-", padding=4, gapless=True, use_date_ranges=True
        ),
        SequenceSpec("tests.other", "Others"),
    ]

    assert sync_declared(specs) == 2
    assert sync_declared(specs) == 0
    made = Sequence.objects.get(code="tests.order")
    assert (made.implementation, made.use_date_ranges, made.company_id) == (GAPLESS, True, None)
    assert take() == ["D-2026-0001"]
    assert draw("tests.other", company_pk=None) == "00001"

    update(world, made, prefix="MINE-")
    service_for(Sequence).archive([Sequence.objects.get(code="tests.other")], actor=world.system)
    assert sync_declared(specs) == 0
    assert take() == ["MINE-0002"]


def test_a_company_s_own_sequence_does_not_stand_for_the_declared_one(world: SimpleNamespace) -> None:
    make(world, company=world.a)

    assert sync_declared([SequenceSpec("tests.order", "Orders")]) == 1
    assert take(company=world.b.pk) == ["00001"]
