"""List filters: one class a kind of field, none of which loads more rows or names than the actor may see."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold import widgets
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
)
from unfold.contrib.filters.forms import DropdownForm
from unfold.utils import parse_date_str, parse_datetime_str

from apps.backoffice.fields import link_field
from apps.backoffice.rights import actor_of
from apps.core import custom_fields
from apps.core.errors import ValidationFailed
from apps.core.models import CustomField

TEMPLATE = "unfold/filters/filters_field.html"
SELECT2 = {"data-theme": "admin-autocomplete", "class": "unfold-admin-autocomplete admin-autocomplete"}


class LinkForm(forms.Form):
    """One search box over the records of a kind."""

    def __init__(self, *, name: str, field: Any, data: dict[str, Any]) -> None:
        super().__init__(data=data)
        self.fields[name] = field


class LinkFilter(admin.RelatedFieldListFilter):
    """Filter by a linked record, chosen through the autocomplete endpoint."""

    template = TEMPLATE

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ):
        self.actor = actor_of(request)
        super().__init__(field, request, params, model, model_admin, field_path)

    def has_output(self) -> bool:
        return True

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        return []

    def choices(self, changelist: Any) -> Iterator[Any]:
        value = (
            self.lookup_val[0] if isinstance(self.lookup_val, list) and self.lookup_val else self.lookup_val
        )
        field = link_field(
            self.field.related_model, self.actor, required=False, label=str(self.title).capitalize()
        )
        yield {"form": LinkForm(name=self.lookup_kwarg, field=field, data={self.lookup_kwarg: value})}

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        if not any(value not in ("", [""], None) for value in self.used_parameters.values()):
            return queryset
        return super().queryset(request, queryset)


class ActiveFilter(admin.SimpleListFilter):
    """Archived records stay out of lists until asked for."""

    title = _("archived")
    parameter_name = "archived"
    template = TEMPLATE

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Only archived")), ("all", _("With archived"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {
            "form": DropdownForm(
                label=_("Archived records"),
                name=self.parameter_name,
                choices=[("", _("Without archived")), *self.lookup_choices],
                data={self.parameter_name: self.value() or ""},
            )
        }

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(active=self.value() != "yes")


def custom_filter(definition: CustomField) -> type[admin.SimpleListFilter]:
    """A filter class for a filterable custom field; conditions use its expression index."""
    kinds = CustomField.Type
    kind = definition.type
    ranged = kind in (kinds.INTEGER, kinds.DECIMAL, kinds.DATE, kinds.DATETIME)
    name = f"custom.{definition.key}"

    class CustomFieldFilter(admin.SimpleListFilter):
        title = definition.label
        parameter_name = name
        template = TEMPLATE

        def __init__(
            self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any
        ) -> None:
            self.actor = actor_of(request)
            super().__init__(request, params, model, model_admin)
            for extra in self.expected_parameters():
                if extra in params:
                    given = params.pop(extra)
                    self.used_parameters[extra] = given[-1] if isinstance(given, list) else given

        def has_output(self) -> bool:
            return True

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[Any]:
            return []

        def expected_parameters(self) -> list[str | None]:
            return [f"{name}.from", f"{name}.to"] if ranged else [name]

        def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
            lookups = {f"{name}.from": "gte", f"{name}.to": "lte", name: "exact"}
            if kind in (kinds.TEXT, kinds.LONG_TEXT):
                lookups[name] = "contains"
            for parameter, value in self.used_parameters.items():
                if value in ("", None):
                    continue
                try:
                    condition = custom_fields.filter_q(
                        queryset.model, definition.key, lookups[parameter], value, self.actor
                    )
                except ValidationFailed as exc:
                    raise IncorrectLookupParameters(str(exc)) from exc
                queryset = queryset.filter(condition)
            return queryset

        def choices(self, changelist: Any) -> Iterator[Any]:
            yield {"form": _custom_form(definition, self.actor, dict(self.used_parameters))}

    return CustomFieldFilter


def _custom_form(definition: CustomField, actor: Any, data: dict[str, Any]) -> forms.Form:
    kinds, name, label = CustomField.Type, f"custom.{definition.key}", definition.label
    form = forms.Form(data=data)
    if definition.type in (kinds.INTEGER, kinds.DECIMAL):
        for part, words in (("from", _("from")), ("to", _("to"))):
            form.fields[f"{name}.{part}"] = forms.DecimalField(
                required=False, label=f"{label} {words}", widget=widgets.UnfoldAdminDecimalFieldWidget()
            )
    elif definition.type in (kinds.DATE, kinds.DATETIME):
        for part, words in (("from", _("from")), ("to", _("to"))):
            form.fields[f"{name}.{part}"] = forms.DateField(
                required=False, label=f"{label} {words}", widget=widgets.UnfoldAdminSingleDateWidget()
            )
    elif definition.type in (kinds.CHOICE, kinds.TAGS, kinds.BOOLEAN):
        options = [(str(key), str(text)) for key, text in definition.choices]
        if definition.type == kinds.BOOLEAN:
            options = [("true", _("Yes")), ("false", _("No"))]
        form.fields[name] = forms.ChoiceField(
            required=False,
            label=label,
            choices=[("", _("All")), *options],
            widget=widgets.UnfoldAdminSelectWidget(attrs=dict(SELECT2)),
        )
    elif definition.type == kinds.RECORD:
        form.fields[name] = link_field(apps.get_model(definition.target), actor, required=False, label=label)
    else:
        form.fields[name] = forms.CharField(
            required=False, label=label, widget=widgets.UnfoldAdminTextInputWidget()
        )
    return form


def filter_for(model: type[models.Model], path: str) -> Any:
    """The entry of ``list_filter`` for a field path, with the class that fits the field."""
    field: Any = None
    current = model
    try:
        for part in path.split("__"):
            field = current._meta.get_field(part)
            current = getattr(field, "related_model", None) or current
    except FieldDoesNotExist:
        return path
    if field.is_relation:
        return (path, LinkFilter)
    if field.choices:
        return (path, ChoicesDropdownFilter)
    for kind, cls in (
        (models.BooleanField, BooleanRadioFilter),
        (models.DateTimeField, MomentRangeFilter),
        (models.DateField, RangeDateFilter),
        ((models.DecimalField, models.IntegerField, models.FloatField), RangeNumericFilter),
        ((models.CharField, models.TextField), FieldTextFilter),
    ):
        if isinstance(field, kind):
            return (path, cls)
    return path


class MomentRangeFilter(RangeDateTimeFilter):
    """From and to, as the clock of whoever asks shows it; without a time the whole day counts."""

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        conditions = {}
        for end, lookup, time in (("from", "gte", datetime.time.min), ("to", "lte", datetime.time.max)):
            day = self.used_parameters.get(f"{self.parameter_name}_{end}_0")
            if not day:
                continue
            clock = self.used_parameters.get(f"{self.parameter_name}_{end}_1")
            moment = parse_datetime_str(f"{day} {clock}") if clock else None
            if moment is None and (date := parse_date_str(day)) is not None:
                moment = datetime.datetime.combine(date, time)
            if moment is None:
                raise IncorrectLookupParameters
            conditions[f"{self.parameter_name}__{lookup}"] = timezone.make_aware(moment)
        return queryset.filter(**conditions)


INVALID_VALUES = (ValidationError, ValueError, TypeError)
