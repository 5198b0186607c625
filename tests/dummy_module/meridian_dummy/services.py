"""Writers and actions of the module."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.hooks import before_action
from apps.core.records import RecordService, Values, service
from meridian_dummy.constants import SCRAP, SELL
from meridian_dummy.events import GadgetSold
from meridian_dummy.hooks import filter_price, packers
from meridian_dummy.models import Gadget


@service(Gadget)
class GadgetService(RecordService[Gadget]):
    def validate(self, records: Sequence[Gadget], actor: Actor) -> None:
        if any(record.name.lower() == "bomb" for record in records):
            raise ValidationFailed(fields={"name": ["We do not trade in bombs."]})

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            row.setdefault("note", "new")


@action(Gadget, name=SELL, permission="sell", source={"draft"}, target="sold", event=GadgetSold, title="Sell")
def sell_gadgets(gadgets: Sequence[Gadget], *, actor: Actor, buyer: str = "", discount: int = 0) -> None:
    """Sell gadgets today."""
    for gadget in gadgets:
        gadget.sold_on = timezone.localdate()
        gadget.price = filter_price.run(gadget.price, gadget=gadget) - discount
    Gadget.objects.bulk_update(gadgets, ["sold_on", "price"])


@action(
    Gadget,
    name=SCRAP,
    permission="scrap",
    source={"draft", "sold"},
    target="scrapped",
    dangerous=True,
    title="Scrap",
)
def scrap_gadgets(gadgets: Sequence[Gadget], *, actor: Actor) -> None:
    """Scrap gadgets for good."""


@before_action.register
def no_free_sales(*, action: Any, records: Sequence[Any], inputs: dict[str, Any], actor: Actor) -> None:
    """A veto: nothing named 'Untouchable' is sold or scrapped."""
    if action.model is Gadget and any(record.name == "Untouchable" for record in records):
        raise ValidationFailed("Untouchable gadgets stay as they are.", code="untouchable")


class BoxPacker:
    """A provider this module offers."""


packers.register("box", BoxPacker)


def count_gadgets(run: Any) -> None:
    """The scheduled job: safe to run twice."""
    run.log(f"{Gadget.objects.count()} gadgets")
