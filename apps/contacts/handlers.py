"""Where contacts take part in what happens to users, companies and actors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.access.hooks import (
    collect_companies_created,
    collect_companies_updated,
    collect_users_created,
    collect_users_updated,
)
from apps.access.models import Company, User
from apps.contacts.services import people
from apps.core.actor import Actor
from apps.core.hooks import collect_actor_context


@collect_users_created.register
def make_partners(users: Sequence[User], links: Sequence[Mapping[str, Any]], actor: Actor) -> None:
    people.partners_for_users(users, links, actor)


@collect_users_updated.register
def update_partners(
    users: Sequence[User], before: Mapping[Any, Mapping[str, Any]], values: Mapping[str, Any], actor: Actor
) -> None:
    people.follow_users(users, before, values, actor)


@collect_companies_created.register
def make_company_partners(companies: Sequence[Company], actor: Actor) -> None:
    people.partners_for_companies(companies, actor)


@collect_companies_updated.register
def update_company_partners(
    companies: Sequence[Company],
    before: Mapping[Any, Mapping[str, Any]],
    values: Mapping[str, Any],
    actor: Actor,
) -> None:
    people.follow_companies(companies, before, values, actor)


@collect_actor_context.register
def partner_of_actor(user: User) -> dict[str, Any] | None:
    return people.actor_context(user)
