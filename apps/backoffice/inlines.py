"""Child records on a form, written through their own service in the same unit of work."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from unfold.admin import StackedInline, TabularInline
from unfold.forms import PaginationInlineFormSet

from apps.backoffice.form_fields import RecordFieldsMixin
from apps.backoffice.forms import VERSION_FIELD, FormRefused, RecordForm, version_field
from apps.backoffice.rights import actor_of
from apps.core.actor import Actor
from apps.core.errors import BusinessError
from apps.core.records import service_for
from apps.core.rules import visible


class RecordFormSet(PaginationInlineFormSet):
    """An inline formset that hands its rows to the child's service: deletions, then changes, then new rows."""

    def validate_unique(self) -> None:
        """Uniqueness is PostgreSQL's; the service answers in the constraint's words."""

    nested_name = ""

    def nested_rows(self) -> list[dict[str, Any]] | None:
        """For rows that travel inside the record's own values; see ``NestedFormSet``."""
        return None

    def write(self, parent: models.Model, actor: Actor) -> None:
        service = service_for(self.model)
        deleted = [form for form in self.deleted_forms if form.instance.pk is not None]
        for form in deleted:
            with NamesForm(form):
                service.delete([form.instance], actor=actor)
        gone = set(self.deleted_forms)
        for form in self.initial_forms:
            if form in gone or not form.has_changed():
                continue
            values = form.record_values(adding=False)
            values.pop(self.fk.name, None)
            if values:
                with NamesForm(form):
                    service.update(
                        [form.instance],
                        values,
                        actor=actor,
                        expected_version=form.cleaned_data.get(VERSION_FIELD),
                    )
        for form in self.extra_forms:
            if form in gone or not form.has_changed():
                continue
            with NamesForm(form):
                service.create_one({**form.record_values(adding=True), self.fk.name: parent.pk}, actor=actor)


class NestedFormSet(RecordFormSet):
    """Rows that the record's own service writes together with it: the whole list is one of its values. Rows with ``id``
    are kept and changed, those without are made, those left out are deleted."""

    nested_name: str = ""

    def write(self, parent: models.Model, actor: Actor) -> None:
        """Nothing here: the rows went to the service of the record."""

    def nested_rows(self) -> list[dict[str, Any]] | None:
        """The list for the service, or ``None`` when no row was touched."""
        gone = set(self.deleted_forms)
        fresh = [form for form in self.extra_forms if form not in gone and form.has_changed()]
        if not fresh and not gone and not any(form.has_changed() for form in self.initial_forms):
            return None
        rows: list[dict[str, Any]] = []
        for form in self.initial_forms:
            if form not in gone:
                rows.append({**form.record_values(adding=False), "id": form.instance.pk})
        rows += [form.record_values(adding=True) for form in fresh]
        for row in rows:
            row.pop(self.fk.name, None)
        return rows


class NamesForm:
    """Turns a refusal into one that names its form."""

    def __init__(self, form: RecordForm) -> None:
        self.form = form

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, BusinessError):
            raise FormRefused(error, self.form.prefix) from error


class _RecordInlineMixin(RecordFieldsMixin):
    """Rows the actor may see; fields he may see; rights of the child model, not of the parent's."""

    form = RecordForm
    formset = RecordFormSet
    extra = 0
    show_change_link = False
    can_delete = True
    fk_name: str | None

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = visible(self.model, actor_of(request))
        links = [
            f.name for f in self.opts.concrete_fields if f.many_to_one and f.name in self._shown(request)
        ]
        return rows.select_related(*links) if links else rows

    def _shown(self, request: HttpRequest) -> set[str]:
        return {name for name in (self.fields or self.default_names(request)) if isinstance(name, str)}  # type: ignore[attr-defined]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        hidden = self.hidden_names(request)
        names = list(self.fields) if self.fields else self.default_names(request)  # type: ignore[attr-defined]
        own_link = self.fk_name or next(
            (f.name for f in self.opts.concrete_fields if f.related_model is self.parent_model),
            "",  # type: ignore[attr-defined]
        )
        return [name for name in names if name not in hidden and name not in (own_link, "company")]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        if self.fieldsets:  # type: ignore[attr-defined]
            return self.filter_fieldsets(request, self.fieldsets)  # type: ignore[attr-defined]
        names = self.get_fields(request, obj)
        if self._versioned():
            names = [*names, VERSION_FIELD]
        return [(None, {"fields": names})]

    def _versioned(self) -> bool:
        return any(field.name == "version" for field in self.opts.concrete_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        declared = list(super().get_readonly_fields(request, obj))  # type: ignore[misc]
        names = {name for name in self.get_fields(request, obj) if isinstance(name, str)}
        locked = self.locked_names(request, names)
        return [*declared, *sorted(locked - set(declared))]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> type[BaseInlineFormSet]:
        attributes: dict[str, Any] = {
            "refusal": getattr(request, "form_refusal", None),
            "in_table": isinstance(self, TabularInline),
        }
        if self._versioned():
            attributes[VERSION_FIELD] = version_field()
        kwargs.setdefault("form", type("InlineRecordForm", (self.form,), attributes))
        return super().get_formset(request, obj, **kwargs)  # type: ignore[misc, no-any-return]


class RecordInline(_RecordInlineMixin, TabularInline):
    """Children as rows of a table. Set ``model``, ``fields`` and, for a tab of its own, ``tab = True``."""


class NestedInline(RecordInline):
    """Children that have no life of their own, such as the parts of payment terms: written by the parent's service in the
    value ``nested`` (the name under which it takes them)."""

    formset = NestedFormSet
    nested: str = ""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> type[BaseInlineFormSet]:
        made = super().get_formset(request, obj, **kwargs)
        made.nested_name = self.nested  # type: ignore[attr-defined]
        return made


class StackedRecordInline(_RecordInlineMixin, StackedInline):
    """Children one below the other, for many fields."""
