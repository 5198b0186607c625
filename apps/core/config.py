"""Settings of modules: declared as ``SettingSpec``, changed at run time, read through a short cache."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.cache import cache
from django.utils.translation import gettext as _

from apps.core import modules
from apps.core.actor import Actor
from apps.core.declarations import SettingSpec
from apps.core.errors import ValidationFailed
from apps.core.models.setting import Setting
from apps.core.unit_of_work import unit_of_work

CACHE_KEY = "core.settings.v1"
CACHE_SECONDS = 60


def specs() -> dict[str, SettingSpec]:
    """All declared settings of the running modules, by key."""
    return {spec.key: spec for config in modules.running() for spec in config.settings}


def _values() -> dict[tuple[str, int | None], Any]:
    found = cache.get(CACHE_KEY)
    if found is None:
        found = {(row.key, row.company_id): row.value for row in Setting.objects.all()}
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def get_setting(key: str, *, company_pk: int | None = None) -> Any:
    """The company's value, else the system's, else the declared default. Unknown keys are a programming error."""
    spec = specs()[key]
    values = _values()
    for candidate in ((key, company_pk), (key, None)):
        if candidate in values:
            return _typed(spec, values[candidate])
    return spec.default


def set_setting(key: str, value: Any, *, actor: Actor, company_pk: int | None = None) -> None:
    """Store a value; needs the right to change settings. ``None`` goes back to the default."""
    actor.require(Setting, "change")
    spec = specs().get(key)
    if spec is None:
        raise ValidationFailed(fields={"key": [_("There is no setting '%(key)s'.") % {"key": key}]})
    if company_pk is not None and spec.scope != "company":
        raise ValidationFailed(fields={"company": [_("This setting holds for the whole system.")]})
    with unit_of_work(actor) as work:
        if value is None:
            Setting.objects.filter(key=key, company_id=company_pk).delete()  # type: ignore[misc]
        else:
            typed = _typed(spec, value)
            Setting.objects.update_or_create(  # type: ignore[misc]
                key=key, company_id=company_pk, defaults={"value": typed, "updated_by_id": actor.user_pk}
            )
        work.on_commit(lambda: cache.delete(CACHE_KEY))  # type: ignore[arg-type]


def _typed(spec: SettingSpec, value: Any) -> Any:
    try:
        if spec.kind == "integer":
            return int(value)
        if spec.kind == "decimal":
            return Decimal(str(value))
    except (TypeError, ValueError, InvalidOperation):
        raise ValidationFailed(fields={spec.key: [_("Enter a number.")]}) from None
    if spec.kind == "boolean":
        if isinstance(value, bool):
            return value
        if str(value).lower() not in ("true", "false", "1", "0"):
            raise ValidationFailed(fields={spec.key: [_("Enter true or false.")]})
        return str(value).lower() in ("true", "1")
    if spec.kind == "choice" and str(value) not in {key for key, _label in spec.choices}:
        raise ValidationFailed(
            fields={
                spec.key: [_("Choose one of: %(keys)s.") % {"keys": ", ".join(k for k, _l in spec.choices)}]
            }
        )
    return str(value)
