"""Between plain text and HTML, and short previews. Linear time, no trust in the input."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apps.core.markup import VOID, Token, escape_attribute, escape_text, tokenize

from .reply import visible_reply
from .types import SegmentKind

_URL = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"\u00a0]{2,2000}"
    r"|\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}\b"
)
_URL_TAIL = re.compile(r"[.,;:!?'\u201d\u2019*_~]+$")
_MANY_BLANKS = re.compile(r" {2,}|\t|^ ", re.M)
_SPACES = re.compile(r"[ \t\r\n\x0b\x0c]+")
_ANY_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n{3,}")

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "caption", "center", "dd", "details", "div", "dl", "dt", "fieldset",
     "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav",
     "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"}
)  # fmt: skip
_SPACED_BLOCKS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "dl", "table", "hr"}
)


def text_to_html(text: str, *, fold_quotes: bool = False) -> str:
    """HTML that shows ``text`` as it was written: line breaks, indentation, links. It needs no sanitising.

    ``fold_quotes`` puts quoted earlier mails and signatures into marked ``<div>``, as in sanitised HTML."""
    if not fold_quotes:
        return _paragraphs(text)
    pieces = []
    for segment in visible_reply(text).segments:
        shown = _paragraphs(text[segment.start : segment.end])
        if shown and segment.kind is not SegmentKind.VISIBLE:
            marks = 'class="quoted" ' if segment.kind is SegmentKind.QUOTED else ""
            shown = f'<div {marks}data-{segment.kind.value}="1">{shown}</div>'
        pieces.append(shown)
    return "\n".join(piece for piece in pieces if piece)


def _paragraphs(text: str) -> str:
    if not text.strip():
        return ""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return "\n".join(
        "<p>" + "<br>\n".join(_lines_to_html(paragraph.strip("\n"))) + "</p>"
        for paragraph in re.split(r"\n[ \t]*\n", plain)
    )


def _lines_to_html(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        pieces, position = [], 0
        for match in _URL.finditer(line):
            shown = _URL_TAIL.sub("", match.group())
            if shown.endswith(")") and shown.count(")") > shown.count("("):
                shown = shown[:-1]
            if match.start() < position or not shown:
                continue
            pieces.append(_keep_blanks(line[position : match.start()]))
            pieces.append(_link(shown))
            position = match.start() + len(shown)
        pieces.append(_keep_blanks(line[position:]))
        yield "".join(pieces)


def _link(shown: str) -> str:
    if re.match(r"https?://", shown, re.I):
        target = shown
    else:
        target = "http://" + shown if shown.lower().startswith("www.") else "mailto:" + shown
    return (
        f'<a href="{escape_attribute(target)}" rel="noopener noreferrer nofollow" target="_blank">'
        f"{escape_text(shown)}</a>"
    )


def _keep_blanks(text: str) -> str:
    return _MANY_BLANKS.sub(_no_break_blanks, escape_text(text))


def _no_break_blanks(match: re.Match[str]) -> str:
    run = match.group()
    if run == "\t":
        return "&nbsp;&nbsp;&nbsp; "
    return "&nbsp;" * (len(run) - 1) + " " if len(run) > 1 else "&nbsp;"


class _TextWriter:
    """Collects text of an HTML document with the line breaks a reader would see."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []
        self.has_text = False
        self.pending_blank = False
        self.quote_depth = 0
        self.pre_depth = 0
        self.lists: list[int] = []
        self.links: list[tuple[str, int]] = []
        self.indent = ""

    def text(self, text: str) -> None:
        text = text.replace("\u00a0", " ") if self.pre_depth else text
        if self.pre_depth:
            first, *others = text.split("\n")
            self._append(first)
            for other in others:
                self.end_line(keep_empty=True)
                self._append(other)
            return
        collapsed = _SPACES.sub(" ", text).replace("\u00a0", " ") if text else ""
        if not self.has_text:
            collapsed = collapsed.lstrip(" ") if text[:1] != "\u00a0" else collapsed
        elif self.line and self.line[-1].endswith(" ") and collapsed.startswith(" "):
            collapsed = collapsed[1:]
        self._append(collapsed)

    def _append(self, text: str) -> None:
        if text:
            self.line.append(text)
            self.has_text = self.has_text or bool(text.strip())

    def end_line(self, *, keep_empty: bool = False) -> None:
        line = "".join(self.line).rstrip()
        if line or keep_empty:
            if self.pending_blank and self.lines and self.lines[-1].strip("> "):
                self.lines.append(("> " * self.quote_depth).rstrip())
            prefix = "> " * min(self.quote_depth, 20)
            self.lines.append((prefix + line).rstrip())
            self.pending_blank = False
        self.line, self.has_text = [], False

    def break_block(self, *, is_spaced: bool) -> None:
        if "".join(self.line).strip():
            self.end_line()
        else:
            self.line, self.has_text = [], False
        self.pending_blank = self.pending_blank or is_spaced

    def result(self) -> str:
        self.end_line()
        return _BLANK_LINES.sub("\n\n", "\n".join(self.lines)).strip("\n")


def html_to_text(source: str) -> str:
    """Readable plain text of HTML: paragraphs, lists, quotes, table rows and link targets are kept."""
    writer = _TextWriter()
    for token in tokenize(source):
        if token.kind == "text":
            writer.text(token.value)
        elif token.kind == "open":
            _open(writer, token)
        elif token.value not in VOID:
            _close(writer, token.value)
    return writer.result()


def _open(writer: _TextWriter, token: Token) -> None:
    name = token.value
    if name == "br":
        writer.end_line(keep_empty=True)
        return
    if name in ("td", "th"):
        if writer.has_text:
            writer.text(" \u00a0")
        return
    if name == "img":
        alt = next((value for key, value in token.attributes if key == "alt"), "")
        if alt.strip():
            writer.text(f"[{alt.strip()}]")
        return
    if name == "a":
        target = next((value for key, value in token.attributes if key == "href"), "").strip()
        if len(writer.links) < 50:
            writer.links.append((target, len(writer.line)))
        return
    if name not in _BLOCKS:
        return
    writer.break_block(is_spaced=name in _SPACED_BLOCKS and not (name in ("ul", "ol") and writer.lists))
    if name == "blockquote":
        # The blank line before the quote belongs to the text around it.
        if writer.pending_blank and writer.lines and writer.lines[-1].strip("> "):
            writer.lines.append(("> " * min(writer.quote_depth, 20)).rstrip())
        writer.pending_blank = False
        writer.quote_depth += 1
    elif name == "pre":
        writer.pre_depth += 1
    elif name in ("ul", "ol"):
        writer.lists.append(1 if name == "ol" else 0)
    elif name == "li":
        depth = min(len(writer.lists), 10)
        number = writer.lists[-1] if writer.lists else 0
        bullet = f"{number}. " if number else "- "
        if number:
            writer.lists[-1] += 1
        writer.line.append("  " * max(depth - 1, 0) + bullet)
    elif name == "hr":
        writer.text("-" * 20)
        writer.end_line()


def _close(writer: _TextWriter, name: str) -> None:
    if name == "a" and writer.links:
        target, start = writer.links.pop()
        shown = "".join(writer.line[start:]).strip() if start <= len(writer.line) else ""
        if _is_worth_showing(target, shown):
            writer._append(f" <{target}>")
        return
    if name not in _BLOCKS:
        return
    if name == "blockquote" and writer.quote_depth:
        writer.break_block(is_spaced=False)
        writer.quote_depth -= 1
        writer.pending_blank = True
        return
    writer.break_block(
        is_spaced=name in _SPACED_BLOCKS and not (name in ("ul", "ol") and len(writer.lists) > 1)
    )
    if name == "pre" and writer.pre_depth:
        writer.pre_depth -= 1
    elif name in ("ul", "ol") and writer.lists:
        writer.lists.pop()


def _is_worth_showing(target: str, shown: str) -> bool:
    if not re.match(r"(?:https?|mailto|tel):", target, re.I) or len(target) > 2_000:
        return False
    plain = re.sub(r"^(?:https?://|mailto:|tel:)", "", target, flags=re.I).rstrip("/")
    return bool(shown) and plain.lower() not in shown.lower() and shown.lower() != plain.lower()


def preview(text: str, length: int = 190) -> str:
    """First ``length`` characters of ``text`` on one line, cut between words, with an ellipsis when cut."""
    flat = _ANY_SPACES.sub(" ", text[: length * 20 + 1_000]).strip()
    if len(flat) <= length:
        return flat
    cut = flat[: length - 1]
    head = cut if flat[length - 1] == " " else cut.rpartition(" ")[0]
    return (head if len(head) > length // 2 else cut).rstrip(" .,;:-") + "\u2026"
