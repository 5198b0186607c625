"""What a change of the fiscal position makes of lines that are there already."""

from __future__ import annotations

from collections.abc import Sequence

from apps.accounting.compute.taxes import map_price
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.selectors.partners import PositionMap, map_account, map_taxes
from apps.accounting.services.invoice_lines import Line


def move_lines(
    lines: Sequence[Line], company_pk: int, old_pk: int | None, new_pk: int | None, setup: DocumentSetup
) -> None:
    """Taxes and accounts of product lines as the new position maps them, in place; prices go from the old taxes' terms to
    the new ones' (with or without tax). Headings stay."""
    if old_pk == new_pk:
        return
    setup.load_positions([old_pk, new_pk])
    old, new = setup.maps.get(old_pk or 0), setup.maps.get(new_pk or 0)
    inclusion = setup.settings[company_pk].price_inclusion
    moved: list[tuple[Line, tuple[int, ...]]] = []
    for line in lines:
        if not line.is_product:
            continue
        taxes = tuple(sorted(map_taxes(new, _unmapped_taxes(line.tax_pks, old))))
        if line.account_pk is not None:
            line.account_pk = map_account(new, _unmapped_account(line.account_pk, old))
        moved.append((line, taxes))
    setup.load_taxes({pk for line, taxes in moved for pk in (*line.tax_pks, *taxes)})
    for line, taxes in moved:
        if taxes != line.tax_pks:
            line.unit_price = map_price(
                line.unit_price,
                setup.combination(line.tax_pks, inclusion),
                setup.combination(taxes, inclusion),
            )
            line.tax_pks = taxes


def _unmapped_taxes(tax_pks: Sequence[int], position: PositionMap | None) -> tuple[int, ...]:
    """The taxes that the position made these of; a tax that it makes of several stands for the first."""
    if position is None:
        return tuple(tax_pks)
    back: dict[int, int] = {}
    for source, targets in sorted(position.taxes.items()):
        for target in targets:
            back.setdefault(target, source)
    return tuple(dict.fromkeys(back.get(pk, pk) for pk in tax_pks))


def _unmapped_account(pk: int, position: PositionMap | None) -> int:
    if position is None:
        return pk
    return next((source for source, target in sorted(position.accounts.items()) if target == pk), pk)
