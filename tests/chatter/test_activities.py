"""Activities: deadlines, calendars, finishing, putting off, plans, rights."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from apps.chatter.constants import ACTIVITY, TODO, Chaining, DelayFrom, DelayUnit
from apps.chatter.dates import shift, snoozed
from apps.chatter.models import (
    Activity,
    ActivityPlan,
    ActivityPlanLine,
    ActivityType,
    Attachment,
    Follower,
    Message,
    Notification,
)
from apps.chatter.selectors.activities import (
    activities_of,
    activity_counts,
    default_deadline,
    next_activities,
    with_state,
)
from apps.chatter.services.activities import (
    cancel_activities,
    finish_activities,
    launch_plan,
    plan_activity,
    snooze_activities,
)
from apps.chatter.services.attachments import upload_pending
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.errors import (
    BusinessError,
    Conflict,
    NotVisible,
    PermissionDenied,
    ValidationFailed,
    WrongState,
)
from apps.core.models import OutboxEvent
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries
from tests.chatter.conftest import World
from tests.chatter.factories import actor_of, make_company, make_partner, make_user, system

DAY = datetime.date


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``today("2026-03-09 20:00")`` stops the clock, in UTC."""

    def stop(text: str) -> datetime.datetime:
        moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
        monkeypatch.setattr(timezone, "now", lambda: moment)
        return moment

    return stop


# -------------------------------------------------------------------------------------------- acceptance figures
def test_the_state_follows_the_calendar_of_the_assignee(
    world: World, other_record: Partner, today: Any
) -> None:
    today("2026-03-09 20:00")  # 09:00 on the 10th in Auckland
    ann, bob = world.ann, world.bob
    type(ann).objects.filter(pk=ann.pk).update(timezone="Pacific/Auckland")
    there = plan_activity(other_record, actor=system(), assignee=ann, deadline=DAY(2026, 3, 10))
    here = plan_activity(other_record, actor=system(), assignee=bob, deadline=DAY(2026, 3, 10))

    in_python = {row.pk: row.state for row in Activity.objects.select_related("assignee")}
    in_sql = dict(with_state(Activity.objects.all()).values_list("pk", "state_now"))

    assert in_python == in_sql == {there.pk: "today", here.pk: "planned"}


@pytest.mark.parametrize(
    ("counted_from", "expected"),
    [(DelayFrom.DEADLINE, DAY(2026, 3, 15)), (DelayFrom.COMPLETION, DAY(2026, 4, 3))],
)
def test_what_follows_is_due_after_the_old_deadline_or_after_completion(
    world: World, other_record: Partner, today: Any, counted_from: str, expected: DAY
) -> None:
    today("2026-03-20 10:00")
    following = ActivityType.objects.create(
        name="Follow up", delay_count=2, delay_unit=DelayUnit.WEEKS, delay_from=counted_from
    )
    first = ActivityType.objects.create(name="Offer", chaining=Chaining.TRIGGER, triggered=following)
    activity = plan_activity(other_record, actor=world.actor("bob"), type=first, deadline=DAY(2026, 3, 1))

    finish_activities([activity], actor=world.actor("bob"))

    planned = Activity.objects.get()
    assert (planned.type, planned.deadline, planned.assignee) == (following, expected, world.bob)
    assert default_deadline(following, today=DAY(2026, 3, 20)) == DAY(2026, 4, 3)


def test_a_plan_counts_back_from_its_date_and_keeps_within_the_month(
    world: World, other_record: Partner
) -> None:
    plan = ActivityPlan.objects.create(name="Closing", model="contacts.partner")
    todo = ActivityType.objects.get(code=TODO)
    for count, unit, before in (
        (1, DelayUnit.MONTHS, True),
        (3, DelayUnit.DAYS, False),
        (2, DelayUnit.WEEKS, True),
    ):
        ActivityPlanLine.objects.create(
            plan=plan, type=todo, delay_count=count, delay_unit=unit, before=before
        )

    made = launch_plan(
        other_record, plan, actor=world.actor("bob"), date=DAY(2026, 5, 31), assignee=world.ann
    )

    assert [row.deadline for row in made] == [DAY(2026, 4, 30), DAY(2026, 6, 3), DAY(2026, 5, 17)]
    assert {row.assignee_id for row in made} == {world.ann.pk}


def test_putting_off_counts_from_today_when_overdue(world: World, other_record: Partner, today: Any) -> None:
    today("2026-03-10 10:00")
    late = plan_activity(other_record, actor=world.actor("bob"), deadline=DAY(2026, 3, 1))
    early = plan_activity(other_record, actor=world.actor("bob"), deadline=DAY(2026, 3, 12))

    snooze_activities([late, early], actor=world.actor("bob"))

    assert Activity.objects.get(pk=late.pk).deadline == DAY(2026, 3, 17)
    assert Activity.objects.get(pk=early.pk).deadline == DAY(2026, 3, 19)


def test_done_without_keeping_leaves_no_row_and_one_message(world: World, other_record: Partner) -> None:
    activity = plan_activity(
        other_record, actor=world.actor("bob"), summary="Call <him>", note="<p>About it</p>"
    )
    before = Message.objects.of_record("contacts.partner", other_record.pk).count()

    finish_activities([activity], actor=world.actor("bob"), feedback="He agreed\nto all")

    message = Message.objects.of_record("contacts.partner", other_record.pk).first()
    assert not Activity.objects.exists()
    assert Message.objects.of_record("contacts.partner", other_record.pk).count() == before + 1
    assert message is not None
    assert (message.subtype.code, message.is_internal) == (ACTIVITY, True)
    assert message.body == (
        "<p><b>To-do done</b>: Call &lt;him&gt;</p><blockquote><p>About it</p></blockquote><p>He agreed<br>to all</p>"
    )
    assert OutboxEvent.objects.filter(name="chatter.ActivityDone").count() == 1


@pytest.mark.parametrize(
    ("start", "count", "unit", "expected"),
    [
        (DAY(2026, 5, 31), -1, "months", DAY(2026, 4, 30)),
        (DAY(2024, 2, 29), 12, "months", DAY(2025, 2, 28)),
        (DAY(2026, 1, 31), 1, "months", DAY(2026, 2, 28)),
        (DAY(2026, 12, 31), 2, "months", DAY(2027, 2, 28)),
        (DAY(2026, 3, 1), 2, "weeks", DAY(2026, 3, 15)),
        (DAY(2026, 3, 1), -1, "days", DAY(2026, 2, 28)),
    ],
)
def test_shifting_days(start: DAY, count: int, unit: str, expected: DAY) -> None:
    assert shift(start, count, unit) == expected


def test_snoozing_days() -> None:
    assert snoozed(DAY(2026, 3, 1), DAY(2026, 3, 10), 7) == DAY(2026, 3, 17)
    assert snoozed(DAY(2026, 3, 20), DAY(2026, 3, 10), 7) == DAY(2026, 3, 27)


# ------------------------------------------------------------------------------------------------------- finishing
def test_a_type_may_keep_what_is_done(world: World, other_record: Partner, today: Any) -> None:
    today("2026-03-10 10:00")
    kind = ActivityType.objects.create(name="Audit", keep_done=True)
    activity = plan_activity(other_record, actor=world.actor("bob"), type=kind)

    finish_activities([activity], actor=world.actor("bob"), feedback="fine")

    kept = Activity.objects.get()
    assert (kept.active, kept.done_on, kept.feedback, kept.state) == (False, DAY(2026, 3, 10), "fine", "done")
    with pytest.raises(WrongState):
        finish_activities([kept], actor=world.actor("bob"))


def test_files_of_an_activity_move_into_its_message(
    world: World, other_record: Partner, files: object
) -> None:
    bob = world.actor("bob")
    activity = plan_activity(other_record, actor=bob)
    file = upload_pending([NewFile("signed.pdf", b"%PDF-1.7")], actor=bob)[0]

    finish_activities([activity], actor=bob, attachments=[file])

    message = Message.objects.of_record("contacts.partner", other_record.pk).first()
    moved = Attachment.objects.get(pk=file.pk)
    assert message is not None
    assert list(message.attachments.all()) == [moved]
    assert (moved.model, moved.object_id) == ("contacts.partner", other_record.pk)


def test_somebody_elses_upload_cannot_be_taken(world: World, other_record: Partner, files: object) -> None:
    activity = plan_activity(other_record, actor=world.actor("bob"))
    file = upload_pending([NewFile("private.txt", b"private")], actor=world.actor("ann"))[0]

    with pytest.raises(PermissionDenied):
        finish_activities([activity], actor=world.actor("bob"), attachments=[file])

    assert Attachment.objects.get(pk=file.pk).model == ""
    assert Activity.objects.filter(pk=activity.pk).exists()


def test_who_lost_the_record_still_finishes_what_was_assigned_to_him(world: World) -> None:
    elsewhere = make_company("Elsewhere")
    record = make_partner("Of the first company", company=world.company)
    activity = plan_activity(record, actor=system(), assignee=world.eve, summary="Look")
    type(world.eve).objects.filter(pk=world.eve.pk).update(company=elsewhere)
    world.eve.companies.set([elsewhere])
    eve = actor_of(world.eve)

    assert not visible(Partner, eve).filter(pk=record.pk).exists()
    finish_activities([activity], actor=eve, feedback="done anyway")

    assert not Activity.objects.exists()


def test_calling_off_leaves_no_word(world: World, other_record: Partner) -> None:
    activity = plan_activity(other_record, actor=world.actor("bob"))
    before = Message.objects.count()

    cancel_activities([activity], actor=world.actor("bob"))

    assert not Activity.objects.exists()
    assert Message.objects.count() == before


# ---------------------------------------------------------------------------------------------------------- rights
@pytest.mark.parametrize("who", ["eve", "carl"])
def test_planning_needs_the_right_to_write_in_the_thread(world: World, who: str) -> None:
    with pytest.raises(BusinessError) as refused:
        plan_activity(world.record, actor=world.actor(who), assignee=world.ann)

    assert isinstance(refused.value, (PermissionDenied, NotVisible))
    assert not Activity.objects.exists()


def test_colleagues_see_it_but_only_assignee_and_writers_touch_it(
    world: World, other_record: Partner
) -> None:
    activity = plan_activity(other_record, actor=world.actor("bob"), assignee=world.ann)

    assert visible(Activity, world.actor("eve")).filter(pk=activity.pk).exists()
    assert not visible(Activity, world.actor("carl")).exists()
    with pytest.raises(PermissionDenied):
        finish_activities([activity], actor=world.actor("eve"))
    with pytest.raises(PermissionDenied):
        service_for(Activity).delete([activity], actor=world.actor("eve"))

    assert Activity.objects.filter(pk=activity.pk).exists()


def test_activities_of_another_company_do_not_exist(world: World) -> None:
    elsewhere = make_company("Elsewhere")
    stranger = make_user("stranger", "contacts.user", company=elsewhere)
    record = make_partner("Of the first company", company=world.company)
    activity = plan_activity(record, actor=world.actor("bob"))

    assert not visible(Activity, actor_of(stranger)).exists()
    with pytest.raises(NotVisible):
        plan_activity(record, actor=actor_of(stranger))
    with pytest.raises(NotVisible):
        finish_activities([activity], actor=actor_of(stranger))

    assert Activity.objects.count() == 1


def test_assignees_are_told_and_follow_and_only_employees_can_be(world: World, other_record: Partner) -> None:
    plan_activity(
        other_record, actor=world.actor("bob"), assignee=world.ann, summary="Call", deadline=DAY(2026, 3, 1)
    )

    with pytest.raises(ValidationFailed) as refused:
        plan_activity(other_record, actor=system(), assignee=world.carl)

    notice = Message.objects.get(message_type="user_notification")
    assert notice.subject == "Somebody else: Call assigned to you, due on 2026-03-01"
    assert list(Notification.objects.values_list("partner", flat=True)) == [world.partner("ann").pk]
    assert Follower.objects.filter(partner=world.partner("ann"), object_id=other_record.pk).exists()
    assert list(refused.value.fields) == ["assignee"]


def test_reassigning_tells_the_new_one(world: World, other_record: Partner) -> None:
    activity = plan_activity(other_record, actor=world.actor("bob"))

    service_for(Activity).update([activity], {"assignee": world.ann}, actor=world.actor("bob"))

    assert list(Notification.objects.values_list("partner", flat=True)) == [world.partner("ann").pk]


@pytest.mark.parametrize(
    "values",
    [{"object_id": 1}, {"active": False}, {"model": "access.company"}],
    ids=["record", "archive", "kind"],
)
def test_an_activity_stays_with_its_record_and_is_not_archived_by_hand(
    world: World, other_record: Partner, values: dict[str, Any]
) -> None:
    activity = plan_activity(other_record, actor=world.actor("bob"))

    with pytest.raises(ValidationFailed):
        service_for(Activity).update([activity], values, actor=world.actor("bob"))

    activity.refresh_from_db()
    assert (activity.object_id, activity.model, activity.active) == (
        other_record.pk,
        "contacts.partner",
        True,
    )


def test_types_that_the_program_uses_stay(world: World) -> None:
    todo = ActivityType.objects.get(code=TODO)
    service = service_for(ActivityType)

    with pytest.raises(Conflict):
        service.delete([todo], actor=world.actor("admin"))
    with pytest.raises(ValidationFailed):
        service.update([todo], {"model": "contacts.partner"}, actor=world.actor("admin"))
    with pytest.raises(Conflict):
        service.archive([todo], actor=world.actor("admin"))
    with pytest.raises(PermissionDenied):
        service.create_one({"name": "Mine"}, actor=world.actor("bob"))

    todo.refresh_from_db()
    assert (todo.model, todo.active) == ("", True)


def test_one_chaining_only(world: World) -> None:
    with pytest.raises(ValidationFailed):
        service_for(ActivityType).create_one(
            {"name": "Half", "chaining": Chaining.TRIGGER}, actor=world.actor("admin")
        )


# --------------------------------------------------------------------------------------------------------- reading
def test_lists_and_counters(world: World, other_record: Partner, today: Any) -> None:
    today("2026-03-10 10:00")
    for day in (1, 10, 20):
        plan_activity(other_record, actor=world.actor("bob"), deadline=DAY(2026, 3, day))

    views = activities_of(other_record, world.actor("eve"))

    assert [(view.state, view.days, view.may_finish) for view in views] == [
        ("overdue", -9, False),
        ("today", 0, False),
        ("planned", 10, False),
    ]
    assert next_activities(Partner, [other_record.pk]) == {
        other_record.pk: {"state": "overdue", "deadline": DAY(2026, 3, 1), "count": 3}
    }
    assert activity_counts(world.actor("bob")) == [
        {"model": "contacts.partner", "overdue": 1, "today": 1, "planned": 1}
    ]
    assert activity_counts(world.actor("ann")) == []


def test_finishing_costs_the_same_for_two_and_for_twelve(world: World, other_record: Partner) -> None:
    bob = world.actor("bob")
    made = [plan_activity(other_record, actor=bob) for _n in range(15)]
    finish_activities(made[:1], actor=bob)

    with count_queries() as few:
        finish_activities(made[1:3], actor=bob)
    with count_queries() as many:
        finish_activities(made[3:], actor=bob)

    assert len(many) == len(few)
    assert not Activity.objects.exists()
