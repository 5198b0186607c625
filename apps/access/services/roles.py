"""Roles of the administrators' own making, and additions to those that modules declare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.utils.translation import gettext as _

from apps.access.constants import AuditKind
from apps.access.models import Role, RoleGrant, RoleImplication
from apps.access.selectors.roles import implied_role_pks, powerful_role_pks
from apps.access.services import audit
from apps.access.services.guards import require_power_to_give
from apps.core.actor import Actor
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, service
from apps.core.unit_of_work import unit_of_work

Values = dict[str, Any]
_OPERATION = re.compile(r"\*|[a-z][a-z0-9_]*")


@service(Role)
class RoleService(RecordService[Role]):
    """Declared roles keep what their module says; of them only the token life and added rights can be changed."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            if not row.get("code"):
                slug = re.sub(r"[^a-z0-9]+", "_", str(row.get("name", "")).lower()).strip("_")
                row["code"] = f"own.{slug}" if slug[:1].isalpha() else f"own.role_{slug}".rstrip("_")
            if "implied" in row:
                row["implied"] = sorted({pk_of(role) for role in row["implied"] or ()})
                require_power_to_give(row["implied"], actor)

    def prepare_update(self, records: Sequence[Role], values: Values, actor: Actor) -> None:
        declared = [role for role in records if role.declared]
        fixed = set(values) - {"api_token_days", "implied"}
        if declared and fixed:
            raise Conflict(
                _("The role %(name)s is made by a module; make a role of your own that implies it.")
                % {"name": declared[0].name},
                code="declared_role",
            )
        _require_power_over_roles(records, actor)
        if "implied" in values:
            wanted = {pk_of(role) for role in values["implied"] or ()}
            require_power_to_give(wanted, actor)
            for role in records:
                _check_circle(role, wanted)
            by_module = RoleImplication.objects.filter(role__in=declared, declared=True)
            wanted |= set(by_module.values_list("implied_id", flat=True))
            values["implied"] = sorted(wanted)

    def after_create(self, records: Sequence[Role], rows: Sequence[Values], actor: Actor) -> None:
        audit.record_many(
            AuditKind.ROLES,
            [{"target": role, "after": {"code": role.code}, "reason": "role made"} for role in records],
            actor=actor,
        )

    def after_update(
        self, records: Sequence[Role], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        audit.record_many(
            AuditKind.ROLES,
            [
                {
                    "target": role,
                    "before": dict(before[role.pk]),
                    "after": {n: str(v) for n, v in values.items()},
                }
                for role in records
            ],
            actor=actor,
        )

    def before_delete(self, records: Sequence[Role], actor: Actor) -> None:
        for role in records:
            if role.declared and not role.missing:
                raise Conflict(
                    _("The role %(name)s is made by a module.") % {"name": role.name}, code="declared_role"
                )
        _require_power_over_roles(records, actor)
        audit.record_many(
            AuditKind.ROLES,
            [{"target": role, "before": {"code": role.code}, "reason": "role deleted"} for role in records],
            actor=actor,
        )


def _require_power_over_roles(roles: Sequence[Role], actor: Actor) -> None:
    if not actor.is_admin and powerful_role_pks() & {role.pk for role in roles}:
        raise PermissionDenied(_("Only an administrator changes the roles of administrators."))


def _check_circle(role: Role, wanted: set[int]) -> None:
    if role.pk in implied_role_pks(wanted):
        raise ValidationFailed(fields={"implied": [_("%(name)s would imply itself.") % {"name": role.name}]})


def set_grants(role: Role, grants: Mapping[str, str], *, actor: Actor) -> None:
    """Make ``grants`` (model label -> operations) the rights that administrators added to the role.

    Rights that its module declares stay. Unknown models are refused; ``*`` only by administrators.
    """
    actor.require(Role, "change")
    _require_power_over_roles([role], actor)
    wanted: set[tuple[str, str]] = set()
    errors: list[str] = []
    for label, listed in grants.items():
        name = label.lower()
        if name != "*" and not _is_model(name):
            errors.append(_("There is no kind of record '%(label)s'.") % {"label": label})
        for operation in listed.split():
            if not _OPERATION.fullmatch(operation):
                errors.append(_("'%(operation)s' is not an operation.") % {"operation": operation})
            wanted.add((name, operation))
    if any("*" in pair for pair in wanted) and not actor.is_admin:
        raise PermissionDenied(_("Only an administrator grants everything (*)."))
    if errors:
        raise ValidationFailed(fields={"grants": errors})
    with unit_of_work(actor):
        rows = list(RoleGrant.objects.filter(role=role))
        declared = {(row.model, row.operation) for row in rows if row.declared}
        own = {(row.model, row.operation): row for row in rows if not row.declared}
        surplus = [row.pk for key, row in own.items() if key not in wanted]
        RoleGrant.objects.filter(pk__in=surplus).delete()
        RoleGrant.objects.bulk_create(
            RoleGrant(role=role, model=model, operation=operation)
            for model, operation in sorted(wanted - declared - set(own))
        )
        audit.record(
            AuditKind.ROLES,
            actor=actor,
            target=role,
            before={"grants": sorted(":".join(key) for key in own)},
            after={"grants": sorted(":".join(key) for key in wanted - declared)},
        )


def _is_model(label: str) -> bool:
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        return False
    return True
