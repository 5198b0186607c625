"""Raw bytes of one mail to a :class:`ParsedMail`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime

from apps.core.charsets import clean_line, decode_bytes

from .address import parse_address_header, unique_addresses
from .body import read_body
from .dates import parse_date
from .headers import HeaderBlock, decode_header
from .mime import Tree, parse_tree
from .types import (
    LOOP_MARKER,
    MAX_REFERENCES,
    OWN_HEADER_PREFIX,
    Address,
    AutomationSigns,
    ParsedMail,
    UnreadableMail,
)

MAX_SUBJECT = 998
MAX_MESSAGE_ID = 500
_MAX_HEADERS_KEPT = 500
_MAX_HEADER_TEXT = 10_000

_ANGLE = re.compile(r"<([^<>]*)>")
_BLANKS = re.compile(r"\s+")
_COMMENT = re.compile(r"\([^()]*\)")
_LISTS = (
    "list-id",
    "list-post",
    "list-unsubscribe",
    "list-help",
    "mailing-list",
    "x-mailing-list",
    "x-mailman-version",
)
_ENVELOPE_RECIPIENTS = (
    "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "x-rcpt-to",
    "x-forwarded-to", "x-original-recipient", "apparently-to", "x-apparently-to",
)  # fmt: skip
_MAIL_HEADERS = frozenset(
    {"from", "to", "cc", "bcc", "subject", "date", "message-id", "received", "return-path", "delivered-to", "sender",
     "reply-to", "mime-version", "content-type", "content-transfer-encoding", "content-disposition", "in-reply-to",
     "references"}
)  # fmt: skip


def parse_message(raw: bytes) -> ParsedMail:
    """Read a mail.

    Raises :class:`UnreadableMail` when nothing sensible can be had from the bytes, and nothing else, whatever
    they hold. Time and memory stay proportional to the size of the mail.
    """
    if not raw.strip(b"\x00 \t\r\n"):
        raise UnreadableMail("The message is empty.")
    tree = parse_tree(raw)
    headers = tree.root.headers
    if not any(name in _MAIL_HEADERS for name, _ in headers.fields):
        raise UnreadableMail("The data do not begin with the headers of a mail.")
    fallback = tree.root.params.get("charset", "")
    authors = _addresses(headers, "from", fallback)
    text_body, html_body, attachments = read_body(tree)
    people = {
        name: _addresses(headers, name, fallback) for name in ("to", "cc", "bcc", "resent-to", "resent-cc")
    }
    delivered_to = tuple(
        address for name in _ENVELOPE_RECIPIENTS for address in _addresses(headers, name, fallback, limit=20)
    )
    recipients = unique_addresses(
        [delivered_to, people["to"], people["cc"], people["resent-to"], people["resent-cc"], people["bcc"]]
    )
    if not (authors or recipients or text_body.strip() or html_body or attachments):
        raise UnreadableMail("The message has no sender, no recipient and no content.")
    return_path = _return_path(tree, headers)
    references = _message_ids(headers, "references")
    answered = _message_ids(headers, "in-reply-to")
    if len(headers.all("from")) > 1:
        tree.note("several-from-headers")
    return ParsedMail(
        digest=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        message_id=next(iter(_message_ids(headers, "message-id")), None),
        in_reply_to=answered[0] if answered else None,
        references=references[-MAX_REFERENCES:],
        date=_date(tree, headers),
        from_=next((author for author in authors if author.normalised), authors[0] if authors else None),
        authors=authors,
        sender=next(iter(_addresses(headers, "sender", fallback)), None),
        reply_to=_addresses(headers, "reply-to", fallback),
        to=people["to"],
        cc=people["cc"],
        delivered_to=delivered_to,
        resent_from=_addresses(headers, "resent-from", fallback),
        resent_to=people["resent-to"],
        resent_cc=people["resent-cc"],
        recipients=recipients,
        return_path=return_path,
        subject=_subject(tree, headers, fallback),
        text_body=text_body,
        html_body=html_body,
        attachments=attachments,
        automation=_automation(headers, return_path),
        is_loop_answer=any(LOOP_MARKER in message_id for message_id in (*answered, *references)),
        own_headers=_own_headers(headers),
        headers=_kept_headers(headers, fallback),
        content_type=tree.root.content_type,
        content_params=tuple(sorted(tree.root.params.items())),
        defects=tuple(tree.defects),
    )


def _addresses(headers: HeaderBlock, name: str, fallback: str, limit: int = 5) -> tuple[Address, ...]:
    values = headers.all(name)[:limit]
    found = [address for value in values for address in parse_address_header(value, fallback)]
    return tuple(address for address in found if address.email or address.name)


def _return_path(tree: Tree, headers: HeaderBlock) -> str | None:
    """Envelope sender; ``""`` for the null path. An mbox line counts when the header is missing."""
    for name in ("return-path", "x-envelope-from"):
        raw = headers.first(name)
        if raw is not None:
            text = decode_header(raw)
            match = _ANGLE.search(text)
            return (match.group(1) if match else text).strip()[:254]
    if tree.envelope_line:
        words = decode_bytes(tree.envelope_line)[0].lstrip(">").split()
        if len(words) > 1 and ("@" in words[1] or words[1] == "<>" or words[1].upper() == "MAILER-DAEMON"):
            return words[1].strip("<>")[:254]
    return None


def _subject(tree: Tree, headers: HeaderBlock, fallback: str) -> str:
    raw = headers.first("subject")
    subject = _BLANKS.sub(" ", decode_header(raw, fallback)).strip() if raw is not None else ""
    if len(subject) > MAX_SUBJECT:
        tree.note("subject-too-long")
        subject = subject[: MAX_SUBJECT - 1] + "\u2026"
    return subject


def _date(tree: Tree, headers: HeaderBlock) -> datetime | None:
    raw = headers.first("date")
    if raw is None:
        return None
    date = parse_date(decode_header(raw[:300]))
    if date is None:
        tree.note("bad-date")
    return date


def normalise_message_id(text: str) -> str | None:
    """``<id>`` without blanks and comments; None when there is no id in ``text``."""
    return next(iter(_ids_in(text)), None)


def _message_ids(headers: HeaderBlock, name: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in headers.all(name)[:5]:
        for message_id in _ids_in(decode_bytes(value)[0]):
            found.pop(message_id, None)
            found[message_id] = None
    return tuple(found)


def _ids_in(text: str) -> list[str]:
    text = clean_line(text)
    inner = [_BLANKS.sub("", _COMMENT.sub("", match)) for match in _ANGLE.findall(text)]
    if not any(inner):
        # Ids without brackets: take what looks like one, or the only word there is.
        words = _COMMENT.sub(" ", text).replace("<", " ").replace(">", " ").split()
        inner = [word.strip('",;') for word in words if "@" in word] or (words if len(words) == 1 else [])
    return [_limited_id(value) for value in inner if value]


def _limited_id(value: str) -> str:
    if len(value) <= MAX_MESSAGE_ID:
        return f"<{value}>"
    # Too long for an index; the digest keeps it recognisable.
    return f"<{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()}@long-id.invalid>"


def _automation(headers: HeaderBlock, return_path: str | None) -> AutomationSigns:
    def word(name: str) -> str:
        return (
            decode_header((headers.first(name) or b"")[:1_000])
            .partition(";")[0]
            .partition("(")[0]
            .strip()
            .lower()
        )

    suppress = re.split(r"[,\s]+", word("x-auto-response-suppress"))
    spam_status = word("x-spam-status")
    return AutomationSigns(
        auto_submitted=word("auto-submitted")[:60],
        precedence=word("precedence")[:60],
        suppress=frozenset(item for item in suppress[:20] if item),
        is_list=any(headers.first(name) is not None for name in _LISTS) or word("precedence") == "list",
        has_reply_marker=_has_reply_marker(headers, word),
        is_flagged_spam=word("x-spam-flag").startswith("yes") or spam_status.startswith("yes"),
        has_null_return_path=return_path == "",
    )


def _has_reply_marker(headers: HeaderBlock, word: Callable[[str], str]) -> bool:
    """Headers older than RFC 3834 that only vacation programs write."""
    if any(headers.first(name) is not None for name in ("x-autoreply", "x-autorespond", "x-auto-reply-from")):
        return word("x-autoreply") not in ("no", "false")
    return (
        "vacation" in word("x-apple-action")
        or word("x-mail-autoreply") != ""
        or word("delivered-to").startswith("autoresponder")
        or word("x-autogenerated") == "reply"
    )


def _own_headers(headers: HeaderBlock) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.removeprefix(OWN_HEADER_PREFIX), decode_header(value)[:_MAX_HEADER_TEXT])
        for name, value in headers.fields
        if name.startswith(OWN_HEADER_PREFIX)
    )[:50]


def _kept_headers(headers: HeaderBlock, fallback: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, decode_header(value[: 4 * _MAX_HEADER_TEXT], fallback)[:_MAX_HEADER_TEXT])
        for name, value in headers.fields[:_MAX_HEADERS_KEPT]
    )
