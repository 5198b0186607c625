"""Screens of the module, a tab on partners, a card on the dashboard."""

from typing import Any

from apps.backoffice.base import Card, RecordAdmin, RecordInline, Tab, backoffice, collect_cards, collect_tabs
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.rules import visible
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart


class PartInline(RecordInline):
    model = GadgetPart


@backoffice(Gadget)
class GadgetAdmin(RecordAdmin):
    list_display = ("name", "state", "maker", "price")
    list_filter = ("state", "maker")
    inlines = (PartInline,)


@backoffice(GadgetMaker)
class GadgetMakerAdmin(RecordAdmin):
    list_display = ("name", "active")


@collect_tabs.register
def gadgets_of_partner(*, model: Any, record: Any, actor: Actor) -> Tab | None:
    """A tab on the partner's form, for those who see gadgets."""
    if model is not Partner or not actor.can(Gadget, "view"):
        return None
    count = visible(Gadget, actor).filter(customer=record).count()
    return Tab(key="gadgets", title="Gadgets", html=f"<p>{count} gadgets</p>", count=count)


@collect_cards.register
def gadget_card(*, actor: Actor) -> Card | None:
    """A figure on the dashboard."""
    if not actor.can(Gadget, "view"):
        return None
    return Card(key="gadgets", title="Gadgets", value=visible(Gadget, actor).count())
