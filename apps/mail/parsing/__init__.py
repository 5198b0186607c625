"""Reading mail: bytes of strangers in, plain immutable values out. No Django, no database, no network.

``parse_message`` gives the content, ``classify`` says whether a person or a machine wrote and what a report
reports, ``sanitize_html`` and ``text_to_html`` make the body fit for our pages, ``visible_reply`` folds quotes.
"""

from __future__ import annotations

from .address import make_address, normalise_address, parse_address_list, unique_addresses
from .attachments import safe_file_name
from .bounce import classify
from .message import normalise_message_id, parse_message
from .quotes import OWN_LAYOUT_CLASS
from .reply import visible_reply
from .sanitize import mark_quotes, sanitize_html
from .text import html_to_text, preview, text_to_html
from .types import (
    LOOP_MARKER,
    OWN_HEADER_PREFIX,
    Address,
    Attachment,
    AutomationSigns,
    Classification,
    MailKind,
    ParsedMail,
    Reply,
    ReportRecipient,
    Segment,
    SegmentKind,
    UnreadableMail,
)

__all__ = [
    "LOOP_MARKER",
    "OWN_HEADER_PREFIX",
    "OWN_LAYOUT_CLASS",
    "Address",
    "Attachment",
    "AutomationSigns",
    "Classification",
    "MailKind",
    "ParsedMail",
    "Reply",
    "ReportRecipient",
    "Segment",
    "SegmentKind",
    "UnreadableMail",
    "classify",
    "html_to_text",
    "make_address",
    "mark_quotes",
    "normalise_address",
    "normalise_message_id",
    "parse_address_list",
    "parse_message",
    "preview",
    "safe_file_name",
    "sanitize_html",
    "text_to_html",
    "unique_addresses",
    "visible_reply",
]
