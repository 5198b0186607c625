"""A forgiving HTML tokenizer in linear time, and the step that bounds the depth of a document.

HTML5 tree builders are correct but need quadratic time, or memory, for hostile nesting. Mail is therefore
tokenised here first and written again with every tag spelled plainly; where the nesting could be hostile it is
closed properly on the way. What comes out is still untrusted: the sanitiser decides what may stay.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from apps.core.charsets import clean_text

MAX_DEPTH = 150
MAX_ATTRIBUTES = 60
MAX_ATTRIBUTE_LENGTH = 4_000_000
"""Characters of one attribute: images may stand in the text as data URLs."""

VOID = frozenset(
    {"area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta",
     "param", "source", "track", "wbr"}
)  # fmt: skip
RAW_TEXT = frozenset(
    {"script", "style", "title", "xmp", "iframe", "noembed", "noframes", "textarea", "template", "object", "applet",
     "svg", "math", "select", "xml"}
)  # fmt: skip
"""Elements that vanish with everything in them. A form field or a drawing is no text of a mail."""

# Opening the key closes these while they are innermost.
_CLOSED_BY: dict[str, set[str]] = {
    "p": {"p"}, "li": {"p", "li"}, "dt": {"p", "dt", "dd"}, "dd": {"p", "dt", "dd"},
    "td": {"p", "td", "th"}, "th": {"p", "td", "th"}, "tr": {"p", "td", "th", "tr"},
    "tbody": {"p", "td", "th", "tr", "tbody", "thead", "tfoot"},
    "thead": {"p", "td", "th", "tr", "tbody", "thead", "tfoot"},
    "tfoot": {"p", "td", "th", "tr", "tbody", "thead", "tfoot"},
    "option": {"option"},
}  # fmt: skip
_TAG_NAME = re.compile(r"/?([a-zA-Z][^\s/>]{0,60})[^\s/>]*")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*)))?")
_CLEAN_NAME = re.compile(r"[a-z][a-z0-9-]*")
# Longer numbers name no character, and Python refuses to convert thousands of digits.
_HUGE_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
# In an attribute `&copy=1` is part of an address, not a sign: names count only with their semicolon there.
_ATTRIBUTE_ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,7};?|[A-Za-z][A-Za-z0-9]{1,31};)")


class Token(NamedTuple):
    """``kind`` is "text", "open" or "close". Text and attribute values are unescaped."""

    kind: str
    value: str
    attributes: tuple[tuple[str, str], ...] = ()


def tokenize(source: str) -> Iterator[Token]:
    """Text and tags of ``source``. Comments, declarations and raw-text elements with content are left out."""
    position, length = 0, len(source)
    last_tag_end, last_comment_end = source.rfind(">"), source.rfind("-->")
    missing_ends: set[str] = set()
    while position < length:
        opening = source.find("<", position)
        if opening < 0 or opening > last_tag_end:
            yield Token("text", unescape_text(source[position:]))
            return
        if opening > position:
            yield Token("text", unescape_text(source[position:opening]))
        if source.startswith("<!--", opening) and opening + 4 <= last_comment_end:
            position = _comment_end(source, opening)
            continue
        if source.startswith(("<!", "<?"), opening):
            position = source.find(">", opening) + 1
            continue
        match = _TAG_NAME.match(source, opening + 1)
        if match is None:
            if source.startswith("</", opening):
                position = source.find(">", opening) + 1
            else:
                yield Token("text", "<")
                position = opening + 1
            continue
        name = match.group(1).lower()
        is_close = source[opening + 1] == "/"
        attributes, position = _attributes(source, match.end())
        if is_close:
            yield Token("close", name)
            continue
        if name in RAW_TEXT and name not in missing_ends:
            end = _raw_text_end(source, name, position, last_tag_end + 1)
            if end >= 0:
                position = end
            else:
                # Never closed: skipping to the end would lose the rest of the mail.
                missing_ends.add(name)
            continue
        if name not in RAW_TEXT:
            yield Token("open", name, attributes)


def _comment_end(source: str, opening: int) -> int:
    if source.startswith((">", "->"), opening + 4):
        return source.find(">", opening) + 1
    return source.find("-->", opening + 4) + 3


def _raw_text_end(source: str, name: str, position: int, stop: int) -> int:
    match = re.compile(rf"</{name}(?=[\s/>])[^>]*>", re.I).search(source, position, stop)
    return match.end() if match else -1


def unescape_text(text: str) -> str:
    """Character references resolved, controls gone."""
    if "&" in text:
        text = html.unescape(_HUGE_NUMBER.sub("\ufffd", text))
    return clean_text(text)


def unescape_attribute(value: str) -> str:
    if "&" in value:
        value = _ATTRIBUTE_ENTITY.sub(lambda match: html.unescape(match.group()), value)
    return clean_text(value)


def _attributes(source: str, position: int) -> tuple[tuple[tuple[str, str], ...], int]:
    found: dict[str, str] = {}
    while True:
        match = _ATTRIBUTE.match(source, position)
        if match is None:
            end = source.find(">", position)
            return tuple(found.items()), (end + 1 if end >= 0 else len(source))
        position = match.end()
        name = match.group(1).lower()
        if len(found) < MAX_ATTRIBUTES and name not in found and _CLEAN_NAME.fullmatch(name):
            value = match.group(2) if match.group(2) is not None else match.group(3) or match.group(4) or ""
            found[name] = unescape_attribute(value) if len(value) <= MAX_ATTRIBUTE_LENGTH else ""


def escape_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\u00a0", "&nbsp;")


def escape_attribute(text: str) -> str:
    return escape_text(text).replace('"', "&quot;")


def open_tag(name: str, attributes: tuple[tuple[str, str], ...]) -> str:
    if not attributes:
        return f"<{name}>"
    return f"<{name} " + " ".join(f'{key}="{escape_attribute(value)}"' for key, value in attributes) + ">"


def bounded_source(source: str, allowed: frozenset[str]) -> str:
    """``source`` again in plain spelling, safe to hand to a tree builder of quadratic worst case.

    Only ``allowed`` elements are written; of the others the content stays. Elements that switch the way a parser
    reads what follows never get through."""
    tokens = [token for token in tokenize(source) if token.kind == "text" or token.value in allowed]
    return "".join(_nested(tokens) if _may_nest_deeply(tokens) else _plainly(tokens))


def _may_nest_deeply(tokens: list[Token]) -> bool:
    """Whether a tree builder could hold more open elements than we allow.

    A closing tag counts only when it names the innermost element, for that is the only case in which every
    tree builder closes it; so the depth counted here is never less than the real one."""
    stack: list[str] = []
    for token in tokens:
        if token.kind == "open" and token.value not in VOID:
            stack.append(token.value)
            if len(stack) > MAX_DEPTH:
                return True
        elif token.kind == "close" and stack and stack[-1] == token.value:
            stack.pop()
    return False


def _plainly(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.kind == "text":
            yield escape_text(token.value)
        elif token.kind == "open":
            yield open_tag(token.value, token.attributes)
        else:
            yield f"</{token.value}>"


def _nested(tokens: list[Token]) -> Iterator[str]:
    """Properly nested text: every element is closed, none is deeper than the limit, stray ends are dropped."""
    stack: list[str] = []
    counts: dict[str, int] = {}

    def close_innermost() -> str:
        name = stack.pop()
        counts[name] -= 1
        return f"</{name}>"

    for token in tokens:
        if token.kind == "text":
            yield escape_text(token.value)
        elif token.kind == "open":
            closed = _CLOSED_BY.get(token.value, set())
            while stack and stack[-1] in closed:
                yield close_innermost()
            if token.value in VOID:
                yield open_tag(token.value, token.attributes)
            elif len(stack) < MAX_DEPTH:
                stack.append(token.value)
                counts[token.value] = counts.get(token.value, 0) + 1
                yield open_tag(token.value, token.attributes)
        elif counts.get(token.value):
            while stack[-1] != token.value:
                yield close_innermost()
            yield close_innermost()
    while stack:
        yield close_innermost()
