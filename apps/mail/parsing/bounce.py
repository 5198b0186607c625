"""What kind of mail this is: written for a person, or a report of a machine about a mail of ours.

Formal reports are read from their machine-readable part. Bounces without one are recognised by adding up
evidence: who sends it (mailer daemon, null return path), what the subject and the text say and whether the
original mail is enclosed. No single sign suffices, so a customer who writes about a failed delivery, or passes
a bounce on, still opens a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import wording
from .message import normalise_message_id, parse_message
from .reports import (
    DELIVERY_STATUS,
    DISPOSITION,
    FEEDBACK,
    MAX_RECIPIENTS,
    MAX_REPORT,
    ORIGINAL_HEADERS,
    ORIGINAL_MESSAGE,
    field_groups,
    one_line,
    original_headers,
    original_ids,
    read_delivery_status,
    recipient_of,
    report_text,
    typed_address,
)
from .types import Classification, MailKind, ParsedMail, ReportRecipient, UnreadableMail

_MAX_TEXT = 65_536
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}"
)
_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY_ABOUT = re.compile(
    r"\s*[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}\s+)?<([^\s<>@]{1,64}@[^\s<>@]{1,250})>\.\.\."
)
_MESSAGE_ID_LINE = re.compile(r"^[ \t>]*message-id:[ \t]*(?:\n[ \t]+)?(<[^<>\s]{3,400}>)", re.I | re.M)
_NOT_THE_RECIPIENT = re.compile(
    r"mail from|envelope-from|\bfrom\b[^@]{0,60}@|sender|originator|postmaster@|mailer-daemon@|message-id|please (?:contact|send)"
    r"|reply-to|for further assistance|return-path|\bf=\[|\breceived:",
    re.I,
)
_LIST_ADMIN = re.compile(r"^owner-|-(?:owner|admin|bounces?|request)@", re.I)
_REPORTING_LINE = re.compile(
    r"final-recipient|rcpt to|recipient|deliver|\bto:|>>>|addresses?|failed|\(|:$|^[\s<*\"-]*[^\s@]+@\S+$",
    re.I,
)


def classify(mail: ParsedMail) -> Classification:
    """Kind of ``mail`` and what it reports. Pure, never raises."""
    formal = _formal(mail)
    if formal is not None:
        return formal
    notice = _json_notice(mail)
    if notice is not None:
        return notice
    informal = _informal(mail)
    if informal is not None:
        return informal
    if mail.automation.is_auto_reply or wording.AUTO_REPLY_SUBJECT.search(mail.subject):
        return Classification(kind=MailKind.AUTO_REPLY, original_message_ids=mail.thread_ids)
    return Classification(kind=MailKind.ORDINARY)


def _formal(mail: ParsedMail) -> Classification | None:
    types = {attachment.content_type for attachment in mail.attachments}
    report_type = _report_type(mail)
    if not (mail.content_type == "multipart/report" or mail.content_type in types or _origin(mail) > 0):
        # Mail programs attach the parts of a report when a person forwards it.
        types = set()
    if FEEDBACK in types or report_type == "feedback-report" or _is_bare_complaint(mail):
        return _feedback(mail)
    if types & DISPOSITION or report_type == "disposition-notification":
        return _disposition(mail)
    if types & DELIVERY_STATUS:
        recipients = read_delivery_status(mail.attachments)
        if recipients:
            return Classification(
                kind=_kind_of(recipients),
                is_formal=True,
                recipients=recipients,
                original_message_ids=_candidates(mail),
            )
    return None


def _report_type(mail: ParsedMail) -> str:
    return (
        dict(mail.content_params).get("report-type", "").lower()
        if mail.content_type == "multipart/report"
        else ""
    )


def _kind_of(recipients: Iterable[ReportRecipient]) -> MailKind:
    actions = {recipient.action for recipient in recipients}
    if "failed" in actions:
        return MailKind.BOUNCE
    return MailKind.DELAY if "delayed" in actions else MailKind.DELIVERED


def _candidates(mail: ParsedMail) -> tuple[str, ...]:
    """Ids of the reported mail: from the enclosed copy, then from the text, then from the threading headers."""
    enclosed = original_ids(mail.attachments)
    guessed: list[str] = []
    for attachment in mail.attachments:
        if attachment.content_type.startswith("text/") or attachment.content_type in {FEEDBACK, *DISPOSITION}:
            guessed.extend(_ids_in_text(report_text(attachment)[:_MAX_TEXT]))
    guessed.extend(_ids_in_text(mail.text_body[:_MAX_TEXT]))
    guessed.extend(mail.thread_ids)
    others = (message_id for message_id in guessed if message_id != mail.message_id)
    return tuple(dict.fromkeys([*enclosed, *others]))[:20]


def _ids_in_text(text: str) -> Iterator[str]:
    for match in _MESSAGE_ID_LINE.finditer(text):
        message_id = normalise_message_id(match.group(1))
        if message_id:
            yield message_id


def _is_bare_complaint(mail: ParsedMail) -> bool:
    """A feedback loop older than the report format: only the mail complained about, under a fixed subject."""
    enclosed = [item for item in mail.attachments if item.content_type in ORIGINAL_MESSAGE]
    return (
        bool(enclosed) and not mail.text_body.strip() and bool(wording.COMPLAINT_SUBJECT.match(mail.subject))
    )


def _feedback(mail: ParsedMail) -> Classification:
    fields: dict[str, str] = {}
    for attachment in mail.attachments:
        if attachment.content_type == FEEDBACK:
            for group in field_groups(report_text(attachment)):
                fields = {**group, **fields}
    enclosed = original_headers(mail.attachments)
    value = fields.get("original-rcpt-to") or enclosed.get("x-hmxmroriginalrecipient") or ""
    address = typed_address(value) or typed_address(enclosed.get("to", ""))
    recipients = (ReportRecipient(address, "delivered"),) if address else ()
    return Classification(
        kind=MailKind.FEEDBACK_REPORT,
        is_formal=True,
        recipients=recipients,
        original_message_ids=_candidates(mail),
        feedback_type=one_line(fields.get("feedback-type", "abuse")).lower()[:60],
    )


def _disposition(mail: ParsedMail) -> Classification:
    fields: dict[str, str] = {}
    for attachment in mail.attachments:
        if attachment.content_type in DISPOSITION:
            for group in field_groups(report_text(attachment)):
                fields = {**group, **fields}
    address = typed_address(fields.get("final-recipient", "")) or typed_address(
        fields.get("original-recipient", "")
    )
    original = normalise_message_id(fields.get("original-message-id", ""))
    ids = dict.fromkeys([*([original] if original else []), *_candidates(mail)])
    return Classification(
        kind=MailKind.DISPOSITION_NOTIFICATION,
        is_formal=True,
        recipients=(ReportRecipient(address, "delivered"),) if address else (),
        original_message_ids=tuple(ids),
        disposition=one_line(fields.get("disposition", "").rpartition(";")[2]).lower()[:60],
    )


# ---------------------------------------------------------------------------------------------------------------
# Notices of sending services as JSON


def _json_notice(mail: ParsedMail) -> Classification | None:
    """Event notices that sending services mail as one JSON object (type, mail, recipients)."""
    text = mail.text_body.lstrip()
    if not text.startswith("{") or '"notificationType"' not in text[:_MAX_TEXT]:
        return None
    try:
        notice, _ = json.JSONDecoder().raw_decode(text[: 4 * _MAX_TEXT])
    except (ValueError, RecursionError):
        return None
    if not isinstance(notice, dict) or not isinstance(notice.get("mail"), dict):
        return None
    original = normalise_message_id(str(notice["mail"].get("messageId", "")))
    ids = (original,) if original else ()
    kind = str(notice.get("notificationType", "")).lower()
    if kind == "bounce":
        action = (
            "delayed"
            if str(_dict(notice.get("bounce")).get("bounceType")).lower() == "transient"
            else "failed"
        )
        recipients = tuple(_json_recipients(_dict(notice.get("bounce")).get("bouncedRecipients"), action))
        return Classification(_kind_of(recipients), True, recipients, ids)
    if kind == "complaint":
        complaint = _dict(notice.get("complaint"))
        recipients = tuple(_json_recipients(complaint.get("complainedRecipients"), "delivered"))
        feedback = str(complaint.get("complaintFeedbackType") or "abuse").lower()[:60]
        return Classification(MailKind.FEEDBACK_REPORT, True, recipients, ids, feedback_type=feedback)
    if kind == "delivery":
        addresses = _dict(notice.get("delivery")).get("recipients")
        items = addresses if isinstance(addresses, list) else []
        recipients = tuple(ReportRecipient(str(item)[:254], "delivered") for item in items[:MAX_RECIPIENTS])
        return Classification(MailKind.DELIVERED, True, recipients, ids)
    return None


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _json_recipients(items: object, action: str) -> Iterator[ReportRecipient]:
    for item in (items if isinstance(items, list) else [])[:MAX_RECIPIENTS]:
        if isinstance(item, dict) and "@" in str(item.get("emailAddress", "")):
            yield ReportRecipient(
                typed_address(str(item["emailAddress"])),
                action,
                one_line(str(item.get("status") or ""))[:12],
                one_line(str(item.get("diagnosticCode") or "")),
            )


# ---------------------------------------------------------------------------------------------------------------
# Bounces in prose


@dataclass(frozen=True, slots=True)
class _Evidence:
    origin: int
    subject: int
    text: int
    enclosed: int

    @property
    def is_bounce(self) -> bool:
        total = self.origin + self.subject + self.text + self.enclosed
        if self.origin > 0:
            return total >= 4 and bool(self.subject or self.text)
        return self.subject == 2 and self.text == 2 and self.enclosed == 1 and total >= 4


def _informal(mail: ParsedMail) -> Classification | None:
    if _origin(mail) <= 0 and not wording.FAILURE_SUBJECT.search(mail.subject):
        # Nothing the text could say would make it a bounce: the common case, kept cheap.
        return None
    body = mail.text_body[:_MAX_TEXT]
    cut = wording.ORIGINAL_FOLLOWS.search(body)
    statement, original = (body[: cut.start()], body[cut.start() :]) if cut else (body, "")
    if not statement.strip():
        statement = body
    if not _evidence(mail, statement, has_copy=bool(original)).is_bounce:
        return None
    enclosed = _enclosed_report(mail)
    if enclosed is not None:
        return enclosed
    default = _default_action(mail.subject, statement)
    recipients = _stated_recipients(mail, statement, original, default)
    kind = (
        _kind_of(recipients) if recipients else (MailKind.DELAY if default == "delayed" else MailKind.BOUNCE)
    )
    return Classification(kind=kind, recipients=recipients, original_message_ids=_candidates(mail))


def _enclosed_report(mail: ParsedMail) -> Classification | None:
    """The formal report a gateway wrapped into a notice of its own."""
    for attachment in mail.attachments:
        source = attachment.content
        if (
            attachment.content_type in ORIGINAL_MESSAGE
            and len(source) <= 4 * MAX_REPORT
            and b"message/delivery-status" in source.lower()
        ):
            try:
                return _formal(parse_message(source))
            except UnreadableMail:
                continue
    return None


def _evidence(mail: ParsedMail, statement: str, *, has_copy: bool) -> _Evidence:
    types = {attachment.content_type for attachment in mail.attachments}
    enclosed = int(has_copy or bool(types & (ORIGINAL_MESSAGE | ORIGINAL_HEADERS)) or _has_header_file(mail))
    subject = 2 if wording.FAILURE_SUBJECT.search(mail.subject) else 0
    is_strong = bool(wording.FAILURE_PHRASE.search(statement) or wording.SMTP_REPLY.search(statement))
    text = 2 if is_strong else int(bool(wording.FAILURE_SENTENCE.search(statement)))
    return _Evidence(_origin(mail), subject, text, enclosed)


def _origin(mail: ParsedMail) -> int:
    """How much the sender looks like a mail system; negative when it looks like a person."""
    if mail.header("x-failed-recipients") is not None:
        return 3
    author = mail.from_
    is_system = author is None or not author.email or _is_daemon(author.local_part)
    points = 2 if is_system or (author and wording.DAEMON_NAME.search(author.name)) else 0
    if mail.return_path == "":
        points += 2 if author is not None and not author.email else 1
    elif mail.return_path is not None and not _is_daemon(mail.return_path.partition("@")[0]):
        # A bounce must not be sent with an address of its own to bounce to; list servers do it all the same.
        points -= 0 if _LIST_ADMIN.search(mail.return_path) else 2
    if _report_type(mail) == "delivery-status":
        points += 2
    return points


def _is_daemon(local_part: str) -> bool:
    return re.sub(r"[^a-z]", "", local_part.lower()) in wording.DAEMON_LOCAL_PARTS


def _has_header_file(mail: ParsedMail) -> bool:
    return any(
        item.content_type == "text/plain" and re.search(rb"(?im)^message-id:", item.content[:16_384])
        for item in mail.attachments
    )


def _default_action(subject: str, statement: str) -> str:
    is_delay = wording.DELAY_WORDING.search(subject) or wording.DELAY_WORDING.search(statement)
    is_final = wording.PERMANENT_WORDING.search(statement) or re.search(r"(?:^|\s)5\d\d[ -]", statement)
    return "delayed" if is_delay and not is_final else "failed"


def _stated_recipients(
    mail: ParsedMail, statement: str, original: str, default: str
) -> tuple[ReportRecipient, ...]:
    """Addresses the text says did not get the mail, with the reason given next to each."""
    fields = [
        recipient
        for group in field_groups(statement)
        if ("final-recipient" in group or "original-recipient" in group)
        and (recipient := recipient_of(group))
    ]
    if fields:
        return tuple(fields[:MAX_RECIPIENTS])
    addresses = _named_in_headers(mail) or _named_in_text(mail, statement, original)
    return tuple(
        _with_reason(address, addresses, statement, default) for address in addresses[:MAX_RECIPIENTS]
    )


def _named_in_headers(mail: ParsedMail) -> list[str]:
    found: dict[str, str] = {}
    for name in ("x-failed-recipients", "x-mailer-daemon-recipients"):
        for value in mail.header_all(name):
            for address in _ADDRESS.findall(value):
                found.setdefault(address.lower(), address)
    return list(found.values())


def _named_in_text(mail: ParsedMail, statement: str, original: str) -> list[str]:
    ours = {address.normalised for address in (*mail.recipients, *mail.authors)}
    ours |= {(mail.return_path or "").lower()}
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    replied_about: set[str] = set()
    for line in statement.split("\n"):
        line = line[:2_000]
        if "@" not in line or _NOT_THE_RECIPIENT.search(line):
            continue
        for address in _ADDRESS.findall(line):
            plain = address.strip(".'`")
            target = own if plain.lower() in ours else found
            if target is found or _REPORTING_LINE.search(line):
                target.setdefault(plain.lower(), plain)
        if (match := _REPLY_ABOUT.match(line)) is not None:
            replied_about.add(match.group(1).strip(".").lower())
    written_to = _original_recipients(mail, original)
    named = {**found, **own}
    # The copy may have come back to the list of only one of several recipients: a reply code about an address counts too.
    both = [address for key, address in named.items() if key in written_to or key in replied_about]
    if any(key in written_to for key in named):
        return both
    if found:
        return list(found.values())
    if own:
        return list(own.values())
    return list(written_to.values())[:1] if len(written_to) == 1 else []


def _original_recipients(mail: ParsedMail, original: str) -> dict[str, str]:
    """Recipients of the returned mail, from the enclosed copy or the copy in the text."""
    texts = [original_headers(mail.attachments).get(name, "") for name in ("to", "cc", "x-envelope-to")]
    texts += re.findall(r"(?im)^[ \t]*(?:to|cc|x-envelope-to):[ \t]*([^\n]{1,500})", original[:16_384])
    return {address.lower(): address for text in texts for address in _ADDRESS.findall(text)}


def _with_reason(address: str, addresses: list[str], statement: str, default: str) -> ReportRecipient:
    position = statement.lower().find(address.lower())
    near = ""
    if position >= 0:
        line_start = statement.rfind("\n", 0, position) + 1
        near = statement[line_start : position + 600]
        for other in addresses:
            if other != address and (at := near.lower().find(other.lower(), len(address))) > 0:
                near = near[:at]
    reason = _reason_in(near) or _reason_in(statement)
    status = _STATUS.search(reason) or _STATUS.search(near)
    code = wording.SMTP_REPLY.search(reason)
    action = default
    if action == "failed" and not status and code and code.group(1) == "4":
        action = "delayed" if wording.DELAY_WORDING.search(statement) else "failed"
    text = status.group(1) if status else (f"{code.group(1)}.0.0" if code and code.group(1) else "")
    return ReportRecipient(address, action, text, one_line(reason).strip('"'))


def _reason_in(text: str) -> str:
    """The line that gives the reason, with the lines that continue it."""
    lines = text.split("\n")
    for pattern in (wording.SMTP_REPLY, wording.FAILURE_PHRASE):
        for index, line in enumerate(lines):
            if pattern.search(line):
                collected = [line.strip()]
                for following in lines[index + 1 : index + 6]:
                    if not following.strip() or following.lstrip()[:2] in ("--", "==", ">>"):
                        break
                    collected.append(following.strip())
                return " ".join(collected)
    return ""
