"""Where other modules take part in the screens of the back office.

Every handler may answer ``None``, one value or a list of them; they are shown by ``sequence``, then key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.core.hooks import Collect

collect_tabs = Collect(
    "backoffice.collect_tabs",
    "(model, record, actor) -> Tab | list[Tab] – more tabs on the form of an existing record.",
)
collect_buttons = Collect(
    "backoffice.collect_buttons",
    "(model, record, actor) -> Button | list[Button] – links above the form of an existing record.",
)
collect_opened = Collect(
    "backoffice.collect_opened",
    "(record, actor) – the form of a record with a thread was opened for reading.",
)
collect_cards = Collect(
    "backoffice.collect_cards", "(actor) -> Card | list[Card] – cards on the dashboard of this actor."
)
collect_counters = Collect(
    "backoffice.collect_counters", "(actor) -> Counter | list[Counter] – icons with numbers in the header."
)


def ordered(answers: Iterable[Any]) -> list[Any]:
    """The values of a collect hook as one list, in the order in which they are shown."""
    flat: list[Any] = []
    for answer in answers:
        flat.extend(answer if isinstance(answer, list | tuple) else [answer])
    return sorted(flat, key=lambda item: (item.sequence, item.key))
