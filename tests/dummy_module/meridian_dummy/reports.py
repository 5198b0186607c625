"""Report builders."""

from collections.abc import Sequence
from typing import Any

from apps.core.actor import Actor
from apps.core.rules import visible
from meridian_dummy.models import Gadget


def gadget_sheet(pks: Sequence[int], *, actor: Actor) -> dict[str, Any]:
    """Context of the gadget sheet."""
    return {"gadgets": list(visible(Gadget, actor).filter(pk__in=pks).order_by("pk"))}
