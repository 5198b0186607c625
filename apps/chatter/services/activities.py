"""Planning, finishing, putting off and calling off activities."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone, translation
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import UserKind
from apps.access.models import User
from apps.chatter.constants import (
    ACTIVITY,
    LIVE_ACTIVITY,
    LIVE_CHANGED,
    NOTE,
    SNOOZE_DAYS,
    TODO,
    Chaining,
    MessageType,
)
from apps.chatter.dates import shift, snoozed, today_in
from apps.chatter.events import ActivityDone
from apps.chatter.hooks import post_access_of
from apps.chatter.models import Activity, ActivityPlan, ActivityType, Attachment
from apps.chatter.models.threads import ref_of, thread_models
from apps.chatter.selectors.activities import default_deadline
from apps.chatter.selectors.people import partner_pk_of_user, partner_pks_of_users
from apps.chatter.selectors.threads import require_post
from apps.chatter.services.attachments import claim_attachments
from apps.chatter.services.following import add_followers
from apps.chatter.services.notices import tell_users, tell_watchers
from apps.chatter.services.writing import write_messages
from apps.chatter.types import MessageDraft, RecordRef
from apps.core.actions import action
from apps.core.actor import Actor, system_actor
from apps.core.errors import Conflict, NotVisible, PermissionDenied, ValidationFailed, WrongState
from apps.core.html import sanitize_html
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work


def plan_activity(
    record: models.Model,
    *,
    actor: Actor,
    type: ActivityType | str = TODO,  # noqa: A002 - the word of the domain
    summary: str = "",
    note: str = "",
    deadline: datetime.date | None = None,
    assignee: User | int | None = None,
    automated: bool = False,
) -> Activity:
    """Plan one activity about a record. Defaults come from its type: deadline, summary, note, assignee."""
    ref = ref_of(record)
    kind = type if isinstance(type, ActivityType) else _type_by_code(type)
    values: Values = {
        "model": ref.model,
        "object_id": ref.pk,
        "type": kind,
        "summary": summary,
        "note": note,
        "deadline": deadline,
        "assignee": assignee,
    }
    made = ActivityService(Activity).create_one(
        {k: v for k, v in values.items() if v not in (None, "")}, actor=actor
    )
    if automated:
        Activity.objects.filter(pk=made.pk).update(automated=True)
        made.automated = True
    return made


def launch_plan(
    record: models.Model,
    plan: ActivityPlan,
    *,
    actor: Actor,
    date: datetime.date | None = None,
    assignee: User | int | None = None,
) -> list[Activity]:
    """Plan all activities of a plan around ``date`` (today, when not given). Lines without an assignee go to
    ``assignee``, or else to the actor."""
    require_post(record, actor)
    ref = ref_of(record)
    if plan.model.lower() != ref.model:
        raise ValidationFailed(
            fields={
                "plan": [_("This plan is for another kind of record: %(model)s.") % {"model": plan.model}]
            }
        )
    day = date or today_in(actor.timezone)
    rows = []
    for line in plan.lines.select_related("type").order_by("sequence", "pk"):
        count = -line.delay_count if line.before else line.delay_count
        rows.append(
            {
                "model": ref.model,
                "object_id": ref.pk,
                "type": line.type,
                "summary": line.summary or line.type.summary,
                "note": line.note or line.type.default_note,
                "deadline": shift(day, count, line.delay_unit),
                "assignee": line.assignee_id or pk_of(assignee) or actor.user_pk,
            }
        )
    return ActivityService(Activity).create(rows, actor=actor)


@service(Activity)
class ActivityService(RecordService[Activity]):
    """Activities through every interface. Who plans one needs the right to write in the record's thread."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        kinds = _types(rows)
        records = _writable_records(rows, actor)
        for row in rows:
            kind = kinds[pk_of(row["type"])]
            ref = RecordRef(str(row["model"]).lower(), int(row["object_id"]))
            row["model"], row["object_id"] = ref.model, ref.pk
            row["record_name"] = str(records[ref])[:300]
            row["type"] = kind.pk
            row.setdefault("summary", kind.summary)
            row["note"] = sanitize_html(str(row.get("note") or kind.default_note))
            if row.get("assignee") is None:
                row["assignee"] = kind.default_assignee_id or actor.user_pk
            if row.get("deadline") is None:
                row["deadline"] = default_deadline(kind, today=today_in(actor.timezone))
            row.pop("active", None)

    def prepare_update(self, records: Sequence[Activity], values: Values, actor: Actor) -> None:
        for name in ("model", "object_id"):
            if name in values and any(
                str(getattr(row, name)) != str(values[name]).lower() for row in records
            ):
                raise ValidationFailed(
                    fields={name: [_("An activity stays with its record; plan a new one.")]}
                )
        if values.get("active") is False or any(not row.active for row in records):
            raise ValidationFailed(fields={"active": [_("Mark the activity as done instead.")]})
        if "note" in values:
            values["note"] = sanitize_html(str(values["note"] or ""))

    def validate(self, records: Sequence[Activity], actor: Actor) -> None:
        kinds = ActivityType.objects.in_bulk({row.type_id for row in records})
        users = User.objects.in_bulk({row.assignee_id for row in records if row.assignee_id})
        for row in records:
            kind, user = kinds.get(row.type_id), users.get(row.assignee_id)
            if kind is not None and kind.model and kind.model.lower() != row.model:
                raise ValidationFailed(fields={"type": [_("This type is for another kind of record.")]})
            if user is None or not user.active or user.kind != UserKind.INTERNAL:
                raise ValidationFailed(fields={"assignee": [_("Choose an employee.")]})

    def after_create(self, records: Sequence[Activity], rows: Sequence[Values], actor: Actor) -> None:
        _tell_assignees(records, actor)
        _tell_watchers(records)

    def after_update(
        self,
        records: Sequence[Activity],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        moved = [row for row in records if before[row.pk].get("assignee", row.assignee_id) != row.assignee_id]
        _tell_assignees(moved, actor)
        former = {before[row.pk]["assignee"] for row in moved}
        tell_users([pk for pk in former if pk], LIVE_ACTIVITY, {})
        _tell_watchers(records)

    def before_delete(self, records: Sequence[Activity], actor: Actor) -> None:
        _tell_watchers(records)
        tell_users({row.assignee_id for row in records}, LIVE_ACTIVITY, {})

    def archive(self, records: Iterable[Activity] | QuerySet[Activity], *, actor: Actor) -> list[Activity]:
        raise WrongState(_("Mark the activity as done instead."))


@service(ActivityType)
class ActivityTypeService(RecordService[ActivityType]):
    """Types that the program itself uses cannot be deleted and keep their kind of record."""

    def before_delete(self, records: Sequence[ActivityType], actor: Actor) -> None:
        used = [row.name for row in records if row.code]
        if used:
            raise Conflict(
                _("%(names)s: used by the program itself. Archive the type instead.")
                % {"names": ", ".join(used)},
                code="built_in",
            )

    def prepare_update(self, records: Sequence[ActivityType], values: Values, actor: Actor) -> None:
        if "model" in values and any(row.code and row.model != values["model"] for row in records):
            raise ValidationFailed(
                fields={"model": [_("This type is used by the program for that kind of record.")]}
            )
        if values.get("active") is False and any(row.code == TODO for row in records):
            raise Conflict(_("The type To-do is always there."), code="built_in")

    def validate(self, records: Sequence[ActivityType], actor: Actor) -> None:
        for row in records:
            row.model = row.model.lower()
            if row.model and row.model not in thread_models():
                raise ValidationFailed(fields={"model": [_("This kind of record has no thread.")]})


@action(Activity, name="done", permission="finish", title=gettext_lazy("Done"), icon="check")
def finish_activities(
    activities: Sequence[Activity],
    *,
    actor: Actor,
    feedback: str = "",
    attachments: list[Attachment] | None = None,
) -> None:
    """Mark as done: the thread keeps what came of it, files go there, and what follows by the type is planned."""
    if any(not row.active for row in activities):
        raise WrongState(_("This activity is done already."))
    kinds = ActivityType.objects.select_related("triggered").in_bulk({row.type_id for row in activities})
    assignees = User.objects.in_bulk({row.assignee_id for row in activities})
    files = _files_of(activities)
    extra = [pk_of(item) for item in attachments or ()]
    author_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    drafts = []
    for row in activities:
        ref = RecordRef(row.model, row.object_id)
        claimed = claim_attachments([*files.get(row.pk, ()), *extra], ref=ref, actor=_mover(actor, extra))
        drafts.append(
            MessageDraft(
                ref=ref,
                body=_report(row, kinds[row.type_id], assignees[row.assignee_id], feedback, actor),
                subtype=ACTIVITY,
                message_type=MessageType.NOTIFICATION,
                author_pk=author_pk,
                author_user_pk=actor.user_pk,
                attachments=tuple(claimed),
                record_name=row.record_name,
            )
        )
    write_messages(drafts, actor=actor)
    _tell_watchers(activities)
    tell_users({row.assignee_id for row in activities}, LIVE_ACTIVITY, {})
    followed = _next_activities(activities, kinds, assignees, actor)
    _close(activities, kinds, assignees, feedback)
    if followed:
        # On behalf of the actor: who may finish an activity need not have the right to plan another.
        on_behalf = system_actor(
            user_pk=actor.user_pk, company_pk=actor.company_pk, company_pks=actor.company_pks, name=actor.name
        )
        ActivityService(Activity).create(followed, actor=on_behalf)
    _announce(activities, actor)


@action(Activity, name="snooze", permission="snooze", title=gettext_lazy("Put off"), icon="snooze")
def snooze_activities(activities: Sequence[Activity], *, actor: Actor, days: int = SNOOZE_DAYS) -> None:
    """Move the deadline: so many days from today for what is overdue, else from the old deadline."""
    if not 1 <= days <= 366:
        raise ValidationFailed(fields={"days": [_("Choose between 1 and 366 days.")]})
    if any(not row.active for row in activities):
        raise WrongState(_("This activity is done already."))
    assignees = User.objects.in_bulk({row.assignee_id for row in activities})
    for row in activities:
        row.deadline = snoozed(row.deadline, today_in(assignees[row.assignee_id].timezone), days)
    Activity.objects.bulk_update(activities, ["deadline"])
    _tell_watchers(activities)
    tell_users({row.assignee_id for row in activities}, LIVE_ACTIVITY, {})


@action(Activity, name="cancel", permission="cancel", title=gettext_lazy("Call off"), icon="close")
def cancel_activities(activities: Sequence[Activity], *, actor: Actor) -> None:
    """Remove without a word in the thread."""
    ActivityService(Activity).before_delete(activities, actor)
    Activity.objects.filter(pk__in=[row.pk for row in activities]).delete()


# ----------------------------------------------------------------------------------------------------- internal
def _type_by_code(code: str) -> ActivityType:
    kind = ActivityType.objects.filter(code=code).first()
    if kind is None:
        raise ValidationFailed(
            fields={"type": [_("There is no type of activity '%(code)s'.") % {"code": code}]}
        )
    return kind


def _types(rows: Sequence[Values]) -> dict[int, ActivityType]:
    """The types of all rows; rows without one get the to-do type. Two queries at most."""
    if any(row.get("type") is None for row in rows):
        todo = _type_by_code(TODO)
        for row in rows:
            if row.get("type") is None:
                row["type"] = todo.pk
    pks = {pk_of(row["type"]) for row in rows}
    kinds = ActivityType.objects.in_bulk(pks)
    if len(kinds) != len(pks):
        raise ValidationFailed(fields={"type": [_("There is no such type of activity.")]})
    return kinds


def _writable_records(rows: Sequence[Values], actor: Actor) -> dict[RecordRef, models.Model]:
    """The records that the rows name, each one in whose thread the actor may write. One query a kind of record."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        label, pk = str(row.get("model") or "").lower(), str(row.get("object_id") or "")
        if label not in thread_models():
            raise ValidationFailed(fields={"model": [_("Name a kind of record that has a thread.")]})
        if not pk.isdigit():
            raise ValidationFailed(fields={"object_id": [_("Name the record.")]})
        wanted[label].add(int(pk))
    found: dict[RecordRef, models.Model] = {}
    for label, pks in wanted.items():
        model = thread_models()[label]
        writable = visible(model, actor, post_access_of(label)).in_bulk(pks)
        for pk in sorted(pks - set(writable)):  # type: ignore[assignment]
            record = visible(model, actor).filter(pk=pk).first()
            if record is None:
                raise NotVisible()
            require_post(record, actor)  # a follower may, though he cannot change the record
            writable[pk] = record
        found |= {RecordRef(label, pk): record for pk, record in writable.items()}
    return found


def _tell_watchers(activities: Sequence[Activity]) -> None:
    for ref in sorted({RecordRef(row.model, row.object_id) for row in activities}, key=str):
        tell_watchers(ref, LIVE_CHANGED, {}, public=False)


def _tell_assignees(activities: Sequence[Activity], actor: Actor) -> None:
    """Assignees follow the record; those who did not plan it themselves get a notice in their language."""
    if not activities:
        return
    users = User.objects.in_bulk({row.assignee_id for row in activities})
    partners = partner_pks_of_users(users)
    add_followers(
        (RecordRef(row.model, row.object_id), partners[row.assignee_id])
        for row in activities
        if row.assignee_id in partners
    )
    author_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    drafts = []
    for row in activities:
        if row.assignee_id == actor.user_pk or row.assignee_id not in partners:
            continue
        user = users[row.assignee_id]
        with translation.override(user.language):
            values = {"record": row.record_name, "summary": row.summary or _("activity"), "day": row.deadline}
            line = _("%(record)s: %(summary)s assigned to you, due on %(day)s") % values
        drafts.append(
            MessageDraft(
                ref=RecordRef(row.model, row.object_id),
                subject=line,
                body=f"<p>{escape(line)}</p>{row.note}",
                subtype=NOTE,
                message_type=MessageType.USER_NOTIFICATION,
                author_pk=author_pk,
                author_user_pk=actor.user_pk,
                recipients=(partners[row.assignee_id],),
                notify_followers=False,
                record_name=row.record_name,
            )
        )
    write_messages(drafts, actor=actor)
    tell_users({row.assignee_id for row in activities}, LIVE_ACTIVITY, {})


def _files_of(activities: Sequence[Activity]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    links = Activity.attachments.through.objects.filter(activity_id__in=[row.pk for row in activities])
    for activity_pk, attachment_pk in links.order_by("pk").values_list("activity_id", "attachment_id"):
        found[activity_pk].append(attachment_pk)
    return found


def _mover(actor: Actor, extra: Sequence[int]) -> Actor:
    """Files that lie at the activity already may move with it; files that the actor names must be his own."""
    if extra and not actor.is_system:
        own = set(
            Attachment.objects.filter(pk__in=extra, model="", created_by_id=actor.user_pk).values_list(
                "pk", flat=True
            )
        )
        if own != set(extra):
            raise PermissionDenied(
                fields={"attachments": [_("Attach files that you have uploaded yourself.")]}
            )
    return system_actor(user_pk=actor.user_pk, name=actor.name)


def _report(row: Activity, kind: ActivityType, assignee: User, feedback: str, actor: Actor) -> str:
    title = escape(_("%(type)s done") % {"type": kind.name})
    if assignee.pk != actor.user_pk:
        title += " " + escape(_("(originally assigned to %(name)s)") % {"name": str(assignee)})  # type: ignore[assignment]
    parts = [f"<p><b>{title}</b>{': ' + escape(row.summary) if row.summary else ''}</p>"]
    if row.note:
        parts.append(f"<blockquote>{row.note}</blockquote>")
    if feedback:
        parts.append(f"<p>{escape(feedback)}</p>".replace("\n", "<br>"))
    return sanitize_html("".join(parts))


def _next_activities(
    activities: Sequence[Activity],
    kinds: Mapping[int, ActivityType],
    assignees: Mapping[int, User],
    actor: Actor,
) -> list[Values]:
    rows: list[Values] = []
    for row in activities:
        kind = kinds[row.type_id]
        if kind.chaining != Chaining.TRIGGER or kind.triggered is None:
            continue
        following = kind.triggered
        today = today_in(assignees[row.assignee_id].timezone)
        rows.append(
            {
                "model": row.model,
                "object_id": row.object_id,
                "type": following.pk,
                "deadline": default_deadline(following, today=today, previous=row.deadline),
                "assignee": following.default_assignee_id or actor.user_pk or row.assignee_id,
            }
        )
    return rows


def _close(
    activities: Sequence[Activity],
    kinds: Mapping[int, ActivityType],
    assignees: Mapping[int, User],
    feedback: str,
) -> None:
    kept = [row for row in activities if kinds[row.type_id].keep_done]
    for row in kept:
        row.active, row.feedback = False, feedback
        row.done_on = today_in(assignees[row.assignee_id].timezone, now=timezone.now())
    if kept:
        Activity.objects.bulk_update(kept, ["active", "feedback", "done_on"])
    gone = [row.pk for row in activities if not kinds[row.type_id].keep_done]
    if gone:
        Activity.objects.filter(pk__in=gone).delete()


def _announce(activities: Sequence[Activity], actor: Actor) -> None:
    with unit_of_work(actor) as work:
        work.emit(ActivityDone(tuple(row.pk for row in activities)))
