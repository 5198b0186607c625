"""What an app says about turning mail into its records: the seam between the gateway and the domains.

An app registers one ``MailTarget`` per kind of record in its ``services`` (or ``handlers``) module::

    mail_targets.register("projects.task", TaskTarget())

The gateway does the rest: routing, policy, contacts, sanitising, files, the message in the thread, duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.core.actor import Actor
from apps.core.providers import ProviderRegistry

if TYPE_CHECKING:
    from django.db.models import Model

    from apps.contacts.models import Partner
    from apps.mail.models import Alias
    from apps.mail.parsing.types import Address, ParsedMail


@dataclass(frozen=True)
class MailView:
    """A mail as a domain sees it.

    ``body_html`` is sanitised (``cid:`` images already lead to stored files once the record exists; before that
    they are left out). ``author`` is the contact of the sender, ``None`` when nobody is known by that address.
    ``known`` are contacts among To and Cc; ``unknown_cc`` the addresses of Cc without a contact.
    """

    parsed: ParsedMail
    sender: Address
    author: Partner | None
    subject: str
    body_html: str
    known: tuple[Partner, ...]
    unknown_cc: tuple[Address, ...]
    authenticated: bool


class MailTarget:
    """How mail becomes a record. Subclass it."""

    # Whether a sender nobody knows becomes a contact (after the policy admitted him) and author of the message.
    makes_contact = False

    def create(
        self, mail: MailView, *, defaults: Mapping[str, Any], alias: Alias, owner: Model | None, actor: Actor
    ) -> Model:
        """Make the record through its service and answer it. ``actor`` is the system in the alias' company.

        ``defaults`` are the alias' default values. Raise ``BusinessError`` when they do not fit: the alias is then
        marked as set up wrongly and the sender gets a refusal.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how mail becomes a record.")

    def after_message(self, record: Model, mail: MailView, *, is_new: bool, actor: Actor) -> None:
        """Called when the message is in the thread; for Cc fields and the like."""


mail_targets: ProviderRegistry[MailTarget] = ProviderRegistry("mail.targets", base=MailTarget)
