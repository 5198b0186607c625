"""Lines of documents: reading what callers hand in, and writing the lines of many documents in a few statements.

Callers hand lines as a list of dicts with the names of ``LINE_FIELDS``. Errors are collected under
``lines.<place>.<field>``, with the place of the document in front when several are made at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.constants import LineKind
from apps.accounting.models import InvoiceLine
from apps.accounting.services.invoice_totals import Line
from apps.core.copying import copy_rows, draw_keys
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)
LINE_FIELDS = frozenset(
    {
        "id",
        "sequence",
        "kind",
        "description",
        "product",
        "product_code",
        "unit",
        "quantity",
        "unit_price",
        "discount",
        "account",
        "taxes",
    }
)
LINE_COLUMNS = (
    "id",
    "invoice_id",
    "sequence",
    "kind",
    "description",
    "product_code",
    "unit",
    "quantity",
    "unit_price",
    "discount",
    "account_id",
    "subtotal",
    "total",
)
LENGTHS = {"product_code": 80, "unit": 24}
KINDS = frozenset(LineKind.values)
#: Greatest value and decimals of numbers, as the columns hold them.
NUMBERS = {
    "quantity": (Decimal(10) ** 14, 6),
    "unit_price": (Decimal(10) ** 14, 6),
    "discount": (Decimal(10) ** 6, 6),
}
LINE_TAXES = "accounting_invoiceline_taxes"
DELETE_TAXES = "DELETE FROM accounting_invoiceline_taxes WHERE invoiceline_id = ANY (%s)"


class Errors:
    """What is wrong with the documents of one call, by field; raised together."""

    def __init__(self, *, many: bool) -> None:
        self.many = many
        self.fields: dict[str, list[str]] = {}

    def add(self, place: int, field: str, text: str) -> None:
        self.fields.setdefault(f"{place}.{field}" if self.many else field, []).append(text)

    def take(self, place: int, error: ValidationFailed) -> None:
        """The errors of a document that was looked at on its own."""
        if not error.fields:
            self.add(place, "__all__", error.message)
        for field, texts in error.fields.items():
            for text in texts:
                self.add(place, field, text)

    def raise_any(self) -> None:
        if self.fields:
            raise ValidationFailed(fields=self.fields)


@service(InvoiceLine)
class InvoiceLineService(RecordService[InvoiceLine]):
    """Lines have no life of their own: totals, taxes and version are the document's. Writing goes through it."""

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Any) -> list[InvoiceLine]:
        raise _only_with_document()

    def update(self, records: Any, values: Mapping[str, Any], **options: Any) -> list[InvoiceLine]:
        raise _only_with_document()

    def delete(self, records: Any, *, actor: Any) -> int:
        raise _only_with_document()


def _only_with_document() -> Conflict:
    return Conflict(_("Lines are written with their document: send its “lines”."), code="part_of_document")


# ---------------------------------------------------------------------------------------------------------- reading
def parse_lines(
    rows: Any, place: int, errors: Errors, held: Mapping[int, Line] | None = None
) -> list[tuple[Line, frozenset[str]]]:
    """Lines from the dicts of a caller, each with the names that were given. ``held``: those that ``id`` may name."""
    if not isinstance(rows, list | tuple):
        errors.add(place, "lines", _("Lines are a list."))
        return []
    result: list[tuple[Line, frozenset[str]]] = []
    used: set[int] = set()
    for n, row in enumerate(rows):
        if not isinstance(row, Mapping):
            errors.add(place, f"lines.{n}", _("A line is an object with fields."))
            continue
        line = _known_line(row, held, used, place, n, errors) if row.get("id") is not None else None
        if line is None:
            line = Line(sequence=(n + 1) * 10)
        given = frozenset(row)
        for name in given - LINE_FIELDS:
            errors.add(place, f"lines.{n}.{name}", _("Lines have no field of this name."))
        for name, value in row.items():
            problem = _set(line, name, value)
            if problem:
                errors.add(place, f"lines.{n}.{name}", problem)
        if line.kind != LineKind.PRODUCT:
            _check_heading(line, given, place, n, errors)
        result.append((line, given))
    return result


def _known_line(
    row: Mapping[str, Any],
    held: Mapping[int, Line] | None,
    used: set[int],
    place: int,
    n: int,
    errors: Errors,
) -> Line | None:
    pk = row["id"]
    if not isinstance(pk, int) or held is None or pk not in held:
        errors.add(place, f"lines.{n}.id", _("The document has no line with this id."))
        return None
    if pk in used:
        errors.add(place, f"lines.{n}.id", _("This line is named twice."))
        return None
    used.add(pk)
    return held[pk]


def _set(line: Line, name: str, value: Any) -> str:
    """Put one value on the line; answers what is wrong with it, or nothing."""
    if name in NUMBERS:
        number = _number(value, *NUMBERS[name])
        if isinstance(number, str):
            return number
        if name == "quantity":
            line.quantity = number
        elif name == "unit_price":
            line.unit_price = number
        else:
            line.discount = number
            if number > HUNDRED:
                return _("A discount is at most 100 percent.")
    elif name == "description":
        line.description = "" if value is None else str(value)
        if "\x00" in line.description:
            return _("The text holds a character that cannot be stored.")
    elif name == "taxes":
        if value is None:
            return ""
        try:
            line.tax_pks = tuple(sorted({int(pk_of(item)) for item in value}))
        except (TypeError, ValueError):
            return _("Taxes are a list of ids.")
    elif name == "account":
        account = pk_of(value)
        if account is not None and (not isinstance(account, int) or isinstance(account, bool)):
            return _("An account is named by its id.")
        line.account_pk = account
    elif name == "kind":
        if value not in KINDS:
            return _("A line is one of: %(kinds)s.") % {"kinds": ", ".join(sorted(KINDS))}
        line.kind = str(value)
    elif name == "sequence":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            return _("A sequence is a whole number from zero up.")
        line.sequence = value
    elif name in LENGTHS:
        text = "" if value is None else str(value)
        if len(text) > LENGTHS[name] or "\x00" in text:
            return _("At most %(length)d characters.") % {"length": LENGTHS[name]}
        setattr(line, name, text)
    elif name == "product" and value is not None:
        return _("There are no products here yet; leave it empty and use the description.")
    return ""


def _number(value: Any, limit: Decimal, places: int) -> Decimal | str:
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            return _("“%(value)s” is not a number.") % {"value": value}
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        return _("Give a decimal number as text, such as “12.50”.")
    if not value.is_finite():
        return _("“%(value)s” is not a number.") % {"value": value}
    if abs(value) >= limit:
        return _("This number is too large.")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -places:
        if value != round(value, places):
            return _("At most %(places)d decimals.") % {"places": places}
        value = round(value, places)
    return value


def _check_heading(line: Line, given: frozenset[str], place: int, n: int, errors: Errors) -> None:
    """Sections and notes are text only."""
    amounts = {"quantity": line.quantity, "unit_price": line.unit_price}
    for name in ("quantity", "unit_price"):
        if name in given and amounts[name]:
            errors.add(place, f"lines.{n}.{name}", _("Sections and notes have no amounts."))
    if ("account" in given and line.account_pk is not None) or ("taxes" in given and line.tax_pks):
        errors.add(place, f"lines.{n}.kind", _("Sections and notes have no account and no taxes."))
    line.quantity = line.unit_price = line.discount = line.subtotal = line.total = ZERO
    line.account_pk, line.tax_pks = None, ()


def read_lines(invoice_pks: Iterable[int]) -> dict[int, list[Line]]:
    """The lines of documents in their order, by document. One statement."""
    found: dict[int, list[Line]] = {pk: [] for pk in invoice_pks}
    if not found:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT l.invoice_id, l.sequence, l.kind, l.description, l.product_code, l.unit, l.quantity, l.unit_price,
                   l.discount, l.account_id,
                   ARRAY(SELECT t.tax_id FROM accounting_invoiceline_taxes t WHERE t.invoiceline_id = l.id ORDER BY 1),
                   l.subtotal, l.total, l.id
            FROM accounting_invoiceline l WHERE l.invoice_id = ANY (%s) ORDER BY l.invoice_id, l.sequence, l.id
            """,
            [list(found)],
        )
        for owner, *values in cursor.fetchall():
            values[9] = tuple(values[9])
            found[owner].append(Line(*values))
    return found


# ---------------------------------------------------------------------------------------------------------- writing
def insert_lines(owned: Sequence[tuple[int, Line]]) -> None:
    """Store new lines under their documents: three statements for any number. Sets their keys."""
    for (_owner, line), key in zip(
        owned, draw_keys("accounting_invoiceline_id_seq", len(owned)), strict=True
    ):
        line.pk = key
    copy_rows(
        "accounting_invoiceline",
        LINE_COLUMNS,
        [
            (
                line.pk,
                owner,
                line.sequence,
                line.kind,
                line.description,
                line.product_code,
                line.unit,
                line.quantity,
                line.unit_price,
                line.discount,
                line.account_pk,
                line.subtotal,
                line.total,
            )
            for owner, line in owned
        ],
    )
    _insert_taxes(line for _owner, line in owned)


def _insert_taxes(lines: Iterable[Line]) -> None:
    copy_rows(
        LINE_TAXES,
        ("invoiceline_id", "tax_id"),
        [(line.pk, tax_pk) for line in lines for tax_pk in line.tax_pks],
    )


def save_lines(changed: Sequence[Line], retaxed: Sequence[Line]) -> None:
    """Write lines that exist: one statement, and two for those whose taxes changed."""
    with connection.cursor() as cursor:
        if changed:
            cursor.execute(
                """
                UPDATE accounting_invoiceline AS l
                SET sequence = n.sequence, kind = n.kind, description = n.description, product_code = n.product_code,
                    unit = n.unit, quantity = n.quantity, unit_price = n.unit_price, discount = n.discount,
                    account_id = n.account, subtotal = n.subtotal, total = n.total
                FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[],
                            %s::numeric[], %s::numeric[], %s::bigint[], %s::numeric[], %s::numeric[])
                    AS n(id, sequence, kind, description, product_code, unit, quantity, unit_price, discount, account,
                         subtotal, total)
                WHERE l.id = n.id
                """,
                [
                    [line.pk for line in changed],
                    [line.sequence for line in changed],
                    [line.kind for line in changed],
                    [line.description for line in changed],
                    [line.product_code for line in changed],
                    [line.unit for line in changed],
                    [line.quantity for line in changed],
                    [line.unit_price for line in changed],
                    [line.discount for line in changed],
                    [line.account_pk for line in changed],
                    [line.subtotal for line in changed],
                    [line.total for line in changed],
                ],
            )
        if retaxed:
            cursor.execute(DELETE_TAXES, [[line.pk for line in retaxed]])
    _insert_taxes(retaxed)


def delete_lines(pks: Sequence[int]) -> None:
    """Two statements."""
    if not pks:
        return
    with connection.cursor() as cursor:
        cursor.execute(DELETE_TAXES, [list(pks)])
        cursor.execute("DELETE FROM accounting_invoiceline WHERE id = ANY (%s)", [list(pks)])


def line_values(line: Line) -> Values:
    """A line as a caller hands it in, for copies."""
    if line.kind != LineKind.PRODUCT:
        return {"kind": line.kind, "description": line.description, "sequence": line.sequence}
    return {
        "sequence": line.sequence,
        "kind": line.kind,
        "description": line.description,
        "product_code": line.product_code,
        "unit": line.unit,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "discount": line.discount,
        "account": line.account_pk,
        "taxes": list(line.tax_pks),
    }
