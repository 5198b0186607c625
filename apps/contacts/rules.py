"""Which partners, accounts and rates an actor may see and touch. The company rule comes by itself."""

from __future__ import annotations

from django.db.models import Q

from apps.contacts.models import BankAccount, Partner, PartnerMerge
from apps.core.actor import INTERNAL, PORTAL, Actor
from apps.core.rules import rule, visible


@rule(Partner, kinds=(INTERNAL,))
def employees_see_partners(actor: Actor, op: str) -> Q:
    return Q()


@rule(Partner, kinds=(PORTAL,), ops=("view",))
def own_commercial_branch(actor: Actor, op: str) -> Q:
    """Portal users see their own organisation: its people and addresses."""
    if actor.commercial_partner_pk is None:
        return Q(pk=actor.partner_pk) if actor.partner_pk else Q(pk__in=())
    return Q(commercial_entity_id=actor.commercial_partner_pk)


@rule(BankAccount, mandatory=True)
def account_of_a_visible_partner(actor: Actor, op: str) -> Q:
    return Q(partner__in=visible(Partner, actor))


@rule(PartnerMerge, mandatory=True)
def merge_into_a_visible_partner(actor: Actor, op: str) -> Q:
    return Q(destination__in=visible(Partner, actor))
