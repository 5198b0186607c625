"""Addresses: reading the lists people and programs write, and one form to compare them by.

The list parser never raises and never gives up on the rest of a header because of one broken entry. It
understands what RFC 5322 allows (groups, comments, source routes, quoted strings), what RFC 6532 adds (UTF-8)
and what is simply sent (semicolons between entries, no angle brackets, unquoted commas in names).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from apps.core.charsets import clean_line, decode_bytes

from .headers import decode_header, unfold
from .types import Address

MAX_ADDRESSES = 5_000
MAX_ADDRESS_LENGTH = 254

_SPECIAL = re.compile(r'[\\"()<>,;:]')
_BLANKS = re.compile(r"\s+")
_CHUNK = re.compile(r"[^\s<>()\",;]+")
_QUOTED_LOCAL = re.compile(r'("(?:[^"\\]|\\.)*")@(\S+)')
_BRACKET_OR_QUOTE = re.compile(r'[\\"<]')
_COMMENT_OR_QUOTE = re.compile(r'[\\"()]')
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x20\x7f]+|\"(?:[^\"\\\x00-\x1f]|\\.)*\"")
_DOMAIN = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x20\x7f/]+|\[[0-9A-Fa-f:.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]")
# Letters IDNA 2003 would fold into others, although they are letters of their own in domains today.
_IDNA_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")


def normalise_address(email: str) -> str:
    """Form for comparing and look-ups: lower case, NFC, domain in ASCII. Empty when it is no address."""
    text = clean_line(email).strip()
    if text[:7].lower() == "mailto:":
        text = text[7:]
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    local, at, domain = text.rpartition("@")
    if (
        not at
        or len(text) > MAX_ADDRESS_LENGTH
        or not _LOCAL.fullmatch(local)
        or not _DOMAIN.fullmatch(domain)
    ):
        return ""
    ascii_domain = _ascii_domain(domain.rstrip("."))
    result = unicodedata.normalize("NFC", local).lower() + "@" + ascii_domain
    return result if ascii_domain and len(result) <= MAX_ADDRESS_LENGTH else ""


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    labels = []
    for label in re.split("[.\u3002\uff0e\uff61]", domain):
        try:
            if label.isascii():
                labels.append(label.lower())
            elif _IDNA_DEVIATIONS.search(label):
                plain = unicodedata.normalize("NFC", label.lower())
                labels.append("xn--" + plain.encode("punycode").decode("ascii"))
            else:
                labels.append(label.encode("idna").decode("ascii").lower())
        except UnicodeError:
            return ""
    return ".".join(labels)


def make_address(email: str, name: str = "") -> Address:
    """An :class:`Address` from parts already decoded."""
    shown = clean_line(email).strip()[:MAX_ADDRESS_LENGTH]
    return Address(name=clean_line(name).strip()[:250], email=shown, normalised=normalise_address(shown))


def parse_address_list(text: str) -> tuple[Address, ...]:
    """Addresses in a line of text, for instance what somebody typed into a Cc field."""
    return parse_address_header(text.encode("utf-8", "replace"))


def parse_address_header(raw: bytes, fallback: str = "") -> tuple[Address, ...]:
    """Addresses of a raw header value. Entries without any address keep their name and have an empty
    ``email``; empty groups and empty entries vanish."""
    text = unfold(raw).decode("utf-8", "surrogateescape")
    found: list[Address] = []
    for entry in _join_names_with_comma(_entries(text)):
        found.extend(_read_entry(entry, fallback))
        if len(found) >= MAX_ADDRESSES:
            break
    return tuple(found[:MAX_ADDRESSES])


def unique_addresses(groups: Iterable[Iterable[Address]]) -> tuple[Address, ...]:
    """Deliverable addresses in their order, each once; a later duplicate may only add a missing name."""
    found: dict[str, Address] = {}
    for group in groups:
        for address in group:
            if not address.normalised:
                continue
            known = found.get(address.normalised)
            if known is None or (address.name and not known.name):
                found[address.normalised] = address
    return tuple(found.values())


def _entries(text: str) -> Iterator[str]:
    """Split at commas and semicolons outside quotes, comments and brackets; group names are left out."""
    start, position, depth, in_angle = 0, 0, 0, False
    no_quote_after, no_bracket_after, next_at = len(text), len(text), -1
    while match := _SPECIAL.search(text, position):
        sign, position = match.group(), match.end()
        if sign == "\\":
            position += 1
        elif depth:
            depth += {"(": 1, ")": -1}.get(sign, 0)
        elif sign == '"':
            if position <= no_quote_after:
                closing = _closing_quote(text, position)
                if closing < 0:
                    no_quote_after = position - 1
                else:
                    position = closing + 1
        elif sign == "(":
            # An unclosed comment would swallow every address behind it.
            if position <= no_bracket_after:
                if text.find(")", position) < 0:
                    no_bracket_after = position - 1
                else:
                    depth = 1
        elif sign == "<":
            in_angle = text.find(">", position, position + 2_000) >= 0
        elif sign == ">":
            in_angle = False
        elif in_angle:
            continue
        elif sign == ":":
            if next_at < start:
                next_at = text.find("@", start)
                next_at = len(text) if next_at < 0 else next_at
            # A colon before any at sign ends a group name; "mailto:" belongs to the address.
            if next_at >= position and text[max(start, position - 7) : position].lower() != "mailto:":
                start = position
        elif sign in ",;":
            yield text[start : position - 1]
            start = position
    yield text[start:]


def _closing_quote(text: str, position: int) -> int:
    while True:
        closing = text.find('"', position)
        if closing < 0:
            return -1
        slashes = closing - 1
        while slashes >= position and text[slashes] == "\\":
            slashes -= 1
        if (closing - slashes) % 2:
            return closing
        position = closing + 1


def _join_names_with_comma(entries: Iterable[str]) -> Iterator[str]:
    """``Doe, Jane <jane@x>`` without quotes is one person, not two. Encoded words hide their commas themselves."""
    waiting = ""
    for entry in entries:
        if not entry.strip():
            continue
        if not any(sign in entry for sign in ("@", "<", '"', "=?")):
            if waiting:
                yield waiting
            waiting = entry
            continue
        if waiting:
            head = entry.partition("<")[0]
            if "<" in entry and head.strip() and '"' not in head and "@" not in head:
                entry = waiting.strip() + ", " + entry.strip()
            else:
                yield waiting
            waiting = ""
        yield entry
    if waiting:
        yield waiting


def _read_entry(entry: str, fallback: str) -> Iterator[Address]:
    opening = _last_bracket(entry)
    if opening >= 0:
        closing = entry.find(">", opening)
        inside = entry[opening + 1 : closing if closing >= 0 else len(entry)]
        name = _plain_name(entry[:opening], fallback)
        if not name and closing >= 0:
            name = _plain_name(entry[closing + 1 :], fallback)
        emails = list(_emails(_without_comments(inside)[0]))
        if not emails and "@" in name and not inside.strip():
            # `someone@example.com <>`: the name is the only address there is.
            emails, name = list(_emails(name)), ""
        if not emails:
            yield make_address("", name or _plain_name(inside, fallback))
            return
        for email in emails[:50]:
            yield make_address(_raw_text(email, fallback), "" if name == email else name)
        return
    rest, comment = _without_comments(entry)
    rest = _BLANKS.sub(" ", rest).strip()
    if "@" in rest:
        yield from _read_bare(rest, comment, fallback)
        return
    name = _plain_name(rest, fallback) or _plain_name(comment, fallback)
    if name:
        # A lone word may be a local account (`mailer-daemon`); several words are a name.
        is_account = bool(re.fullmatch(r"[A-Za-z0-9._+-]+", rest))
        yield make_address(name if is_account else "", "" if is_account else name)


def _read_bare(rest: str, comment: str, fallback: str) -> Iterator[Address]:
    """An entry without brackets: `a@b`, `Name a@b`, `a@b (Name)`, `a@b c@d`."""
    if _QUOTED_LOCAL.fullmatch(rest):
        yield make_address(_raw_text(rest, fallback), _plain_name(comment, fallback))
        return
    is_single = rest.count("@") == 1 and '"' not in rest
    emails = _bare_emails(re.sub(r" ?([@.]) ?", r"\1", rest) if is_single else rest)
    if not emails:
        yield make_address("", _plain_name(rest, fallback))
    elif len(emails) == 1:
        before = rest.partition(emails[0])[0] if emails[0] in rest else ""
        before = "" if before.strip().lower() == "mailto:" else before
        name = _plain_name(before, fallback) or _plain_name(comment, fallback)
        yield make_address(_raw_text(_trim(emails[0]), fallback), name)
    else:
        for email in emails[:50]:
            yield make_address(_raw_text(_trim(email), fallback))


def _bare_emails(text: str) -> list[str]:
    return [_strip_mailto(chunk) for chunk in _CHUNK.findall(text) if "@" in chunk[1:-1]]


def _strip_mailto(text: str) -> str:
    return text[7:] if text[:7].lower() == "mailto:" else text


def _last_bracket(entry: str) -> int:
    """Position of the bracket that opens the address; brackets inside quotes do not count."""
    position, found = 0, -1
    while match := _BRACKET_OR_QUOTE.search(entry, position):
        position = match.end()
        if match.group() == "\\":
            position += 1
        elif match.group() == '"':
            closing = _closing_quote(entry, position)
            position = closing + 1 if closing >= 0 else position
        else:
            found = match.start()
            if "@" in entry[found : found + MAX_ADDRESS_LENGTH]:
                return found
    return found


def _emails(inside: str) -> Iterator[str]:
    """Addresses between angle brackets; routes and blanks around the at sign are removed."""
    inside = _strip_mailto(inside.strip())
    if inside.startswith("@") and ":" in inside:
        inside = inside.rpartition(":")[2]
    if '"' in inside:
        if "@" in inside:
            yield inside
        return
    if inside.count("@") == 1:
        compact = _BLANKS.sub("", inside)
        if _CHUNK.fullmatch(compact):
            yield _trim(compact)
            return
    words = _bare_emails(inside)
    if words:
        yield from (_trim(word) for word in words)
    elif inside and "@" not in inside and not _BLANKS.search(inside):
        yield inside


def _trim(email: str) -> str:
    return email.strip(".'`[]{}") if not email.endswith("]") or "@[" not in email else email.strip(".'`")


def _without_comments(text: str) -> tuple[str, str]:
    """Text without its comments, and the comments' own text."""
    if "(" not in text:
        return text, ""
    kept, comments = [], []
    depth, start, position = 0, 0, 0
    while match := _COMMENT_OR_QUOTE.search(text, position):
        sign, position = match.group(), match.end()
        if sign == "\\":
            position += 1
        elif sign == '"' and not depth:
            closing = _closing_quote(text, position)
            position = closing + 1 if closing >= 0 else position
        elif sign == "(":
            if not depth:
                kept.append(text[start : match.start()])
                start = position
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
            if not depth:
                comments.append(text[start : match.start()])
                start = position
    (comments if depth else kept).append(text[start:])
    return " ".join(kept) if len(kept) > 1 else "".join(kept), " ".join(comments)


def _plain_name(text: str, fallback: str) -> str:
    """Display name without quotes and comments, encoded words decoded."""
    name, comment = _without_comments(text)
    name = _unquote(name.strip().rstrip(":").strip()) or _unquote(comment.strip())
    return _BLANKS.sub(" ", _decoded(name, fallback)).strip(" '\"\u201c\u201d")


def _unquote(text: str) -> str:
    if '"' not in text and "\\" not in text:
        return text
    return re.sub(r"\\(.)", r"\1", re.sub(r'(?<!\\)"', "", text))


def _decoded(text: str, fallback: str) -> str:
    return decode_header(text.encode("utf-8", "surrogateescape"), fallback)


def _raw_text(text: str, fallback: str) -> str:
    """Address text. Encoded words stay as they are: decoding them could move the at sign to another domain."""
    if text.isascii():
        return text
    return decode_bytes(text.encode("utf-8", "surrogateescape"), "", fallback)[0]
