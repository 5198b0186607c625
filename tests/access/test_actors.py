"""Effective rights: closure, exact removal, nothing seen late, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from apps.access.models import Company, Role, RoleGrant, RoleImplication, User, UserRole
from apps.access.selectors import actor_for, actor_from_snapshot, public_actor
from apps.access.services import archive_users, assign_roles, sync_roles
from apps.access.services.sync import Wanted, _sync_role_rows, declared_roles
from apps.core.actor import Actor, system_actor
from apps.core.errors import NotAuthenticated, PermissionDenied
from apps.core.records import service_for
from apps.core.testkit import count_queries

pytestmark = pytest.mark.django_db


def role(code: str, *implied: Role, grants: tuple[tuple[str, str], ...] = ()) -> Role:
    made = Role.objects.create(code=f"test.{code}", name=f"Test {code}")
    RoleImplication.objects.bulk_create([RoleImplication(role=made, implied=item) for item in implied])
    RoleGrant.objects.bulk_create([RoleGrant(role=made, model=m, operation=o) for m, o in grants])
    return made


def fresh(user: User) -> User:
    """As the sign-in machinery loads users: with both stamps."""
    return User.objects.with_rights_key().get(pk=user.pk)


def test_rights_are_the_transitive_closure(make_user: Callable[..., User]) -> None:
    c = role("c", grants=(("core.currency", "explode"),))
    b = role("b", c)
    a = role("a", b)
    user = make_user()

    UserRole.objects.create(user=user, role=a)
    actor = actor_for(user)

    assert {"test.a", "test.b", "test.c", "access.internal"} <= actor.roles
    assert actor.can("core.currency", "explode")


def test_taking_an_implication_away_takes_its_rights_unless_explicit(make_user: Callable[..., User]) -> None:
    c = role("c", grants=(("core.currency", "explode"),))
    b = role("b", c)
    a = role("a", b)
    implied_only, explicit = make_user("one@example.com"), make_user("two@example.com")
    UserRole.objects.create(user=implied_only, role=a)
    UserRole.objects.bulk_create([UserRole(user=explicit, role=a), UserRole(user=explicit, role=c)])
    assert actor_for(implied_only).can("core.currency", "explode")

    RoleImplication.objects.filter(role=a, implied=b).delete()

    assert not actor_for(implied_only).can("core.currency", "explode")
    assert "test.b" not in actor_for(implied_only).roles
    assert actor_for(explicit).can("core.currency", "explode")


def test_a_change_behind_the_services_back_is_seen_at_once(make_user: Callable[..., User]) -> None:
    held = role("x", grants=(("core.currency", "explode"),))
    user = make_user()
    assert not actor_for(fresh(user)).can("core.currency", "explode")

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_userrole (user_id, role_id, given_at) VALUES (%s, %s, now())",
            [user.pk, held.pk],
        )
    given = actor_for(fresh(user)).can("core.currency", "explode")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM access_rolegrant WHERE role_id = %s", [held.pk])
    taken = actor_for(fresh(user)).can("core.currency", "explode")

    assert (given, taken) == (True, False)


def test_saving_an_old_instance_does_not_bring_old_rights_back(make_user: Callable[..., User]) -> None:
    held = role("x", grants=(("core.currency", "explode"),))
    user = make_user()
    UserRole.objects.create(user=user, role=held)
    old = fresh(user)
    assert actor_for(old).can("core.currency", "explode")

    UserRole.objects.filter(user=user).delete()
    old.save()

    assert not actor_for(fresh(user)).can("core.currency", "explode")


def test_an_archived_or_missing_role_neither_counts_nor_leads_on(make_user: Callable[..., User]) -> None:
    c = role("c", grants=(("core.currency", "explode"),))
    b = role("b", c)
    user = make_user()
    UserRole.objects.create(user=user, role=b)

    Role.objects.filter(pk=b.pk).update(missing=True)
    missing = actor_for(user).roles
    Role.objects.filter(pk=b.pk).update(missing=False, active=False)
    archived = actor_for(user).roles

    assert missing == archived == frozenset({"access.internal"})


def test_an_actor_of_a_known_user_costs_no_query(make_user: Callable[..., User]) -> None:
    user = make_user()
    loaded = fresh(user)
    actor_for(loaded)

    with count_queries() as seen:
        actor_for(loaded)

    assert len(seen) == 0


def test_cold_rights_cost_the_same_whatever_the_number_of_roles(make_user: Callable[..., User]) -> None:
    few, many = make_user("few@example.com"), make_user("many@example.com")
    roles = [role(f"n{number}") for number in range(12)]
    UserRole.objects.create(user=few, role=roles[0])
    UserRole.objects.bulk_create([UserRole(user=many, role=item) for item in roles])

    with count_queries() as one:
        actor_for(fresh(few))
    with count_queries() as twelve:
        actor_for(fresh(many))

    assert len(one) == len(twelve) <= 5


def test_administrators_may_do_everything_and_others_nothing_by_default(
    admin: User, make_user: Callable[..., User], portal_user: User
) -> None:
    assert actor_for(admin).can("projects.task", "anything")
    assert actor_for(admin).is_admin
    assert not actor_for(make_user()).can("access.user", "delete")
    assert not actor_for(portal_user).can("access.role", "view")
    assert actor_for(portal_user).kind == "portal"


def test_a_company_that_is_not_the_users_is_refused(
    make_user: Callable[..., User], other_company: Company, company: Company
) -> None:
    user = make_user()

    with pytest.raises(PermissionDenied) as refusal:
        actor_for(user, company_pk=other_company.pk)
    with pytest.raises(PermissionDenied):
        actor_for(user, company_pks=(company.pk, other_company.pk))

    assert refusal.value.code == "company_not_allowed"


def test_companies_default_to_the_users_own_and_follow_the_wish(
    make_user: Callable[..., User], company: Company, other_company: Company
) -> None:
    user = make_user(companies=[company.pk, other_company.pk])

    assert (actor_for(user).company_pk, actor_for(user).company_pks) == (company.pk, (company.pk,))
    chosen = actor_for(user, company_pk=other_company.pk, company_pks=(company.pk, other_company.pk))
    assert (chosen.company_pk, chosen.company_pks) == (other_company.pk, (other_company.pk, company.pk))


def test_snapshots_rebuild_with_the_rights_of_today(
    make_user: Callable[..., User], company: Company, other_company: Company, system: Actor, admin: User
) -> None:
    user = make_user(companies=[company.pk, other_company.pk], roles=["access.export"])
    snapshot = actor_for(user, company_pk=other_company.pk, company_pks=(company.pk,)).snapshot()
    assign_roles(user, [], actor=system)
    service_for(User).update([user], {"companies": [company.pk]}, actor=system)

    rebuilt = actor_from_snapshot(snapshot)

    assert rebuilt.company_pks == (company.pk,)
    assert "access.export" not in rebuilt.roles
    archive_users([user], actor=system)
    with pytest.raises(NotAuthenticated):
        actor_from_snapshot(snapshot)


def test_snapshots_of_the_system_and_of_visitors(company: Company) -> None:
    assert actor_from_snapshot(system_actor(company_pk=company.pk).snapshot()).is_system
    visitor = actor_from_snapshot(public_actor().snapshot())
    assert visitor.kind == "public"
    assert visitor.company_pks == (company.pk,)


def test_syncing_twice_writes_nothing() -> None:
    sync_roles()

    with count_queries() as seen:
        written = sync_roles()

    assert written == {"roles": 0, "implications": 0, "grants": 0, "users": 0}
    assert not [q for q in seen.captured_queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_role_that_nobody_declares_is_marked_and_comes_back(make_user: Callable[..., User]) -> None:
    wanted = declared_roles()
    without = Wanted({c: v for c, v in wanted.roles.items() if c != "access.export"}, set(), set())
    user = make_user(roles=["access.export"])

    _sync_role_rows(without, {r.code: r for r in Role.objects.all()}, "default")
    gone = Role.objects.get(code="access.export").missing, "access.export" in actor_for(user).roles
    sync_roles()
    back = Role.objects.get(code="access.export").missing, "access.export" in actor_for(user).roles

    assert gone == (True, False)
    assert back == (False, True)


def test_what_administrators_added_to_a_declared_role_survives_a_sync() -> None:
    internal = Role.objects.get(code="access.internal")
    own = RoleGrant.objects.create(role=internal, model="core.currency", operation="explode")
    stale = RoleGrant.objects.create(role=internal, model="core.currency", operation="melt", declared=True)

    sync_roles()

    assert RoleGrant.objects.filter(pk=own.pk).exists()
    assert not RoleGrant.objects.filter(pk=stale.pk).exists()
