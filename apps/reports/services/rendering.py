"""Asking for documents, rendering them on a worker, and serving what is ready."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.chatter.models import Attachment
from apps.chatter.services.attachments import make_attachments
from apps.chatter.types import NewFile
from apps.core.actions import action
from apps.core.actor import Actor, system_from_snapshot
from apps.core.checks import resolve
from apps.core.config import get_setting
from apps.core.declarations import ReportSpec
from apps.core.errors import NotVisible, Unavailable, ValidationFailed
from apps.core.queue import enqueue_on_commit
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work
from apps.reports.engine import available_reports, render_html, render_pdf
from apps.reports.models import RenderedDocument

logger = logging.getLogger("meridian.reports")

RENDER_TASK = "reports.render"
TEMPLATE_VERSION = "1"
State = RenderedDocument.State


def reports_for(model: Any, *, portal: bool = False) -> list[ReportSpec]:
    """Declared documents of a kind of record."""
    label = model._meta.label_lower
    return [s for s in available_reports().values() if s.model.lower() == label and (s.portal or not portal)]


def request_document(code: str, pks: Sequence[int], *, actor: Actor, trusted: bool = False) -> RenderedDocument:
    """Ask for a document of records that the actor may view; it may be ready at once.

    ``trusted`` is for callers that checked the right themselves (a link with a token). Errors: ``ValidationFailed``
    for an unknown report, ``NotVisible`` when any of the records is not the actor's to see.
    """
    spec = available_reports().get(code)
    if spec is None:
        raise ValidationFailed(_("There is no report '%(code)s'.") % {"code": code})
    if actor.kind in ("portal", "public") and not spec.portal:
        raise NotVisible()
    model = apps.get_model(spec.model)
    wanted = sorted({int(pk) for pk in pks})
    rows = model._base_manager.filter(pk__in=wanted) if trusted else visible(model, actor).filter(pk__in=wanted)
    records = list(rows.order_by("pk"))
    if not wanted or len(records) != len(wanted):
        raise NotVisible()
    internal = actor.is_internal or actor.is_system
    key = _key(spec, records, actor, internal=internal)
    with unit_of_work(actor):
        document, made = RenderedDocument.objects.get_or_create(
            key=key,
            defaults={
                "report": code,
                "model": model._meta.label_lower,
                "pks": wanted,
                "language": actor.language,
                "actor": {**actor.snapshot(), "internal": internal},
                "filename": filename_of(spec, records),
                "created_by_id": actor.user_pk,
            },
        )
        lost = document.state == State.READY and document.attachment_id is None
        if lost or document.state == State.FAILED:
            RenderedDocument.objects.filter(pk=document.pk).update(state=State.QUEUED, error="")
            document.state = State.QUEUED
        if document.state != State.READY:
            enqueue_on_commit(RENDER_TASK, document.pk, queue="render")
    return document


def _key(spec: ReportSpec, records: Sequence[Any], actor: Actor, *, internal: bool) -> str:
    """Digest of all that the content depends on. Messages and the like do not count, the record's version does."""
    facts = [
        TEMPLATE_VERSION,
        spec.code,
        actor.language,
        actor.timezone,
        internal,
        [(record.pk, getattr(record, "version", 0), str(getattr(record, "updated_at", ""))) for record in records],
        timezone.localdate().isoformat(),
    ]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def filename_of(spec: ReportSpec, records: Sequence[Any]) -> str:
    """A safe file name: ``{title}``, ``{pk}`` and ``{name}`` of the first record, ``(+n)`` for several."""
    first = records[0]
    text = spec.filename.format(title=str(spec.title), pk=first.pk, name=str(first))
    clean = re.sub(r"[^\w.-]+", "_", text).strip("_.")[:120] or "document"
    return f"{clean}{f'_and_{len(records) - 1}_more' if len(records) > 1 else ''}.pdf"


def render(pk: int) -> str:
    """Render one document, on a worker; answers its state. Safe to call twice: who comes second does nothing."""
    with transaction.atomic():
        document = RenderedDocument.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        if document is None or document.state == State.READY:
            return State.READY.value
        RenderedDocument.objects.filter(pk=pk).update(state=State.RENDERING, claimed_at=timezone.now())
    started = time.perf_counter()
    try:
        content = _content(document)
    except Exception as exc:  # noqa: BLE001 - a builder of any module may fail in any way; the row keeps the error
        logger.exception("document %s could not be rendered", pk)
        RenderedDocument.objects.filter(pk=pk).update(state=State.FAILED, error=f"{type(exc).__name__}: {exc}"[:4000])
        return State.FAILED.value
    seconds = Decimal(str(round(time.perf_counter() - started, 3)))
    actor = system_from_snapshot(document.actor)
    with unit_of_work(actor):
        stored = make_attachments(
            [NewFile(document.filename, content, mimetype="application/pdf", trusted=True)], actor=actor
        )[0]
        RenderedDocument.objects.filter(pk=pk).update(state=State.READY, attachment=stored, seconds=seconds, error="")
    return State.READY.value


def _content(document: RenderedDocument) -> bytes:
    spec = available_reports()[document.report]
    actor = system_from_snapshot(document.actor)
    build = resolve(spec.builder)
    context = build(document.pks, actor=actor)
    html = render_html(
        spec.template,
        {
            **context,
            "report": spec,
            "actor": actor,
            "internal": document.actor.get("internal", False),
            "printed_at": timezone.now(),
        },
        language=document.language,
        tz=document.actor.get("timezone", "UTC"),
    )
    return render_pdf(html)


def wait_for(document: RenderedDocument, *, seconds: float | None = None) -> Attachment:
    """The file of a document, waiting for the worker for a while.

    Errors: ``Unavailable`` when it is not ready in time (asking again helps) or could not be rendered.
    """
    limit = float(get_setting("reports.wait_seconds")) if seconds is None else seconds
    deadline = time.monotonic() + limit
    pause = 0.05
    while True:
        row = RenderedDocument.objects.select_related("attachment__stored").get(pk=document.pk)
        if row.state == State.READY and row.attachment is not None:
            return row.attachment
        if row.state == State.FAILED:
            raise Unavailable(_("The document could not be rendered. An administrator sees why under 'Rendered documents'."))
        if time.monotonic() >= deadline:
            raise Unavailable(_("The document is still being rendered. Try again in a moment."))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


@action(RenderedDocument, name="retry", permission="retry", title=gettext_lazy("Render again"), icon="replay")
def render_again(documents: Sequence[RenderedDocument], *, actor: Actor) -> None:
    """Render these documents once more."""
    pks = [document.pk for document in documents]
    RenderedDocument.objects.filter(pk__in=pks).update(state=State.QUEUED, error="")
    for pk in pks:
        enqueue_on_commit(RENDER_TASK, pk, queue="render")


def purge_job(run: Any) -> None:
    """Remove documents nobody asked for lately; their files follow with the files nobody uses."""
    import datetime

    before = timezone.now() - datetime.timedelta(days=int(get_setting("reports.keep_days")))
    old = list(RenderedDocument.objects.filter(updated_at__lt=before).values_list("pk", "attachment_id")[:5000])
    Attachment.objects.filter(pk__in=[pk for _doc, pk in old if pk]).delete()
    RenderedDocument.objects.filter(pk__in=[pk for pk, _file in old]).delete()
    run.log(_("%(count)s documents removed.") % {"count": len(old)})
