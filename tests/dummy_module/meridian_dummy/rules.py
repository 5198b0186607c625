"""Row rules of the module."""

from django.db.models import Q

from apps.core.actor import Actor
from apps.core.rules import rule
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart


@rule(Gadget, roles=("dummy.user",), ops=("view", "add", "change"))
def own_or_unowned(actor: Actor, op: str) -> Q:
    return Q(created_by=actor.user_pk) | Q(created_by=None)


@rule(Gadget, roles=("dummy.manager",))
def all_gadgets(actor: Actor, op: str) -> Q:
    return Q()


@rule(GadgetPart, roles=("dummy.user",))
def parts_of_visible_gadgets(actor: Actor, op: str) -> Q:
    from apps.core.rules import visible

    return Q(gadget__in=visible(Gadget, actor))


@rule(GadgetMaker)
def every_maker(actor: Actor, op: str) -> Q:
    return Q()
