"""What the module announces."""

from dataclasses import dataclass

from apps.core.events import Event


@dataclass(frozen=True)
class GadgetSold(Event):
    """Gadgets were sold."""

    name = "dummy.GadgetSold"
    pks: tuple[int, ...]
    buyer: str = ""
