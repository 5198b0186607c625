"""Answers of the gateway itself: refusals and notices about loops. Never to machines, never in a circle."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.html import html_to_text, sanitize_html, text_to_html
from apps.mail.ids import loop_notice_id, new_message_id
from apps.mail.models import AddressHealth, OutgoingMail
from apps.mail.parsing.address import normalise_address
from apps.mail.parsing.types import ParsedMail
from apps.mail.selectors.addresses import own_addresses
from apps.mail.services.aliases import ensure_domain
from apps.mail.services.outgoing import queue_mails
from apps.mail.services.transport import NULL_SENDER


def _answer_address(parsed: ParsedMail) -> str:
    """Where a refusal goes: the envelope sender, else From; empty when nobody should get one, such as a machine, one of
    our own addresses, or somebody who complained about our mail."""
    if parsed.automation.forbids_answer:
        return ""
    address = parsed.return_path or (parsed.from_.email if parsed.from_ else "")
    normal = normalise_address(address)
    if (
        not normal
        or own_addresses([normal])
        or AddressHealth.objects.filter(address=normal, blocked=True).exists()
    ):
        return ""
    return address


def send_refusal(parsed: ParsedMail, reason: str, *, actor: Actor, own_text: str = "") -> bool:
    """Tell the sender why his mail was not taken; answers whether somebody was told."""
    return _send(
        parsed,
        _("Your message was not accepted: %(subject)s") % {"subject": parsed.subject},
        reason,
        own_text=own_text,
        actor=actor,
        is_loop=False,
    )


def send_loop_notice(parsed: ParsedMail, reason: str, *, actor: Actor) -> bool:
    """Tell a sender once that the gateway takes no more from him for now; answers to it are ignored."""
    return _send(
        parsed,
        _("Too many messages: %(subject)s") % {"subject": parsed.subject},
        reason,
        own_text="",
        actor=actor,
        is_loop=True,
    )


def _send(
    parsed: ParsedMail, subject: str, reason: str, *, own_text: str, actor: Actor, is_loop: bool
) -> bool:
    address = _answer_address(parsed)
    if not address:
        return False
    domain = ensure_domain(actor.company_pk)
    words = sanitize_html(own_text) if own_text else format_html("<p>{}</p>", reason)
    quoted = text_to_html(parsed.text_body[:2000])
    html = format_html("{}<hr><blockquote>{}</blockquote>", mark_safe(words), mark_safe(quoted))  # noqa: S308 - both are sanitised
    mark = loop_notice_id(domain.name) if is_loop else new_message_id(None, domain.name)
    references = " ".join(part for part in (parsed.message_id, mark if is_loop else "") if part)
    queue_mails(
        [
            OutgoingMail(
                to_address=address[:500],
                from_address=f"MAILER-DAEMON <{domain.bounce_address}>",
                return_path=NULL_SENDER,
                subject=subject[:500],
                body_html=html,
                body_text=html_to_text(html),
                rfc_id=mark,
                headers={
                    "Auto-Submitted": "auto-replied",
                    "X-Auto-Response-Suppress": "All",
                    **({"References": references} if references else {}),
                    **({"In-Reply-To": parsed.message_id} if parsed.message_id else {}),
                },
            )
        ]
    )
    return True
