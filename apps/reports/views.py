"""``GET /reports/<code>/<pks>/``: the document of records that the user may see, as a download."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from apps.chatter.models import Attachment
from apps.chatter.selectors.files import open_attachment
from apps.core.actor import Actor
from apps.core.errors import BusinessError
from apps.core.html import html_to_text
from apps.reports.services.rendering import document_html, request_document, wait_for


def file_response(attachment: Attachment, filename: str, *, download: bool) -> FileResponse:
    """The stored file, byte for byte."""
    response = FileResponse(
        open_attachment(attachment),
        as_attachment=download,
        filename=filename,
        content_type=attachment.mimetype,
    )
    response["Content-Length"] = str(attachment.size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    return response


def document_response(
    code: str, pks: list[int], *, actor: Actor, download: bool = True, trusted: bool = False
) -> Any:
    """Ask for a document, wait for it, answer the file. Raises the business errors of the services."""
    document = request_document(code, pks, actor=actor, trusted=trusted)
    return file_response(wait_for(document), document.filename, download=download)


# The page of a document on its own: its styles and pictures, no script, no form, no frame around other sites.
_PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; font-src 'self'; sandbox; "
    "frame-ancestors 'self'"
)


def page_response(
    code: str, pks: list[int], *, actor: Actor, plain: bool = False, trusted: bool = False
) -> HttpResponse:
    """The document as a page, or (``plain``) as text. Raises the business errors of the services."""
    html = document_html(code, pks, actor=actor, trusted=trusted)
    if plain:
        body = html[html.find("<body") :] if "<body" in html else html
        return HttpResponse(html_to_text(body), content_type="text/plain; charset=utf-8")
    response = HttpResponse(html)
    response["Content-Security-Policy"] = _PAGE_POLICY
    return response


@require_safe
def download(request: HttpRequest, code: str, pks: str) -> HttpResponse:
    """``?inline=1`` shows the file instead of saving it. What is not the reader's looks like what does not exist."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if actor.user_pk is None:
        return redirect(f"/web/login?{urlencode({'redirect': request.get_full_path()})}")
    try:
        wanted = [int(part) for part in pks.split(",")]
        return document_response(code, wanted, actor=actor, download=request.GET.get("inline") != "1")
    except BusinessError as exc:
        response = HttpResponse(exc.message, status=exc.status, content_type="text/plain; charset=utf-8")
        if exc.status == 503:
            response["Retry-After"] = "3"
        return response
