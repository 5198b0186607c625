"""The tree of parts of a message, found without copying it.

``email.parser`` is not used here: it recurses once per level (RecursionError at a few hundred nested parts),
checks every line against every open boundary (seconds for a megabyte), takes the source of enclosed messages
apart and drops the text behind a header it cannot read. This splitter looks for boundary lines with
``bytes.find``, is bounded in depth and in the number of parts, and keeps what it will not take apart as the
source text of a part.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .headers import HeaderBlock, parse_parameters, split_headers

MAX_DEPTH = 40
MAX_PARTS = 1_000
_MAX_CANDIDATES = 100_000

_GUESSED_BOUNDARY = re.compile(
    rb"(?:\A|(?<=\n))--([^\r\n]{1,200}?)[ \t]*\r?\n(?=content-[a-z-]+[ \t]*:)", re.I
)
_MBOX_LINE = re.compile(rb"\s*>?From [^\s:][^\r\n]*(?:\r\n|\n|\r)")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_UU_BEGIN = re.compile(rb"(?:\A|(?<=\n))begin(?:-base64)? [0-7]{3,4} ([^\r\n]+)\r?\n")
_MAIN_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")


@dataclass(slots=True)
class Part:
    """One entity: headers, and the stretch of the message that holds its body, still encoded."""

    headers: HeaderBlock
    header_start: int
    start: int
    end: int
    content_type: str
    params: dict[str, str]
    children: list[Part] = field(default_factory=list)
    is_source: bool = False

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    def disposition(self) -> tuple[str, dict[str, str]]:
        raw = next((value for value in self.headers.all("content-disposition") if value), None)
        return parse_parameters(raw, self.params.get("charset", "")) if raw is not None else ("", {})


@dataclass(slots=True)
class Tree:
    data: bytes
    root: Part
    envelope_line: bytes = b""
    defects: list[str] = field(default_factory=list)
    part_count: int = 0

    def note(self, word: str) -> None:
        if word not in self.defects:
            self.defects.append(word)

    def leaves(self) -> Iterator[Part]:
        waiting = [self.root]
        while waiting:
            part = waiting.pop()
            if part.children:
                waiting.extend(reversed(part.children))
            else:
                yield part


def parse_tree(data: bytes) -> Tree:
    """Split a message. Never raises; a message without any structure is one text part."""
    if data.count(b"\r") > data.count(b"\n"):
        # Line ends of the old Macintosh.
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start, envelope = 0, b""
    if data[:3] == b"\xef\xbb\xbf":
        start = 3
    if (match := _MBOX_LINE.match(data, start)) is not None:
        envelope, start = match.group().strip(), match.end()
    while start < len(data) and data[start] in b"\r\n\t ":
        start += 1
    empty = Part(HeaderBlock(()), start, start, len(data), "text/plain", {})
    tree = Tree(data, empty, envelope)
    tree.root = _read_part(tree, start, len(data), 0, "text/plain")
    return tree


def _read_part(tree: Tree, start: int, end: int, depth: int, default_type: str) -> Part:
    tree.part_count += 1
    headers, body = split_headers(tree.data, start, end)
    if depth and headers.fields and not _is_part_header(headers):
        # The blank line before the text of this part is missing, and the text happens to hold a colon.
        tree.note("part-without-headers")
        headers, body = HeaderBlock(()), start
    for word in headers.defects:
        tree.note(word)
    content_type, params = _content_type(tree, headers, default_type)
    part = Part(headers, start, body, end, content_type, params)
    if content_type.startswith("multipart/"):
        _split_multipart(tree, part, depth)
    return part


def _is_part_header(headers: HeaderBlock) -> bool:
    return any(name.startswith(("content-", "mime-", "x-")) for name, _ in headers.fields)


def _content_type(tree: Tree, headers: HeaderBlock, default: str) -> tuple[str, dict[str, str]]:
    raw = next((value for value in headers.all("content-type") if value), None)
    if raw is None:
        return default, {}
    main, params = parse_parameters(raw)
    main = main.replace(" ", "").rstrip("/;,")
    if _MAIN_TYPE.fullmatch(main):
        return main, params
    tree.note("bad-content-type")
    if main == "text":
        return "text/plain", params
    # `Content-Type: pdf;` and `Content-Type: ; name=x.jpg`: left for the file name to decide.
    return (
        f"application/x-unknown-{main}"
        if re.fullmatch(r"[a-z0-9]{1,10}", main)
        else "application/octet-stream"
    ), params


def _split_multipart(tree: Tree, part: Part, depth: int) -> None:
    if depth >= MAX_DEPTH or tree.part_count >= MAX_PARTS:
        tree.note("nested-too-deep" if depth >= MAX_DEPTH else "too-many-parts")
        part.is_source = True
        part.content_type = "message/rfc822"
        return
    boundary = part.params.get("boundary", "").encode("utf-8", "replace").rstrip()
    lines = _delimiters(tree.data, part.start, part.end, boundary) if boundary else []
    if not any(not is_close for _, _, is_close in lines):
        guessed = _GUESSED_BOUNDARY.search(tree.data, part.start, min(part.end, part.start + 65_536))
        if guessed is not None:
            tree.note("boundary-guessed")
            lines = _delimiters(tree.data, part.start, part.end, guessed.group(1))
    if not any(not is_close for _, _, is_close in lines):
        tree.note("multipart-without-parts")
        part.content_type = "text/plain"
        return
    default_type = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    _adopt_preamble(tree, part, lines[0][0])
    for index, (_, begin, is_close) in enumerate(lines):
        if is_close:
            continue
        stop = lines[index + 1][0] if index + 1 < len(lines) else part.end
        if tree.part_count >= MAX_PARTS:
            tree.note("too-many-parts")
            rest = Part(HeaderBlock(()), begin, begin, part.end, "message/rfc822", {}, is_source=True)
            part.children.append(rest)
            return
        part.children.append(_read_part(tree, begin, max(begin, stop), depth + 1, default_type))
    if not lines[-1][2]:
        tree.note("missing-final-boundary")


def _adopt_preamble(tree: Tree, part: Part, stop: int) -> None:
    """A second Content-Type among the headers of a multipart shows that the first boundary line was lost:
    what stands before the next one is a part of its own."""
    types = [index for index, (name, _) in enumerate(part.headers.fields) if name == "content-type"]
    if len(types) < 2 or not tree.data[part.start : stop].strip():
        return
    tree.note("lost-first-boundary")
    headers = HeaderBlock(part.headers.fields[types[1] :])
    content_type, params = _content_type(tree, headers, "text/plain")
    if not content_type.startswith("multipart/"):
        tree.part_count += 1
        part.children.append(Part(headers, part.start, part.start, stop, content_type, params))


def _delimiters(data: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int, bool]]:
    """Boundary lines in ``data[start:end]``: where the text before ends, where the text after begins, and
    whether the line closes the multipart."""
    marker = b"--" + boundary
    found: list[tuple[int, int, bool]] = []
    position = start
    for _ in range(_MAX_CANDIDATES):
        at = data.find(marker, position, end)
        if at < 0:
            break
        position = at + len(marker)
        if at > 0 and data[at - 1] not in b"\r\n":
            # Not at the start of a line; go on behind the next line feed instead of at the next dash.
            line_end = data.find(b"\n--", at, end)
            if line_end < 0:
                break
            position = line_end + 1
            continue
        line_end = data.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end + 1
        rest = data[position : min(line_end, position + 200)].strip()
        if rest not in (b"", b"--"):
            continue
        stop = at
        if stop > start and data[stop - 1 : stop] == b"\n":
            stop -= 1
        if stop > start and data[stop - 1 : stop] == b"\r":
            stop -= 1
        found.append((max(stop, start), line_end, rest == b"--"))
        position = line_end
    return found


def part_source(tree: Tree, part: Part) -> bytes:
    """The part as it stands in the message, headers included."""
    return tree.data[part.header_start : part.end]


def decode_content(tree: Tree, part: Part) -> tuple[bytes, bool]:
    """The body of a leaf without its transfer encoding, and whether the encoding could be undone."""
    if part.is_source:
        return part_source(tree, part), True
    raw = next((value for value in part.headers.all("content-transfer-encoding") if value), b"")
    encoding = re.sub(rb"[^a-z0-9]", b"", raw.partition(b";")[0].lower())
    if encoding == b"base64":
        return decode_base64(tree.data[part.start : part.end])
    body = tree.data[part.start : part.end]
    if encoding == b"quotedprintable":
        return binascii.a2b_qp(body), True
    if encoding in (b"uuencode", b"xuuencode", b"uue", b"xuue", b"uu"):
        decoded = decode_uu(body)
        return (decoded[1], True) if decoded else (body, False)
    return body, True


def decode_base64(body: bytes) -> tuple[bytes, bool]:
    """Forgiving base64. Text that plainly is none comes back as it is, with False."""
    letters = body.translate(None, b" \t\r\n\x0b\x0c")
    if not letters:
        return b"", True
    strange = len(letters.translate(None, _BASE64_ALPHABET + b"="))
    if strange * 20 > len(letters):
        return body, False
    if strange:
        letters = letters.translate(None, bytes(set(range(256)) - set(_BASE64_ALPHABET + b"=")))
    if len(letters) % 4 == 0 and b"=" not in letters[:-2]:
        # The way it should be, without further copies of what may be a large file.
        del body
        return binascii.a2b_base64(letters), not strange
    return _decode_chunks(body, letters, is_good=not strange)


def _decode_chunks(body: bytes, letters: bytes, *, is_good: bool) -> tuple[bytes, bool]:
    """Base64 with missing or repeated padding. Some programs encode a file in chunks and pad each."""
    pieces: list[bytes] = []
    for index, chunk in enumerate([chunk for chunk in re.split(rb"=+", letters) if chunk]):
        if index and len(chunk) < 16:
            # Too short for a chunk: noise behind the padding of the last one.
            is_good = False
            continue
        if len(chunk) % 4 == 1:
            if len(chunk) < 64:
                return (b"".join(pieces), False) if pieces else (body, False)
            chunk, is_good = chunk[:-1], False
        pieces.append(binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4)))
    return b"".join(pieces), is_good


def decode_uu(body: bytes) -> tuple[str, bytes, int, int] | None:
    """First uuencoded file in ``body``: its raw name, content, and where the block starts and ends.

    None when there is no block, or its lines are not uuencoded."""
    begin = _UU_BEGIN.search(body)
    while begin is not None:
        result = _read_uu(body, begin)
        if isinstance(result, tuple):
            return result
        begin = _UU_BEGIN.search(body, result)
    return None


def _read_uu(body: bytes, begin: re.Match[bytes]) -> tuple[str, bytes, int, int] | int:
    pieces: list[bytes] = []
    position = begin.end()
    while position < len(body):
        line_end = body.find(b"\n", position)
        line_end = len(body) if line_end < 0 else line_end + 1
        line = body[position:line_end].rstrip(b"\r\n")
        if line.strip() == b"end":
            if not pieces:
                return begin.end()
            return begin.group(1).decode("utf-8", "replace"), b"".join(pieces), begin.start(), line_end
        if not line.strip() or line == b"`":
            position = line_end
            continue
        count = (line[0] - 32) & 63
        if not 32 <= line[0] <= 96 or len(line) > 1 + (count + 2) // 3 * 4 + 2:
            break
        try:
            pieces.append(binascii.a2b_uu(line))
        except binascii.Error:
            try:
                pieces.append(binascii.a2b_uu(line[: 1 + (count * 8 + 5) // 6]))
            except binascii.Error:
                break
        position = line_end
    # A block without its end line still is a file when it runs to the end of the text.
    if pieces and not body[position:].strip():
        return begin.group(1).decode("utf-8", "replace"), b"".join(pieces), begin.start(), len(body)
    return max(begin.end(), position)
