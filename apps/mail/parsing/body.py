"""Which parts are the text of a mail and which are its files.

The rule of thumb is what a person sees: the last HTML of a group of alternatives, every text of a mixed group
one after the other, files for the rest. No part is dropped: an alternative that is not shown is either the
plain text of the HTML shown or becomes a file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from apps.core.charsets import clean_text, decode_bytes

from .attachments import build_attachment, declared_name, extract_uu_files, safe_file_name, suffix_for
from .mime import Part, Tree, decode_base64, decode_content
from .text import html_to_text, text_to_html
from .types import Attachment

MAX_BODY = 500_000
"""Characters of text or HTML that are shown; a longer body is kept whole as a file besides."""

MAX_HTML_FOR_TEXT = 300_000
"""Characters of HTML that are turned into text when a mail brings no text of its own."""

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I)
_DATA_IMAGE = re.compile(
    r"(\bsrc\s{0,20}=\s{0,20}[\"']?\s{0,20})data:image/(png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]{200,})",
    re.I,
)
_MAX_DATA_IMAGES = 200


@dataclass(frozen=True, slots=True)
class _Text:
    """One text part: its content and whether that is HTML."""

    content: str
    is_html: bool


@dataclass(slots=True)
class _Found:
    texts: list[_Text] = field(default_factory=list)
    htmls: list[_Text] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    tree: Tree
    files: list[Attachment] = field(default_factory=list)

    def read(self, part: Part, *, is_first: bool = True, group: str = "") -> _Found:
        if not part.children:
            return self._read_leaf(part, is_first=is_first, group=group)
        subtype = part.content_type.partition("/")[2]
        if subtype == "alternative":
            return self._read_alternatives(part)
        found = _Found()
        start = self._start_index(part) if subtype == "related" else 0
        for index, child in enumerate(part.children):
            is_start = index == start if subtype == "related" else index == 0
            result = self.read(child, is_first=is_start, group=subtype)
            found.texts.extend(result.texts)
            found.htmls.extend(result.htmls)
        return found

    def _start_index(self, part: Part) -> int:
        """Root of a related group: the part named by ``start``, else the first."""
        wanted = part.params.get("start", "").strip("<> ").encode()
        if wanted:
            for index, child in enumerate(part.children):
                if (child.headers.first("content-id") or b"").strip(b"<> ") == wanted:
                    return index
        return 0

    def _read_alternatives(self, part: Part) -> _Found:
        results = [self.read(child, is_first=True, group="alternative") for child in part.children]
        with_html = [result for result in results if any(text.is_html for text in result.htmls)]
        plain = [result for result in results if not any(text.is_html for text in result.htmls)]
        shown_texts = [text for result in plain for text in result.texts]
        if not with_html:
            return _Found(shown_texts, list(shown_texts))
        for spare in with_html[:-1]:
            for text in spare.htmls:
                if text.content.strip() and text not in with_html[-1].htmls:
                    self._keep_text(text)
        return _Found(shown_texts or with_html[-1].texts, with_html[-1].htmls)

    def _read_leaf(self, part: Part, *, is_first: bool, group: str) -> _Found:
        if self._is_shown(part, is_first=is_first, group=group):
            text = self._text_of(part)
            if text is None or not text.content.strip():
                return _Found()
            return _Found([text], [text])
        # A part that was announced and then came empty (`Content-Type: …` and nothing else) is no file.
        if self.tree.data[part.start : part.end].strip() or part.is_source or declared_name(part):
            self.files.append(
                build_attachment(self.tree, part, len(self.files) + 1, in_related=group == "related")
            )
        return _Found()

    def _is_shown(self, part: Part, *, is_first: bool, group: str) -> bool:
        if part.content_type not in ("text/plain", "text/html") or part.is_source:
            return False
        disposition, _ = part.disposition()
        if disposition == "attachment":
            return False
        return is_first or (group != "related" and not declared_name(part))

    def _text_of(self, part: Part) -> _Text | None:
        data, is_decoded = decode_content(self.tree, part)
        is_html = part.content_type == "text/html"
        if not is_decoded:
            self.tree.note("bad-transfer-encoding")
        if not is_html and b"\nbegin" in b"\n" + data[:1] + data:
            data, files = extract_uu_files(data, len(self.files) + 1)
            self.files.extend(files)
        label = part.params.get("charset", "")
        if is_html and not label and (match := _META_CHARSET.search(data, 0, 4096)) is not None:
            label = match.group(1).decode("ascii")
        text, fits = decode_bytes(data, label)
        if not fits:
            self.tree.note("bad-charset")
        text = clean_text(text)
        if is_html and "data:image/" in text:
            text = _DATA_IMAGE.sub(self._take_data_image, text)
        if not is_html and part.params.get("format", "").lower() == "flowed":
            text = unflow(text, delete_space=part.params.get("delsp", "").lower() == "yes")
        return _Text(text, is_html)

    def _take_data_image(self, match: re.Match[str]) -> str:
        """An image written into the HTML becomes a file of the mail, referred to like any other inline image."""
        content, is_decoded = decode_base64(match.group(3).encode("ascii"))
        if not is_decoded or len(self.files) >= _MAX_DATA_IMAGES:
            return match.group()
        content_type = "image/" + match.group(2).lower().replace("jpg", "jpeg")
        content_id = f"{hashlib.sha256(content).hexdigest()[:32]}@inline.invalid"
        if not any(file.content_id == content_id for file in self.files):
            name = f"image-{len(self.files) + 1}{suffix_for(content_type)}"
            self.files.append(Attachment(name, content_type, content, content_id=content_id, is_inline=True))
        return f"{match.group(1)}cid:{content_id}"

    def _keep_text(self, text: _Text) -> None:
        suffix, content_type = (".html", "text/html") if text.is_html else (".txt", "text/plain")
        name = safe_file_name(f"alternative-{len(self.files) + 1}{suffix}")
        self.files.append(
            Attachment(name, content_type, text.content.encode("utf-8"), is_source=True, charset="utf-8")
        )


def read_body(tree: Tree) -> tuple[str, str | None, tuple[Attachment, ...]]:
    """Plain text, HTML (None when no part is HTML) and files of a message."""
    reader = _Reader(tree)
    found = reader.read(tree.root)
    text_body = _limited(reader, _joined_text(found.texts), is_html=False)
    html_body = None
    if any(text.is_html for text in found.htmls):
        html_body = _limited(reader, _joined_html(found.htmls), is_html=True)
    return text_body, html_body, tuple(reader.files)


def _joined_text(texts: list[_Text]) -> str:
    pieces, room = [], MAX_HTML_FOR_TEXT
    for text in texts:
        # Text made from HTML is a second form of it: beyond the limit the first form, kept as a file, must do.
        pieces.append(html_to_text(text.content[:room]) if text.is_html else text.content)
        room = max(0, room - len(text.content)) if text.is_html else room
    return "\n\n".join(piece.strip("\n") for piece in pieces) if len(pieces) > 1 else "".join(pieces)


def _joined_html(texts: list[_Text]) -> str:
    if len(texts) == 1:
        return texts[0].content
    return "\n".join(
        f"<div>{text.content if text.is_html else text_to_html(text.content)}</div>" for text in texts
    )


def _limited(reader: _Reader, body: str, *, is_html: bool) -> str:
    if len(body) <= MAX_BODY:
        return body
    reader.tree.note("body-too-long")
    name, content_type = ("message-body.html", "text/html") if is_html else ("message-body.txt", "text/plain")
    reader.files.append(Attachment(name, content_type, body.encode("utf-8"), is_source=True, charset="utf-8"))
    cut = body[:MAX_BODY]
    # Do not leave half a tag or half an entity at the end.
    opening = max(cut.rfind("<"), cut.rfind("&")) if is_html else -1
    return (
        cut[:opening] if opening > MAX_BODY - 2_000 and opening > max(cut.rfind(">"), cut.rfind(";")) else cut
    )


def unflow(text: str, *, delete_space: bool = False) -> str:
    """Join the soft line breaks of ``format=flowed`` text (RFC 3676)."""
    result: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:]
        content = content.removeprefix(" ")
        is_soft = content.endswith(" ") and content != "-- "
        if is_soft and delete_space:
            content = content[:-1]
        if open_depth == depth and content != "-- ":
            result.append(content)
        else:
            if result:
                result.append("\n")
            result.append(">" * depth + (" " if depth and content else "") + content)
        open_depth = depth if is_soft else -1
    return "".join(result)
