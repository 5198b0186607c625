"""Actions over more records than a request should wait for: a background run with progress and a result for each.

Records are taken in chunks. A chunk is tried as one set, which is fastest; when that is refused, record by record. The
run is never repeated by itself, because an action may do its work again where its state does not forbid it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.actions import Action, InputSpec, get_action, run_each
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import background
from apps.core.jobs.service import start_background
from apps.core.models import JobRun
from apps.core.rules import get_visible

TASK = "backoffice.bulk_action"
CHUNK = 100
KEPT_REFUSALS = 1_000


def start_bulk_action(
    declared: Action, pks: Sequence[Any], inputs: Mapping[str, Any], *, actor: Actor
) -> JobRun:
    """Queue ``declared`` over ``pks`` on behalf of ``actor``. Needs the permission of the action."""
    actor.require(declared.model, declared.permission)
    return start_background(
        TASK,
        inputs={
            "model": declared.model._meta.label_lower,
            "action": declared.name,
            "pks": list(pks),
            "inputs": {name: plain(value) for name, value in inputs.items()},
        },
        actor=actor,
        title=f"{declared.title}: {len(pks)} {declared.model._meta.verbose_name_plural}",
    )


@background(TASK, title=gettext_lazy("Action on many records"), attempts=1)
def bulk_action(run: RunHandle) -> dict[str, Any]:
    """The background side; its result is ``{"done": number, "refused": [[pk, reason], …]}``."""
    model = apps.get_model(run.inputs["model"])
    declared = get_action(model, run.inputs["action"])
    if declared is None:
        raise ValidationFailed(_("There is no action '%(name)s' any more.") % {"name": run.inputs["action"]})
    given = run.inputs["inputs"]
    inputs = {
        spec.name: typed(spec, given[spec.name], run.actor) for spec in declared.inputs if spec.name in given
    }
    pks, refused = list(run.inputs["pks"]), []
    run.progress(0, len(pks))
    for start in range(0, len(pks), CHUNK):
        chunk = pks[start : start + CHUNK]
        try:
            declared(chunk, actor=run.actor, **inputs)
        except BusinessError:
            outcome = run_each(declared, chunk, actor=run.actor, **inputs)
            refused += [[pk, str(error)] for pk, error in outcome if error is not None]
        run.progress(min(start + CHUNK, len(pks)), len(pks))
    for pk, reason in refused[:KEPT_REFUSALS]:
        run.log(f"{model._meta.verbose_name} {pk}: {reason}")
    return {
        "done": len(pks) - len(refused),
        "refused": refused[:KEPT_REFUSALS],
        "refused_count": len(refused),
    }


def plain(value: Any) -> Any:
    """An input as JSON: records as primary keys, decimals and moments as text."""
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime.date):  # moments are dates, too
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def typed(spec: InputSpec, value: Any, actor: Actor) -> Any:
    """An input as the action wants it again; a record that the actor no longer sees is refused."""
    if value is None:
        return None
    if spec.many:
        return [_typed(spec.type, item, actor) for item in value]
    return _typed(spec.type, value, actor)


def _typed(kind: Any, value: Any, actor: Actor) -> Any:
    if kind is Decimal:
        return Decimal(value)
    if kind is datetime.datetime:
        return parse_datetime(value)
    if kind is datetime.date:
        return parse_date(value)
    if isinstance(kind, type) and issubclass(kind, models.Model):
        return get_visible(kind, value, actor)
    return value
