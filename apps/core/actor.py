"""Who acts: the one value that every service and selector takes.

An actor is built once per request, task or command by the ``access`` app and handed down explicitly. It is
immutable, holds no request and no ORM object, and can be written into a queue message and read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from apps.core.errors import PermissionDenied

if TYPE_CHECKING:
    from django.db.models import Model

INTERNAL, PORTAL, PUBLIC, SYSTEM = "internal", "portal", "public", "system"


def permission_key(model: type[Model] | str, operation: str) -> str:
    """``projects.task:view``: the one spelling of a permission, for a model class or a label."""
    label = model.lower() if isinstance(model, str) else model._meta.label_lower
    return f"{label}:{operation}"


@dataclass(frozen=True, slots=True)
class Actor:
    """User, company and rights of one operation.

    ``permissions`` are the keys of ``permission_key``; ``*`` stands for every model or every operation
    (``*:view``, ``projects.task:*``, ``*:*``). ``scopes`` narrows them for a token (``None``: not narrowed).
    ``company_pk`` is the company that new records get; ``company_pks`` are those whose rows are shown.
    """

    kind: str = PUBLIC
    user_pk: int | None = None
    company_pk: int | None = None
    company_pks: tuple[int, ...] = ()
    permissions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    partner_pk: int | None = None
    commercial_partner_pk: int | None = None
    language: str = "en"
    timezone: str = "UTC"
    name: str = ""
    channel: str = ""  # admin | rest | rpc | portal | mail | job | command
    ip: str = ""
    request_id: str = ""

    @property
    def is_system(self) -> bool:
        return self.kind == SYSTEM

    @property
    def is_internal(self) -> bool:
        return self.kind == INTERNAL

    @property
    def is_portal(self) -> bool:
        return self.kind == PORTAL

    @property
    def is_admin(self) -> bool:
        return self.is_system or "access.administrator" in self.roles

    def has_role(self, *codes: str) -> bool:
        return self.is_system or not self.roles.isdisjoint(codes)

    def can(self, model: type[Model] | str, operation: str) -> bool:
        """Whether the roles (and the token's scopes) allow the operation on this kind of record at all."""
        if self.is_system:
            return True
        key = permission_key(model, operation)
        label = key.rpartition(":")[0]
        held = self.permissions
        if not (key in held or f"{label}:*" in held or f"*:{operation}" in held or "*:*" in held):
            return False
        return self.scopes is None or scope_allows(self.scopes, label, operation)

    def require(self, model: type[Model] | str, operation: str) -> None:
        """Raise ``PermissionDenied`` naming the kind of record and the operation."""
        if self.can(model, operation):
            return
        label = model if isinstance(model, str) else str(model._meta.verbose_name)
        raise PermissionDenied(
            f"You do not have the right '{operation}' on {label}.",
            rule=f"role grant {permission_key(model, operation)}",
        )

    def with_company(self, company_pk: int) -> Actor:
        return replace(self, company_pk=company_pk, company_pks=(company_pk,))

    def snapshot(self) -> dict[str, Any]:
        """What is needed to rebuild the actor later: never rights, which are read afresh."""
        return {
            "kind": self.kind,
            "user": self.user_pk,
            "company": self.company_pk,
            "companies": list(self.company_pks),
            "language": self.language,
            "timezone": self.timezone,
            "name": self.name,
            "request_id": self.request_id,
        }


def scope_allows(scopes: Iterable[str], label: str, operation: str) -> bool:
    """Whether token scopes admit an operation.

    A scope is ``*``, ``read``, ``<app>``, ``<app>:read``, ``<app>.<model>``, ``<app>.<model>:read`` or
    ``<app>.<model>:<operation>``; several are joined by OR.
    """
    app = label.partition(".")[0]
    for scope in scopes:
        target, _, wanted = scope.partition(":")
        if scope == "read":
            target, wanted = "*", "read"
        if target not in ("*", app, label):
            continue
        if not wanted or wanted == operation or (wanted == "read" and operation == "view"):
            return True
    return False


def system_actor(
    *,
    company_pk: int | None = None,
    company_pks: Iterable[int] = (),
    user_pk: int | None = None,
    name: str = "System",
    channel: str = "job",
    **extra: Any,
) -> Actor:
    """An actor that no rule stops, for jobs, migrations of data and the mail gateway."""
    pks = tuple(company_pks) or ((company_pk,) if company_pk else ())
    return Actor(
        kind=SYSTEM,
        user_pk=user_pk,
        company_pk=company_pk,
        company_pks=pks,
        name=name,
        channel=channel,
        **extra,
    )


def system_from_snapshot(snapshot: Mapping[str, Any], *, channel: str = "job") -> Actor:
    """The system acting on behalf of the recorded user: attribution is kept, rights are the system's."""
    return system_actor(
        company_pk=snapshot.get("company"),
        company_pks=snapshot.get("companies") or (),
        user_pk=snapshot.get("user"),
        name=snapshot.get("name", "System"),
        channel=channel,
        language=snapshot.get("language", "en"),
        timezone=snapshot.get("timezone", "UTC"),
        request_id=snapshot.get("request_id", ""),
    )
