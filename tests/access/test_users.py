"""Users: one kind, one default company among the allowed ones, administrators that remain, rights to touch others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from apps.access.models import ApiToken, AuditEntry, Company, Role, User, UserRole, UserSession
from apps.access.selectors import actor_for
from apps.access.services import (
    archive_users,
    assign_roles,
    close_own_portal_account,
    create_user,
    make_token,
    set_password,
    unarchive_users,
    update_profile,
)
from apps.core.actor import Actor
from apps.core.errors import Conflict, NotVisible, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries, run_in_threads

PASSWORD = "correct horse battery"


def at_commit(write: Callable[[], object]) -> None:
    """Write in a transaction and let PostgreSQL look at it as at its end."""
    with transaction.atomic():
        write()
        check_deferred()


def check_deferred() -> None:
    """What PostgreSQL looks at when a transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db
def test_a_user_comes_with_defaults(admin_actor: Actor, company: Company) -> None:
    user = create_user("eva@example.com", name="Eva <b>", password=PASSWORD, actor=admin_actor)

    assert user.check_password(PASSWORD)
    assert (user.kind, user.company_id, user.email) == ("internal", company.pk, "eva@example.com")
    assert user.signature == "--<br>Eva &lt;b&gt;"
    assert list(user.companies.all()) == [company]
    assert user.is_staff
    assert user.created_by_id == admin_actor.user_pk
    check_deferred()


@pytest.mark.django_db
def test_logins_are_unique_whatever_their_capitals(make_user: Callable[..., User], system: Actor) -> None:
    first = make_user("ann@example.com")

    with pytest.raises(Conflict) as refusal:
        create_user("ANN@example.com", company=first.company_id, actor=system)

    assert refusal.value.message == "Another user has this login already."
    assert User.objects.filter(login__iexact="ann@example.com").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short", "12345678901", "password123", "eva@example.com", ""])
def test_the_password_policy_holds_for_new_users(admin_actor: Actor, password: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        create_user("eva@example.com", name="Eva", password=password, actor=admin_actor)

    assert refusal.value.fields["password"]
    assert not User.objects.filter(login="eva@example.com").exists()


@pytest.mark.django_db
def test_a_role_of_another_kind_is_refused_in_words(portal_user: User, system: Actor) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        assign_roles(portal_user, ["access.export"], actor=system)

    assert refusal.value.fields["roles"] == [
        "A user is of one kind only: 1 role is for another kind of user."
    ]
    assert not UserRole.objects.filter(user=portal_user).exists()


@pytest.mark.django_db
def test_postgres_refuses_a_role_of_another_kind(portal_user: User) -> None:
    role = Role.objects.get(code="access.export")

    with pytest.raises(IntegrityError, match="a user is of one kind"), transaction.atomic():
        UserRole.objects.create(user=portal_user, role=role)


@pytest.mark.django_db
def test_changing_the_kind_drops_roles_that_do_not_fit(make_user: Callable[..., User], system: Actor) -> None:
    user = make_user(roles=["access.export"])

    with pytest.raises(IntegrityError, match="holding roles of another kind"):
        at_commit(lambda: User.objects.filter(pk=user.pk).update(kind="portal"))
    service_for(User).update([user], {"kind": "portal"}, actor=system)
    check_deferred()

    assert User.objects.get(pk=user.pk).kind == "portal"
    assert not UserRole.objects.filter(user=user).exists()


@pytest.mark.django_db(transaction=True)
def test_two_writers_cannot_make_a_user_of_two_kinds() -> None:
    boss = User.objects.create_superuser("boss", PASSWORD)
    role = Role.objects.get(code="access.export")
    users = [User.objects.create_user(f"u{n}@example.com", PASSWORD, company=boss.company) for n in range(6)]

    def give(user: User) -> None:
        UserRole.objects.create(user=user, role=role)

    def turn(user: User) -> None:
        User.objects.filter(pk=user.pk).update(kind="portal")

    jobs = [lambda u=user: give(u) for user in users] + [lambda u=user: turn(u) for user in users]
    outcomes = run_in_threads(jobs)

    refused = [outcome for outcome in outcomes if isinstance(outcome, IntegrityError)]
    assert len(refused) == len(users)
    assert not UserRole.objects.filter(user__kind="portal").exists()


@pytest.mark.django_db
def test_the_default_company_is_one_of_the_allowed(
    make_user: Callable[..., User], other_company: Company, admin_actor: Actor, system: Actor
) -> None:
    user = make_user()

    service_for(User).update([user], {"company": other_company}, actor=system)
    assert set(user.companies.values_list("name", flat=True)) == {"Alpha", "Beta"}
    with pytest.raises(ValidationFailed):
        service_for(User).update([user], {"companies": []}, actor=system)
    User.companies.through.objects.filter(user=user, company=other_company).delete()
    with pytest.raises(IntegrityError, match="default company"):
        check_deferred()


@pytest.mark.django_db
def test_archiving_ends_everything_at_once(make_user: Callable[..., User], admin_actor: Actor) -> None:
    user = make_user()
    _secret, token = make_token(user, name="laptop")
    UserSession.objects.create(user=user, session_key="k" * 32)

    archive_users([user], actor=admin_actor)

    user = User.objects.get(pk=user.pk)
    assert not user.active
    assert not UserSession.objects.filter(user=user).exists()
    assert ApiToken.objects.get(pk=token.pk).revoked_at is not None
    entry = AuditEntry.objects.filter(kind="user", object_pk=user.pk).first()
    assert entry is not None
    assert entry.after == {"active": False}
    assert entry.user_pk == admin_actor.user_pk
    unarchive_users([user], actor=admin_actor)
    assert User.objects.get(pk=user.pk).active


@pytest.mark.django_db
def test_nobody_archives_himself_or_the_last_administrator(
    admin: User, admin_actor: Actor, make_user: Callable[..., User], system: Actor
) -> None:
    with pytest.raises(Conflict) as oneself:
        archive_users([admin], actor=admin_actor)
    with pytest.raises(Conflict) as last:
        archive_users([admin], actor=system)
    with pytest.raises(Conflict) as role_gone:
        assign_roles(admin, [], actor=system)

    assert (oneself.value.code, last.value.code, role_gone.value.code) == (
        "oneself",
        "last_administrator",
        "last_administrator",
    )
    assert User.objects.get(pk=admin.pk).active
    make_user("second@example.com", roles=["access.administrator"])
    archive_users([admin], actor=system)
    assert not User.objects.get(pk=admin.pk).active


@pytest.mark.django_db
def test_postgres_keeps_the_last_administrator(admin: User) -> None:
    with pytest.raises(IntegrityError, match="last administrator"):
        at_commit(lambda: User.objects.filter(pk=admin.pk).update(active=False))
    with pytest.raises(IntegrityError, match="last administrator"):
        at_commit(lambda: UserRole.objects.filter(user=admin).delete())


@pytest.mark.django_db(transaction=True)
def test_two_transactions_cannot_take_the_last_two_administrators_away() -> None:
    users = [User.objects.create_superuser(f"boss{n}", PASSWORD) for n in range(2)]

    def archive(user: User) -> None:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(active=False)

    outcomes = run_in_threads([lambda u=user: archive(u) for user in users])

    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == 1
    assert User.objects.filter(pk__in=[u.pk for u in users], active=True).count() == 1


@pytest.mark.django_db
def test_an_implied_administrator_counts(make_user: Callable[..., User], admin: User, system: Actor) -> None:
    boss = service_for(Role).create_one(
        {"name": "Boss", "implied": [Role.objects.get(code="access.administrator").pk]}, actor=system
    )
    other = make_user("second@example.com")
    assign_roles(other, [boss.code], actor=system)

    archive_users([admin], actor=system)

    assert actor_for(other).is_admin
    with pytest.raises(Conflict):
        archive_users([other], actor=system)


@pytest.mark.django_db
def test_the_right_to_manage_users_is_not_the_right_to_become_administrator(
    admin: User, make_user: Callable[..., User]
) -> None:
    manager = make_user("manager@example.com", roles=["access.access_rights"])
    actor = actor_for(manager)

    with pytest.raises(PermissionDenied):
        assign_roles(manager, ["access.access_rights", "access.administrator"], actor=actor)
    with pytest.raises(PermissionDenied):
        set_password([admin], actor=actor, password="another good phrase")
    with pytest.raises(PermissionDenied):
        service_for(User).update([admin], {"email": "evil@example.com"}, actor=actor)
    with pytest.raises(PermissionDenied):
        create_user("new@example.com", roles=["access.administrator"], actor=actor)

    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)
    assert admin.email == "root@example.com"
    assert "access.administrator" not in actor_for(manager).roles
    assert not User.objects.filter(login="new@example.com").exists()


@pytest.mark.django_db
def test_people_change_themselves_but_not_their_rights(
    make_user: Callable[..., User], other_company: Company, company: Company
) -> None:
    user, colleague = make_user(), make_user("ben@example.com")
    actor = actor_for(user)

    service_for(User).update([user], {"name": "Ann Other", "theme": "dark"}, actor=actor)
    for values in (
        {"roles": []},
        {"companies": [other_company.pk]},
        {"login": "boss"},
        {"kind": "portal"},
        {"active": False},
    ):
        with pytest.raises(PermissionDenied):
            service_for(User).update([user], values, actor=actor)
    with pytest.raises(PermissionDenied):
        service_for(User).update([colleague], {"name": "Ben Other"}, actor=actor)
    update_profile(user, {"company": other_company.pk}, actor=actor)

    user.refresh_from_db()
    assert (user.name, user.theme, user.login, user.company_id) == (
        "Ann Other",
        "dark",
        "ann@example.com",
        company.pk,
    )
    assert User.objects.get(pk=colleague.pk).name == "Ben"


@pytest.mark.django_db
def test_portal_users_see_and_change_only_themselves(
    portal_user: User, make_user: Callable[..., User]
) -> None:
    colleague = make_user()
    actor = actor_for(portal_user)

    assert list(visible(User, actor)) == [portal_user]
    with pytest.raises(PermissionDenied):
        service_for(User).update([portal_user], {"name": "X"}, actor=actor)
    update_profile(portal_user, {"language": "nl"}, actor=actor)
    with pytest.raises(ValidationFailed):
        update_profile(portal_user, {"kind": "internal"}, actor=actor)
    with pytest.raises(ValidationFailed):
        update_profile(colleague, {"name": "X"}, actor=actor)

    portal_user.refresh_from_db()
    assert (portal_user.language, portal_user.kind) == ("nl", "portal")


@pytest.mark.django_db
def test_users_of_other_companies_are_not_seen(
    make_user: Callable[..., User], other_company: Company, admin: User
) -> None:
    stranger = make_user("far@example.com", company=other_company, companies=[other_company.pk])

    seen = set(visible(User, actor_for(admin)).values_list("login", flat=True))

    assert stranger.login not in seen
    assert "__system__" not in seen
    with pytest.raises(NotVisible):
        service_for(User).update([stranger], {"name": "X"}, actor=actor_for(admin))


@pytest.mark.django_db
def test_the_platforms_own_accounts_stay(system: Actor) -> None:
    own = User.objects.get(special="system")

    with pytest.raises(Conflict):
        service_for(User).update([own], {"active": True}, actor=system)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=own.pk).update(active=True)
    with pytest.raises(IntegrityError, match="cannot be deleted"), transaction.atomic():
        User.objects.filter(pk=own.pk).delete()

    assert User.objects.filter(special="system").count() == 1


@pytest.mark.django_db
def test_closing_a_portal_account(portal_user: User, make_user: Callable[..., User]) -> None:
    actor = actor_for(portal_user)
    employee = make_user()

    with pytest.raises(ValidationFailed):
        close_own_portal_account(portal_user, password="wrong", login=portal_user.login, actor=actor)
    with pytest.raises(ValidationFailed):
        close_own_portal_account(portal_user, password=PASSWORD, login="other", actor=actor)
    with pytest.raises(Conflict):
        close_own_portal_account(employee, password=PASSWORD, login=employee.login, actor=actor_for(employee))
    close_own_portal_account(portal_user, password=PASSWORD, login=portal_user.login, actor=actor)

    closed = User.objects.get(pk=portal_user.pk)
    assert closed.login.startswith(f"__deleted_user_{portal_user.pk}_")
    assert (closed.active, closed.password, closed.email) == (False, "", "")


@pytest.mark.django_db
def test_creating_many_users_costs_the_same_as_creating_two(system: Actor, company: Company) -> None:
    def rows(start: int, number: int) -> list[dict[str, object]]:
        return [
            {"login": f"u{start + n}@example.com", "name": f"U {n}", "company": company.pk}
            for n in range(number)
        ]

    service_for(User).create(rows(0, 2), actor=system)
    with count_queries() as two:
        service_for(User).create(rows(10, 2), actor=system)
    with count_queries() as twelve:
        service_for(User).create(rows(100, 12), actor=system)

    assert len(two) == len(twelve)


@pytest.mark.django_db
def test_a_company_keeps_its_place_its_branches_and_its_users(
    make_company: Callable[..., Company], make_user: Callable[..., User], system: Actor, company: Company
) -> None:
    branch = make_company("Alpha North", parent=company, currency="USD")
    other = make_company("Gamma")
    make_user("north@example.com", company=branch, companies=[branch.pk])
    service = service_for(Company)

    assert branch.currency_id == company.currency_id
    with pytest.raises(ValidationFailed):
        service.update([branch], {"parent": other.pk}, actor=system)
    with pytest.raises(Conflict) as in_use:
        service.archive([company], actor=system)
    with pytest.raises(IntegrityError, match="cannot change"):
        at_commit(lambda: Company.objects.filter(pk=branch.pk).update(parent=other))

    assert in_use.value.message.startswith("1 active user has this company")
    assert Company.objects.get(pk=company.pk).active
    service.archive([other], actor=system)
    assert not Company.objects.get(pk=other.pk).active


@pytest.mark.django_db
def test_the_maker_of_a_company_works_in_it_and_its_currency_is_active(
    admin: User, admin_actor: Actor
) -> None:
    from apps.core.models import Currency

    franc = Currency.objects.get(code="CHF")
    assert not franc.active

    made = service_for(Company).create_one({"name": "Delta", "currency": franc.pk}, actor=admin_actor)

    assert made.pk in set(admin.companies.values_list("pk", flat=True))
    assert Currency.objects.get(code="CHF").active
    assert actor_for(admin, company_pk=made.pk).company_pk == made.pk
