"""What the mail parser hands out: immutable values, no ORM, no I/O.

Invariants of every value in this module: text is valid Unicode without NUL, attachment names carry no
path and no control character, datetimes are aware and in UTC, sequences are tuples.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

LOOP_MARKER = "-loop-detection-bounce-email@"
"""Part of the ids in our own loop notices; a mail that refers to one is an answer to a machine of ours."""

OWN_HEADER_PREFIX = "x-meridian-"
"""Lower-case prefix of the headers that only this system writes."""

MAX_REFERENCES = 32


class UnreadableMail(Exception):
    """The bytes carry nothing that could be shown to a person.

    ``reason`` is one short sentence for the quarantine list. Never raised for mail that is merely broken.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox as it stood in a header.

    ``email`` keeps the spelling of the sender (display form); ``normalised`` is the form to compare and to
    store in look-up columns: lower case, domain in ASCII (IDNA). ``normalised`` is empty when ``email`` is
    not an address anybody could deliver to, for instance ``mailer-daemon`` without a domain.
    """

    name: str
    email: str
    normalised: str

    def __str__(self) -> str:
        if not self.name:
            return self.email
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.email}>'

    @property
    def local_part(self) -> str:
        """Lower-case part before the last at sign; the whole text when there is none."""
        return self.email.rpartition("@")[0].lower() if "@" in self.email else self.email.lower()

    @property
    def domain(self) -> str:
        return self.normalised.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a mail.

    ``is_inline`` says that the sender meant it to be shown inside the text (disposition ``inline`` or a
    Content-ID in a related group), not that the text refers to it. ``content_id`` has no angle brackets.
    ``is_source`` marks files made by the parser from parts it would not take apart, so that nothing is lost.
    """

    name: str
    content_type: str
    content: bytes
    content_id: str = ""
    is_inline: bool = False
    is_source: bool = False
    charset: str = ""

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True)
class AutomationSigns:
    """What the headers say about the machine behind a mail (RFC 3834 and what came before it).

    ``auto_submitted`` is the bare lower-case keyword (``auto-replied``, ``auto-generated``, …), empty when the
    header is absent. ``suppress`` holds the lower-case words of X-Auto-Response-Suppress.
    """

    auto_submitted: str = ""
    precedence: str = ""
    suppress: frozenset[str] = frozenset()
    is_list: bool = False
    has_reply_marker: bool = False
    is_flagged_spam: bool = False
    has_null_return_path: bool = False

    @property
    def is_automatic(self) -> bool:
        """A program wrote this, whatever for."""
        return (
            (bool(self.auto_submitted) and self.auto_submitted != "no")
            or self.has_reply_marker
            or self.precedence in {"auto_reply", "auto-reply", "bulk", "junk"}
        )

    @property
    def is_auto_reply(self) -> bool:
        """A program answered a mail. Spoken replies of people never carry these headers."""
        return (
            self.auto_submitted.startswith("auto-replied")
            or self.has_reply_marker
            or self.precedence in {"auto_reply", "auto-reply"}
        )

    @property
    def forbids_answer(self) -> bool:
        """An automatic answer to this mail would be wrong (loops, lists, bounces)."""
        return (
            self.is_automatic
            or self.is_list
            or self.has_null_return_path
            or self.precedence == "list"
            or bool(self.suppress & {"all", "autoreply", "oof"})
        )


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """One message, decoded.

    ``return_path`` is None when the mail names no envelope sender and ``""`` for the null path ``<>``.
    ``text_body`` is always filled when there is any text (made from the HTML when the mail has only HTML);
    ``html_body`` is None for a mail without HTML. Neither is sanitised.
    ``references`` are the newest 32 ids, oldest first. ``digest`` is the SHA-256 of the raw bytes, in hex: the
    same bytes always give the same digest. ``defects`` are stable machine words, no sentences.
    ``content_params`` are the parameters of the outermost Content-Type (``report-type`` tells reports apart).
    """

    digest: str
    size: int
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    date: datetime | None
    from_: Address | None
    authors: tuple[Address, ...]
    sender: Address | None
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    delivered_to: tuple[Address, ...]
    resent_from: tuple[Address, ...]
    resent_to: tuple[Address, ...]
    resent_cc: tuple[Address, ...]
    recipients: tuple[Address, ...]
    return_path: str | None
    subject: str
    text_body: str
    html_body: str | None
    attachments: tuple[Attachment, ...]
    automation: AutomationSigns
    is_loop_answer: bool
    own_headers: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    content_type: str = "text/plain"
    content_params: tuple[tuple[str, str], ...] = ()
    defects: tuple[str, ...] = ()

    def header(self, name: str) -> str | None:
        """Decoded value of the first header called ``name`` (any case), None when absent."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def header_all(self, name: str) -> tuple[str, ...]:
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key == wanted)

    def own_header(self, name: str) -> str | None:
        """Value of our own header ``X-Meridian-<name>``."""
        return next((value for key, value in self.own_headers if key == name.lower()), None)

    @property
    def thread_ids(self) -> tuple[str, ...]:
        """Ids this mail may answer, most likely first: In-Reply-To, then References from new to old."""
        ids = ([self.in_reply_to] if self.in_reply_to else []) + list(reversed(self.references))
        return tuple(dict.fromkeys(ids))


class MailKind(enum.StrEnum):
    """What a mail is for the gateway. Only ``ORDINARY`` was written by or for a person."""

    ORDINARY = "ordinary"
    BOUNCE = "bounce"
    DELAY = "delay"
    DELIVERED = "delivered"
    FEEDBACK_REPORT = "feedback_report"
    AUTO_REPLY = "auto_reply"
    DISPOSITION_NOTIFICATION = "disposition_notification"


@dataclass(frozen=True, slots=True)
class ReportRecipient:
    """What a report says about one address.

    ``action`` is one of failed, delayed, delivered, relayed, expanded; ``status`` an RFC 3463 code such as
    ``5.1.1`` or empty; ``diagnostic`` the text of the reporting system on one line.
    """

    address: str
    action: str
    status: str = ""
    diagnostic: str = ""

    @property
    def is_failure(self) -> bool:
        return self.action == "failed"


@dataclass(frozen=True, slots=True)
class Classification:
    """Kind of a mail and, for reports, what they report.

    ``is_formal`` tells machine-readable reports (RFC 3464, 5965, 8098) from those understood by their wording.
    ``original_message_ids`` are candidates for the id of the mail reported about, most certain first.
    """

    kind: MailKind
    is_formal: bool = False
    recipients: tuple[ReportRecipient, ...] = ()
    original_message_ids: tuple[str, ...] = ()
    feedback_type: str = ""
    disposition: str = ""

    @property
    def original_message_id(self) -> str | None:
        return self.original_message_ids[0] if self.original_message_ids else None

    @property
    def failed_recipients(self) -> tuple[ReportRecipient, ...]:
        return tuple(recipient for recipient in self.recipients if recipient.is_failure)

    @property
    def opens_record(self) -> bool:
        """Whether the gateway may create a record or an answer from a mail of this kind."""
        return self.kind is MailKind.ORDINARY


class SegmentKind(enum.StrEnum):
    VISIBLE = "visible"
    QUOTED = "quoted"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch ``text[start:end]`` of a reply; the segments of a reply cover its text without gaps."""

    kind: SegmentKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A plain-text mail, folded. Joining the segments gives ``text`` back; nothing is ever cut out."""

    text: str
    visible: str
    quoted: str
    signature: str
    segments: tuple[Segment, ...]
