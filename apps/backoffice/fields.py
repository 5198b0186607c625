"""Form fields for links, and the typed form fields of custom fields.

A link offers what the actor may see and what is not archived. The value that is stored stays selectable even when
it is neither: otherwise saving a form would cut a link that its author cannot see. Its name is then not shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.apps import apps
from django.db import models
from django.forms.models import ModelChoiceIterator
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold import widgets

from apps.backoffice.rights import choices_for
from apps.core.actor import Actor
from apps.core.models import CustomField
from apps.core.rules import visible

HIDDEN_LABEL = _("(a record you cannot see)")


class _LinkWidgetMixin(widgets.AutocompleteWidgetMixin):
    """A search box whose options come from the autocomplete endpoint; only what is selected is rendered."""

    target: type[models.Model]
    actor: Actor
    source: str = ""
    allow_multiple_selected = False
    choices: Any

    def build_attrs(
        self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)  # type: ignore[misc]
        query = {"target": self.target._meta.label_lower}
        if self.source:
            query["source"] = self.source
        attrs["data-ajax--url"] = f"{reverse('admin:autocomplete')}?{urlencode(query)}"
        attrs["data-allow-clear"] = (
            "true" if not self.is_required and not self.allow_multiple_selected else "false"
        )
        return dict(attrs)

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> Any:
        picked = [str(item) for item in value if str(item) not in ("", "None")]
        options = []
        if not self.is_required and not self.allow_multiple_selected:
            options.append(self.create_option(name, "", "", False, 0))  # type: ignore[attr-defined]
        labels = labels_of(self.target, picked, self.actor)
        for index, item in enumerate(picked, start=1):
            label = labels.get(item, HIDDEN_LABEL)
            options.append(self.create_option(name, item, label, True, index))  # type: ignore[attr-defined]
        return [(None, options, 0)]


class LinkSelect(_LinkWidgetMixin, forms.Select):
    """Search box for one record."""


class LinkSelectMultiple(_LinkWidgetMixin, forms.SelectMultiple):
    """Search box for several records."""

    allow_multiple_selected = True


def labels_of(target: type[models.Model], pks: Iterable[Any], actor: Actor) -> dict[str, str]:
    """Names of the records among ``pks`` that the actor may see, by primary key as text. One query at most."""
    wanted = [pk for pk in pks if str(pk).lstrip("-").isdigit()]
    if not wanted:
        return {}
    return {str(record.pk): str(record) for record in visible(target, actor).filter(pk__in=wanted)}


class LinkChoices(ModelChoiceIterator):
    """Choices for a plain select: what is offered, plus the stored value when that is not among it."""

    def __iter__(self) -> Any:
        seen = set()
        if self.field.empty_label is not None:
            yield ("", self.field.empty_label)
        for record in self.queryset:
            seen.add(record.pk)
            yield self.choice(record)
        extra = [pk for pk in self.field.kept_pks if pk not in seen]
        labels = labels_of(self.queryset.model, extra, self.field.actor)
        for pk in extra:
            yield (pk, labels.get(str(pk), HIDDEN_LABEL))


class _LinkFieldMixin:
    """Limits to ``choices_for(target, actor)``; ``kept_pks`` are stored values that stay allowed."""

    iterator = LinkChoices
    actor: Actor
    kept_pks: tuple[Any, ...] = ()

    def keep(self, pks: Iterable[Any]) -> None:
        self.kept_pks = tuple(pk for pk in pks if pk is not None)


class LinkField(_LinkFieldMixin, forms.ModelChoiceField):
    def to_python(self, value: Any) -> Any:
        if value not in self.empty_values:
            pk = getattr(value, "pk", value)
            kept = [known for known in self.kept_pks if str(known) == str(pk)]
            if kept:
                return self.queryset.model._base_manager.filter(pk=kept[0]).first()  # type: ignore[union-attr]
        return super().to_python(value)


class LinkMultipleField(_LinkFieldMixin, forms.ModelMultipleChoiceField):
    def clean(self, value: Any) -> Any:
        given = [str(item) for item in value or ()]
        kept = [pk for pk in self.kept_pks if str(pk) in given]
        rest = [item for item in given if item not in {str(pk) for pk in kept}]
        if kept and not rest:
            found = []
        else:
            found = list(super().clean(rest))
        stored = self.queryset.model._base_manager.filter(pk__in=kept)  # type: ignore[union-attr]
        return [*found, *stored]


def link_field(
    target: type[models.Model],
    actor: Actor,
    *,
    many: bool = False,
    plain: bool = False,
    source: str = "",
    rows: models.QuerySet[Any] | None = None,
    **options: Any,
) -> Any:
    """A form field that links to ``target``; ``plain`` makes it a select with all choices."""
    queryset = choices_for(target, actor) if rows is None else rows
    widget: Any
    if plain:
        widget = widgets.UnfoldAdminSelectMultipleWidget() if many else widgets.UnfoldAdminSelectWidget()
    else:
        widget = (LinkSelectMultiple if many else LinkSelect)()
        widget.target, widget.actor, widget.source = target, actor, source
    cls = LinkMultipleField if many else LinkField
    if not many:
        options.setdefault("empty_label", "" if not plain else _("Select value"))
    field = cls(queryset=queryset, widget=widget, **options)
    field.actor = actor
    # The iterator reads ``actor``; it is made when the queryset is set, so set it once more.
    field.queryset = field.queryset
    return field


def _text(definition: CustomField) -> dict[str, Any]:
    return {
        "label": definition.label,
        "help_text": definition.help,
        "required": definition.required,
    }


def custom_form_field(definition: CustomField, actor: Actor) -> forms.Field:
    """The typed form field of a definition."""
    kind, text, types = definition.type, _text(definition), CustomField.Type
    if kind == types.TEXT:
        return forms.CharField(max_length=500, widget=widgets.UnfoldAdminTextInputWidget(), **text)
    if kind == types.LONG_TEXT:
        return forms.CharField(widget=widgets.UnfoldAdminTextareaWidget(), **text)
    if kind == types.INTEGER:
        return forms.IntegerField(widget=widgets.UnfoldAdminIntegerFieldWidget(), **text)
    if kind == types.DECIMAL:
        return forms.DecimalField(widget=widgets.UnfoldAdminDecimalFieldWidget(), **text)
    if kind == types.BOOLEAN:
        return forms.BooleanField(widget=widgets.UnfoldBooleanSwitchWidget(), **{**text, "required": False})
    if kind == types.DATE:
        return forms.DateField(widget=widgets.UnfoldAdminSingleDateWidget(), **text)
    if kind == types.DATETIME:
        return forms.SplitDateTimeField(widget=widgets.UnfoldAdminSplitDateTimeWidget(), **text)
    choices = [(str(key), str(label)) for key, label in definition.choices]
    if kind == types.CHOICE:
        blank = [("", _("Select value"))]
        return forms.ChoiceField(choices=[*blank, *choices], widget=widgets.UnfoldAdminSelectWidget(), **text)
    if kind == types.TAGS:
        return forms.MultipleChoiceField(
            choices=choices, widget=widgets.UnfoldAdminSelect2MultipleWidget(), **text
        )
    return link_field(apps.get_model(definition.target), actor, **text)


def custom_initial(definition: CustomField, value: Any) -> Any:
    """A stored JSON value as the form field wants it."""
    if value is not None and definition.type == CustomField.Type.DATETIME:
        from django.utils.dateparse import parse_datetime
        from django.utils.timezone import localtime

        moment = parse_datetime(str(value))
        return localtime(moment) if moment else None
    return value


def custom_display(definition: CustomField, value: Any, labels: dict[str, str] | None = None) -> Any:
    """A stored value in words, for lists, read-only forms and exports."""
    if value in (None, "", []):
        return None
    kind, types = definition.type, CustomField.Type
    if kind in (types.CHOICE, types.TAGS):
        names = {str(key): str(label) for key, label in definition.choices}
        if kind == types.CHOICE:
            return names.get(str(value), str(value))
        return ", ".join(names.get(str(item), str(item)) for item in value)
    if kind == types.DATE:
        from django.utils.dateparse import parse_date

        return parse_date(str(value))
    if kind == types.DATETIME:
        return custom_initial(definition, value)
    if kind == types.RECORD:
        return (labels or {}).get(str(value), HIDDEN_LABEL)
    return value
