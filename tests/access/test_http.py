"""What a request says about its sender, and what Django asks of our users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.test import Client as Browser
from django.test import RequestFactory

from apps.access.backends import AccessBackend
from apps.access.http import build_actor, channel_of, client_ip, wanted_companies
from apps.access.middleware import ActorMiddleware
from apps.access.models import Company, Role, User, UserRole
from apps.core.errors import PermissionDenied, ValidationFailed

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.5", "192.0.2.1"),
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        (2, "6.6.6.6, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        (2, "203.0.113.5", "192.0.2.1"),
        (1, "", "192.0.2.1"),
    ],
)
def test_only_trusted_proxies_tell_the_address(
    proxies: int, forwarded: str, expected: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"x-forwarded-for": forwarded} if forwarded else {}

    request = RequestFactory(REMOTE_ADDR="192.0.2.1").get("/", headers=headers)

    assert client_ip(request) == expected


def test_the_company_header_is_read_strictly() -> None:
    asked = RequestFactory().get("/", headers={"x-company": "3, 1"})
    wrong = RequestFactory().get("/", headers={"x-company": "3;1"})

    assert wanted_companies(asked) == [3, 1]
    with pytest.raises(ValidationFailed):
        wanted_companies(wrong)


def test_doors_have_names() -> None:
    assert [channel_of(path) for path in ("/admin/x", "/api/v1/", "/my/tasks", "/web/login")] == [
        "admin",
        "rest",
        "portal",
        "web",
    ]


@pytest.mark.django_db
def test_the_actor_of_a_request_follows_header_then_session(
    client: Browser, make_user: Callable[..., User], company: Company, other_company: Company
) -> None:
    user = make_user(companies=[company.pk, other_company.pk])
    client.force_login(user)
    session = client.session
    session["company"], session["companies"] = other_company.pk, [other_company.pk, company.pk, 999]
    session.save()

    def actor(header: str = "") -> Any:
        request = RequestFactory().get("/admin/", headers={"x-company": header} if header else {})
        request.session, request.user = client.session, user  # type: ignore[attr-defined]
        return build_actor(request, channel="admin")

    assert (actor().company_pk, actor().company_pks) == (other_company.pk, (other_company.pk, company.pk))
    assert actor(str(company.pk)).company_pks == (company.pk,)
    with pytest.raises(PermissionDenied):
        actor("999")


@pytest.mark.django_db
def test_a_page_that_needs_no_actor_builds_none(company: Company, django_assert_num_queries: Any) -> None:
    request = RequestFactory().get("/")
    request.session = {}  # type: ignore[assignment]

    with django_assert_num_queries(0):
        answer = ActorMiddleware(lambda r: r)(request)  # type: ignore[arg-type, return-value]

    with django_assert_num_queries(3):
        assert answer.actor.kind == "public"  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_company_that_is_not_ones_own_answers_403(client: Browser, make_user: Callable[..., User]) -> None:
    client.force_login(make_user())

    answer = client.get("/web/security", headers={"x-company": "999"})

    assert (answer.status_code, answer.json()["code"]) == (403, "company_not_allowed")


@pytest.mark.django_db
def test_pages_speak_the_users_language(client: Browser, make_user: Callable[..., User]) -> None:
    client.force_login(make_user(language="de"))

    answer = client.get("/web/security")

    assert b'<html lang="de">' in answer.content


@pytest.mark.django_db
def test_django_permissions_come_from_the_actor(
    make_user: Callable[..., User], admin: User, portal_user: User
) -> None:
    user = make_user()

    assert user.has_perm("access.view_user")
    assert user.has_perm("access.change_user")
    assert not user.has_perm("access.delete_user")
    assert not user.has_perm("nonsense")
    assert user.has_module_perms("access")
    assert not user.has_module_perms("nowhere")
    assert admin.has_perm("projects.delete_task")
    assert admin.has_module_perms("anything")
    assert not portal_user.has_perm("access.delete_user")
    assert not portal_user.is_staff
    UserRole.objects.create(user=user, role=Role.objects.get(code="access.access_rights"))
    assert User.objects.get(pk=user.pk).has_perm("access.delete_user")
    User.objects.filter(pk=user.pk).update(active=False)
    assert not User.objects.get(pk=user.pk).has_perm("access.view_user")


@pytest.mark.django_db
def test_djangos_authenticate_goes_through_our_checks(make_user: Callable[..., User]) -> None:
    user = make_user()

    assert authenticate(username=user.login, password=PASSWORD) == user
    assert authenticate(username=user.login, password="wrong") is None
    User.objects.filter(pk=user.pk).update(active=False)
    assert AccessBackend().get_user(user.pk) is None
