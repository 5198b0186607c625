"""Turning HTML into PDF with WeasyPrint, without a way out of the machine.

The renderer fetches nothing by itself: pictures come from our own store by the path that the page shows them with,
style sheets from the project's static files; every other address (http, file, ftp …) is refused. So a document can
neither read files of the server nor call services inside the network.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urlsplit

from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.template.loader import render_to_string
from django.utils import timezone, translation

from apps.chatter.selectors.files import read_attachment, readable_attachment
from apps.core import modules
from apps.core.actor import Actor
from apps.core.declarations import ReportSpec
from apps.core.errors import NotVisible

BASE = "https://documents.invalid"
_VISITOR = Actor()
_CONTENT = re.compile(r"\A/web/(?:content|image)/([0-9]{1,18})(?:/[^/]*)?\Z")
_STATIC = re.compile(r"\A(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*\Z")
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff"})
_STATIC_TYPES = {
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
}


class ForbiddenResource(ValueError):
    """A document asked for something outside of our own store."""


class Resource(NamedTuple):
    """What a document may load: bytes and their type."""

    content: bytes
    mimetype: str


def available_reports() -> dict[str, ReportSpec]:
    """Report declarations of all running modules, by code."""
    return {spec.code: spec for config in modules.running() for spec in config.report_specs}


def render_html(template: str, context: Mapping[str, Any], *, language: str, tz: str) -> str:
    """The page of a document in the reader's language and time zone."""
    with translation.override(language), timezone.override(tz or "UTC"):
        return render_to_string(template, dict(context))


def render_pdf(html: str) -> bytes:
    """The PDF of a page, with tags by which screen readers find their way. Needs Pango; about 0.15 s a page of text."""
    from weasyprint import HTML  # heavy: only workers that render pay for it

    return bytes(HTML(string=html, base_url=f"{BASE}/", url_fetcher=_fetcher()).write_pdf(pdf_tags=True))


@lru_cache(maxsize=1)
def _fetcher() -> Any:
    """WeasyPrint's fetcher with nothing of what it can do left but ``load``."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class StoreFetcher(URLFetcher):  # type: ignore[misc]
        """Should anything reach the inherited code, no protocol is allowed there either."""

        def __init__(self) -> None:
            super().__init__(allowed_protocols=(), allow_redirects=False)

        def fetch(self, url: str, headers: Any = None) -> Any:
            found = load(url)
            return URLFetcherResponse(url, body=found.content, headers={"Content-Type": found.mimetype})

    return StoreFetcher()


def load(url: str) -> Resource:
    """A resource of our own; ``ForbiddenResource`` for everything else."""
    if url[:5].lower() == "data:":
        return _inline(url[5:])
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ForbiddenResource("Documents may not load malformed addresses.") from exc
    if f"{parts.scheme}://{parts.netloc}" != BASE:
        raise ForbiddenResource(f"Documents may not load {parts.scheme or 'relative'} addresses.")
    path = unquote(parts.path)
    if path.startswith("/static/"):
        return _static(path.removeprefix("/static/"))
    found = _CONTENT.match(path)
    if found is None:
        raise ForbiddenResource("Documents load pictures of the store and static files only.")
    return _stored(int(found[1]), parse_qs(parts.query).get("access_token", [""])[0])


def _inline(rest: str) -> Resource:
    """A picture that is part of the page (``data:``)."""
    head, comma, payload = rest.partition(",")
    kind, *parameters = head.lower().split(";")
    if not comma or kind not in _PICTURES:
        raise ForbiddenResource("Only pictures may be part of a page.")
    try:
        raw = unquote_to_bytes(payload)
        return Resource(base64.b64decode(raw) if "base64" in parameters else raw, kind)
    except (binascii.Error, ValueError) as exc:
        raise ForbiddenResource("This picture is damaged.") from exc


def _static(name: str) -> Resource:
    """A file of the project's static folders, by a plain relative name."""
    kind = _STATIC_TYPES.get(name.rpartition(".")[2])
    try:
        path = finders.find(name) if kind and _STATIC.match(name) and ".." not in name else None
    except (SuspiciousFileOperation, ValueError):
        path = None
    if not path or not kind:
        raise ForbiddenResource("There is no such static file.")
    with open(str(path), "rb") as file:
        return Resource(file.read(), kind)


def _stored(pk: int, token: str) -> Resource:
    """A picture of the store; its own token is the key, as in the browser."""
    try:
        row = readable_attachment(pk, _VISITOR, token=token)
    except NotVisible as exc:
        raise ForbiddenResource("There is no such file.") from exc
    if row.mimetype not in _PICTURES:
        raise ForbiddenResource("Only pictures belong into a document.")
    return Resource(read_attachment(row), row.mimetype)
