"""Grids of lines on forms: what a page hands to its script, and what a form posts back.

A grid posts ``{"order": [key, …], "rows": {key: values}}``: all lines in their order by key (the primary key of stored lines, a
word for new ones), and the values of those lines alone that were changed. ``rows_of`` makes of it the list that the
services take: ``{"id": pk}`` keeps a line as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.screens.money import language_of, marks
from apps.core.errors import ValidationFailed

FIELD = "grid_lines"  # the hidden input of the form
MOST_LINES = 20_000


def words() -> dict[str, str]:
    """The words that every grid uses."""
    return {
        "lines": _("Lines"),
        "tools": _("Line"),
        "up": _("Move up"),
        "down": _("Move down"),
        "copy": _("Duplicate line"),
        "remove": _("Delete line"),
        "added": _("Line added"),
        "removed": _("Line deleted"),
        "pasted": _("%s lines pasted"),
        "unknown": _("This is not known here."),
        "failed": _("The server could not compute this now."),
        "check": _("Check the marked cells first."),
    }


def page_config(**more: Any) -> dict[str, Any]:
    """What every grid's script needs to know."""
    return {"language": language_of(), "marks": marks(), "words": words(), **more}


def posted(text: str) -> tuple[list[Any], Mapping[str, Any]]:
    """Order and changed rows as a form sent them."""
    try:
        parcel = json.loads(text)
        order, rows = parcel["order"], parcel["rows"]
    except (ValueError, TypeError, KeyError):
        raise ValidationFailed(_("The lines arrived damaged; load the page again.")) from None
    if not isinstance(order, list) or not isinstance(rows, dict) or len(order) > MOST_LINES:
        raise ValidationFailed(_("The lines arrived damaged; load the page again."))
    return order, rows


def rows_of(text: str, fields: Sequence[str], *, numbers: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The list for the service: known fields of changed lines, the keys of the others. ``sequence`` follows the order."""
    order, rows = posted(text)
    made = []
    for place, key in enumerate(order, 1):
        values = rows.get(str(key))
        row: dict[str, Any] = {"id": key} if isinstance(key, int) else {}
        if isinstance(values, Mapping):
            row |= {name: values[name] for name in fields if name in values}
            for name in numbers:
                if row.get(name) == "":
                    row[name] = "0"
        row["sequence"] = place * 10
        made.append(row)
    return made


def overlay(
    stored: Sequence[dict[str, Any]], text: str, errors: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """The rows of a form that was refused: as stored, with what was typed on top, and what is wrong at its cell."""
    order, rows = posted(text)
    held = {row["pk"]: row for row in stored}
    shown = []
    for place, key in enumerate(order):
        base = held.get(key, {"pk": None, "values": {}, "kind": "product"})
        typed = rows.get(str(key))
        row = {**base, "values": dict(base["values"])}
        if isinstance(typed, Mapping):
            row["kind"] = typed.get("kind", row.get("kind", "product"))
            row["values"].update({name: value for name, value in typed.items() if name != "kind"})
            row["fresh"] = True
        prefix = f"lines.{place}."
        row["errors"] = {
            name.removeprefix(prefix): " ".join(map(str, texts))
            for name, texts in errors.items()
            if name.startswith(prefix)
        }
        shown.append(row)
    return shown
