"""Writing documents: the one writer of invoices, bills, credit notes and receipts with their lines.

``lines`` is handed in with the other values, as a list of dicts (``invoice_lines.LINE_FIELDS``). In an update the list is
what the document has afterwards: rows with ``id`` change a line, others are new, lines that are missing go. Further inputs:
``quick_total`` (the price of the one line follows from the total) and, in updates, ``update_lines`` (after a change of the
fiscal position, taxes, accounts and prices of the lines follow it).

A draft may be changed freely as long as it has no number; afterwards number, journal, company and type stay. A posted
document keeps everything that was booked; only what is written beside it may be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from json import dumps
from typing import Any

from django.db import connection, models
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounting.constants import (
    CREDIT_NOTE_OF,
    RECEIPT_TYPES,
    EntryState,
    InvoiceType,
)
from apps.accounting.models import Invoice
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.invoice_lines import (
    Errors,
    Line,
    delete_lines,
    insert_lines,
    parse_lines,
    read_lines,
    save_lines,
)
from apps.accounting.services.invoice_making import (
    Making,
    build,
    complete,
    complete_lines,
    document_problems,
    read_document,
    total_up,
)
from apps.accounting.services.invoice_totals import STORED
from apps.accounting.services.ledger import DOCUMENT_KEYS
from apps.accounting.services.line_positions import move_lines
from apps.core import custom_fields, extensions
from apps.core.actor import Actor
from apps.core.copying import copy_rows, draw_keys
from apps.core.errors import Conflict, ValidationFailed, WrongState
from apps.core.events import RecordsCreated
from apps.core.hooks import before_create
from apps.core.records import RecordService, Values, service
from apps.core.rules import require_visible
from apps.core.unit_of_work import unit_of_work

INPUTS = ("lines", "quick_total")
COLUMN_NAMES = [str(f.column) for f in Invoice._meta.concrete_fields]
ATTRIBUTES = [f.attname for f in Invoice._meta.concrete_fields]
JSON_FIELDS = frozenset(f.attname for f in Invoice._meta.concrete_fields if isinstance(f, models.JSONField))
#: What may be written on a posted document: nothing of it is in the ledger.
BESIDE_THE_BOOKS = frozenset(
    {
        "payment_reference",
        "narration",
        "salesperson",
        "origin",
        "reference",
        "checked",
        "incoterm",
        "incoterm_place",
        "delivery_date",
        "custom",
        "ext",
    }
)
#: Fields after whose change the totals or the due parts may be others.
DECISIVE = frozenset(
    {
        "type",
        "journal",
        "partner",
        "shipping_partner",
        "date",
        "accounting_date",
        "due_date",
        "currency",
        "rate",
        "rate_is_manual",
        "payment_term",
        "fiscal_position",
        "cash_rounding",
        "manual_taxes",
    }
)
#: Where the present value of a field stands on a record.
CURRENT = {
    name: Invoice._meta.get_field(name).attname  # type: ignore[union-attr]
    for name in (
        "type",
        "company",
        "journal",
        "partner",
        "shipping_partner",
        "bank_account",
        "date",
        "accounting_date",
        "due_date",
        "payment_term",
        "fiscal_position",
        "cash_rounding",
        "currency",
        "rate",
        "rate_is_manual",
        "tax_rounding",
        "narration",
        "salesperson",
        "reference",
        "auto_post",
        "auto_post_until",
        "manual_taxes",
    )
}
DERIVED = (
    "commercial_partner",
    "fiscal_position",
    "payment_term",
    "bank_account",
    "accounting_date",
    "rate",
    "rate_is_manual",
    "expected_total",
    *STORED,
)


@service(Invoice)
class InvoiceService(RecordService[Invoice]):
    """The one writer of documents."""

    # ----------------------------------------------------------------- create
    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Invoice]:
        return self.make(rows, actor=actor)

    def make(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        actor: Actor,
        fixed: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[Invoice]:
        """``create`` for other services: ``fixed`` are values by row that callers from outside cannot set (links to the
        original of a credit note, its rounding). A constant number of statements for any number of documents."""
        actor.require(Invoice, "add")
        if not rows:
            return []
        errors = Errors(many=len(rows) > 1)
        with unit_of_work(actor) as work:
            makings = self._read(rows, fixed, errors, actor)
            setup = DocumentSetup(actor)
            complete(makings, setup, actor, errors)
            before_create.run(model=Invoice, values=[making.values for making in makings], actor=actor)
            definitions = custom_fields.definitions_for(Invoice)
            for making in makings:
                custom = making.values.get("custom") or {}
                if custom or definitions:
                    custom = custom_fields.clean_values(
                        Invoice, custom, actor, partial=False, known=definitions
                    )
                build(making, actor, custom)
                total_up(making, setup, errors)
            errors.raise_any()
            records = [making.record for making in makings if making.record is not None]
            self._insert(records, makings)
            extensions.write_rows(records, [m.values.get("ext") for m in makings], actor, fresh=True)
            work.created(records)
            require_visible(records, actor, "add")
            work.emit(
                RecordsCreated(Invoice._meta.label_lower, tuple(r.pk for r in records), actor.company_pk)
            )
        return records

    def _read(
        self,
        rows: Sequence[Mapping[str, Any]],
        fixed: Sequence[Mapping[str, Any]] | None,
        errors: Errors,
        actor: Actor,
    ) -> list[Making]:
        known = [{name: value for name, value in row.items() if name not in INPUTS} for row in rows]
        self._check_names(known, actor)
        makings = []
        for place, row in enumerate(rows):
            making = read_document(row, place, errors, fixed[place] if fixed else None)
            self._default_company(making.values, actor)
            if making.values.get("company") is None:
                errors.add(place, "company", _("Choose the company of the document."))
            makings.append(making)
        return makings

    def _insert(self, records: Sequence[Invoice], makings: Sequence[Making]) -> None:
        now = timezone.now()
        for record, key in zip(records, draw_keys(DOCUMENT_KEYS, len(records)), strict=True):
            record.pk = key
            record.created_at = record.updated_at = now
            record._state.adding, record._state.db = False, connection.alias
        copy_rows(
            Invoice._meta.db_table,
            COLUMN_NAMES,
            (
                [dumps(getattr(r, name)) if name in JSON_FIELDS else getattr(r, name) for name in ATTRIBUTES]
                for r in records
            ),
        )
        insert_lines(
            [
                (record.pk, line)
                for record, making in zip(records, makings, strict=True)
                for line, _given in making.lines
            ]
        )

    # ----------------------------------------------------------------- update
    def update(
        self,
        records: Iterable[Invoice] | models.QuerySet[Invoice],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[Invoice]:
        records = list(records)
        plain = {name: value for name, value in values.items() if name not in (*INPUTS, "update_lines")}
        rows = values.get("lines")
        quick = values.get("quick_total")
        if (rows is not None or quick is not None) and len(records) > 1:
            text = _("Lines are changed one document at a time.")
            raise ValidationFailed(fields={"lines": [text]})
        with unit_of_work(actor) as work:
            locked = super().update(
                records, plain, actor=actor, expected_version=expected_version, operation=operation
            )
            if rows is None and quick is None and DECISIVE.isdisjoint(plain):
                return locked
            for record in locked:
                if record.state != EntryState.DRAFT:
                    raise _not_a_draft(record)
            before = [(record.total_amount, record.due_date) for record in locked]
            self._follow(locked, plain, rows, quick, bool(values.get("update_lines")), actor)
            for record, (total, due) in zip(locked, before, strict=True):
                work.track(
                    record,
                    {"total_amount": total, "due_date": due},
                    {"total_amount": record.total_amount, "due_date": record.due_date},
                )
        return locked

    def prepare_update(self, records: Sequence[Invoice], values: Values, actor: Actor) -> None:
        names = set(values)
        for record in records:
            if record.state != EntryState.DRAFT and names - BESIDE_THE_BOOKS:
                raise _not_a_draft(record)
            record._was = (record.type, record.fiscal_position_id)  # type: ignore[attr-defined]
        if "rate" in values and "rate_is_manual" not in values:
            values["rate_is_manual"] = values["rate"] is not None

    def validate(self, records: Sequence[Invoice], actor: Actor) -> None:
        for record in records:
            kind, _position = getattr(record, "_was", (record.type, None))
            if record.type != kind:
                _check_switch(record, kind)
            problems = document_problems(
                {
                    "type": record.type,
                    "date": record.date,
                    "auto_post": record.auto_post,
                    "auto_post_until": record.auto_post_until,
                    "manual_taxes": record.manual_taxes,
                }
            )
            if problems:
                raise ValidationFailed(fields={name: [text] for name, text in problems})

    def _follow(
        self,
        records: Sequence[Invoice],
        values: Values,
        rows: Any,
        quick: Any,
        update_lines: bool,
        actor: Actor,
    ) -> None:
        """What follows from changed fields and lines: defaults, rate, lines, totals; written at the end."""
        errors = Errors(many=False)
        setup = DocumentSetup(actor)
        held = read_lines(record.pk for record in records)
        before = {line.pk: replace(line) for lines in held.values() for line in lines}
        makings = []
        for record in records:
            making = _as_making(record, values, rows, quick, held[record.pk], errors)
            makings.append(making)
        complete_changed(makings, setup, actor, errors)
        if update_lines:
            for making in makings:
                _move_lines(making, setup)
        complete_lines(makings, setup, errors)
        errors.raise_any()
        for making in makings:
            total_up(making, setup, errors)
        errors.raise_any()
        update_rows(Invoice, records, DERIVED)
        self._write_lines(makings, held if rows is not None else {}, before)

    def _write_lines(
        self,
        makings: Sequence[Making],
        held: Mapping[int, Sequence[Line]],
        before: Mapping[int | None, Line],
    ) -> None:
        kept = {line.pk for making in makings for line, _given in making.lines}
        delete_lines([line.pk for lines in held.values() for line in lines if line.pk not in kept])  # type: ignore[misc]
        changed, retaxed, fresh = [], [], []
        for making in makings:
            assert making.record is not None
            for line, _given in making.lines:
                if line.pk is None:
                    fresh.append((making.record.pk, line))
                elif line != before[line.pk]:
                    changed.append(line)
                    if line.tax_pks != before[line.pk].tax_pks:
                        retaxed.append(line)
        if changed:
            save_lines(changed, retaxed)
        if fresh:
            insert_lines(fresh)

    # ----------------------------------------------------------------- delete
    def before_delete(self, records: Sequence[Invoice], actor: Actor) -> None:
        for record in records:
            if record.state == EntryState.POSTED:
                raise Conflict(
                    _("%(document)s is posted. Reset it to draft and cancel it, or make a credit note.")
                    % {"document": record},
                    code="posted",
                )
            if record.number:
                raise Conflict(
                    _("%(document)s has a number, which the books keep. Cancel it instead.")
                    % {"document": record},
                    code="numbered",
                )


def complete_changed(makings: Sequence[Making], setup: DocumentSetup, actor: Actor, errors: Errors) -> None:
    """``complete`` for documents that exist, lines left for later; puts what follows on the records."""
    complete(makings, setup, actor, errors, with_lines=False)
    for making in makings:
        record, values = making.record, making.values
        assert record is not None
        for name in ("commercial_partner", "fiscal_position", "payment_term", "bank_account"):
            setattr(record, f"{name}_id", values.get(name))
        record.accounting_date = values.get("accounting_date")
        record.rate, record.rate_is_manual = values["rate"], values["rate_is_manual"]
        if making.quick_total is not None:
            record.expected_total = making.quick_total


def _as_making(
    record: Invoice, values: Values, rows: Any, quick: Any, held: Sequence[Line], errors: Errors
) -> Making:
    """A stored document as if a caller handed it in: what depends on a changed field is left to the defaults."""
    own: Values = {
        name: getattr(record, attribute) for name, attribute in CURRENT.items() if name not in values
    }
    own |= {name: getattr(record, CURRENT[name]) for name in values if name in CURRENT}
    if "partner" in values or "shipping_partner" in values:
        for name in ("fiscal_position", "payment_term", "bank_account"):
            if name not in values:
                own.pop(name)
        if "due_date" not in values:
            own["due_date"] = None  # the new partner's terms decide
    if "due_date" in values and values["due_date"] is not None and "payment_term" not in values:
        own["payment_term"] = None
    if "date" in values and "accounting_date" not in values:
        own["accounting_date"] = record.date
    if not own["rate_is_manual"] or ("currency" in values and "rate" not in values):
        own.pop("rate")
        own["rate_is_manual"] = False
    parsed = [(line, frozenset[str](("taxes",))) for line in held]
    if rows is not None:
        parsed = parse_lines(rows, 0, errors, {line.pk: line for line in held if line.pk is not None})
    making = read_document({"type": record.type, "quick_total": quick}, 0, errors)
    making.values, making.lines, making.record = own, parsed, record
    return making


def _move_lines(making: Making, setup: DocumentSetup) -> None:
    """Taxes, accounts and prices of stored lines after a change of the fiscal position."""
    record = making.record
    assert record is not None
    _kind, old_pk = record._was  # type: ignore[attr-defined]
    stored = [line for line, _given in making.lines if line.pk is not None]
    move_lines(stored, record.company_id, old_pk, record.fiscal_position_id, setup)


def _check_switch(record: Invoice, kind: str) -> None:
    """A document's type is fixed, except invoice and credit note on a draft that never had a number."""
    switchable = kind not in RECEIPT_TYPES and record.type == CREDIT_NOTE_OF[InvoiceType(kind)]
    if record.number or not switchable:
        text = _(
            "The type of a document is fixed; a draft without a number may turn from invoice to credit note."
        )
        raise ValidationFailed(fields={"type": [text]})


def _not_a_draft(record: Invoice) -> WrongState:
    if record.state == EntryState.CANCELLED:
        return WrongState(_("%(document)s is cancelled. Set it back to draft first.") % {"document": record})
    return WrongState(
        _("%(document)s is posted. Reset it to draft, or correct it with a credit note.")
        % {"document": record}
    )
