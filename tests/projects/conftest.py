"""Fixtures of the project tests: a company with people of every role, another company, a customer with a login."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.projects.factories import actor_of, make_company, make_partner, make_user


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    return build_world()


def build_world() -> SimpleNamespace:
    """Ann manages projects, Bob and Cid are project users, Eve is an employee without a role, Otto works elsewhere;
    Pia of the customer Prime and Rob of the customer Rival have portal logins."""
    company, other = make_company("Alpha Ltd"), make_company("Omega Ltd")
    users = {
        "ann": make_user("ann", "projects.manager", company=company),
        "bob": make_user("bob", "projects.user", company=company),
        "cid": make_user("cid", "projects.user", company=company),
        "eve": make_user("eve", company=company),
        "otto": make_user("otto", "projects.manager", company=other),
        "pia": make_user("pia", kind="portal", company=company),
        "rob": make_user("rob", kind="portal", company=company),
    }
    prime, rival = make_partner("Prime", is_company=True), make_partner("Rival", is_company=True)
    for login, parent in (("pia", prime), ("rob", rival)):
        partner = users[login].partner
        partner.parent = parent
        partner.save()
    actors = {login: actor_of(user) for login, user in users.items()}
    return SimpleNamespace(
        company=company, other=other, prime=prime, rival=rival, users=SimpleNamespace(**users), **actors
    )
