"""Which fiscal position applies by itself. Pure: values in, a primary key out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EU = "EU"
_COUNTRY_OF_PREFIX = {"EL": "GR"}
NOT_LIABLE = "/"


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """When a position applies. Empty conditions hold for everybody. ``distance``: 0 for the company's own positions, 1 for
    those of its parent, and so on."""

    pk: int
    sequence: int = 10
    vat_required: bool = False
    country_pk: int | None = None
    country_group: str = ""
    state_pks: frozenset[int] = frozenset()
    zip_from: str = ""
    zip_to: str = ""
    distance: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is delivered, and whether the buyer has a tax id. Without a country no position applies."""

    country_pk: int | None = None
    is_eu: bool = False
    state_pk: int | None = None
    zip: str = ""
    has_tax_id: bool = False


def choose_position(candidates: Iterable[PositionFacts], place: Place) -> int | None:
    """The best position whose every condition holds.

    Ranked by: a tax id asked for and there, the company's own before its parents', postal codes, states, country, group of
    countries, then the lowest sequence and the oldest. ``None`` when none applies or the country is unknown.
    """
    if place.country_pk is None:
        return None
    fitting = [position for position in candidates if _applies(position, place)]
    if not fitting:
        return None
    return max(fitting, key=_rank).pk


def _rank(position: PositionFacts) -> tuple[bool, int, bool, bool, bool, bool, int, int]:
    return (
        position.vat_required,
        -position.distance,
        bool(position.zip_from and position.zip_to),
        bool(position.state_pks),
        position.country_pk is not None,
        bool(position.country_group),
        -position.sequence,
        -position.pk,
    )


def _applies(position: PositionFacts, place: Place) -> bool:
    if position.vat_required and not place.has_tax_id:
        return False
    if position.country_pk is not None and position.country_pk != place.country_pk:
        return False
    if position.country_group and not (position.country_group == EU and place.is_eu):
        return False
    if position.state_pks and place.state_pk not in position.state_pks:
        return False
    if position.zip_from and position.zip_to:
        return zip_in_range(place.zip, position.zip_from, position.zip_to)
    return True


def zip_in_range(code: str, first: str, last: str) -> bool:
    """Whether a postal code lies between two others, compared at the same length: digits are padded with zeros on the left,
    so that ``900`` and ``1000`` stand in the order of numbers."""
    codes = [_plain(code), _plain(first), _plain(last)]
    if not codes[0]:
        return False
    width = max(map(len, codes))
    value, low, high = (text.rjust(width, "0") if text.isdigit() else text for text in codes)
    return low <= value <= high


def _plain(code: str) -> str:
    return code.replace(" ", "").upper()


def country_of_tax_id(tax_id: str) -> str:
    """The country that a tax id names by its first two letters, or nothing."""
    prefix = tax_id.strip()[:2].upper()
    if len(prefix) < 2 or not prefix.isalpha():
        return ""
    return _COUNTRY_OF_PREFIX.get(prefix, prefix)


def is_tax_id(tax_id: str) -> bool:
    """Whether there is one; a slash says that the partner is not liable to tax."""
    return bool(tax_id.strip()) and tax_id.strip() != NOT_LIABLE


def same_country_in_union(ours: str, theirs: str, union: frozenset[str]) -> bool:
    """Whether both tax ids are of one country of the Union: then the invoice address decides, not that of delivery."""
    country = country_of_tax_id(ours)
    return bool(country) and country in union and country == country_of_tax_id(theirs)
