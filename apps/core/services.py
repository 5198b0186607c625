"""Writers of the kernel's own records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import custom_fields, outbox
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.jobs import service as jobs
from apps.core.models import CustomField, OutboxEvent
from apps.core.records import RecordService, Values, service
from apps.core.sequences import service as sequences

# Imported for what they register: the services, rules and actions of numbering and background work.
REGISTERED = (jobs, sequences)


@service(CustomField)
class CustomFieldService(RecordService[CustomField]):
    """Definitions of end-user fields; each change brings its expression index in line."""

    def validate(self, records: Sequence[CustomField], actor: Actor) -> None:
        known = {model._meta.label_lower: model for model in custom_fields.models_with_custom_fields()}
        for record in records:
            errors: dict[str, list[str]] = {}
            model = known.get(record.model)
            if model is None:
                errors["model"] = [_("Choose one of: %(models)s.") % {"models": ", ".join(known)}]
            elif _has_field(model, record.key):
                errors["key"] = [_("The record has a field of its own with this name.")]
            if record.type in (CustomField.Type.CHOICE, CustomField.Type.TAGS):
                choices = record.choices
                if not choices or not all(isinstance(c, list | tuple) and len(c) == 2 for c in choices):
                    errors["choices"] = [_('Give at least one choice, as [["key", "Label"], …].')]
            if record.type == CustomField.Type.RECORD:
                try:
                    apps.get_model(record.target)
                except (LookupError, ValueError):
                    errors["target"] = [_("Name a kind of record, such as contacts.partner.")]
            if errors:
                raise ValidationFailed(fields=errors)

    def prepare_update(self, records: Sequence[CustomField], values: Values, actor: Actor) -> None:
        for name in ("model", "key", "type"):
            if name in values and any(values[name] != getattr(record, name) for record in records):
                raise ValidationFailed(
                    fields={name: [_("Stored values depend on it. Archive this field and make another one.")]}
                )

    def after_create(self, records: Sequence[CustomField], rows: Sequence[Values], actor: Actor) -> None:
        for record in records:
            custom_fields.sync_index(record)

    def after_update(
        self,
        records: Sequence[CustomField],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        for record in records:
            custom_fields.sync_index(record)

    def before_delete(self, records: Sequence[CustomField], actor: Actor) -> None:
        for record in records:
            model = apps.get_model(record.model)
            if model._base_manager.filter(custom__has_key=record.key).exists():
                raise ValidationFailed(
                    _("Records hold values of the field '%(label)s'. Archive it instead.")
                    % {"label": record.label}
                )
            record.active = False
            custom_fields.sync_index(record)


def _has_field(model: Any, name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


@action(OutboxEvent, name="retry", permission="retry", title=gettext_lazy("Deliver again"), icon="replay")
def retry_events(events: Sequence[OutboxEvent], *, actor: Actor) -> None:
    """Deliver waiting or given-up events again now; handlers that succeeded are not repeated."""
    outbox.retry([event.pk for event in events])
