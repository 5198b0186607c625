"""Formal reports inside a mail: delivery status (RFC 3464), complaints (RFC 5965), read receipts (RFC 8098).

Reads fields leniently: wrong order, missing blank lines, MIME headers between the groups, blanks before the
colon and addresses with half their brackets all occur in reports of large providers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from apps.core.charsets import clean_line, clean_text, decode_bytes

from .headers import decode_header, split_headers
from .message import normalise_message_id
from .types import Attachment, ReportRecipient

DELIVERY_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
DISPOSITION = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
FEEDBACK = "message/feedback-report"
ORIGINAL_MESSAGE = frozenset({"message/rfc822", "message/global", "message/partial"})
ORIGINAL_HEADERS = frozenset({"text/rfc822-headers", "message/global-headers", "message/rfc822-headers"})

MAX_REPORT = 262_144
MAX_RECIPIENTS = 500
MAX_DIAGNOSTIC = 1_000

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:[ \t]?(.*)")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_WORD = re.compile(r"[a-z]+")
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_ADDRESS = re.compile(
    r"[^\s<>()\[\]\",;:@]{1,64}@[^\s<>()\[\]\",;:@]{1,250}|\"[^\"\s]{1,64}\"@[^\s<>()\",;:@]{1,250}"
)
_BLANKS = re.compile(r"\s+")

Group = dict[str, str]


def field_groups(text: str) -> Iterator[Group]:
    """Groups of ``name: value`` lines, separated by blank lines; names are lower case, values unfolded."""
    group: Group = {}
    last = ""
    for line in text.split("\n"):
        if not line.strip():
            if group:
                yield group
            group, last = {}, ""
        elif line[0] in " \t" and last:
            if len(group[last]) < 4 * MAX_DIAGNOSTIC:
                group[last] += " " + line.strip()
        elif match := _FIELD.match(line.strip()):
            name = match.group(1).lower()
            # A second recipient without a blank line before it starts a group of its own.
            if name == "final-recipient" and name in group:
                yield group
                group = {}
            last = name if name not in group else ""
            if last:
                group[last] = match.group(2).strip()
        else:
            last = ""
    if group:
        yield group


def report_text(attachment: Attachment) -> str:
    return clean_text(decode_bytes(attachment.content[:MAX_REPORT], attachment.charset)[0])


def read_delivery_status(attachments: Iterable[Attachment]) -> tuple[ReportRecipient, ...]:
    """Recipients of all delivery-status parts, in their order, each address once per action."""
    found: dict[tuple[str, str], ReportRecipient] = {}
    for attachment in attachments:
        if attachment.content_type in DELIVERY_STATUS:
            for group in field_groups(report_text(attachment)):
                recipient = recipient_of(group)
                if recipient is not None and len(found) < MAX_RECIPIENTS:
                    found.setdefault((recipient.address.lower(), recipient.action), recipient)
    return tuple(found.values())


def recipient_of(group: Group) -> ReportRecipient | None:
    """The recipient a group of fields reports about; None for the group about the whole message."""
    address = next(
        (
            found
            for name in ("final-recipient", "original-recipient", "x-actual-recipient")
            if (found := typed_address(group.get(name, "")))
        ),
        "",
    )
    if not address and "action" not in group:
        return None
    match = _STATUS.search(group.get("status", ""))
    status = match.group() if match else ""
    diagnostic = decode_header(group.get("diagnostic-code", "").encode("utf-8", "replace"))
    word = _WORD.match(group.get("action", "").strip().lower())
    action = word.group() if word else ""
    if action not in _ACTIONS:
        action = _action_for(status or _smtp_class(diagnostic))
    if not address:
        return None
    return ReportRecipient(address, action, status, one_line(diagnostic))


def _action_for(status: str) -> str:
    return {"4": "delayed", "2": "delivered"}.get(status[:1], "failed")


def _smtp_class(text: str) -> str:
    match = re.search(r"\b([245])\d\d\b", text)
    return match.group(1) if match else ""


def typed_address(value: str) -> str:
    """Address of a ``rfc822; user@example.com`` field, with or without the type and with odd brackets."""
    kind, semicolon, rest = value[:2_000].partition(";")
    text = rest if semicolon and "@" not in kind else value[:2_000]
    match = _ADDRESS.search(clean_line(text))
    if match:
        return match.group().strip(".'`")
    # Reports about local users and X.400 names carry no domain.
    bare = clean_line(text).strip("<> ")
    return bare[:254] if semicolon and bare and " " not in bare else ""


def one_line(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()[:MAX_DIAGNOSTIC]


def original_ids(attachments: Iterable[Attachment]) -> list[str]:
    """Message ids of the mail that is reported about, from the copy or the headers that came back."""
    found: dict[str, None] = {}
    for attachment in attachments:
        if attachment.content_type in ORIGINAL_MESSAGE or attachment.content_type in ORIGINAL_HEADERS:
            data = attachment.content[:MAX_REPORT].lstrip()
            headers, _ = split_headers(data, 0, len(data))
            for name in ("message-id", "x-microsoft-original-message-id"):
                for value in headers.all(name)[:2]:
                    if message_id := normalise_message_id(decode_header(value)):
                        found[message_id] = None
    return list(found)


def original_headers(attachments: Iterable[Attachment]) -> dict[str, str]:
    """Decoded headers of the first enclosed copy of the original mail."""
    for attachment in attachments:
        if attachment.content_type in ORIGINAL_MESSAGE or attachment.content_type in ORIGINAL_HEADERS:
            data = attachment.content[:MAX_REPORT].lstrip()
            headers, _ = split_headers(data, 0, len(data))
            if headers.fields:
                return {name: decode_header(value) for name, value in reversed(headers.fields)}
    return {}
