"""Which users, roles, companies, tokens and sessions an actor may see and touch."""

from __future__ import annotations

from django.db.models import Q

from apps.access.constants import ROLE_ACCESS_RIGHTS, ROLE_ADMINISTRATOR, Special
from apps.access.models import ApiToken, Company, Role, TrustedDevice, User, UserSession
from apps.core.actor import INTERNAL, PORTAL, PUBLIC, Actor
from apps.core.rules import rule

_colleagues = User.companies.through


@rule(User, mandatory=True)
def works_in_a_selected_company(actor: Actor, op: str) -> Q:
    """Oneself, and people who work for one of the selected companies; never the accounts of the platform."""
    members = _colleagues.objects.filter(company_id__in=actor.company_pks).values("user_id")
    return Q(pk=actor.user_pk) | (Q(pk__in=members) & Q(special=Special.NONE))


@rule(User, kinds=(INTERNAL,), ops=("view",))
def employees_see_users(actor: Actor, op: str) -> Q:
    return Q()


@rule(User, kinds=(INTERNAL,), ops=("change",))
def employees_change_themselves(actor: Actor, op: str) -> Q:
    return Q(pk=actor.user_pk)


@rule(User, roles=(ROLE_ACCESS_RIGHTS,))
def access_rights_manages_users(actor: Actor, op: str) -> Q:
    return Q()


@rule(User, kinds=(PORTAL,), ops=("view",))
def portal_users_see_themselves(actor: Actor, op: str) -> Q:
    return Q(pk=actor.user_pk)


@rule(Company, kinds=(INTERNAL, PORTAL, PUBLIC), ops=("view",))
def selected_companies(actor: Actor, op: str) -> Q:
    return Q(pk__in=actor.company_pks)


@rule(Company, roles=(ROLE_ACCESS_RIGHTS,))
def access_rights_manages_companies(actor: Actor, op: str) -> Q:
    return Q()


@rule(Role, kinds=(INTERNAL,), ops=("view",))
def employees_see_role_names(actor: Actor, op: str) -> Q:
    return Q()


@rule(Role, roles=(ROLE_ACCESS_RIGHTS,))
def access_rights_manages_roles(actor: Actor, op: str) -> Q:
    return Q()


@rule(ApiToken, kinds=(INTERNAL,))
def own_tokens(actor: Actor, op: str) -> Q:
    return Q(user_id=actor.user_pk)


@rule(ApiToken, roles=(ROLE_ADMINISTRATOR,))
def all_tokens(actor: Actor, op: str) -> Q:
    return Q()


@rule(UserSession, kinds=(INTERNAL, PORTAL))
def own_sessions(actor: Actor, op: str) -> Q:
    return Q(user_id=actor.user_pk)


@rule(UserSession, roles=(ROLE_ACCESS_RIGHTS,))
def all_sessions(actor: Actor, op: str) -> Q:
    return Q()


@rule(TrustedDevice, kinds=(INTERNAL, PORTAL))
def own_devices(actor: Actor, op: str) -> Q:
    return Q(user_id=actor.user_pk)


@rule(TrustedDevice, roles=(ROLE_ACCESS_RIGHTS,))
def all_devices(actor: Actor, op: str) -> Q:
    return Q()
