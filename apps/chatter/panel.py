"""What the templates of the panel get. Views and template tags share it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from apps.access.constants import UserKind
from apps.access.models import User
from apps.chatter.dates import today_in
from apps.chatter.models import ActivityPlan, ActivityType
from apps.chatter.models.threads import ref_of
from apps.chatter.selectors.access import OpenThread
from apps.chatter.selectors.activities import activities_of, default_deadline, offered_types
from apps.chatter.selectors.files import file_views, files_of_record
from apps.chatter.selectors.people import people
from apps.chatter.selectors.threads import followers_of, person_view, thread_of
from apps.chatter.services.notices import public_channel
from apps.core import live
from apps.core.rules import visible

# Parameters of a link that have to come along with every further request.
CARRIED = ("access_token", "token", "pid", "hash")
MAX_FILES = 100


def frame_context(opened: OpenThread, params: Mapping[str, str]) -> dict[str, Any]:
    """Where the panel asks for what, and what it listens to."""
    ref = ref_of(opened.record)
    carried = {name: params[name] for name in CARRIED if opened.by_token and params.get(name)}
    channel = public_channel(ref) if opened.public else live.record_channel(ref.model, ref.pk)
    return {
        "record": opened.record,
        "ref": ref,
        "public": opened.public,
        "may_post": opened.may_post,
        "may_note": opened.may_post and not opened.public,
        "base_url": f"/chatter/{ref.model}/{ref.pk}/",
        "carried": urlencode(carried),
        "watch": "" if opened.by_token else f"{ref.model}:{ref.pk}",
        "channel": channel,
        "live_url": "/live/",
    }


def panel_context(opened: OpenThread, params: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the panel of a record shows. Fewer than twenty queries, whatever there is."""
    context = frame_context(opened, params)
    context["page"] = thread_of(opened.record, opened.actor, public=opened.public)
    if opened.public:
        return context
    ref = ref_of(opened.record)
    followers = followers_of(opened.record)
    known = people(row.partner_id for row in followers)
    context["followers"] = [
        {
            "person": person_view(row.partner, opened.actor),
            "employee": row.partner_id in known and known[row.partner_id].is_employee,
        }
        for row in followers
    ]
    context["is_following"] = any(row.partner_id == opened.actor.partner_pk for row in followers)
    context["outsiders"] = [item["person"].name for item in context["followers"] if not item["employee"]]
    context["activities"] = activities_of(opened.record, opened.actor)
    files = files_of_record(ref.model, ref.pk, opened.actor).filter(content_id="")
    context["files"] = file_views(files[:MAX_FILES])
    return context


def composer_context(opened: OpenThread) -> dict[str, Any]:
    """Choices for planning an activity on a record."""
    actor = opened.actor
    ref = ref_of(opened.record)
    today = today_in(actor.timezone)
    kinds = visible(ActivityType, actor, queryset=offered_types(ref.model))
    users = visible(User, actor).filter(active=True, kind=UserKind.INTERNAL).order_by("name", "pk")
    plans = visible(ActivityPlan, actor).filter(active=True, model__iexact=ref.model)
    return {
        **frame_context(opened, {}),
        "kinds": [{"kind": kind, "deadline": default_deadline(kind, today=today)} for kind in kinds],
        "users": users[:500],
        "plans": plans,
        "me": actor.user_pk,
        "today": today,
    }
