"""Fixtures of the project tests: a company with people of every role, another company, a customer with a login."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apps.contacts.models import Partner
from apps.core.records import service_for
from tests.projects.factories import actor_of, make_company, make_partner, make_users, partner_of, system


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    return build_world()


def build_world() -> SimpleNamespace:
    """Ann manages projects, Bob and Cid are project users, Eve is an employee without a role, Otto works elsewhere;
    Pia of the customer Prime and Rob of the customer Rival have portal logins."""
    company, other = make_company("Alpha Ltd"), make_company("Omega Ltd")
    people = [
        ("ann", ["projects.manager"], "internal", company),
        ("bob", ["projects.user"], "internal", company),
        ("cid", ["projects.user"], "internal", company),
        ("eve", [], "internal", company),
        ("otto", ["projects.manager"], "internal", other),
        ("pia", [], "portal", company),
        ("rob", [], "portal", company),
    ]
    made = make_users(people)
    users = {login: user for (login, *_rest), user in zip(people, made, strict=True)}
    prime, rival = make_partner("Prime", is_company=True), make_partner("Rival", is_company=True)
    for login, parent in (("pia", prime), ("rob", rival)):
        service_for(Partner).update([partner_of(users[login])], {"parent": parent}, actor=system())
    actors = {login: actor_of(user) for login, user in users.items()}
    return SimpleNamespace(
        company=company, other=other, prime=prime, rival=rival, users=SimpleNamespace(**users), **actors
    )
