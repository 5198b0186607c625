"""Threads in the browser: fragments for the panel of a record, and what its buttons do.

The same addresses serve employees and customers. Who may see what is decided by ``open_thread`` (the record's rules,
or a link with a token) and by the services; a fragment never holds more than its reader may know.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import render
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.access.constants import UserKind
from apps.access.models import User
from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import ActivityPlan, ActivityType, Attachment, Message
from apps.chatter.panel import composer_context, panel_context
from apps.chatter.selectors.access import OpenThread, open_thread
from apps.chatter.selectors.activities import due_count
from apps.chatter.selectors.files import file_url, require_pending
from apps.chatter.selectors.inbox import failure_count, inbox, unread_count
from apps.chatter.selectors.threads import followers_of, thread_of
from apps.chatter.services import inbox as inbox_services
from apps.chatter.services.activities import (
    cancel_activities,
    finish_activities,
    launch_plan,
    plan_activity,
    snooze_activities,
)
from apps.chatter.services.attachments import drop_pending, upload_pending
from apps.chatter.services.following import follow as start_following
from apps.chatter.services.following import unfollow as stop_following
from apps.chatter.services.messages import edit_message, remove_message
from apps.chatter.services.posting import post_message
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.errors import BusinessError, NotAuthenticated, NotVisible, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import get_visible, visible

MAX_FILES = 20
View = Callable[..., HttpResponseBase]


def _answers_errors(view: View) -> View:
    """Refusals as JSON in the shape that every interface uses. Who has no login is told no more than "not found"."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except BusinessError as exc:
            body = {**exc.as_dict(), "trace_id": getattr(request, "trace_id", "")}
            return JsonResponse(body, status=exc.status)

    return never_cache(answer)


def _open(request: HttpRequest, model: str, pk: int) -> OpenThread:
    params = {**request.GET.dict(), **(request.POST.dict() if request.method == "POST" else {})}
    return open_thread(model, pk, request.actor, params)  # type: ignore[attr-defined]


def _employee(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.is_internal:
        raise NotVisible()
    return actor


def _signed_in(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if actor.user_pk is None:
        raise NotAuthenticated()
    return actor


# ------------------------------------------------------------------------------------------------------- fragments
@require_GET
@_answers_errors
def thread(request: HttpRequest, model: str, pk: int) -> HttpResponse:
    """The whole panel of a record."""
    opened = _open(request, model, pk)
    if opened.actor.is_internal:
        inbox_services.mark_thread_read(opened.record, actor=opened.actor)
    return render(request, "chatter/panel_content.html", panel_context(opened, request.GET))


@require_GET
@_answers_errors
def messages(request: HttpRequest, model: str, pk: int) -> HttpResponse:
    """A page of messages: ``before`` continues, ``q`` searches."""
    opened = _open(request, model, pk)
    before = request.GET.get("before", "")
    page = thread_of(
        opened.record,
        opened.actor,
        before=int(before) if before.isdigit() and len(before) < 19 else None,
        text=request.GET.get("q", ""),
        public=opened.public,
    )
    context = {"page": page, "public": opened.public, "query": request.GET.get("q", "")}
    return render(request, "chatter/messages.html", context)


@require_GET
@_answers_errors
def composer(request: HttpRequest, model: str, pk: int) -> HttpResponse:
    """The form for planning an activity; loaded when somebody wants to."""
    _employee(request)
    opened = _open(request, model, pk)
    return render(request, "chatter/activity_form.html", composer_context(opened))


@require_GET
@_answers_errors
def people(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    """Whom one may mean by ``@``: colleagues and followers; for customers, the followers only."""
    opened = _open(request, model, pk)
    text = request.GET.get("q", "").strip()[:80]
    followers = {row.partner_id for row in followers_of(opened.record)}
    if opened.public:
        raise NotVisible()
    rows = visible(Partner, opened.actor).filter(active=True)
    colleague = Q(user__active=True, user__kind=UserKind.INTERNAL)
    rows = rows.filter(colleague | Q(pk__in=followers))
    for word in text.split()[:4]:
        rows = rows.filter(Q(complete_name__icontains=word) | Q(email__icontains=word))
    found = rows.select_related("user").order_by("complete_name", "pk")[:10]
    return JsonResponse(
        {
            "people": [
                {
                    "pk": row.pk,
                    "name": str(row),
                    "email": row.email,
                    "employee": row.user is not None and row.user.kind == UserKind.INTERNAL,
                }
                for row in found
            ]
        }
    )


# --------------------------------------------------------------------------------------------------------- writing
@require_POST
@_answers_errors
def post(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    """Post a comment or (``kind=note``) a note. ``attachment`` names pending files, as ``pk`` or ``pk:token``."""
    opened = _open(request, model, pk)
    if not opened.may_post:
        raise PermissionDenied(_("You may read here, but not write."))
    kind = request.POST.get("kind", "comment")
    if kind not in ("comment", "note"):
        raise ValidationFailed(fields={"kind": [_("Choose comment or note.")]})
    if opened.public and kind == "note":
        raise PermissionDenied(_("Notes are for employees."))
    pks, tokens = _named_files(request.POST)
    options: dict[str, Any] = {}
    actor = opened.actor
    if opened.by_token:
        actor = system_actor(channel="portal", company_pk=getattr(opened.record, "company_id", None))
        options["author_partner"] = opened.writes_as
        require_pending(pks, tokens)
    else:
        options["recipients"] = _numbers(request.POST, "recipient")
        options["parent"] = next(iter(_numbers(request.POST, "parent")), None)
    message = post_message(
        opened.record,
        actor=actor,
        body=request.POST.get("body", ""),
        body_format="text",
        subject=request.POST.get("subject", "")[:500],
        subtype=NOTE if kind == "note" else COMMENT,
        attachment_pks=pks,
        attachment_tokens=tokens,
        **options,
    )
    return JsonResponse({"message": message.pk}, status=201)


@require_POST
@_answers_errors
def upload(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    """Files (``file``) for the message that is being written; they become part of the thread when it is sent."""
    opened = _open(request, model, pk)
    if not opened.may_post:
        raise PermissionDenied(_("You may read here, but not write."))
    given = request.FILES.getlist("file")
    if not given or len(given) > MAX_FILES:
        raise ValidationFailed(fields={"file": [_("Send between 1 and %(n)s files.") % {"n": MAX_FILES}]})
    actor = system_actor(channel="portal") if opened.by_token else opened.actor
    made = upload_pending([_new_file(file) for file in given], actor=actor)
    return JsonResponse(
        {
            "files": [
                {
                    "pk": row.pk,
                    "name": row.name,
                    "size": row.size,
                    "mimetype": row.mimetype,
                    "checksum": row.checksum,
                    "access_token": row.access_token,
                    "url": file_url(row),
                }
                for row in made
            ]
        },
        status=201,
    )


def _new_file(file: UploadedFile) -> NewFile:
    return NewFile(file.name or "", file.file, mimetype=file.content_type or "")  # type: ignore[arg-type]


def _named_files(data: QueryDict) -> tuple[list[int], dict[int, str]]:
    pks, tokens = [], {}
    for item in data.getlist("attachment"):
        number, _colon, token = item.partition(":")
        if not number.isdigit() or len(number) > 18:
            raise ValidationFailed(fields={"attachment": [_("Files are named by their number.")]})
        pks.append(int(number))
        if token:
            tokens[int(number)] = token
    return pks, tokens


def _numbers(data: QueryDict, name: str) -> list[int]:
    given = [item for item in data.getlist(name) if item]
    if not all(item.isdigit() and len(item) < 19 for item in given):
        raise ValidationFailed(fields={name: [_("Records are named by their number.")]})
    return [int(item) for item in given]


@require_POST
@_answers_errors
def edit(request: HttpRequest, pk: int) -> JsonResponse:
    actor = _signed_in(request)
    message = get_visible(Message, pk, actor)
    edit_message(message, request.POST.get("body", ""), actor=actor, body_format="text")
    return JsonResponse({"message": message.pk})


@require_POST
@_answers_errors
def remove(request: HttpRequest, pk: int) -> JsonResponse:
    actor = _signed_in(request)
    remove_message(get_visible(Message, pk, actor), actor=actor)
    return JsonResponse({"message": pk})


@require_POST
@_answers_errors
def remove_file(request: HttpRequest, pk: int) -> JsonResponse:
    """Take a file away: one's own upload before it is sent (by its token, too), or a file of a record one writes to."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    token = request.POST.get("file_token", "")
    if not (token and drop_pending(pk, token)):
        service_for(Attachment).delete([get_visible(Attachment, pk, _signed_in(request))], actor=actor)
    return JsonResponse({"file": pk})


# ------------------------------------------------------------------------------------------------------- following
@require_POST
@_answers_errors
def follow(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    """Follow, or with ``partner`` make others follow; ``subtype`` (codes, several) chooses what they are told."""
    actor = _employee(request)
    opened = _open(request, model, pk)
    partners = _numbers(request.POST, "partner")
    subtypes = request.POST.getlist("subtype")
    start_following(opened.record, partners or None, actor=actor, subtypes=subtypes or None)
    return JsonResponse({"following": True})


@require_POST
@_answers_errors
def unfollow(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    actor = _employee(request)
    opened = _open(request, model, pk)
    stop_following(opened.record, _numbers(request.POST, "partner") or None, actor=actor)
    return JsonResponse({"following": False})


# ------------------------------------------------------------------------------------------------------ activities
@require_POST
@_answers_errors
def plan(request: HttpRequest, model: str, pk: int) -> JsonResponse:
    """Plan an activity (``type``, ``summary``, ``note``, ``deadline``, ``assignee``), or launch a ``plan``."""
    actor = _employee(request)
    opened = _open(request, model, pk)
    deadline = _date(request.POST.get("deadline", ""))
    assignee = next(iter(_numbers(request.POST, "assignee")), None)
    chosen_plan = next(iter(_numbers(request.POST, "plan")), None)
    if chosen_plan is not None:
        made = launch_plan(
            opened.record,
            get_visible(ActivityPlan, chosen_plan, actor),
            actor=actor,
            date=deadline,
            assignee=assignee,
        )
        return JsonResponse({"activities": [row.pk for row in made]}, status=201)
    kind = next(iter(_numbers(request.POST, "type")), None)
    if kind is None:
        raise ValidationFailed(fields={"type": [_("Choose a type.")]})
    made_one = plan_activity(
        opened.record,
        actor=actor,
        type=get_visible(ActivityType, kind, actor),
        summary=request.POST.get("summary", "")[:200],
        note=request.POST.get("note", ""),
        deadline=deadline,
        assignee=get_visible(User, assignee, actor) if assignee is not None else None,
    )
    return JsonResponse({"activities": [made_one.pk]}, status=201)


def _date(text: str) -> Any:
    if not text:
        return None
    try:
        found = parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise ValidationFailed(fields={"deadline": [_("Enter a date.")]})
    return found


@require_POST
@_answers_errors
def act(request: HttpRequest, pk: int, name: str) -> JsonResponse:
    """Finish (with ``feedback``), put off (``days``) or call off an activity."""
    actor = _employee(request)
    if name == "done":
        files = visible(Attachment, actor).filter(pk__in=_named_files(request.POST)[0])
        finish_activities(
            [pk], actor=actor, feedback=request.POST.get("feedback", ""), attachments=list(files)
        )
    elif name == "snooze":
        snooze_activities([pk], actor=actor, days=next(iter(_numbers(request.POST, "days")), 7))
    else:
        cancel_activities([pk], actor=actor)
    return JsonResponse({"activity": pk})


# ----------------------------------------------------------------------------------------------------------- inbox
@require_GET
@_answers_errors
def inbox_state(request: HttpRequest) -> JsonResponse:
    """Counters for the badge in the page's head."""
    actor = _signed_in(request)
    return JsonResponse(
        {"unread": unread_count(actor), "failed": failure_count(actor), "due": due_count(actor)}
    )


@require_GET
@_answers_errors
def inbox_page(request: HttpRequest) -> HttpResponse:
    """What the reader was told (``history=1``: and has dealt with), as a fragment."""
    actor = _signed_in(request)
    before = request.GET.get("before", "")
    history = request.GET.get("history") == "1"
    entries = inbox(
        actor, history=history, before=int(before) if before.isdigit() and len(before) < 19 else None
    )
    return render(request, "chatter/inbox.html", {"entries": entries, "history": history})


@require_POST
@_answers_errors
def inbox_read(request: HttpRequest) -> JsonResponse:
    """Mark one notification (``pk``) or all of them as dealt with."""
    actor = _signed_in(request)
    pks = _numbers(request.POST, "pk")
    if pks:
        inbox_services.mark_notifications_read(pks, actor=actor)
    else:
        inbox_services.mark_all_read(actor=actor)
    return JsonResponse({"unread": unread_count(actor)})


@require_POST
@_answers_errors
def failures_cancel(request: HttpRequest, pk: int) -> JsonResponse:
    """Put the failures of one's own message aside."""
    actor = _signed_in(request)
    return JsonResponse({"canceled": inbox_services.cancel_failures([pk], actor=actor)})
