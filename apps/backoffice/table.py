"""The rows of a list, drawn without a template a cell: what a column is, is found out once, not for every row.

Accepts what Django's ``list_display`` does (fields, callables, methods, properties) and Unfold's ``display(label=…)``.
Editable lists are drawn by Unfold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import display_for_field, display_for_value
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.utils import display_for_label

YES = '<span class="bo-yes"><span class="material-symbols-outlined" aria-hidden="true">check</span><span class="bo-sr">{}</span></span>'
NO = '<span class="bo-no"><span class="material-symbols-outlined" aria-hidden="true">close</span><span class="bo-sr">{}</span></span>'
EMPTY = "–"
Cell = Callable[[Any], Any]
TONES = {"success": "success", "danger": "danger", "warning": "warning", "info": "info"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, what draws a cell, its class, whether cells lead to the record."""

    title: str
    draw: Cell
    name: str
    classes: str
    linked: bool


def columns_of(cl: Any) -> list[Column]:
    """The columns of a list, without the one that selects."""
    headers = {index: str(header["text"]) for index, header in enumerate(result_headers(cl))}
    found: list[Column] = []
    for index, name in enumerate(cl.list_display):
        if name == "action_checkbox":
            continue
        draw, classes = _drawer(cl, name)
        linked = name in cl.list_display_links if cl.list_display_links else not found
        plain = name if isinstance(name, str) else getattr(name, "__name__", f"column{index}")
        found.append(Column(capfirst(headers[index]), draw, plain.replace(".", "_"), classes, linked))
    return found


def _drawer(cl: Any, name: Any) -> tuple[Cell, str]:
    empty = cl.model_admin.get_empty_value_display() or EMPTY
    if isinstance(name, str):
        try:
            field = cl.model._meta.get_field(name)
        except FieldDoesNotExist:
            field = None
        if field is not None and not getattr(field, "auto_created", False) and hasattr(field, "attname"):
            return _field_drawer(field, empty)
        if field is not None and hasattr(field, "attname"):
            return (lambda record: getattr(record, field.attname)), "bo-number"
    return _computed_drawer(cl, name, empty)


def _field_drawer(field: Any, empty: str) -> tuple[Cell, str]:
    name, attribute = field.name, field.attname
    if isinstance(field.remote_field, models.ManyToOneRel):

        def linked(record: Any) -> Any:
            return str(getattr(record, name)) if getattr(record, attribute) is not None else empty

        return linked, ""
    if isinstance(field, models.BooleanField):
        return (lambda record: _boolean(getattr(record, attribute), empty)), ""
    if getattr(field, "flatchoices", None):
        titles = {key: str(label) for key, label in field.flatchoices}
        return (lambda record: titles.get(getattr(record, attribute), empty)), ""
    classes = ""
    if isinstance(field, models.DecimalField | models.IntegerField | models.FloatField):
        classes = "bo-number"
    elif isinstance(field, models.DateField | models.TimeField):
        classes = "bo-moment"
    return (lambda record: display_for_field(getattr(record, attribute), field, empty)), classes


def _computed_drawer(cl: Any, name: Any, empty: str) -> tuple[Cell, str]:
    admin = cl.model_admin
    attribute: Any
    if callable(name):
        read, attribute = name, name
    elif hasattr(admin, name) and name != "__str__":
        read = attribute = getattr(admin, name)
    else:
        attribute = getattr(cl.model, name, None)
        attribute = attribute.fget if isinstance(attribute, property) else attribute

        def read(record: Any) -> Any:
            value = getattr(record, name)
            return value() if callable(value) else value

    boolean, label = getattr(attribute, "boolean", False), getattr(attribute, "label", False)
    empty = getattr(attribute, "empty_value_display", empty)

    def draw(record: Any) -> Any:
        try:
            value = read(record)
        except ObjectDoesNotExist:
            return empty
        if label:
            return _label(value, label, empty)
        return _boolean(value, empty) if boolean else display_for_value(value, empty)

    return draw, str(getattr(attribute, "cell_class", ""))


def _label(value: Any, label: Any, empty: str) -> Any:
    """Unfold's coloured labels; a plain one without a template."""
    if value in (None, ""):
        return empty
    if isinstance(value, list | tuple) and not isinstance(label, dict):
        return format_html_join(" ", '<span class="bo-chip">{}</span>', ((item,) for item in value))
    if isinstance(value, tuple) and isinstance(label, dict) and len(value) == 2:
        tone = TONES.get(str(label.get(value[0], "")), "")
        return format_html('<span class="bo-chip{}">{}</span>', f" bo-chip-{tone}" if tone else "", value[1])
    if isinstance(value, list | tuple):
        return display_for_label(value, empty, label)
    tone = TONES.get(str(label.get(value, "")), "") if isinstance(label, dict) else ""
    return format_html('<span class="bo-chip{}">{}</span>', f" bo-chip-{tone}" if tone else "", value)


def _boolean(value: Any, empty: str) -> Any:
    if value is None:
        return empty
    return format_html(YES, _("yes")) if value else format_html(NO, _("no"))


def header_of(cl: Any) -> SafeString:
    """The head of the table with links that sort."""
    cells = []
    for name, header in zip(cl.list_display, result_headers(cl), strict=True):
        if "action-toggle" in str(header["text"]):
            cells.append(
                format_html(
                    '<th scope="col" class="bo-pick"><label><input type="checkbox" id="action-toggle" class="action-toggle" aria-label="{}">'
                    '<span class="bo-only-phone">{}</span></label></th>',
                    _("Select all rows"),
                    _("Select all rows"),
                )
            )
            continue
        text, side = capfirst(str(header["text"])), _drawer(cl, name)[1]
        if not header.get("sortable"):
            cells.append(format_html('<th scope="col" class="{}">{}</th>', side, text))
            continue
        state, mark = "none", ""
        if header["sort_priority"] > 0:
            state = "ascending" if header["ascending"] else "descending"
            arrow = "arrow_upward" if header["ascending"] else "arrow_downward"
            mark = format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', arrow)
        target = header["url_toggle"] if header["sort_priority"] > 0 else header["url_primary"]
        cells.append(
            format_html(
                '<th scope="col" class="{}" aria-sort="{}"><a href="{}">{}{}</a></th>',
                side,
                state,
                target,
                text,
                mark,
            )
        )
    return mark_safe("".join(cells))  # noqa: S308 - every part was made by format_html


def rows_of(cl: Any) -> SafeString:
    """The body of the table."""
    columns = columns_of(cl)
    picks = "action_checkbox" in cl.list_display
    base, preserved = "", {"preserved_filters": cl.preserved_filters, "opts": cl.opts}
    rows = []
    for record in cl.result_list:
        pk = record.pk
        if not base:
            # One look at the URLs a page: the addresses differ by the key alone.
            base = add_preserved_filters(preserved, cl.url_for_result(record))
            marker = f"/{pk}/change/"
            before, _found, after = base.rpartition(marker)
        cells = []
        if picks:
            cells.append(
                format_html(
                    '<td class="bo-pick"><input type="checkbox" class="action-select" name="_selected_action" value="{}" aria-label="{}"></td>',
                    pk,
                    _("Select %(record)s") % {"record": record},
                )
            )
        for column in columns:
            shown = conditional_escape(column.draw(record))
            if column.linked:
                opener = ""
                if cl.is_popup:
                    key = record.serializable_value(str(cl.to_field) if cl.to_field else cl.pk_attname)
                    opener = format_html(' data-popup-opener="{}"', key)
                shown = format_html(
                    '<a href="{}/{}/change/{}"{}>{}</a>',
                    mark_safe(before),  # noqa: S308 - a reversed address
                    pk,
                    mark_safe(after),  # noqa: S308 - quoted parameters
                    opener,
                    shown,
                )
            cells.append(
                format_html(
                    '<td class="field-{} {}" data-label="{}">{}</td>',
                    column.name,
                    column.classes,
                    column.title,
                    shown,
                )
            )
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return mark_safe("".join(rows))  # noqa: S308 - every part was made by format_html


def foot_of(cl: Any) -> SafeString:
    """The row of sums below the table; nothing where the list has none."""
    sums = getattr(cl, "sums", {})
    if not sums:
        return SafeString("")
    cells = [mark_safe("<td></td>")] if "action_checkbox" in cl.list_display else []
    for number, column in enumerate(columns_of(cl)):
        shown = sums.get(column.name)
        if shown is None:
            title = _("Total") if not number else ""
            cells.append(format_html('<td class="bo-foot-title">{}</td>', title))
            continue
        cells.append(
            format_html(
                '<td class="field-{} {}" data-label="{}">{}</td>',
                column.name,
                column.classes or "bo-number",
                column.title,
                display_for_value(shown, EMPTY),
            )
        )
    return mark_safe("<tr>" + "".join(cells) + "</tr>")  # noqa: S308 - every part was made by format_html
