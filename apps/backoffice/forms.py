"""The form of a record: a ``ModelForm`` for its looks, a dict of values for the service.

The form never validates uniqueness or constraints and never saves: the model's service does, once, for every
interface. What the service refuses comes back into the same form with everything the user typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar

from django import forms
from django.db import models
from django.forms.models import construct_instance
from django.utils.translation import gettext as _

from apps.backoffice.fields import _LinkFieldMixin, custom_initial
from apps.core.errors import BusinessError
from apps.core.extensions import accessor
from apps.core.models import CustomField, ExtensionModel
from apps.core.money import plain_number

VERSION_FIELD = "erp_version"
CUSTOM, EXT = "custom__", "ext__"


class FormRefused(Exception):
    """A service refused what a form asked for. ``prefix`` says which form of the page, "" is the record's own."""

    def __init__(self, error: BusinessError, prefix: str | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.prefix = prefix or None


class RecordForm(forms.ModelForm):
    """See the module's text. The admin subclasses it per request with the dynamic fields and these attributes."""

    custom_definitions: ClassVar[dict[str, CustomField]] = {}
    extension_fields: ClassVar[dict[str, tuple[type[ExtensionModel], str]]] = {}
    refusal: ClassVar[FormRefused | None] = None
    # In a table the head of the column is the only label that is drawn: inputs then carry their names themselves.
    in_table: ClassVar[bool] = False
    # Lists of rows that the record's service writes with it, by name; put here by the admin before saving.
    nested_values: Mapping[str, list[dict[str, Any]]] = MappingProxyType({})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = dict(kwargs.pop("initial", None) or {})
        instance = kwargs.get("instance")
        if instance is not None and not instance._state.adding:
            for name, value in self._stored(instance).items():
                initial.setdefault(name, value)
        super().__init__(*args, initial=initial, **kwargs)
        for name, value in self.initial.items():
            if isinstance(value, Decimal):  # 21, not 21.000000
                self.initial[name] = plain_number(value)
        for name, field in self.fields.items():
            if self.in_table and not field.widget.is_hidden:
                field.widget.attrs.setdefault("aria-label", str(field.label or name))
            if isinstance(field, _LinkFieldMixin) and instance is not None and not instance._state.adding:
                stored = self.initial.get(name)
                many = stored if isinstance(stored, list | tuple | models.QuerySet) else [stored]
                field.keep(getattr(item, "pk", item) for item in many)

    def _stored(self, instance: models.Model) -> dict[str, Any]:
        values: dict[str, Any] = {}
        held = getattr(instance, "custom", None) or {}
        for name, definition in self.custom_definitions.items():
            values[name] = custom_initial(definition, held.get(definition.key))
        for name, (extension, field_name) in self.extension_fields.items():
            row = getattr(instance, accessor(extension), None) or extension()
            values[name] = getattr(row, extension._meta.get_field(field_name).attname)
        if hasattr(instance, "version"):
            values[VERSION_FIELD] = instance.version
        return values

    def _post_clean(self) -> None:
        """Set the values on the instance for display; the rules of the model are checked by its service."""
        names = [name for name in self._meta.fields or () if name in self.cleaned_data]
        self.instance = construct_instance(self, self.instance, names, self._meta.exclude)
        refusal = self.refusal
        if refusal is not None and refusal.prefix == (self.prefix or None):
            self.take(refusal.error)

    def take(self, error: BusinessError) -> None:
        """Show a refusal at the fields it names; the rest above the form."""
        placed = False
        for key, texts in error.fields.items():
            name = self._form_name(key)
            if name is None:
                label = self._label_of(key)
                for text in texts:
                    self.add_error(None, f"{label}: {text}" if label else text)
            else:
                self.add_error(name, list(texts))
            placed = True
        if not placed or error.code not in ("invalid", "company_mismatch"):
            self.add_error(None, error.message)

    def _form_name(self, key: str) -> str | None:
        head, _dot, rest = key.partition(".")
        if head.isdigit() and rest:
            key = rest
            head, _dot, rest = key.partition(".")
        name = {"custom": f"{CUSTOM}{rest}", "ext": f"{EXT}{rest.replace('.', '__')}"}.get(head, key)
        return name if name in self.fields else None

    def _label_of(self, key: str) -> str:
        if key == "__all__":
            return ""
        opts = self._meta.model._meta  # type: ignore[union-attr]
        names = {field.name: field.verbose_name for field in (*opts.concrete_fields, *opts.many_to_many)}
        return str(names.get(key.rpartition(".")[2], key)).capitalize()

    def record_values(self, *, adding: bool) -> dict[str, Any]:
        """What to hand to the service: on a change only what was changed, for a new record what was filled in."""
        values: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        ext: dict[str, dict[str, Any]] = {}
        changed = set(self.changed_data)
        for name, value in self.cleaned_data.items():
            if name == VERSION_FIELD or (not adding and name not in changed):
                continue
            if name in self.custom_definitions:
                if adding and value in (None, "", [], False) and name not in changed:
                    continue
                custom[self.custom_definitions[name].key] = value if value != "" else None
            elif name in self.extension_fields:
                extension, field_name = self.extension_fields[name]
                if name in changed:
                    ext.setdefault(extension.extension_key, {})[field_name] = value
            elif self._is_model_field(name) and not (adding and self._left_alone(name, value)):
                values[name] = value
        if custom:
            values["custom"] = custom
        if ext:
            values["ext"] = ext
        values.update(self.nested_values)
        return values

    def _is_model_field(self, name: str) -> bool:
        opts = self._meta.model._meta  # type: ignore[union-attr]
        return any(field.name == name for field in (*opts.concrete_fields, *opts.many_to_many))

    def _left_alone(self, name: str, value: Any) -> bool:
        """Whether a field of a new record was simply not filled in, so that defaults of the service apply."""
        if isinstance(value, models.QuerySet):
            value = list(value)
        field = self._meta.model._meta.get_field(name)  # type: ignore[union-attr]
        empty = value in (None, "", [])
        return empty and not (hasattr(field, "has_default") and field.has_default())


def version_field() -> forms.IntegerField:
    return forms.IntegerField(required=False, widget=forms.HiddenInput())


def stale_message(form: RecordForm, fresh: models.Model, who: str, shown: dict[str, str]) -> str:
    """What to tell somebody whose record was changed under his hands; ``shown``: label -> value that is stored now."""
    text = _(
        "%(who)s changed this record while you were editing it. Nothing was saved; what you typed is kept below."
    ) % {"who": who}
    if shown:
        listed = "; ".join(f"{label}: {value}" for label, value in shown.items())
        text += " " + _("Stored now – %(values)s.") % {"values": listed}
    return text + " " + _("Save again to put your values in place, or reload the page to drop them.")
