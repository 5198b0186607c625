"""Asking for documents, rendering them on a worker, and serving what is ready."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.chatter.models import Attachment
from apps.chatter.services.attachments import make_attachments
from apps.chatter.types import NewFile, RecordRef
from apps.core.actions import action
from apps.core.actor import PORTAL, PUBLIC, Actor, system_from_snapshot
from apps.core.checks import resolve
from apps.core.config import get_setting
from apps.core.declarations import ReportSpec
from apps.core.errors import NotVisible, Unavailable, ValidationFailed
from apps.core.jobs.handle import RunHandle
from apps.core.queue import enqueue_on_commit
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work
from apps.reports.engine import available_reports, render_html, render_pdf
from apps.reports.models import RenderedDocument
from apps.reports.types import Archive

logger = logging.getLogger("meridian.reports")

RENDER_TASK = "reports.render"
TEMPLATE_VERSION = "1"
MAX_RECORDS = 200
PURGE_BATCH = 5000
State = RenderedDocument.State


def reports_for(model: Any, *, portal: bool = False) -> list[ReportSpec]:
    """Declared documents of a kind of record."""
    label = model._meta.label_lower
    return [s for s in available_reports().values() if s.model.lower() == label and (s.portal or not portal)]


def request_document(
    code: str, pks: Sequence[int], *, actor: Actor, trusted: bool = False
) -> RenderedDocument:
    """Ask for a document of records that the actor may view; it may be ready at once.

    ``trusted`` is for callers that checked the right themselves (a link with a token). Errors: ``ValidationFailed``
    for an unknown report, ``NotVisible`` when any of the records is not the actor's to see.
    """
    order = _order(code, pks, actor=actor, trusted=trusted)
    kept = _kept(order)
    if kept is not None:
        return _of_archive(order, kept, actor)
    with unit_of_work(actor):
        document, _made = RenderedDocument.objects.get_or_create(
            key=order.key,
            defaults={
                "report": order.code,
                "model": order.model,
                "pks": order.pks,
                "language": actor.language,
                "actor": order.asker,
                "filename": order.filename,
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


def _archive(code: str, pks: Sequence[int]) -> Archive | None:
    spec = available_reports()[code]
    return resolve(spec.archive) if spec.archive and len(pks) == 1 else None


def _kept(order: _Order) -> Attachment | None:
    archive = _archive(order.code, order.pks)
    return archive.find(order.pks[0]) if archive is not None else None


def _of_archive(order: _Order, kept: Attachment, actor: Actor) -> RenderedDocument:
    """The row of a document that the archive has; one for all readers, whatever their language."""
    key = hashlib.sha256(f"archive:{order.code}:{kept.pk}".encode()).hexdigest()
    with unit_of_work(actor):
        document, _made = RenderedDocument.objects.get_or_create(
            key=key,
            defaults={
                "report": order.code,
                "model": order.model,
                "pks": order.pks,
                "language": actor.language,
                "actor": order.asker,
                "filename": kept.name,
                "created_by_id": actor.user_pk,
                "state": State.READY,
                "attachment": kept,
            },
        )
    return document


def document_html(code: str, pks: Sequence[int], *, actor: Actor, trusted: bool = False) -> str:
    """The page that the PDF is made of, at once and not kept; rights and errors as in ``request_document``."""
    order = _order(code, pks, actor=actor, trusted=trusted)
    return _page(available_reports()[code], order.pks, order.asker)


@dataclass(frozen=True, slots=True)
class _Order:
    """A wish whose rights are checked. ``asker`` is what a worker needs to know of who asks."""

    key: str
    code: str
    model: str
    pks: list[int]
    asker: dict[str, Any]
    filename: str


def _order(code: str, pks: Sequence[int], *, actor: Actor, trusted: bool) -> _Order:
    spec = available_reports().get(code)
    if spec is None:
        raise ValidationFailed(_("There is no report '%(code)s'.") % {"code": code})
    if actor.kind in (PORTAL, PUBLIC) and not spec.portal:
        raise NotVisible()
    model = apps.get_model(spec.model)
    wanted = sorted({int(pk) for pk in pks})
    if len(wanted) > MAX_RECORDS:
        raise ValidationFailed(_("A document shows at most %(n)s records.") % {"n": MAX_RECORDS})
    rows = (
        model._base_manager.filter(pk__in=wanted) if trusted else visible(model, actor).filter(pk__in=wanted)
    )
    records = list(rows.order_by("pk"))
    if not wanted or len(records) != len(wanted):
        raise NotVisible()
    companies = {getattr(record, "company_id", None) for record in records}
    company = next(iter(companies)) if len(companies) == 1 else None
    asker = {
        **actor.snapshot(),
        "internal": actor.is_internal or actor.is_system,
        "company": company or actor.company_pk,  # the letterhead is that of the records when they agree
    }
    return _Order(
        _key(spec, records, asker), code, model._meta.label_lower, wanted, asker, filename_of(spec, records)
    )


def _key(spec: ReportSpec, records: Sequence[Any], asker: Mapping[str, Any]) -> str:
    """Digest of all that the content depends on. Messages and the like do not count, the record's version does.
    The day counts, because documents say when they were printed and what is overdue."""
    facts = [
        TEMPLATE_VERSION,
        spec.code,
        asker["language"],
        asker["timezone"],
        asker["internal"],
        asker["company"],
        [
            (record.pk, getattr(record, "version", 0), str(getattr(record, "updated_at", "")))
            for record in records
        ],
        timezone.localdate().isoformat(),
    ]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def filename_of(spec: ReportSpec, records: Sequence[Any]) -> str:
    """A safe file name: ``{title}``, ``{pk}``, ``{name}`` and ``{slug}`` of the first record, ``(+n)`` for several."""
    first = records[0]
    slug = re.sub(r"\W+", "_", str(first))
    text = spec.filename.format(title=str(spec.title), pk=first.pk, name=str(first), slug=slug)
    clean = re.sub(r"[^\w.-]+", "_", text).strip("_.")[:120] or "document"
    return f"{clean}{f'_and_{len(records) - 1}_more' if len(records) > 1 else ''}.pdf"


def render(pk: int) -> str:
    """Render one document, on a worker; answers its state. Safe to call at any time and by several: the row is
    locked while it is rendered, who comes second does nothing, and the lock of a dead worker is gone with it."""
    waiting = RenderedDocument.objects.filter(pk=pk, state__in=(State.QUEUED, State.RENDERING))
    with transaction.atomic():  # everybody may see that it has begun
        if waiting.select_for_update(skip_locked=True).first() is not None:
            waiting.update(state=State.RENDERING, claimed_at=timezone.now())
    with transaction.atomic():
        document = waiting.select_for_update(skip_locked=True).first()
        if document is not None:
            RenderedDocument.objects.filter(pk=pk).update(**_outcome(document))
    found = RenderedDocument.objects.filter(pk=pk).values_list("state", flat=True).first()
    return str(found) if found else "gone"


def _outcome(document: RenderedDocument) -> dict[str, Any]:
    """Render and store; answers the columns to write, whichever way it went."""
    started = time.perf_counter()
    try:
        with transaction.atomic():
            stored = _rendered(document)
    except Exception as exc:
        logger.exception("document %s could not be rendered", document.pk)
        return {
            "state": State.FAILED,
            "error": f"{type(exc).__name__}: {exc}"[:4000],
            "updated_at": timezone.now(),
        }
    seconds = Decimal(str(round(time.perf_counter() - started, 3)))
    return {
        "state": State.READY,
        "attachment": stored,
        "seconds": seconds,
        "error": "",
        "updated_at": timezone.now(),
    }


def _rendered(document: RenderedDocument) -> Attachment:
    """The file of a document: in its archive when it is one to keep, else with the row that asked for it."""
    spec = available_reports()[document.report]
    actor = system_from_snapshot(document.actor)
    archive = _archive(document.report, document.pks)
    # Asked before the page is built: what changes meanwhile gives the record another mark.
    mark = archive.mark(document.pks[0], internal=document.actor.get("internal", False)) if archive else ""
    content = render_pdf(_page(spec, document.pks, document.actor))
    file = NewFile(document.filename, content, mimetype="application/pdf", trusted=True)
    if archive is not None and mark:
        return archive.keep(document.pks[0], mark, file, actor=actor)
    ref = RecordRef(document._meta.label_lower, document.pk)
    return make_attachments([file], actor=actor, ref=ref)[0]


def _page(spec: ReportSpec, pks: Sequence[int], asker: Mapping[str, Any]) -> str:
    """The builder reads with the system's rights on behalf of who asked: his right to the records was checked."""
    actor = system_from_snapshot(asker)
    build = resolve(spec.builder)
    with translation.override(actor.language):
        context = build(list(pks), actor=actor)
    return render_html(
        spec.template,
        {
            **context,
            "report": spec,
            "actor": actor,
            "internal": asker.get("internal", False),
            "printed_at": timezone.now(),
        },
        language=actor.language,
        tz=actor.timezone,
    )


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
            raise Unavailable(
                _("The document could not be rendered. An administrator sees why under 'Rendered documents'.")
            )
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


def purge_job(run: RunHandle) -> None:
    """Remove documents that were rendered long ago; their contents follow with the files nobody uses."""
    run.log(_("%(count)s documents removed.") % {"count": purge()})


def purge() -> int:
    """Remove documents older than ``reports.keep_days``; what is asked for again is rendered again."""
    before = timezone.now() - timedelta(days=int(get_setting("reports.keep_days")))
    old = list(
        RenderedDocument.objects.filter(updated_at__lt=before).values_list("pk", flat=True)[:PURGE_BATCH]
    )
    with transaction.atomic():
        RenderedDocument.objects.filter(pk__in=old).delete()
        Attachment.objects.filter(model=RenderedDocument._meta.label_lower, object_id__in=old).delete()
    return len(old)
