"""Serving files: by right or by the file's token, never more than that, in the least harmful way.

Whatever is not there for the asker answers 404. What a browser may not be trusted with is sent as a download, under a
policy that lets it load nothing and with its type nailed down.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from apps.chatter.models import Attachment
from apps.chatter.models.threads import thread_models
from apps.chatter.pictures import NotAPicture, parse_size, scalable, scaled
from apps.chatter.selectors.files import field_attachment, open_attachment, readable_attachment
from apps.chatter.services.attachments import clean_name
from apps.chatter.sniffing import may_show_inline
from apps.core.errors import BusinessError, NotVisible

logger = logging.getLogger("meridian.files")

CHUNK = 64 * 1024
CACHED_PICTURE_BYTES = 512 * 1024
CACHED_PICTURE_SECONDS = 24 * 3600
_RANGE = re.compile(r"\Abytes=(\d*)-(\d*)\Z")
_FRAMEABLE = ("application/pdf", "image/", "audio/", "video/")  # shown by viewers that a sandbox would break


@require_safe
def content(request: HttpRequest, pk: int, filename: str = "") -> HttpResponseBase:
    """A file: inline where that is safe, else (or with ``download``) to be saved. Ranges and ETags are honoured."""
    return _serve(request, _attachment(request, pk), filename=filename)


@require_safe
def field_content(
    request: HttpRequest, model: str, pk: int, field: str, filename: str = ""
) -> HttpResponseBase:
    """The file that is the value of a record's field."""
    return _serve(request, _field_attachment(request, model, pk, field), filename=filename)


@require_safe
def image(request: HttpRequest, pk: int, size: str = "", filename: str = "") -> HttpResponseBase:
    """A picture, scaled down to fit ``size`` or ``width`` and ``height`` (to fill them with ``crop``)."""
    return _picture(request, _attachment(request, pk), size)


@require_safe
def field_image(request: HttpRequest, model: str, pk: int, field: str, size: str = "") -> HttpResponseBase:
    return _picture(request, _field_attachment(request, model, pk, field), size)


# -------------------------------------------------------------------------------------------------------- finding
def _attachment(request: HttpRequest, pk: int) -> Attachment:
    try:
        return readable_attachment(pk, request.actor, token=request.GET.get("access_token", ""))  # type: ignore[attr-defined]
    except BusinessError as exc:
        raise Http404 from exc


def _field_attachment(request: HttpRequest, model: str, pk: int, field: str) -> Attachment:
    """Rights are those of the attachment row, which follow the record and the roles of the field."""
    found = field_attachment(model, pk, field) if model.lower() in thread_models() else None
    try:
        if found is None:
            raise NotVisible()
        return readable_attachment(found.pk, request.actor, token=request.GET.get("access_token", ""))  # type: ignore[attr-defined]
    except BusinessError as exc:
        raise Http404 from exc


def _yes(request: HttpRequest, name: str) -> bool:
    return request.GET.get(name, "").lower() in ("1", "true", "yes", "on")


# -------------------------------------------------------------------------------------------------------- serving
def _serve(request: HttpRequest, attachment: Attachment, *, filename: str = "") -> HttpResponseBase:
    etag = f'"{attachment.checksum}"'
    if _matches(request.headers.get("If-None-Match", ""), etag):
        return _dress(HttpResponse(status=304), request, attachment, etag)
    span = _range_of(request, attachment.size, etag)
    if span == "outside":
        answer = HttpResponse(status=416)
        answer["Content-Range"] = f"bytes */{attachment.size}"
        return _dress(answer, request, attachment, etag)
    start, length = span if isinstance(span, tuple) else (0, attachment.size)
    file = _open(attachment)
    body = StreamingHttpResponse(_Span(file, start, length), status=206 if isinstance(span, tuple) else 200)
    body["Content-Length"] = str(length)
    body["Accept-Ranges"] = "bytes"
    if isinstance(span, tuple):
        body["Content-Range"] = f"bytes {start}-{start + length - 1}/{attachment.size}"
    inline = may_show_inline(attachment.mimetype) and not _yes(request, "download")
    name = clean_name(request.GET.get("filename", "") or filename or attachment.name)
    body["Content-Disposition"] = content_disposition_header(not inline, name) or "attachment"
    return _dress(body, request, attachment, etag)


def _dress(
    answer: HttpResponseBase, request: HttpRequest, attachment: Attachment, etag: str
) -> HttpResponseBase:
    """Headers of every answer with a file: its type is final, it may load nothing, caches keep it to themselves."""
    mimetype = attachment.mimetype
    if answer.status_code in (200, 206):
        answer["Content-Type"] = f"{mimetype}; charset=utf-8" if mimetype.startswith("text/") else mimetype
    elif answer.status_code == 304:
        del answer["Content-Type"]
    _secure(answer, mimetype)
    answer["ETag"] = etag
    _cache_headers(answer, request)
    return answer


def _secure(answer: HttpResponseBase, mimetype: str) -> None:
    sandbox = "" if mimetype.startswith(_FRAMEABLE) else "; sandbox"
    answer["Content-Security-Policy"] = f"default-src 'none'{sandbox}"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Referrer-Policy"] = "no-referrer"


def _cache_headers(answer: HttpResponseBase, request: HttpRequest) -> None:
    patch_vary_headers(answer, ("Cookie",))
    if request.GET.get("unique"):
        answer["Cache-Control"] = "private, max-age=31536000, immutable"
    else:
        answer["Cache-Control"] = "private, no-cache"


def _open(attachment: Attachment) -> BinaryIO:
    try:
        return open_attachment(attachment)
    except (FileNotFoundError, OSError) as exc:
        logger.error("the content %s of file %s cannot be read: %s", attachment.checksum, attachment.pk, exc)
        raise Http404 from exc


class _Span:
    """Part of a file in chunks. A class and not a generator, because a generator that nobody began to read (HEAD, a
    visitor who has gone) does not close its file."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        if self._start:
            self._file.seek(self._start)
        left = self._length
        while left > 0 and (chunk := self._file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
        self.close()

    def close(self) -> None:
        self._file.close()


def _matches(header: str, etag: str) -> bool:
    offered = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in offered or etag in offered


def _range_of(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | str | None:
    """Start and length that were asked for; ``outside`` when there is nothing there; ``None`` for the whole file (also
    for several ranges, which nobody is obliged to serve)."""
    found = _RANGE.match(request.headers.get("Range", "").strip())
    if found is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    if start >= size or start > end:
        return "outside"
    return start, end - start + 1


# ------------------------------------------------------------------------------------------------------- pictures
def _picture(request: HttpRequest, attachment: Attachment, size: str) -> HttpResponseBase:
    wanted = parse_size(size) or parse_size(f"{request.GET.get('width', '')}x{request.GET.get('height', '')}")
    if wanted is None or not scalable(attachment.mimetype) or _yes(request, "download"):
        return _serve(request, attachment)
    crop = _yes(request, "crop")
    variant = f"{wanted[0]}x{wanted[1]}{'c' if crop else ''}"
    etag = f'"{attachment.checksum}-{variant}"'
    if _matches(request.headers.get("If-None-Match", ""), etag):
        return _dress(HttpResponse(status=304), request, attachment, etag)
    key = f"chatter.picture.{attachment.checksum}.{variant}"
    made = cache.get(key)
    if made is None:
        try:
            with _open(attachment) as file:
                made = scaled(file, wanted, crop=crop)
        except NotAPicture as exc:
            logger.info("file %s cannot be scaled: %s", attachment.pk, exc)
            return _serve(request, attachment)
        if len(made[0]) <= CACHED_PICTURE_BYTES:
            cache.set(key, made, CACHED_PICTURE_SECONDS)
    body, mimetype = made
    answer = HttpResponse(body, content_type=mimetype)
    _secure(answer, mimetype)
    answer["Content-Disposition"] = content_disposition_header(False, clean_name(attachment.name)) or "inline"
    answer["ETag"] = etag
    _cache_headers(answer, request)
    return answer
