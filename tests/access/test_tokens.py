"""API tokens: shown once, narrowed, expiring, revocable, and of no use once their owner is gone."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from django.utils import timezone

from apps.access.models import ApiToken, AuditEntry, User
from apps.access.selectors import actor_for
from apps.access.services import (
    archive_users,
    authenticate_token,
    enable_totp,
    issue_token,
    make_token,
    new_totp_secret,
    revoke_tokens,
)
from apps.access.services.second_factor import totp_code
from apps.core.actor import Actor
from apps.core.errors import NotAuthenticated, NotVisible, PermissionDenied, Throttled, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def test_a_token_is_made_by_password_and_kept_as_a_hash(make_user: Callable[..., User]) -> None:
    user = make_user()

    secret, token = issue_token(
        user.login, PASSWORD, "laptop", scopes=["projects:read"], expires_in=3600, ip="192.0.2.1"
    )

    assert len(secret) == 40
    assert int(secret, 16)
    assert token.prefix == secret[:8]
    assert secret not in token.digest
    assert token.expires_at is not None
    assert 3590 < (token.expires_at - timezone.now()).total_seconds() <= 3600
    assert authenticate_token(secret, ip="192.0.2.2") == (user, token)
    stored = ApiToken.objects.get()
    assert (stored.last_used_ip, stored.scopes) == ("192.0.2.2", ["projects:read"])
    assert AuditEntry.objects.filter(kind="token", object_pk=token.pk).exists()


def test_using_a_token_costs_one_query_and_rights_none(make_user: Callable[..., User]) -> None:
    secret, _token = make_token(make_user(), name="laptop")
    actor_for(authenticate_token(secret)[0])

    with count_queries() as seen:
        user, token = authenticate_token(secret)
        actor_for(user, scopes=token.scopes)

    assert len(seen) == 1


@pytest.mark.parametrize("case", ["expired", "revoked", "archived", "portal", "unknown", "empty", "long"])
def test_a_token_that_is_no_good_sounds_the_same(
    case: str, make_user: Callable[..., User], system: Actor, admin: User
) -> None:
    user = make_user()
    secret, token = make_token(user, name="laptop")
    if case == "expired":
        ApiToken.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    if case == "revoked":
        revoke_tokens([token], actor=actor_for(user))
    if case == "archived":
        archive_users([user], actor=system)
        ApiToken.objects.update(revoked_at=None)
    if case == "portal":
        User.objects.filter(pk=user.pk).update(kind="portal")
    raw = {"unknown": "0" * 40, "empty": "", "long": "a" * 100_000}.get(case, secret)

    with pytest.raises(NotAuthenticated) as refusal:
        authenticate_token(raw)

    assert refusal.value.message == "The token is not valid."


def test_a_wrong_password_makes_no_token_and_is_throttled(make_user: Callable[..., User]) -> None:
    user = make_user()
    for _number in range(5):
        with pytest.raises(NotAuthenticated):
            issue_token(user.login, "wrong", "x", ip="192.0.2.1")

    with pytest.raises(Throttled):
        issue_token(user.login, PASSWORD, "x", ip="192.0.2.1")

    assert not ApiToken.objects.exists()


def test_with_a_second_factor_the_password_alone_is_not_enough(make_user: Callable[..., User]) -> None:
    user = make_user()
    old, _row = make_token(user, name="before")
    secret = new_totp_secret()
    codes = enable_totp(user, secret, totp_code(secret, 1), actor=actor_for(user), now=30)

    with pytest.raises(NotAuthenticated) as refusal:
        issue_token(user.login, PASSWORD, "laptop")
    made, _token = issue_token(user.login, PASSWORD, "laptop", code=codes[0])

    assert refusal.value.code == "second_factor_required"
    assert authenticate_token(made)[0] == authenticate_token(old)[0] == user


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "expires_in": 0}, "expires_in"),
        ({"name": "x", "expires_in": -5}, "expires_in"),
        ({"name": "x", "expires_in": 91 * 86400}, "expires_in"),
        ({"name": "x", "expires_in": "soon"}, "expires_in"),
        ({"name": "x", "scopes": ["Projects"]}, "scopes"),
        ({"name": "x", "scopes": ["projects.task:*; drop"]}, "scopes"),
    ],
)
def test_what_a_token_may_not_be(
    make_user: Callable[..., User], values: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        make_token(make_user(), **values)  # type: ignore[arg-type]

    assert list(refusal.value.fields) == [field]
    assert not ApiToken.objects.exists()


def test_only_administrators_have_tokens_without_end(admin: User, portal_user: User) -> None:
    _secret, token = make_token(admin, name="server", expires_in=0)

    assert token.expires_at is None
    with pytest.raises(PermissionDenied):
        make_token(portal_user, name="x")


def test_people_see_and_revoke_their_own_tokens_administrators_all(
    make_user: Callable[..., User], admin: User
) -> None:
    one, two = make_user("one@example.com"), make_user("two@example.com")
    _secret, token = make_token(one, name="laptop")

    assert list(visible(ApiToken, actor_for(one))) == list(visible(ApiToken, actor_for(admin))) == [token]
    assert not visible(ApiToken, actor_for(two)).exists()
    with pytest.raises(NotVisible):
        revoke_tokens([token], actor=actor_for(two))
    assert ApiToken.objects.get().revoked_at is None
    revoke_tokens([token], actor=actor_for(admin))
    assert ApiToken.objects.get().revoked_at is not None


def test_tokens_are_not_made_or_widened_through_records(make_user: Callable[..., User], admin: User) -> None:
    actor = actor_for(admin)
    _secret, token = make_token(make_user(), name="laptop", scopes=["read"])

    with pytest.raises((PermissionDenied, ValidationFailed)):
        service_for(ApiToken).create_one({"name": "x", "user": admin.pk}, actor=actor)
    with pytest.raises(PermissionDenied):
        service_for(ApiToken).update([token], {"scopes": None}, actor=actor)

    assert ApiToken.objects.get().scopes == ["read"]
