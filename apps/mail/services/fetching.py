"""Fetching mail by IMAP: every unseen message goes through the one door, and is marked only when it was taken."""

from __future__ import annotations

import logging
import ssl
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from imap_tools import AND, BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted, MailMessageFlags

from apps.core.errors import ValidationFailed
from apps.core.jobs.registry import own_transactions
from apps.mail.services.intake import receive
from apps.mail.types import EX_TRY_AGAIN

logger = logging.getLogger("meridian.mail.fetching")
BATCH = 200


def open_mailbox(url: str) -> BaseMailBox:
    """Log in by ``imap://``, ``imaps://`` or ``imap+tls://user:password@host:port/folder?timeout=30``."""
    parts = urlsplit(url)
    kinds: dict[str, Any] = {"imap": MailBoxUnencrypted, "imaps": MailBox, "imap+tls": MailBoxStartTls}
    if parts.scheme not in kinds or not parts.hostname:
        raise ValidationFailed(_("IMAP_URL must look like imaps://user:password@host/INBOX."))
    timeout = float(parse_qs(parts.query).get("timeout", ["30"])[0])
    options: dict[str, Any] = {"timeout": timeout}
    if parts.scheme != "imap":
        options["ssl_context"] = ssl.create_default_context()
    default_port = 993 if parts.scheme == "imaps" else 143
    box = kinds[parts.scheme](parts.hostname, parts.port or default_port, **options)
    folder = unquote(parts.path.strip("/")) or "INBOX"
    return box.login(unquote(parts.username or ""), unquote(parts.password or ""), initial_folder=folder)  # type: ignore[no-any-return]


def fetch(url: str) -> dict[str, int]:
    """Take over unseen mail; answers counts by what became of it. A mail that is put off stays unseen."""
    counts: dict[str, int] = {}
    with open_mailbox(url) as box:
        uids = box.uids(AND(seen=False))[:BATCH]
        for uid in uids:
            answer = box.client.uid("fetch", uid, "(BODY.PEEK[])")
            raw = next((part[1] for part in answer[1] if isinstance(part, tuple)), b"")
            receipt = receive(raw, source="imap")
            counts[str(receipt.state)] = counts.get(str(receipt.state), 0) + 1
            if receipt.exit_code != EX_TRY_AGAIN:
                box.flag([uid], MailMessageFlags.SEEN, True)
    return counts


@own_transactions
def fetch_mail(run: Any) -> None:
    """The scheduled job; without ``IMAP_URL`` there is nothing to do."""
    if not settings.IMAP_URL:
        return
    counts = fetch(settings.IMAP_URL)
    run.log(", ".join(f"{state}: {number}" for state, number in sorted(counts.items())) or _("No new mail."))
