"""HTML of strangers made fit to stand in our own pages.

Three steps: :func:`apps.core.markup.bounded_source` bounds the nesting, nh3 (the ammonia sanitiser)
decides which elements, attributes and schemes stay, and a last pass over nh3's strict output applies the rules
nh3 has no words for: styles, images, link attributes, quote marks. The result is a fixed point: sanitising it
again with the same arguments changes nothing, which is checked on every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import nh3

from apps.core.markup import MAX_DEPTH, VOID, Token, bounded_source, escape_text, open_tag, unescape_attribute

from .quotes import QUOTED_CLASS, QuoteMarker
from .text import html_to_text, text_to_html

_NO_URLS: Mapping[str, str] = MappingProxyType({})
_MAX_ROUNDS = 5

ALLOWED_TAGS = frozenset(
    {"a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
     "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em",
     "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins",
     "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small", "span",
     "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt",
     "u", "ul", "var", "wbr"}
)  # fmt: skip
_DROPPED_WITH_CONTENT = frozenset(
    {"script", "style", "title", "template", "object", "applet", "iframe", "svg", "math", "textarea", "select",
     "noembed", "noframes", "xmp", "xml"}
)  # fmt: skip
_COMMON = frozenset({"style", "title", "dir", "lang", "align", "data-quoted", "data-signature"})
_FOR_MARKING = frozenset({"class", "id"})
_CELL = frozenset(
    {"valign", "width", "height", "bgcolor", "colspan", "rowspan", "nowrap", "scope", "headers"}
)
_BY_TAG = {
    "a": frozenset({"href", "name"}),
    "blockquote": frozenset({"type", "cite"}),
    "col": frozenset({"span", "width", "valign"}),
    "colgroup": frozenset({"span", "width", "valign"}),
    "del": frozenset({"datetime"}),
    "details": frozenset({"open"}),
    "font": frozenset({"color", "face", "size"}),
    "hr": frozenset({"width", "size", "noshade", "color"}),
    "img": frozenset(
        {"src", "alt", "width", "height", "border", "hspace", "vspace", "data-remote-src", "data-cid"}
    ),
    "ins": frozenset({"datetime"}),
    "li": frozenset({"value", "type"}),
    "ol": frozenset({"start", "type", "reversed"}),
    "table": frozenset({"width", "height", "bgcolor", "border", "cellpadding", "cellspacing", "summary"}),
    "tbody": frozenset({"valign"}),
    "td": _CELL,
    "tfoot": frozenset({"valign"}),
    "th": _CELL | {"abbr"},
    "thead": frozenset({"valign"}),
    "time": frozenset({"datetime"}),
    "tr": frozenset({"valign", "bgcolor", "height"}),
    "ul": frozenset({"type"}),
}
_NH3_ATTRIBUTES = {tag: set(_COMMON | _FOR_MARKING | _BY_TAG.get(tag, frozenset())) for tag in ALLOWED_TAGS}
_DROPPED_IN_THE_END = _FOR_MARKING | {"type", "cite", "name", "headers"}

_LINK_SCHEMES = ("http", "https", "mailto", "tel")
_REMOTE = re.compile(r"https?://[^\s\"<>]+", re.I)
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]+", re.I)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)
_NUMBER = re.compile(r"-?\d{1,5}(?:\.\d{1,4})?(?:px|pt|em|%)?")
_COLOUR = re.compile(r"#?[a-zA-Z0-9]{1,30}")
_NUMERIC = frozenset(
    {"width", "height", "border", "cellpadding", "cellspacing", "hspace", "vspace", "colspan", "rowspan", "size",
     "span", "start", "value"}
)  # fmt: skip

_FORMS = {**dict.fromkeys(_NUMERIC, _NUMBER), "bgcolor": _COLOUR, "color": _COLOUR}

_STYLE_PROPERTIES = frozenset(
    {"background", "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-style",
     "border-bottom-width", "border-collapse", "border-color", "border-left", "border-left-color",
     "border-left-style", "border-left-width", "border-radius", "border-right", "border-right-color",
     "border-right-style", "border-right-width", "border-spacing", "border-style", "border-top", "border-top-color",
     "border-top-style", "border-top-width", "border-width", "color", "direction", "display", "float", "font",
     "font-family", "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing",
     "line-height", "list-style-type", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top",
     "max-height", "max-width", "min-height", "min-width", "overflow-wrap", "padding", "padding-bottom",
     "padding-left", "padding-right", "padding-top", "table-layout", "text-align", "text-decoration", "text-indent",
     "text-transform", "vertical-align", "white-space", "width", "word-break", "word-spacing", "word-wrap"}
)  # fmt: skip
_STYLE_VALUE = re.compile(r"[\w #%.,'\"!+-]*(?:(?:rgba?|hsla?)\([\d\s.,%/]*\)[\w #%.,'\"!+-]*)*", re.I)
_STYLE_FORBIDDEN = re.compile(
    r"url|expression|import|behavio|binding|javascript|position|var|attr|calc|env|image", re.I
)
_NEGATIVE = re.compile(r"(?:^|[\s,])-\s*[\d.]")
_DISPLAY = frozenset(
    {
        "none",
        "block",
        "inline",
        "inline-block",
        "table",
        "table-row",
        "table-cell",
        "table-row-group",
        "list-item",
    }
)

# In nh3's output every "<" opens a tag, and attribute values stand in double quotes. A lone "<" breaks that
# promise and is escaped.
_STRICT_TAG = re.compile(r"<(?:[^<>\"]*(?:\"[^\"]*\"[^<>\"]*)*>)?")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_STRICT_OPEN = re.compile(r"<([a-z][a-z0-9]*)((?: [a-zA-Z][a-zA-Z0-9-]*=\"[^\"]*\")*)>")
_STRICT_CLOSE = re.compile(r"</([a-z][a-z0-9]*)>")
_STRICT_ATTRIBUTE = re.compile(r" ([a-zA-Z][a-zA-Z0-9-]*)=\"([^\"]*)\"")
_PRE_NEWLINE = re.compile(r"(<pre(?: [^<>]*)?>)\n")


def sanitize_html(
    source: str,
    *,
    cid_urls: Mapping[str, str] = _NO_URLS,
    fold_quotes: bool = False,
    allow_relative_links: bool = False,
) -> str:
    """Safe HTML for ``source``.

    ``cid_urls`` maps Content-IDs (no brackets) to URLs of our own. An image of a mail gets its URL, keeps its
    Content-ID in ``data-cid`` and can so be mapped again later. Remote images are not loaded: their address
    moves to ``data-remote-src`` until somebody asks for it. ``fold_quotes`` marks quoted earlier mails with
    ``data-quoted="1"`` and the class ``quoted``, signatures with ``data-signature="1"``. ``allow_relative_links`` is for text written
    by our own users; in a stranger's mail a relative link would point into this system.
    """
    urls = {key.strip("<> "): value for key, value in cid_urls.items()}
    current = bounded_source(source, ALLOWED_TAGS)
    is_marking = fold_quotes
    for _ in range(_MAX_ROUNDS):
        cleaned = _round(current, urls, is_marking=is_marking, allow_relative=allow_relative_links)
        if _depth(cleaned) > MAX_DEPTH:
            # The tree builder put in elements the source had left out.
            cleaned = bounded_source(cleaned, ALLOWED_TAGS)
        elif cleaned == current:
            return cleaned
        # Marks are set while classes and ids are still there, that is in the first round only.
        current, is_marking = cleaned, False
    # A document that keeps changing is built to confuse parsers; its text is all it gets to show.
    return text_to_html(html_to_text(current))


def mark_quotes(source: str) -> str:
    """Safe HTML with quoted parts marked; images keep their Content-ID for a later :func:`sanitize_html`."""
    return sanitize_html(source, fold_quotes=True)


def _round(source: str, urls: Mapping[str, str], *, is_marking: bool, allow_relative: bool) -> str:
    cleaned = nh3.clean(
        source,
        tags=set(ALLOWED_TAGS),
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        attributes=_NH3_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        link_rel=None,
        strip_comments=True,
    )
    if is_marking:
        cleaned = _marked(cleaned)
    return _rewritten(cleaned, urls, allow_relative=allow_relative)


def _depth(cleaned: str) -> int:
    """Open elements at the deepest place of nested output."""
    depth = deepest = 0
    for closing, name in _TAG.findall(cleaned):
        if closing:
            depth -= 1
        elif name not in VOID:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def _marked(cleaned: str) -> str:
    return "".join(
        token.value
        if token.kind == "text"
        else f"</{token.value}>"
        if token.kind == "close"
        else open_tag(*token[1:])
        for token in QuoteMarker().mark(list(_strict_tokens(cleaned)))
    )


def _strict_tokens(cleaned: str) -> Iterator[Token]:
    position = 0
    for match in _STRICT_TAG.finditer(cleaned):
        if match.start() > position:
            yield Token("text", cleaned[position : match.start()])
        position = match.end()
        if (opened := _STRICT_OPEN.fullmatch(match.group())) is not None:
            pairs = _STRICT_ATTRIBUTE.findall(opened.group(2))
            yield Token(
                "open", opened.group(1), tuple((key, unescape_attribute(value)) for key, value in pairs)
            )
        elif (closed := _STRICT_CLOSE.fullmatch(match.group())) is not None:
            yield Token("close", closed.group(1))
        else:
            yield Token("text", escape_text(match.group()))
    if position < len(cleaned):
        yield Token("text", cleaned[position:])


def _rewritten(cleaned: str, urls: Mapping[str, str], *, allow_relative: bool) -> str:
    """nh3's output with our rules for attributes applied to every tag. Mails repeat their tags; each is read once."""
    known = frozenset(urls.values())
    written: dict[str, str] = {}

    def rewrite(match: re.Match[str]) -> str:
        raw = match.group()
        result = written.get(raw)
        if result is None:
            result = written[raw] = _rewritten_tag(raw, urls, known, allow_relative=allow_relative)
        return result

    result = _STRICT_TAG.sub(rewrite, cleaned)
    # Parsers swallow one line feed after <pre>; double it so that reading again changes nothing.
    return _PRE_NEWLINE.sub(r"\1\n\n", result) if "<pre" in result else result


def _rewritten_tag(raw: str, urls: Mapping[str, str], known: frozenset[str], *, allow_relative: bool) -> str:
    opened = _STRICT_OPEN.fullmatch(raw)
    if opened is None:
        return raw if _STRICT_CLOSE.fullmatch(raw) else escape_text(raw)
    pairs = _STRICT_ATTRIBUTE.findall(opened.group(2))
    token = Token("open", opened.group(1), tuple((key, unescape_attribute(value)) for key, value in pairs))
    return open_tag(token.value, _attributes(token, urls, known, allow_relative=allow_relative))


def _attributes(
    token: Token, urls: Mapping[str, str], known: frozenset[str], *, allow_relative: bool
) -> tuple[tuple[str, str], ...]:
    given = {key: value for key, value in token.attributes if key not in _DROPPED_IN_THE_END}
    kept: dict[str, str] = {}
    for key, value in given.items():
        if key in ("href", "src", "data-cid", "data-remote-src"):
            continue
        if key == "style":
            value = clean_style(value)
        elif key in ("data-quoted", "data-signature"):
            value = value if value in ("0", "1") else ""
        elif (form := _FORMS.get(key)) is not None and not form.fullmatch(value.strip()):
            value = ""
        if value or key in ("alt", "nowrap", "noshade", "reversed", "open"):
            kept[key] = value.strip() if key in _FORMS else value
    if kept.get("data-quoted") == "1":
        kept["class"] = QUOTED_CLASS
    if token.value == "img":
        kept.update(_image_source(given, urls, known))
    elif token.value == "a":
        target = _link_target(given.get("href", ""), allow_relative=allow_relative)
        if target:
            kept.update({"href": target, "rel": "noopener noreferrer nofollow", "target": "_blank"})
    return tuple(sorted(kept.items()))


def _image_source(given: Mapping[str, str], urls: Mapping[str, str], known: frozenset[str]) -> dict[str, str]:
    source = given.get("src", "").strip()
    content_id = given.get("data-cid", "")
    if source[:4].lower() == "cid:":
        content_id = source[4:].strip("<> ")
    if content_id:
        url = urls.get(content_id) or urls.get(_percent_decoded(content_id))
        return {"data-cid": content_id, "src": url} if url else {"data-cid": content_id}
    if source in known:
        return {"src": source}
    if _DATA_IMAGE.fullmatch(source):
        return {"src": re.sub(r"\s+", "", source)}
    remote = source or given.get("data-remote-src", "").strip()
    if remote.startswith("//"):
        remote = "https:" + remote
    return {"data-remote-src": remote} if _REMOTE.fullmatch(remote) else {}


def _percent_decoded(text: str) -> str:
    return re.sub(r"%([0-7][0-9A-Fa-f])", lambda match: chr(int(match.group(1), 16)), text)


def _link_target(href: str, *, allow_relative: bool) -> str:
    target = re.sub(r"[\x00-\x20\x7f]+", "", href) if not href.isprintable() else href.strip()
    scheme = _SCHEME.match(target)
    if scheme is not None:
        return target if scheme.group(1).lower() in _LINK_SCHEMES else ""
    if target.startswith("//"):
        return "https:" + target
    return target if allow_relative and re.match(r"[/?#](?![/\\])", target) else ""


def clean_style(style: str) -> str:
    """The harmless declarations of a style attribute, in one spelling."""
    kept: dict[str, str] = {}
    for declaration in style[:4_000].split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), re.sub(r"\s+", " ", value).strip()
        if not colon or name not in _STYLE_PROPERTIES or not value or len(value) > 200:
            continue
        if not _STYLE_VALUE.fullmatch(value) or _STYLE_FORBIDDEN.search(value):
            continue
        if name.startswith(("margin", "text-indent")) and _NEGATIVE.search(value):
            continue
        if name == "display" and value.lower() not in _DISPLAY:
            continue
        kept.pop(name, None)
        kept[name] = value
    return "; ".join(f"{name}: {value}" for name, value in kept.items())
