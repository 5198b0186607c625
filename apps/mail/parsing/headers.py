"""Header blocks: splitting, unfolding, encoded words (RFC 2047, 6532) and parameters (RFC 2231).

Everything works on the raw bytes of one header and runs in linear time. ``email.header`` is not used because
it loses text next to broken encoded words and knows no second guess at a charset.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.core.charsets import clean_line, decode_bytes

MAX_VALUE = 131_072
"""Bytes of one header value that are looked at; the rest of such a monster is dropped with a defect."""

MAX_BLOCK = 393_216
"""Bytes of all values of a header block that are kept."""

MAX_KEPT_PER_NAME = 100
MAX_KEPT = 2_000

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_NO_CONTINUATION = re.compile(rb"\n(?![ \t])")
_FIELD = re.compile(rb"([!-9;-~]{1,200}?)[ \t]*:")
# Only these convince us that a block goes on after a line that is no header.
_KNOWN = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|message-id|mime-version|received|return-path|reply-to|sender|references"
    rb"|in-reply-to|delivered-to|list-[a-z-]+|content-[a-z-]+|x-[!-9;-~]+|dkim-signature|thread-[a-z]+"
    rb"|auto-submitted|precedence|importance|user-agent|arc-[a-z-]+|authentication-results)[ \t]*:",
    re.I,
)
_ENCODED_WORD = re.compile(rb"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)(?:\?=|\Z)")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_TOKEN = re.compile(rb"[^\s;=\"]+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_CONTINUATION = re.compile(r"^(.+?)\*(\d{1,3})(\*?)$")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """Raw headers in their order: lower-case ASCII name and unfolded raw value."""

    fields: tuple[tuple[str, bytes], ...]
    defects: tuple[str, ...] = ()

    def first(self, name: str) -> bytes | None:
        return next((value for key, value in self.fields if key == name), None)

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


def split_headers(data: bytes, start: int, end: int) -> tuple[HeaderBlock, int]:
    """Read the headers in ``data[start:end]``; return them and where the body starts."""
    fields: list[tuple[str, list[bytes]]] = []
    counts: dict[str, int] = {}
    defects: list[str] = []
    current: list[bytes] | None = None
    position, size = start, 0
    while position < end:
        match = _LINE.match(data, position, end)
        assert match is not None
        line, following = match.group().rstrip(b"\r\n"), match.end()
        if line[:1] in (b" ", b"\t"):
            if not line.strip() and not _continues(data, following, end):
                position = following
                break
            if current is not None:
                current.append(line)
                size += len(line)
                if (
                    size > MAX_VALUE
                    and (beyond := _NO_CONTINUATION.search(data, following - 1, end)) is not None
                ):
                    # Enough of this header: go on where the next one begins.
                    following = beyond.start() + 1
        elif not line:
            position = following
            break
        elif found := _FIELD.match(line):
            name = found.group(1).decode("ascii").lower()
            current, size = [line[found.end() :]], len(line)
            counts[name] = counts.get(name, 0) + 1
            has_room = counts[name] <= MAX_KEPT_PER_NAME and len(fields) < MAX_KEPT
            if has_room or (name in _ALWAYS and counts[name] <= 5):
                fields.append((name, current))
        elif _continues(data, following, end):
            _note(defects, "header-line-without-colon")
            if current is not None:
                current.append(b" " + line)
        else:
            _note(defects, "no-blank-line-after-headers")
            break
        position = following
    if sum(counts.values()) > len(fields):
        defects.append("too-many-headers")
    joined, room = [], MAX_BLOCK
    for name, pieces in fields:
        value = b"\n".join(pieces).strip()
        allowed = min(MAX_VALUE, room)
        if len(value) > allowed:
            _note(defects, "header-too-long")
            value = value[:allowed]
        room -= len(value)
        joined.append((name, value))
    return HeaderBlock(tuple(joined), tuple(defects)), position


_ALWAYS = frozenset(
    {
        "from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "return-path",
        "content-type", "content-transfer-encoding", "content-disposition", "auto-submitted", "delivered-to",
    }
)  # fmt: skip


def _note(defects: list[str], word: str) -> None:
    if word not in defects:
        defects.append(word)


def _continues(data: bytes, position: int, end: int) -> bool:
    """Whether a well-known header follows within the next lines, so that an odd line is no end of the block."""
    for _ in range(4):
        match = _LINE.match(data, position, min(end, position + 1000))
        assert match is not None
        line = match.group()
        if not line.rstrip(b"\r\n"):
            return False
        if _KNOWN.match(line):
            return True
        if line[:1] not in (b" ", b"\t"):
            return False
        position = match.end()
    return False


def unfold(raw: bytes) -> bytes:
    return _BLANKS.sub(b" ", raw) if b"\n" in raw or b"\r" in raw else raw


def decode_header(raw: bytes, fallback: str = "") -> str:
    """Readable text of a header value, on one line. Adjacent encoded words are joined before decoding, so a
    character split between two of them survives. ``fallback`` is the charset to try for raw 8-bit text."""
    return clean_line("".join(_decoded_pieces(unfold(raw), fallback)))


def _decoded_pieces(raw: bytes, fallback: str) -> Iterator[str]:
    position, held, held_charset = 0, b"", ""
    for match in _ENCODED_WORD.finditer(raw):
        charset = match.group(1).decode("ascii", "replace").partition("*")[0].lower()
        payload = _word_bytes(match.group(2), match.group(3))
        between = raw[position : match.start()]
        if payload is None:
            continue
        adjacent = bool(held_charset) and not between.strip()
        if adjacent and charset == held_charset:
            held += payload
        else:
            if held_charset:
                yield decode_bytes(held, held_charset, fallback)[0]
            if not adjacent and between:
                yield decode_bytes(between, "", fallback)[0]
            held, held_charset = payload, charset
        position = match.end()
    if held_charset:
        yield decode_bytes(held, held_charset, fallback)[0]
    if position < len(raw):
        yield decode_bytes(raw[position:], "", fallback)[0]


def _word_bytes(encoding: bytes, payload: bytes) -> bytes | None:
    if encoding in b"qQ":
        return _HEX.sub(lambda match: bytes((int(match.group(1), 16),)), payload.replace(b"_", b" "))
    letters = _NOT_BASE64.sub(b"", payload)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return None


def parse_parameters(raw: bytes, fallback: str = "") -> tuple[str, dict[str, str]]:
    """Main value and parameters of a structured header such as Content-Type.

    Names and the main value are lower case. Continuations and charsets of RFC 2231 are resolved; encoded
    words inside values (not allowed, but common) are decoded; a missing ``;`` between parameters is tolerated.
    """
    raw = unfold(raw)[:32_768]
    head, _, rest = raw.partition(b";")
    if b"=" in head and (match := re.match(rb"\s*([^\s=]+/[^\s=]+)\s+", head)) is not None:
        # `text/plain charset=utf-8`: the semicolon is missing.
        head, rest = match.group(1), head[match.end() :] + b";" + rest
    main = clean_line(decode_bytes(_strip_comment(head))[0]).strip(" \"'").lower()
    if b"=" in head and not main.partition("=")[0].count("/"):
        # No main value at all: `; name=x` and `name=x` both occur.
        rest, main = raw.lstrip(b"; "), ""
    found: dict[str, bytes] = {}
    for name, value in _raw_parameters(rest):
        if name and (name not in found or not found[name]) and len(found) < 100:
            found[name] = value
    return main, _join_continuations(found, fallback)


def _strip_comment(raw: bytes) -> bytes:
    return re.sub(rb"\([^()]*\)", b"", raw)


def _raw_parameters(rest: bytes) -> Iterator[tuple[str, bytes]]:
    position, length = 0, len(rest)
    while position < length:
        while position < length and rest[position : position + 1] in b"; \t":
            position += 1
        match = _TOKEN.match(rest, position)
        if match is None:
            position += 1
            continue
        name = match.group().decode("ascii", "replace").lower()
        position = match.end()
        while position < length and rest[position : position + 1] in b" \t":
            position += 1
        if rest[position : position + 1] != b"=":
            continue
        position += 1
        while position < length and rest[position : position + 1] in b" \t":
            position += 1
        quoted = _QUOTED.match(rest, position) if rest[position : position + 1] == b'"' else None
        if quoted is not None:
            yield name, re.sub(rb"\\(.)", rb"\1", quoted.group(1), flags=re.S)
            position = quoted.end()
            continue
        stop = rest.find(b";", position)
        stop = length if stop < 0 else stop
        yield name, rest[position:stop].strip().strip(b'"')
        position = stop


def _join_continuations(found: dict[str, bytes], fallback: str) -> dict[str, str]:
    result: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, value in found.items():
        match = _CONTINUATION.match(name)
        if match:
            pieces.setdefault(match.group(1), {})[int(match.group(2))] = (value, bool(match.group(3)))
        elif name.endswith("*"):
            pieces.setdefault(name[:-1], {}).setdefault(0, (value, True))
        else:
            result[name] = decode_header(value, fallback)
    for name, numbered in pieces.items():
        # The extended form wins over a plain one that stands beside it for old readers.
        text = clean_line(_extended_value([numbered[key] for key in sorted(numbered)], fallback))
        if text or name not in result:
            result[name] = text
    return result


def _extended_value(numbered: Iterable[tuple[bytes, bool]], fallback: str) -> str:
    charset, data, is_first, is_any_encoded = "", b"", True, False
    for value, is_encoded in numbered:
        if is_encoded:
            is_any_encoded = True
            if is_first and value.count(b"'") >= 2:
                label, _, value = value.split(b"'", 2)
                charset = label.decode("ascii", "replace")
            value = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes((int(match.group(1), 16),)), value)
        data += value
        is_first = False
    if not is_any_encoded or b"=?" in data:
        return decode_header(data, fallback)
    return decode_bytes(data, charset, fallback)[0]
