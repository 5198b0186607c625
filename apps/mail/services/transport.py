"""From a queued mail to bytes in the hands of a mail server: addresses, MIME, envelope.

Works with any of Django's mail backends. With SMTP the envelope is ours: bounces go to the return path, refusals have
the null sender, and addresses outside ASCII use SMTPUTF8 where the server offers it.
"""

from __future__ import annotations

import smtplib
from collections.abc import Mapping, Sequence
from email.utils import format_datetime, parseaddr
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.utils import timezone

from apps.chatter.models import Attachment
from apps.chatter.selectors.files import open_attachment
from apps.mail.models import OutgoingMail
from apps.mail.parsing.address import normalise_address

NULL_SENDER = "<>"
NAME_LENGTH = 150
_QUOTED = set('()<>@,:;".[]\\')


class NotDeliverable(Exception):
    """The recipient's address cannot be written to, by us or by the server that takes our mail."""


def one_line(text: Any) -> str:
    """Text for a header: no line breaks and no control characters, whatever somebody called a task."""
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable())


def display_address(name: str, email: str) -> str:
    """``Name <address>`` as people read it: names may hold any letters, the domain is in ASCII. The name is cut, never
    the address."""
    address = wire_address(email)
    shown = one_line(name)[:NAME_LENGTH].strip()
    if not shown:
        return address
    if _QUOTED & set(shown):
        escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{escaped}"'
    return f"{shown} <{address}>"


def wire_address(text: str) -> str:
    """The bare address of ``Name <address>``, its domain in ASCII; the local part keeps its capitals. Empty when it is
    no address."""
    if not text.isprintable():
        return ""
    bare = parseaddr(text)[1] or text.strip()
    normal = normalise_address(bare)
    if not normal:
        return ""
    return f"{bare.rpartition('@')[0]}@{normal.rpartition('@')[2]}"


def build(
    mail: OutgoingMail, files: Sequence[Attachment], connection: BaseEmailBackend | None = None
) -> EmailMultiAlternatives:
    """The MIME message of a queued mail. Its ``from_email`` is the envelope sender, as Django's backends use it; the
    author is in the ``From`` header."""
    author = one_line(mail.from_address)
    sender = wire_address(mail.return_path) or wire_address(author)
    headers = {name: one_line(value) for name, value in mail.headers.items()}
    headers |= {"From": author, "Message-ID": one_line(mail.rfc_id), "Date": format_datetime(timezone.now())}
    built = EmailMultiAlternatives(
        subject=one_line(mail.subject),
        body=mail.body_text,
        from_email=sender,
        to=[one_line(mail.to_address)],
        reply_to=[one_line(mail.reply_to)] if mail.reply_to else None,
        headers=headers,
        connection=connection,
    )
    if mail.body_html:
        built.attach_alternative(mail.body_html, "text/html")
    for attachment in files:
        with open_attachment(attachment) as stream:
            built.attach(one_line(attachment.name), stream.read(), attachment.mimetype)
    return built


def hand_over(connection: BaseEmailBackend, mail: OutgoingMail, files: Sequence[Attachment]) -> None:
    """Give one mail to the server. Raises what smtplib raises, or ``NotDeliverable``."""
    recipient = wire_address(mail.to_address)
    if not recipient:
        raise NotDeliverable(f"'{mail.to_address}' is no e-mail address.")
    built = build(mail, files, connection)
    if isinstance(connection, SmtpBackend):
        connection.open()
        if connection.connection is None:
            raise smtplib.SMTPServerDisconnected("There is no connection to the mail server.")
        _by_smtp(connection.connection, mail, built, recipient)
    else:
        connection.send_messages([built])


def _by_smtp(server: smtplib.SMTP, mail: OutgoingMail, built: EmailMultiAlternatives, recipient: str) -> None:
    sender = "" if mail.return_path == NULL_SENDER else built.from_email
    if recipient.isascii():
        server.sendmail(sender, [recipient], _as_bytes(built))
        return
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("smtputf8"):
        raise NotDeliverable(f"The mail server takes no addresses like '{recipient}' (SMTPUTF8).")
    built.to, built.bcc = [], []
    to = one_line(mail.to_address).encode()  # with SMTPUTF8 headers are UTF-8 as they stand
    content = b"To: " + to + b"\r\n" + _as_bytes(built)
    server.sendmail(sender, [recipient], content, mail_options=["SMTPUTF8", "BODY=8BITMIME"])


def _as_bytes(built: EmailMultiAlternatives) -> bytes:
    return built.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own subclass takes it


def answer_of(exc: smtplib.SMTPException) -> tuple[int, str]:
    """Code and words of the server's refusal."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        refused: Mapping[str, tuple[int, bytes]] = exc.recipients
        code, text = next(iter(refused.values()), (550, b"refused"))
    else:
        code, text = getattr(exc, "smtp_code", 550), getattr(exc, "smtp_error", b"")
    return int(code), text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
