"""What would come of a document as it stands on the screen: defaults, totals, due parts and warnings. Nothing is stored.

It goes the same way as making a document (``invoice_making``), so that what a form shows is what posting books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.accounting.models import FiscalPosition, Invoice
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.selectors.invoices import DocumentWarning, warnings_of
from apps.accounting.selectors.partners import map_taxes
from apps.accounting.selectors.setup import default_taxes
from apps.accounting.services.invoice_lines import Errors, Line
from apps.accounting.services.invoice_making import (
    Making,
    build,
    complete,
    complete_lines,
    default_account,
    read_document,
    total_up,
)
from apps.accounting.services.line_positions import move_lines
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.models import Currency
from apps.core.rules import visible


@dataclass(slots=True)
class DocumentPreview:
    """A document worked out. ``lines`` go with the rows that were handed in; headings have nothing."""

    values: dict[str, Any]
    currency: Currency
    lines: list[Line]
    untaxed: Decimal
    tax: Decimal
    rounding: Decimal
    total: Decimal
    groups: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    default_account: int | None
    default_taxes: tuple[int, ...]
    record: Invoice
    warnings: list[DocumentWarning] = field(default_factory=list)


def preview_document(
    values: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    actor: Actor,
    record_pk: int | None = None,
    moved_from: int | None = None,
) -> DocumentPreview:
    """Work out a document from its values and lines. A constant number of statements for any number of lines.

    ``record_pk`` names the stored draft that is being changed, so that it is not taken for its own duplicate. With
    ``moved_from``, the key of the fiscal position that the rows are written for (0: none), the lines are first rewritten
    for the present one. With ``quick_total`` among the values the price of the one line follows from it.

    Needs the right to make or to change documents. Errors: ``ValidationFailed`` with the fields as in making one.
    """
    if not (actor.can(Invoice, "add") or actor.can(Invoice, "change")):
        raise PermissionDenied(rule="accounting.invoice:change")
    errors = Errors(many=False)
    making = read_document({**values, "lines": list(rows)}, 0, errors)
    making.values.setdefault("company", actor.company_pk)
    if making.values["company"] not in actor.company_pks:
        raise PermissionDenied(rule="company")
    for line, _given in making.lines:
        line.pk = None
    setup = DocumentSetup(actor)
    complete([making], setup, actor, errors, with_lines=False)
    if moved_from is not None:
        known = visible(FiscalPosition, actor).filter(pk=moved_from).exists()
        lines = [line for line, _given in making.lines]
        position = making.values.get("fiscal_position")
        move_lines(lines, making.values["company"], moved_from if known else None, position, setup)
    complete_lines([making], setup, errors)
    errors.raise_any()
    build(making, actor, {})
    total_up(making, setup, errors)
    errors.raise_any()
    answer = _answer(making, setup)
    answer.record.pk = record_pk
    answer.warnings = warnings_of(answer.record, actor)
    return answer


def _answer(making: Making, setup: DocumentSetup) -> DocumentPreview:
    record = making.record
    if record is None:
        raise ValidationFailed()
    settings = setup.settings[record.company_id]
    account = default_account(
        setup.journals[record.journal_id], settings, making.side, record.fiscal_position_id, setup
    )
    taxes = default_taxes(settings, making.side, [account or 0])[account or 0]
    position = setup.maps.get(record.fiscal_position_id or 0)
    lines = [line for line, _given in making.lines]
    return DocumentPreview(
        values=making.values,
        currency=setup.currencies[record.currency_id],
        lines=lines,
        untaxed=record.untaxed_amount,
        tax=record.tax_amount,
        rounding=record.rounding_amount,
        total=record.total_amount,
        groups=list(record.tax_totals.get("groups", ())),
        parts=list(record.instalments),
        default_account=account,
        default_taxes=tuple(sorted(map_taxes(position, taxes))),
        record=record,
    )
