"""Reactions to events."""

from apps.core.actor import Actor
from apps.core.events import on
from meridian_dummy.events import GadgetSold
from meridian_dummy.models import Gadget


@on(GadgetSold)
def note_the_sale(event: GadgetSold, *, actor: Actor) -> None:
    """Append to the note of every sold gadget."""
    for gadget in Gadget.objects.filter(pk__in=event.pks):
        Gadget.objects.filter(pk=gadget.pk).update(note=f"{gadget.note} sold to {event.buyer}".strip())
