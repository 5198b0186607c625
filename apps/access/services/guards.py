"""What may not happen to accounts, whoever asks: checks that several services share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.access.constants import Special
from apps.access.models import Role, User, UserRole
from apps.access.selectors.roles import administrators, powerful_role_pks
from apps.core.actor import Actor
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed


def require_power_over(users: Iterable[User], actor: Actor) -> None:
    """Only an administrator touches an administrator's account: otherwise the right to manage users would be the
    right to become one of them. One query at most."""
    if actor.is_admin:
        return
    pks = [user.pk for user in users if user.pk != actor.user_pk]
    if not pks:
        return
    held = UserRole.objects.filter(user_id__in=pks, role_id__in=powerful_role_pks())
    if held.exists():
        raise PermissionDenied(
            _("Only an administrator changes an administrator's account."),
            rule="access.guards.require_power_over",
        )


def require_power_to_give(role_pks: Iterable[int], actor: Actor) -> None:
    """Only an administrator makes administrators."""
    if actor.is_admin:
        return
    refused = powerful_role_pks() & set(role_pks)
    if refused:
        names = ", ".join(Role.objects.filter(pk__in=refused).values_list("name", flat=True))
        raise PermissionDenied(
            _("Only an administrator gives or takes the role %(names)s.") % {"names": names},
            rule="access.guards.require_power_to_give",
        )


def refuse_special(users: Iterable[User]) -> None:
    """The accounts of the platform itself stay as they are."""
    if any(user.special != Special.NONE for user in users):
        raise Conflict(_("The platform needs this account: it stays as it is."), code="special_user")


def refuse_last_administrator(leaving: Sequence[User]) -> None:
    """At least one active administrator remains. PostgreSQL has the last word at commit; this says it earlier."""
    remaining = administrators()
    going = {user.pk for user in leaving}
    if any(user.pk in going for user in remaining) and all(user.pk in going for user in remaining):
        raise Conflict(
            _("%(name)s is the last administrator. Make somebody else one first.")
            % {"name": remaining[0].name},
            code="last_administrator",
        )


def refuse_oneself(users: Iterable[User], actor: Actor, message: str) -> None:
    if actor.user_pk is not None and any(user.pk == actor.user_pk for user in users):
        raise Conflict(message, code="oneself")


def check_role_kinds(wanted: Sequence[tuple[str, Iterable[int]]]) -> None:
    """Roles and users are of one kind. ``wanted`` pairs the kind of a user with the roles he is to hold. One query."""
    pairs = [(kind, set(pks)) for kind, pks in wanted]
    asked = {pk for _kind, pks in pairs for pk in pks}
    if not asked:
        return
    kinds = dict(Role.objects.filter(pk__in=asked).values_list("pk", "kind"))
    wrong = sum(1 for kind, pks in pairs for pk in pks if kinds.get(pk, kind) != kind)
    if wrong:
        raise ValidationFailed(
            code="more_than_one_kind",
            fields={
                "roles": [
                    ngettext(
                        "A user is of one kind only: %(count)d role is for another kind of user.",
                        "A user is of one kind only: %(count)d roles are for another kind of user.",
                        wrong,
                    )
                    % {"count": wrong}
                ]
            },
        )
