"""``GET /reports/<code>/<pks>/``: the document of records that the user may see, as a download."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from apps.chatter.models import Attachment
from apps.core.actor import Actor
from apps.core.errors import BusinessError
from apps.reports.services.rendering import request_document, wait_for


def file_response(attachment: Attachment, filename: str, *, download: bool) -> FileResponse:
    """The stored file, byte for byte."""
    response = FileResponse(
        attachment.open(), as_attachment=download, filename=filename, content_type=attachment.mimetype
    )
    response["Content-Length"] = str(attachment.size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    return response


def document_response(code: str, pks: list[int], *, actor: Actor, download: bool = True, trusted: bool = False) -> Any:
    """Ask for a document, wait for it, answer the file. Raises the business errors of the services."""
    document = request_document(code, pks, actor=actor, trusted=trusted)
    return file_response(wait_for(document), document.filename, download=download)


@require_GET
def download(request: HttpRequest, code: str, pks: str) -> HttpResponse:
    """``?inline=1`` shows the file instead of saving it."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if actor.user_pk is None:
        return redirect(f"/web/login?{urlencode({'redirect': request.get_full_path()})}")
    try:
        wanted = [int(part) for part in pks.split(",")][:200]
        return document_response(code, wanted, actor=actor, download=request.GET.get("inline") != "1")
    except BusinessError as exc:
        response = HttpResponse(exc.message, status=exc.status, content_type="text/plain; charset=utf-8")
        if exc.status == 503:
            response["Retry-After"] = "3"
        return response
