"""Downloads of many documents at once: all that were asked for, or none."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import wraps
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.accounting.models import Invoice
from apps.accounting.selectors.documents import INVOICE, official_documents
from apps.chatter.models import Attachment
from apps.chatter.selectors.files import open_attachment
from apps.chatter.services.attachments import clean_name
from apps.core.actor import Actor
from apps.core.errors import BusinessError, NotVisible, PermissionDenied, ValidationFailed
from apps.core.rules import visible
from apps.portal.base import actor_of, portal_page
from apps.reports.services.rendering import request_document, wait_for

MOST = 200
IN_MEMORY = 8 * 1024 * 1024
CHUNK = 256 * 1024
DOCUMENT = "accounting.invoice"
FILETYPES = ("pdf", "ubl", "all")
View = Callable[..., HttpResponseBase]


def _download(view: View) -> View:
    """Who is not signed in signs in first. Unlike a page, a refused download says so (403), whether there is such a
    document or not."""

    @require_safe
    @portal_page()
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except BusinessError as exc:
            refused = isinstance(exc, NotVisible | PermissionDenied)
            message = _("You may not read all of these documents.") if refused else exc.message
            response = HttpResponse(
                message, status=403 if refused else exc.status, content_type="text/plain; charset=utf-8"
            )
            if exc.status == 503:
                response["Retry-After"] = "3"
            return response

    return guarded


@_download
def download_documents(request: HttpRequest, pks: str, filetype: str | None = None) -> HttpResponseBase:
    """The official PDFs: one as it is, several as a zip in the order asked for. Where there is none yet a pro forma takes
    its place, unless ``allow_fallback`` says no. Structured documents (``ubl``) are served where they were stored."""
    actor, wanted = actor_of(request), _keys(pks)
    if filetype is not None and filetype not in FILETYPES:
        return HttpResponse(status=404)
    if visible(Invoice, actor).filter(pk__in=wanted).count() != len(wanted):
        raise NotVisible()
    if filetype == "ubl":
        return HttpResponse(status=404)
    files = _pdfs(wanted, actor, fallback=_yes(request.GET.get("allow_fallback"), default=True))
    return _answer(files, "invoices.zip")


def _pdfs(pks: Sequence[int], actor: Actor, *, fallback: bool) -> list[tuple[str, Attachment]]:
    official = official_documents(pks)
    # All are asked for before the first is waited for, so that workers render them side by side.
    ordered = {
        pk: request_document(DOCUMENT, [pk], actor=actor) for pk in pks if fallback and pk not in official
    }
    files = []
    for pk in pks:
        if pk in official:
            files.append((official[pk].name, official[pk]))
        elif pk in ordered:
            files.append((ordered[pk].filename, wait_for(ordered[pk])))
    return files


@_download
def download_attachments(request: HttpRequest, pks: str) -> HttpResponseBase:
    """Files of documents, as they came: one as it is, several as a zip."""
    wanted = _keys(pks)
    rows = visible(Attachment, actor_of(request)).filter(pk__in=wanted).select_related("stored").in_bulk()
    if len(rows) != len(wanted):
        raise NotVisible()
    files = [rows[pk] for pk in wanted]
    if any(file.model != INVOICE for file in files):
        return HttpResponse(status=404)
    owners = {file.object_id for file in files if file.object_id is not None}
    name = "invoices.zip"
    if len(owners) == 1:
        number = Invoice.objects.filter(pk__in=owners).values_list("number", flat=True).first()
        name = f"{re.sub(r'[^A-Za-z0-9]+', '_', number or '') or 'invoices'}.zip"
    return _answer([(file.name, file) for file in files], name)


def _keys(text: str) -> list[int]:
    """Keys in their order, each once."""
    found = list(dict.fromkeys(int(part) for part in text.split(",") if part and len(part) < 19))
    if len(found) > MOST:
        raise ValidationFailed(_("At most %(most)s documents at a time.") % {"most": MOST})
    return found


def _yes(text: str | None, *, default: bool) -> bool:
    if text is None:
        return default
    known = {"true": True, "1": True, "false": False, "0": False, "": False}
    if text.lower() not in known:
        raise ValidationFailed(_("allow_fallback is true or false."))
    return known[text.lower()]


def _answer(files: Sequence[tuple[str, Attachment]], archive: str) -> HttpResponseBase:
    if not files:
        return HttpResponse(status=404)
    if len(files) == 1:
        name, file = files[0]
        response = FileResponse(
            open_attachment(file), as_attachment=True, filename=clean_name(name), content_type=file.mimetype
        )
        response["Content-Length"] = str(file.size)
    else:
        response = FileResponse(
            _zipped(files), as_attachment=True, filename=archive, content_type="application/zip"
        )
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _zipped(files: Sequence[tuple[str, Attachment]]) -> BinaryIO:
    """A zip of the files; large ones go to disk. Names are single path parts, each once."""
    target = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the response closes it
    taken: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for wanted, file in files:
            name = _free(clean_name(wanted), taken)
            with archive.open(name, "w") as entry, open_attachment(file) as source:
                while chunk := source.read(CHUNK):
                    entry.write(chunk)
    target.seek(0)
    return target  # type: ignore[return-value]


def _free(name: str, taken: set[str]) -> str:
    stem, dot, extension = name.rpartition(".")
    stem, extension = (stem, f".{extension}") if dot and stem else (name, "")
    chosen, number = name, 1
    while chosen.lower() in taken:
        number += 1
        chosen = f"{stem} ({number}){extension}"
    taken.add(chosen.lower())
    return chosen
