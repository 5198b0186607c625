"""Turning HTML into PDF with WeasyPrint, without a way out of the machine.

The renderer fetches nothing by itself: pictures come from our own store by the path that the page shows them with,
style sheets from the project's static files; every other address (http, file, ftp …) is refused. So a document can
neither read files of the server nor call services inside the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils import timezone, translation

BASE = "https://documents.invalid"
_CONTENT = re.compile(r"^/web/(?:content|image)/(\d+)$")


class ForbiddenResource(ValueError):
    """A document asked for something outside of our own store."""


def available_reports() -> dict[str, Any]:
    """Report declarations of all running modules, by code."""
    from apps.core import modules

    return {spec.code: spec for config in modules.running() for spec in config.report_specs}


def render_html(template: str, context: Mapping[str, Any], *, language: str, tz: str) -> str:
    """The page of a document in the reader's language and time zone."""
    with translation.override(language), timezone.override(tz or "UTC"):
        return render_to_string(template, dict(context))


def render_pdf(html: str) -> bytes:
    """A4 PDF of a page. Needs Pango; about 0.15 s a page of text."""
    from weasyprint import HTML  # heavy: only workers that render pay for it

    return bytes(HTML(string=html, base_url=BASE, url_fetcher=_fetcher()).write_pdf())


def _fetcher() -> Any:
    """The fetcher object or function that the installed WeasyPrint wants."""
    import weasyprint
    from weasyprint import urls

    base: Any = getattr(urls, "URLFetcher", None)
    if base is None:
        return fetch
    response = urls.URLFetcherResponse

    class StoreFetcher(base):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            answer = fetch(url)
            return response(url, body=answer["string"], headers={"Content-Type": answer["mime_type"]})

    assert weasyprint
    return StoreFetcher()


def fetch(url: str) -> dict[str, Any]:
    """Bytes and type of a resource of our own; ``ForbiddenResource`` for everything else."""
    parts = urlsplit(url)
    if parts.scheme == "data" and parts.path.split(";")[0] in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        from weasyprint.urls import default_url_fetcher

        answer = default_url_fetcher(url)
        return {"string": answer["string"], "mime_type": answer["mime_type"]}
    if f"{parts.scheme}://{parts.netloc}" != BASE:
        raise ForbiddenResource(f"Documents may not load {parts.scheme or 'relative'} addresses.")
    path = unquote(parts.path)
    if path.startswith("/static/"):
        return _static(path.removeprefix("/static/"))
    found = _CONTENT.match(path)
    if found is None:
        raise ForbiddenResource(f"Documents may not load {path}.")
    return _stored(int(found[1]), parse_qs(parts.query).get("access_token", [""])[0])


def _static(name: str) -> dict[str, Any]:
    kinds = {"css": "text/css", "svg": "image/svg+xml", "png": "image/png", "woff2": "font/woff2", "ttf": "font/ttf"}
    kind = kinds.get(name.rpartition(".")[2])
    path = finders.find(name) if kind and ".." not in name else None
    if not path or not kind:
        raise ForbiddenResource(f"There is no static file {name}.")
    with open(str(path), "rb") as file:
        return {"string": file.read(), "mime_type": kind}


def _stored(pk: int, token: str) -> dict[str, Any]:
    """A picture of the store; its own token is the key, as in the browser."""
    import hmac

    from apps.chatter.models import Attachment

    row = Attachment.objects.filter(pk=pk).first()
    if row is None or not (row.public or hmac.compare_digest(str(row.access_token), token)):
        raise ForbiddenResource(f"There is no such file {pk}.")
    if not row.mimetype.startswith("image/"):
        raise ForbiddenResource("Only pictures belong into a document.")
    with row.open() as stream:
        return {"string": stream.read(), "mime_type": row.mimetype}
