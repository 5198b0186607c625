"""Building actors: who acts, in which companies, with which rights.

Rights are the transitive closure over implied roles. They are computed by one statement and kept in the memory of
the process under a key that PostgreSQL changes, by triggers, whenever anything they follow from changes: the
user's own ``rights_stamp`` and the one ``RightsStamp`` of all roles. Both are read with the user itself, so a
request whose user is known costs no query for rights, and no change is ever seen late.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from apps.access.constants import IMPLICIT_ROLES, Special, UserKind
from apps.access.models import Company, RightsStamp, User
from apps.access.types import Rights
from apps.core.actor import PUBLIC, SYSTEM, Actor, system_actor, system_from_snapshot
from apps.core.errors import NotAuthenticated, PermissionDenied
from apps.core.hooks import collect_actor_context

KEPT_USERS = 5_000

# Roles that no running module declares, and archived ones, neither count nor lead on to others.
_CLOSURE = """
WITH RECURSIVE held(id) AS (
    SELECT role.id FROM access_role role
    WHERE role.active AND NOT role.missing
      AND (role.code = %(implicit)s
           OR role.id IN (SELECT role_id FROM access_userrole WHERE user_id = %(user)s))
    UNION
    SELECT role.id FROM held
    JOIN access_roleimplication step ON step.role_id = held.id
    JOIN access_role role ON role.id = step.implied_id AND role.active AND NOT role.missing
)
SELECT role.code, role.api_token_days,
       (SELECT array_agg(g.model || ':' || g.operation) FROM access_rolegrant g WHERE g.role_id = role.id)
FROM held JOIN access_role role ON role.id = held.id
"""


class _Memory:
    """The most recently used rights, per process. Keys change with the facts, so nothing has to be thrown out."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, Rights] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Rights | None:
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def put(self, key: Hashable, rights: Rights) -> None:
        with self._lock:
            self._items[key] = rights
            while len(self._items) > self._size:
                self._items.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()


_memory = _Memory(KEPT_USERS)


def forget_rights() -> None:
    """Empty this process's memory; only for tests that change the database behind the triggers' back."""
    _memory.clear()


def actor_for(
    user: User,
    *,
    company_pk: int | None = None,
    company_pks: Sequence[int] = (),
    scopes: Iterable[str] | None = None,
    channel: str = "",
    ip: str = "",
    request_id: str = "",
) -> Actor:
    """The actor of a user. No query when ``user`` was loaded by the sign-in machinery and is known; one otherwise,
    three more when the rights are not in memory.

    ``company_pk`` is where new records go; ``company_pks`` are the selected companies. Asking for a company that
    the user does not work for raises ``PermissionDenied``; asking for none takes the user's own.
    """
    user = _fresh(user)
    if user.special == Special.SYSTEM:
        return system_actor(user_pk=user.pk, name=user.name, channel=channel, ip=ip, request_id=request_id)
    if not user.active and user.special != Special.PUBLIC:
        raise NotAuthenticated(_("This account is archived."), code="archived")
    rights = _rights_of(user)
    current, selected = _companies(user, rights, company_pk, company_pks)
    return Actor(
        kind=user.kind,
        user_pk=user.pk,
        company_pk=current,
        company_pks=selected,
        permissions=rights.permissions,
        roles=rights.roles,
        scopes=frozenset(scopes) if scopes is not None else None,
        language=user.language,
        timezone=user.timezone,
        name=user.name,
        channel=channel,
        ip=ip,
        request_id=request_id,
        **rights.context,
    )


def public_actor(*, channel: str = "", ip: str = "", request_id: str = "", language: str = "en") -> Actor:
    """The actor of somebody who is not signed in. One query."""
    stamp = RightsStamp.objects.values_list("value", flat=True).first() or 0
    key = ("public", stamp)
    rights = _memory.get(key)
    if rights is None:
        first = Company.objects.active().order_by("sequence", "pk").values_list("pk", flat=True).first()
        permissions, roles, _days = _closure(None, IMPLICIT_ROLES[UserKind.PUBLIC])
        rights = Rights(permissions, roles, (first,) if first else ())
        if stamp:
            _memory.put(key, rights)
    return Actor(
        kind=PUBLIC,
        company_pk=rights.company_pks[0] if rights.company_pks else None,
        company_pks=rights.company_pks,
        permissions=rights.permissions,
        roles=rights.roles,
        language=language,
        name=str(_("Visitor")),
        channel=channel,
        ip=ip,
        request_id=request_id,
    )


def actor_from_snapshot(snapshot: Mapping[str, Any], *, channel: str = "job") -> Actor:
    """Rebuild the actor of a recorded operation, with the rights of today.

    Companies that the user has lost since are left out. Raises ``NotAuthenticated`` when the account is gone or
    archived: work of a person who has left is not done in their name.
    """
    kind = snapshot.get("kind")
    if kind == SYSTEM:
        return system_from_snapshot(snapshot, channel=channel)
    request_id = snapshot.get("request_id", "")
    if kind == PUBLIC and not snapshot.get("user"):
        return public_actor(channel=channel, request_id=request_id, language=snapshot.get("language", "en"))
    user = User.objects.with_rights_key().filter(pk=snapshot.get("user")).first()
    if user is None:
        raise NotAuthenticated(_("The account that started this does not exist any more."), code="archived")
    allowed = set(allowed_company_pks(user))
    wanted = [pk for pk in [snapshot.get("company"), *(snapshot.get("companies") or ())] if pk in allowed]
    return actor_for(
        user,
        company_pk=wanted[0] if wanted else None,
        company_pks=tuple(dict.fromkeys(wanted)),
        channel=channel,
        request_id=request_id,
    )


def rights_of(user: User) -> Rights:
    """The effective rights of a user; see the module's text for what it costs."""
    return _rights_of(_fresh(user))


def allowed_company_pks(user: User) -> tuple[int, ...]:
    """Companies the user may work in: the own one first, then by sequence. Archived ones are left out."""
    return rights_of(user).company_pks


def api_token_days(user: User) -> int:
    """The longest life of an API token that the user's roles allow; 0 when no role says anything."""
    return rights_of(user).api_token_days


# ----------------------------------------------------------------------------------------------------- internal
def _fresh(user: User) -> User:
    """The user with both stamps. An instance of unknown age is read again: its stamp may be from before a change."""
    if hasattr(user, "roles_stamp"):  # request.user is a lazy wrapper, whose own __dict__ says nothing
        return user
    found = User.objects.with_rights_key().filter(pk=user.pk).first()
    if found is None:
        raise NotAuthenticated(_("This account does not exist any more."), code="archived")
    return found


def _rights_of(user: User) -> Rights:
    stamp = user.roles_stamp or 0  # type: ignore[attr-defined]
    key = (user.pk, user.rights_stamp, stamp)
    known = _memory.get(key)
    if known is not None:
        return known
    permissions, roles, days = _closure(user.pk, IMPLICIT_ROLES[user.kind])
    own = user.company_id
    companies = user.companies.filter(active=True).order_by("sequence", "name", "pk")
    pks = sorted(companies.values_list("pk", flat=True), key=lambda pk: pk != own)
    context: dict[str, Any] = {}
    for part in collect_actor_context.run(user=user):
        context.update(part)
    rights = Rights(permissions, roles, tuple(pks), context, days)
    if stamp and user.rights_stamp:
        _memory.put(key, rights)
    return rights


def _closure(user_pk: int | None, implicit: str) -> tuple[frozenset[str], frozenset[str], int]:
    with connection.cursor() as cursor:
        cursor.execute(_CLOSURE, {"implicit": implicit, "user": user_pk})
        rows = cursor.fetchall()
    permissions = frozenset(grant for _code, _days, grants in rows for grant in grants or ())
    return permissions, frozenset(row[0] for row in rows), max((row[1] for row in rows), default=0)


def _companies(
    user: User, rights: Rights, company_pk: int | None, company_pks: Sequence[int]
) -> tuple[int | None, tuple[int, ...]]:
    wanted = tuple(dict.fromkeys(pk for pk in (company_pk, *company_pks) if pk is not None))
    refused = [pk for pk in wanted if pk not in rights.company_pks]
    if refused:
        raise PermissionDenied(
            _("You do not work for company %(pk)s.") % {"pk": ", ".join(map(str, refused))},
            code="company_not_allowed",
            rule="access.User.companies",
        )
    if wanted:
        return wanted[0], wanted
    own = user.company_id if user.company_id in rights.company_pks else None
    if own is None and rights.company_pks:
        own = rights.company_pks[0]
    return own, (own,) if own else ()
