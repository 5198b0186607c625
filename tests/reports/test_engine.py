"""The renderer has no way out: what a page may load, and what it is refused."""

from __future__ import annotations

import base64
import http.server
import io
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pypdfium2
import pytest
from PIL import Image

from apps.chatter.models import Attachment
from apps.chatter.services.attachments import make_attachments
from apps.chatter.types import NewFile
from apps.reports.engine import BASE, ForbiddenResource, load, render_pdf
from tests.projects.factories import system


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def pictures_of(pdf: bytes) -> int:
    page = pypdfium2.PdfDocument(pdf)[0]
    return sum(1 for item in page.get_objects() if item.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE)


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def stored(name: str, content: bytes, **values: object) -> Attachment:
    return make_attachments([NewFile(name, content, **values)], actor=system())[0]  # type: ignore[arg-type]


@pytest.fixture
def inner_service() -> Iterator[SimpleNamespace]:
    """A server on this machine that counts who asks."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(png())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}", asked=asked)
        server.shutdown()


FORBIDDEN = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file:/etc/passwd",
    "http://127.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "https://example.com/a.png",
    "HTTPS://example.com/a.png",
    "ftp://example.com/a.png",
    "gopher://127.0.0.1:6379/_INFO",
    "//example.com/a.png",
    "/etc/passwd",
    "relative.png",
    "",
    "https://[broken",
    f"{BASE}@example.com/static/reports/document.css",
    f"{BASE}:8000/static/reports/document.css",
    f"{BASE}.example.com/static/reports/document.css",
    "http://documents.invalid/static/reports/document.css",
    f"{BASE}/",
    f"{BASE}/admin/",
    f"{BASE}/web/content/",
    f"{BASE}/web/content/1/../../static/reports/document.css",
    f"{BASE}/static/",
    f"{BASE}/static/../manage.py",
    f"{BASE}/static/reports/../reports/document.css",
    f"{BASE}/static/%2e%2e/%2e%2e/etc/passwd.css",
    f"{BASE}/static/..%2f..%2fetc/passwd.css",
    f"{BASE}/static/%252e%252e/document.css",
    f"{BASE}/static//etc/fonts/fonts.css",
    f"{BASE}/static/\\..\\x.css",
    f"{BASE}/static/reports/document.css%00.png",
    f"{BASE}/static/reports/missing.css",
    f"{BASE}/static/reports/document.py",
    f"{BASE}/static/reports",
    "data:text/html,<script>alert(1)</script>",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
    "data:,plain",
    "data:image/png;base64",
    "data:image/png;base64,A",
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_addresses_that_are_not_ours_are_refused(url: str, db: None) -> None:
    with pytest.raises(ForbiddenResource):
        load(url)


def test_a_style_sheet_of_the_project_loads() -> None:
    found = load(f"{BASE}/static/reports/document.css")

    assert found.mimetype == "text/css"
    assert found.content == Path("static/reports/document.css").read_bytes()


def test_a_picture_in_the_page_loads() -> None:
    inline = load("data:image/png;base64," + base64.b64encode(png()).decode())

    assert inline == (png(), "image/png")


def test_a_stored_picture_opens_to_its_own_token_only(db: None) -> None:
    row, other = stored("red.png", png()), stored("blue.png", png("blue"))

    opened = load(f"{BASE}/web/image/{row.pk}?access_token={row.access_token}")

    assert opened == (png(), "image/png")
    assert load(f"{BASE}/web/content/{row.pk}/red.png?access_token={row.access_token}") == opened
    for token in (
        "",
        "shared",
        "0",
        "null",
        other.access_token,
        row.access_token[:-1],
        row.access_token + "0",
    ):
        with pytest.raises(ForbiddenResource):
            load(f"{BASE}/web/image/{row.pk}?access_token={token}")
    with pytest.raises(ForbiddenResource):
        load(f"{BASE}/web/image/{other.pk + 1}?access_token={row.access_token}")


def test_only_pictures_come_out_of_the_store(db: None) -> None:
    secret = stored("secret.txt", b"payroll", mimetype="text/plain")
    drawing = stored(
        "x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", mimetype="image/svg+xml", trusted=True
    )

    for row in (secret, drawing):
        with pytest.raises(ForbiddenResource):
            load(f"{BASE}/web/content/{row.pk}?access_token={row.access_token}")


def test_a_rendered_page_asks_no_other_server_and_reads_no_file(
    inner_service: SimpleNamespace, tmp_path: Path, db: None
) -> None:
    picture = tmp_path / "secret.png"
    picture.write_bytes(png())
    style = tmp_path / "secret.css"
    style.write_text("body::before { content: 'stolen words' }")
    away = inner_service.url
    html = f"""<html><head><link rel="stylesheet" href="{away}/a.css"><link rel="stylesheet" href="file://{style}">
        <link rel="attachment" href="file:///etc/passwd"><style>@import url("{away}/b.css");
        @import url("file://{style}"); body {{ background: url({away}/c.png) }}
        @font-face {{ font-family: f; src: url("{away}/f.woff2") }}</style></head>
        <body style="font-family: f">Hello<img src="{away}/d.png"><img src="file://{picture}"><img src="//{away[7:]}/e.png">
        <object data="{away}/o.svg"></object><embed src="{away}/p.png">
        <svg xmlns="http://www.w3.org/2000/svg"><image href="{away}/g.png"/><image href="file://{picture}"/></svg>
        <ul style="list-style-image: url({away}/h.png)"><li>one</li></ul></body></html>"""

    pdf = render_pdf(html)

    assert inner_service.asked == []
    assert "Hello" in text_of(pdf)
    assert "stolen words" not in text_of(pdf)
    assert pictures_of(pdf) == 0
    assert b"/EmbeddedFile" not in pdf


def test_a_rendered_page_shows_stored_pictures_and_static_styles(db: None) -> None:
    row = stored("red.png", png())
    html = f"""<html><head><link rel="stylesheet" href="/static/reports/document.css"></head>
        <body>Hello<img src="/web/image/{row.pk}?access_token={row.access_token}"></body></html>"""

    pdf = render_pdf(html)
    bare = render_pdf(html.replace("/static/reports/document.css", "/static/reports/missing.css"))

    assert pdf.startswith(b"%PDF-")
    assert pictures_of(pdf) == 1
    assert "1 / 1" in text_of(pdf), "the page number comes from the style sheet"
    assert "1 / 1" not in text_of(bare)
