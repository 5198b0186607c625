"""HTML that people and mails bring along: cleaned on the way in, turned into text on the way out.

``sanitize_html`` is the last step before a body is stored, so what is stored may be shown as it is. Nothing that
runs, loads a document, submits a form or leaves the box of the message survives; pictures stay with relative,
``https:``, ``cid:`` or embedded sources (whether a remote picture loads is the page's content security policy).
"""

from __future__ import annotations

import html as _html
import re
from html.parser import HTMLParser

import nh3

from apps.core.markup import bounded_source

PREVIEW_LENGTH = 190
QUOTED_CLASS = "quoted"  # what the screens fold away


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words(
    "a abbr b blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption figure "
    "font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub summary sup "
    "table tbody td tfoot th thead tr tt u ul var"
)
# Dropped with what they contain; the text inside other unknown elements is kept.
_DROPPED = _words(
    "script style title template noscript noembed noframes iframe object embed applet svg math textarea select "
    "audio video canvas xml"
)
_ATTRIBUTES = {
    # data-* as the intake of mails sets them: quoted parts, signatures, pictures that came along or lie elsewhere.
    "*": {"style", "title", "dir", "lang", "align", "valign", "class", "data-quoted", "data-signature"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "data-cid", "data-remote-src"},
    "font": {"color", "face", "size"},
    "table": {"border", "cellpadding", "cellspacing", "width", "bgcolor"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "th": {"colspan", "rowspan", "width", "height", "bgcolor", "scope"},
    "tr": {"bgcolor"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "ol": {"start"},
    "blockquote": {"type"},
    "details": {"open"},
}
_STYLES = _words(
    "color background-color font-family font-size font-style font-variant font-weight line-height letter-spacing "
    "text-align text-decoration text-indent text-transform vertical-align white-space word-break list-style-type "
    "border border-top border-right border-bottom border-left border-color border-style border-width border-collapse "
    "border-radius border-spacing padding padding-top padding-right padding-bottom padding-left "
    "margin margin-top margin-right margin-bottom margin-left width height max-width min-width"
)
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid", "data"})
# Class names by which mail programs mark what they quote.
_QUOTE_CLASSES = frozenset(
    {
        QUOTED_CLASS,
        "gmail_quote",
        "gmail_attr",
        "yahoo_quoted",
        "moz-cite-prefix",
        "protonmail_quote",
        "tutanota_quote",
        "zmail_extra",
        "OutlookMessageHeader",
    }
)
_EMBEDDED_PICTURE = re.compile(
    r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE
)
_REMOTE_PICTURE = re.compile(r"https?://[^\s\"<>]+\Z", re.IGNORECASE)
_NOT_PLAIN = re.compile(r"[\x00-\x20\x7f]+")
_URL = re.compile(r"\bhttps?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]}]", re.IGNORECASE)
_FORBIDDEN_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return QUOTED_CLASS if not _QUOTE_CLASSES.isdisjoint(value.split()) else None
    if name in ("href", "src"):
        scheme = _NOT_PLAIN.sub("", value).lower()
        if scheme.startswith("data:"):
            return value if tag == "img" and _EMBEDDED_PICTURE.match(value.strip()) else None
        if scheme.startswith("cid:"):
            return value if tag == "img" else None
        if tag == "img" and scheme.startswith(("mailto:", "tel:")):
            return None
    if name in ("data-quoted", "data-signature"):
        return value if value in ("0", "1") else None
    if name == "data-remote-src":
        return value if _REMOTE_PICTURE.match(value) else None
    if name == "type":
        return "cite" if value.lower() == "cite" else None
    if name == "style" and "url(" in value.lower():
        return None
    return value


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags=set(_DROPPED),
    attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
    attribute_filter=_keep_attribute,
    strip_comments=True,
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes=set(_SCHEMES),
    filter_style_properties=set(_STYLES),
)


def sanitize_html(html: str) -> str:
    """``html`` without anything that could run or disguise; quoted parts carry the class ``quoted``."""
    if not html:
        return ""
    # Bounded first: the cleaner's tree builder takes quadratic time on deep nesting.
    return _CLEANER.clean(bounded_source(_FORBIDDEN_CONTROLS.sub("", html), _TAGS)).strip()


def text_to_html(text: str) -> str:
    """Plain text as paragraphs: escaped, addresses linked, lines beginning with ``>`` as a quotation."""
    text = _FORBIDDEN_CONTROLS.sub("", text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not text.strip():
        return ""
    blocks: list[str] = []
    lines: list[str] = []
    quoted = False

    def flush() -> None:
        content = "<br>".join(_linked(line) for line in lines).strip()
        if content:
            paragraph = f"<p>{content}</p>"
            blocks.append(
                f'<blockquote class="{QUOTED_CLASS}">{paragraph}</blockquote>' if quoted else paragraph
            )
        lines.clear()

    for line in text.split("\n"):
        is_quote = line.startswith(">")
        if is_quote != quoted or not line.strip():
            flush()
            quoted = is_quote
        if line.strip():
            lines.append(re.sub(r"^>+ ?", "", line) if is_quote else line)
    flush()
    return "".join(blocks)


def _linked(line: str) -> str:
    """The escaped line with its web addresses as links."""
    pieces, position = [], 0
    for found in _URL.finditer(line):
        pieces.append(_html.escape(line[position : found.start()], quote=False))
        address = _html.escape(found.group())
        pieces.append(f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{address}</a>')
        position = found.end()
    pieces.append(_html.escape(line[position:], quote=False))
    return "".join(pieces)


_PARAGRAPHS = _words("p h1 h2 h3 h4 h5 h6 blockquote pre table ul ol dl figure")
_LINES = _words("div tr li dt dd br hr caption figcaption center address section article header footer")
_SILENT = _words("script style title head template noscript svg math textarea select object iframe")


class _TextBuilder(HTMLParser):
    """Collects readable lines; quotations get ``> `` in front, list items ``- ``."""

    def __init__(self, *, links: bool, quotes: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._links, self._quotes = links, quotes
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0  # of quotation
        self._silent = 0
        self._pre = 0
        self._hrefs: list[tuple[str, int]] = []
        self._stack: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _SILENT and tag != "head":
            self._silent += 1
        if self._silent:
            return
        is_quote = tag == "blockquote" or QUOTED_CLASS in given.get("class", "").split()
        if tag in _PARAGRAPHS:
            self._break(blank=True)
        elif tag in _LINES or (is_quote and tag == "div"):
            self._break()
        if tag not in ("br", "hr", "img", "col"):
            self._stack.append((tag, is_quote))
            self._depth += is_quote
        if tag == "li":
            self._line.append("- ")
        elif tag == "pre":
            self._pre += 1
        elif tag in ("td", "th") and "".join(self._line).strip():
            self._line.append("  ")
        elif tag == "img" and given.get("alt"):
            self._line.append(f"[{given['alt']}]")
        elif tag == "hr":
            self._line.append("---")
            self._break()
        elif tag == "a":
            self._hrefs.append((given.get("href", ""), len(self._line)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("br", "hr", "img", "col"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and tag != "head":
            self._silent = max(0, self._silent - 1)
            return
        if self._silent:
            return
        if tag == "a" and self._hrefs:
            href, start = self._hrefs.pop()
            label = "".join(self._line[start:]).strip()
            if self._links and href.startswith(("http:", "https:")) and href != label:
                self._line.append(f" ({href})")
        was_quote = False
        if any(name == tag for name, _quote in self._stack):
            while self._stack:
                name, quote = self._stack.pop()
                was_quote = was_quote or quote
                if name == tag:
                    self._finish(tag)
                self._depth -= quote
                if name == tag:
                    break

    def _finish(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._break(blank=True)
        elif tag in _LINES:
            self._break()
        if tag == "pre":
            self._pre = max(0, self._pre - 1)

    def handle_data(self, data: str) -> None:
        if self._silent or (self._depth and not self._quotes):
            return
        if self._pre:
            first, *rest = data.split("\n")
            self._line.append(first)
            for line in rest:
                self._break()
                self._line.append(line)
            return
        folded = re.sub(r"[ \t\r\n\f]+", " ", data)
        if folded == " " and not "".join(self._line).strip():
            return
        self._line.append(folded)

    def _break(self, *, blank: bool = False) -> None:
        text = "".join(self._line)
        text = text.rstrip() if self._pre else re.sub(r" {3,}", "  ", text.strip())
        prefix = "> " * self._depth
        if text:
            self._lines.append(prefix + text)
        self._line = []
        self._hrefs = [(href, 0) for href, _start in self._hrefs]
        if blank and self._lines and self._lines[-1].strip("> "):
            self._lines.append(prefix.rstrip())

    def text(self) -> str:
        self._break()
        joined = "\n".join(line.replace("\xa0", " ").rstrip() for line in self._lines)
        return re.sub(r"\n{3,}", "\n\n", joined).strip()


def html_to_text(html: str, *, links: bool = True, quotes: bool = True, sanitized: bool = False) -> str:
    """A readable plain text: paragraphs, lists and quotations stay recognisable, link targets stand in brackets.

    ``quotes=False`` leaves quoted parts out. Anything may be given; ``sanitized`` saves the cleaning of a body that
    ``sanitize_html`` made (the parser below is slow, and can fail, on hostile input).
    """
    if not html:
        return ""
    builder = _TextBuilder(links=links, quotes=quotes)
    builder.feed(html if sanitized else sanitize_html(html))
    builder.close()
    return builder.text()


def preview(html: str, length: int = PREVIEW_LENGTH, *, sanitized: bool = False) -> str:
    """The beginning of the text in one line of at most ``length`` characters, without what it quotes."""
    text = " ".join(html_to_text(html, links=False, quotes=False, sanitized=sanitized).split())
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    head, space, _tail = cut.rpartition(" ")
    return (head if space and len(head) > length // 2 else cut).rstrip() + "…"
