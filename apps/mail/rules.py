"""Who sees what of the mail machinery. Portal users see none of it."""

from __future__ import annotations

from django.db.models import Q

from apps.core.actor import Actor
from apps.core.rules import rule
from apps.mail.models import AddressHealth, Alias, AliasDomain, IncomingMail, OutgoingMail


@rule(Alias)
@rule(AliasDomain)
def all_addresses(actor: Actor, op: str) -> Q:
    """Addresses are no secret among employees; the company rule narrows them."""
    return Q()


@rule(IncomingMail, roles=("mail.manager",))
@rule(OutgoingMail, roles=("mail.manager",))
@rule(AddressHealth, roles=("mail.manager",))
def mail_administration(actor: Actor, op: str) -> Q:
    return Q()
