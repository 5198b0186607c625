"""Export of lists to CSV and XLSX: streamed, limited to what the actor may see, safe to open, and on record.

A text that a spreadsheet would take for a formula gets an apostrophe in front. The number of queries depends on the
number of chunks, not of rows.
"""

from __future__ import annotations

import csv
import datetime
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.http import FileResponse, HttpRequest, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.access.constants import AuditKind
from apps.access.services.audit import record as write_audit
from apps.backoffice.columns import extension_fields, hide_links
from apps.backoffice.fields import custom_display, labels_of
from apps.backoffice.rights import actor_of
from apps.backoffice.site import record_url
from apps.core import custom_fields
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.extensions import accessor, with_extensions
from apps.core.models import CustomField
from apps.core.records import hidden_fields
from apps.core.rules import visible

CHUNK = 1_000
XLSX_ROWS = 1_048_576
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
Cell = Callable[[Any], Any]


def guarded(value: Any) -> Any:
    """A text that no spreadsheet program will run as a formula. Numbers stay numbers."""
    if isinstance(value, str) and value.startswith(DANGEROUS):
        return "'" + value
    return value


@dataclass(frozen=True, slots=True)
class ExportField:
    """One column: name in the file, title, how to read it in words and as stored, what to load."""

    name: str
    title: str
    words: Cell
    stored: Cell
    link: str = ""
    many: str = ""
    custom: CustomField | None = None


def export_fields(model: type[models.Model], actor: Actor) -> list[ExportField]:
    """Everything the actor may export of a model, in the order of the form."""
    hidden = hidden_fields(model, actor)
    fields = []
    for field in model._meta.concrete_fields:
        if field.name in hidden or field.name in ("custom",) or isinstance(field, models.BinaryField):
            continue
        fields.append(_own_field(field))
    fields += [_many_field(field) for field in model._meta.many_to_many if field.name not in hidden]
    fields += [_custom_field(definition) for definition in custom_fields.definitions_for(model)]
    added = extension_fields(model, actor).items()
    fields += [_extension_field(name, extension, field) for name, (extension, field) in added]
    return fields


def _own_field(field: Any) -> ExportField:
    title = capfirst(str(field.verbose_name))
    if field.many_to_one or field.one_to_one:
        return ExportField(
            field.name,
            title,
            words=lambda record: str(value) if (value := getattr(record, field.name)) is not None else None,
            stored=lambda record: getattr(record, field.attname),
            link=field.name,
        )
    if field.choices:
        return ExportField(
            field.name,
            title,
            words=lambda record: str(getattr(record, f"get_{field.name}_display")()),
            stored=lambda record: getattr(record, field.attname),
        )
    return ExportField(
        field.name,
        title,
        words=lambda record: getattr(record, field.attname),
        stored=lambda record: getattr(record, field.attname),
    )


def _many_field(field: Any) -> ExportField:
    return ExportField(
        field.name,
        capfirst(str(field.verbose_name)),
        words=lambda record: ", ".join(str(item) for item in getattr(record, field.name).all()),
        stored=lambda record: ",".join(str(item.pk) for item in getattr(record, field.name).all()),
        many=field.name,
    )


def _custom_field(definition: CustomField) -> ExportField:
    def words(record: Any) -> Any:
        labels = record.__dict__.get("_custom_labels", {}).get(definition.key)
        return custom_display(definition, (record.custom or {}).get(definition.key), labels)

    return ExportField(
        f"custom.{definition.key}",
        definition.label,
        words=words,
        stored=lambda record: (record.custom or {}).get(definition.key),
        custom=definition,
    )


def _extension_field(name: str, extension: Any, field: Any) -> ExportField:
    def row(record: Any) -> Any:
        return getattr(record, accessor(extension), None) or extension()

    return ExportField(
        name,
        capfirst(str(field.verbose_name)),
        words=lambda record: (
            str(getattr(row(record), f"get_{field.name}_display")())
            if field.choices
            else getattr(row(record), field.attname)
        ),
        stored=lambda record: getattr(row(record), field.attname),
    )


def plain(value: Any) -> Any:
    """A value as a cell: numbers, dates and booleans typed, everything else as guarded text."""
    if value is None or (
        isinstance(value, bool | int | float | Decimal | datetime.date)
        and not isinstance(value, datetime.datetime)
    ):
        return value
    if isinstance(value, datetime.datetime):
        return timezone.localtime(value).replace(tzinfo=None, microsecond=0) if value.tzinfo else value
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    return guarded(str(value))


def rows_of(
    rows: models.QuerySet[Any], fields: list[ExportField], actor: Actor, *, readable: bool
) -> Iterator[list[Any]]:
    """Lists of cells. Links are joined, many-to-many links and names of custom links loaded a chunk at a time."""
    links = [field.link for field in fields if field.link]
    rows = with_extensions(rows)
    if readable and links:
        rows = rows.select_related(*links)
    for field in fields:
        if field.many:
            target: Any = rows.model._meta.get_field(field.many).related_model
            rows = rows.prefetch_related(models.Prefetch(field.many, queryset=visible(target, actor)))
    read = [field.words if readable else field.stored for field in fields]
    for chunk in _chunks(rows.iterator(chunk_size=CHUNK)):
        if readable:
            hide_links(chunk, links, actor)
            _name_links(chunk, fields, actor)
        for record in chunk:
            yield [plain(cell(record)) for cell in read]


def _chunks(records: Iterable[Any]) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _name_links(chunk: list[Any], fields: list[ExportField], actor: Actor) -> None:
    from django.apps import apps

    for field in fields:
        definition = field.custom
        if definition is None or definition.type != CustomField.Type.RECORD:
            continue
        pks = {record.custom.get(definition.key) for record in chunk} - {None}
        labels = labels_of(apps.get_model(definition.target), pks, actor)
        for record in chunk:
            record.__dict__.setdefault("_custom_labels", {})[definition.key] = labels


class _Echo:
    """A file that gives back what is written, for ``csv``."""

    def write(self, text: str) -> str:
        return text


def csv_lines(header: list[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow([guarded(title) for title in header])
    for row in rows:
        yield writer.writerow(["" if cell is None else cell for cell in row])


def xlsx_file(title: str, header: list[str], rows: Iterable[list[Any]]) -> Any:
    """A temporary file, deleted when it is closed. Rows go to disk as they come."""
    from openpyxl import Workbook  # half a second to import, which every start of every process would pay

    book = Workbook(write_only=True)
    sheet = book.create_sheet("".join(char for char in title if char not in "[]:*?/\\")[:31] or "Export")
    sheet.append([guarded(name) for name in header])
    for row in rows:
        sheet.append(row)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    book.save(file)
    file.seek(0)
    return file


class ExportMixin:
    """Adds the export page and the download to an admin."""

    model: type[models.Model]
    opts: Any
    admin_site: Any

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        own = [path("export/", self.admin_site.admin_view(self.export_view), name=name)]
        return own + super().get_urls()  # type: ignore[misc, no-any-return]

    def may_export(self, request: HttpRequest) -> bool:
        actor = actor_of(request)
        return actor.can(self.model, "view") and actor.can(self.model, "export")

    def export_page(self, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseBase:
        """Asks which fields and which format, for the selection or the whole filtered list."""
        actor_of(request).require(self.model, "export")
        across = request.POST.get("select_across") == "1"
        pks = [] if across else [pk for pk in request.POST.getlist("_selected_action") if pk.isdigit()]
        return self._export_form(request, pks, request.GET.urlencode())

    def _export_form(
        self, request: HttpRequest, pks: list[str], query: str, error: str = ""
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Export %(kinds)s") % {"kinds": self.opts.verbose_name_plural},
            "opts": self.opts,
            "fields": export_fields(self.model, actor_of(request)),
            "shown": self._shown_names(request),
            "pks": pks,
            "query": query,
            "error": error,
            "back": record_url(self.model) + (f"?{query}" if query else ""),
        }
        return TemplateResponse(request, "backoffice/export.html", context)

    def _shown_names(self, request: HttpRequest) -> set[str]:
        return {name for name in self.get_list_display(request) if isinstance(name, str)}  # type: ignore[attr-defined]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """GET: the page for the filtered list. POST: the file."""
        actor = actor_of(request)
        actor.require(self.model, "view")
        actor.require(self.model, "export")
        if request.method != "POST":
            return self._export_form(request, [], request.GET.urlencode())
        pks = [int(pk) for pk in request.POST.getlist("pk") if pk.isdigit()]
        query = request.POST.get("query", "")
        known = {field.name: field for field in export_fields(self.model, actor)}
        fields = [known[name] for name in request.POST.getlist("field") if name in known]
        if not fields:
            return self._export_form(request, [str(pk) for pk in pks], query, _("Choose at least one field."))
        rows = self._rows_to_export(request, pks, query)
        kind = "xlsx" if request.POST.get("format") == "xlsx" else "csv"
        count = rows.order_by().count()
        if kind == "xlsx" and count >= XLSX_ROWS:
            text = _("A sheet holds %(limit)s rows and these are %(count)s: take CSV or narrow the list.")
            raise ValidationFailed(text % {"limit": XLSX_ROWS, "count": count})
        readable = request.POST.get("values") != "stored"
        write_audit(
            AuditKind.EXPORT,
            actor=actor,
            after={
                "model": self.opts.label_lower,
                "rows": count,
                "fields": [field.name for field in fields],
                "format": kind,
                "filter": query[:1000],
                "selection": pks[:100],
            },
        )
        header = [field.title if readable else field.name for field in fields]
        cells = rows_of(rows, fields, actor, readable=readable)
        return self._export_response(kind, header, cells)

    def _export_response(self, kind: str, header: list[str], cells: Iterator[list[Any]]) -> HttpResponseBase:
        name = f"{self.opts.model_name}-{timezone.localtime():%Y%m%d-%H%M}.{kind}"
        if kind == "xlsx":
            file = xlsx_file(str(self.opts.verbose_name_plural), header, cells)
            return FileResponse(
                file,
                as_attachment=True,
                filename=name,
                content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            )
        response = StreamingHttpResponse(csv_lines(header, cells), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _rows_to_export(self, request: HttpRequest, pks: list[int], query: str) -> models.QuerySet[Any]:
        """The selection, or the list as it was filtered: rows that the actor may view, under the right to export."""
        if pks:
            return self.get_queryset(request).filter(pk__in=pks)  # type: ignore[attr-defined, no-any-return]
        request.GET = QueryDict(query)  # type: ignore[assignment]
        return self.get_changelist_instance(request).get_queryset(request)  # type: ignore[attr-defined, no-any-return]
