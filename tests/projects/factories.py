"""Test data built through the services, so that it obeys the rules."""

from __future__ import annotations

import itertools
from typing import Any

from apps.access.models import Company, Role, User
from apps.access.selectors.actors import actor_for
from apps.chatter.models.threads import ref_of
from apps.chatter.services.following import add_followers
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.models import Currency
from apps.core.records import service_for
from apps.projects.models import Project, Task, TaskStage

_numbers = itertools.count(1)


def system(company: Company | None = None) -> Actor:
    return system_actor(company_pk=company.pk if company else None)


def make_company(name: str = "") -> Company:
    currency, _made = Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro", "active": True})
    return service_for(Company).create_one(
        {"name": name or f"Company {next(_numbers)}", "currency": currency}, actor=system()
    )


def make_users(people: list[tuple[str, list[str], str, Company]]) -> list[User]:
    """Users of (login, role codes, kind, company), all at once."""
    codes = {code for _login, roles, _kind, _company in people for code in roles}
    by_code = {role.code: role for role in Role.objects.filter(code__in=codes)}
    rows = [
        {
            "login": login,
            "name": login.title(),
            "email": f"{login}@example.com",
            "kind": kind,
            "company": company,
            "companies": [company],
            "roles": [by_code[code] for code in roles],
        }
        for login, roles, kind, company in people
    ]
    return service_for(User).create(rows, actor=system())


def make_user(
    login: str = "",
    *roles: str,
    kind: str = "internal",
    company: Company,
    companies: list[Company] | None = None,
) -> User:
    user = make_users([(login or f"user{next(_numbers)}", list(roles), kind, company)])[0]
    if companies:
        user = service_for(User).update([user], {"companies": companies}, actor=system())[0]
    return user


def actor_of(user: User, *, companies: list[Company] | None = None) -> Actor:
    return actor_for(user, company_pks=[c.pk for c in companies or ()])


def partner_of(user: User) -> Partner:
    return Partner.objects.get(user=user)


def make_partner(name: str = "", **values: Any) -> Partner:
    return service_for(Partner).create_one(
        {"name": name or f"Partner {next(_numbers)}", **values}, actor=system()
    )


def make_stage(name: str, **values: Any) -> TaskStage:
    return service_for(TaskStage).create_one({"name": name, **values}, actor=system())


def make_project(name: str = "", *, actor: Actor | None = None, **values: Any) -> Project:
    """A project with the stages To do, Doing and (folded) Finished unless ``stages`` are given."""
    if "stages" not in values:
        values["stages"] = [
            make_stage("To do", sequence=1),
            make_stage("Doing", sequence=2),
            make_stage("Finished", sequence=3, fold=True),
        ]
    return service_for(Project).create_one(
        {"name": name or f"Project {next(_numbers)}", **values}, actor=actor or system()
    )


def make_task(project: Project | None, name: str = "", *, actor: Actor | None = None, **values: Any) -> Task:
    return service_for(Task).create_one(
        {"name": name or f"Task {next(_numbers)}", "project": project, **values}, actor=actor or system()
    )


def make_tasks(project: Project, number: int, *, actor: Actor | None = None, **values: Any) -> list[Task]:
    rows = [{"name": f"Task {next(_numbers)}", "project": project, **values} for _row in range(number)]
    return service_for(Task).create(rows, actor=actor or system())


def follows(record: Any, user_or_partner: User | Partner) -> None:
    partner = user_or_partner if isinstance(user_or_partner, Partner) else partner_of(user_or_partner)
    add_followers([(ref_of(record), partner.pk)])


def stages_of(project: Project) -> list[TaskStage]:
    return list(project.stages.order_by("sequence", "pk"))
