"""Where other modules take part in mail. No ORM here."""

from __future__ import annotations

from apps.core.hooks import Filter

filter_reply_owner = Filter(
    "mail.filter_reply_owner",
    "(owner, record) -> record – the record whose address takes the answers to mails about ``record``: the project of "
    "a task. The record itself when nobody says otherwise.",
)
