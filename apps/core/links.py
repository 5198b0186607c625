"""Links between records: may the actor point there, and does the target's company fit?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models.base import company_mode, options_of
from apps.core.rules import record_filter


def pk_of(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def foreign_keys(model: type[models.Model]) -> dict[str, models.ForeignKey[Any, Any]]:
    return {f.name: f for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)}


def many_to_many(model: type[models.Model]) -> dict[str, models.ManyToManyField[Any, Any]]:
    return {f.name: f for f in model._meta.many_to_many}


def check_targets(model: type[models.Model], wanted: Mapping[str, Iterable[Any]], actor: Actor) -> None:
    """Every linked record must exist and be the actor's to see. One query a field, whatever the rows.

    ``wanted`` maps field names (foreign key or many-to-many) to primary keys. A record that exists but is hidden
    answers like one that does not exist.
    """
    errors: dict[str, list[str]] = {}
    for name, pks in wanted.items():
        target = model._meta.get_field(name).related_model
        asked = {pk for pk in pks if pk is not None}
        if not asked or not isinstance(target, type):
            continue
        rows = target._base_manager.filter(pk__in=asked)
        condition = record_filter(target, actor, "view") if not actor.is_system else models.Q()
        if condition is None:
            found: set[Any] = set()
        else:
            found = set(rows.filter(condition).values_list("pk", flat=True))
        missing = sorted(asked - found, key=str)
        if missing:
            listed = ", ".join(str(pk) for pk in missing)
            errors[name] = [
                _("There is no %(kind)s %(pks)s, or you cannot see it.")
                % {"kind": target._meta.verbose_name, "pks": listed}
            ]
    if errors:
        raise ValidationFailed(fields=errors)


def company_links(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    """Foreign keys of a company model that lead to other company models."""
    if company_mode(model) == "none":
        return []
    declared = options_of(model).company_links
    return [
        field
        for field in foreign_keys(model).values()
        if field.name not in ("company", "created_by", "updated_by")
        and (declared is None or field.name in declared)
        and isinstance(field.related_model, type)
        and company_mode(field.related_model) != "none"
    ]


def company_line(company_pk: int | None) -> set[int]:
    """The company and its ancestors: the owners whose records it may use."""
    if company_pk is None:
        return set()
    return _lines([company_pk])[company_pk]


def _lines(company_pks: Iterable[int]) -> dict[int, set[int]]:
    from django.apps import apps

    company = apps.get_model("access", "Company")
    parents = dict(company._base_manager.values_list("pk", "parent_id"))
    lines: dict[int, set[int]] = {}
    for pk in company_pks:
        line: set[int] = set()
        step: int | None = pk
        while step is not None and step not in line:
            line.add(step)
            step = parents.get(step)
        lines[pk] = line
    return lines


def check_company(records: Sequence[models.Model], *, fields: Iterable[str] | None = None) -> None:
    """Refuse links into another company, naming both sides. One query a field plus one for the companies."""
    if not records:
        return
    model = type(records[0])
    links = [f for f in company_links(model) if fields is None or f.name in fields or "company" in fields]
    if not links:
        return
    owners = {record.company_id for record in records if record.company_id is not None}  # type: ignore[attr-defined]
    lines: dict[int, set[int]] | None = None
    errors: dict[str, list[str]] = {}
    for field in links:
        pks = {getattr(record, field.attname) for record in records} - {None}
        if not pks:
            continue
        target = field.related_model
        homes = dict(target._base_manager.filter(pk__in=pks).values_list("pk", "company_id"))
        for record in records:
            home = homes.get(getattr(record, field.attname))
            owner = record.company_id  # type: ignore[attr-defined]
            if home is None or home == owner:
                continue
            if lines is None:
                lines = _lines(owners)
            if owner is None or home not in lines[owner]:
                errors.setdefault(field.name, []).append(
                    _("The %(kind)s belongs to another company than this %(record)s.")
                    % {"kind": field.verbose_name, "record": model._meta.verbose_name}
                )
    if errors:
        raise ValidationFailed(
            code="company_mismatch", fields={name: sorted(set(texts)) for name, texts in errors.items()}
        )
