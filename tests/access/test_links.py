"""Invitations and resets: links that work once, for a while, and tell strangers nothing."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import signing
from django.test import Client as Browser
from django.utils import timezone

from apps.access.constants import TokenPurpose
from apps.access.models import OneTimeToken, User
from apps.access.selectors import actor_for
from apps.access.services import archive_users, invite_users, make_link, read_link, use_link
from apps.access.services.links import SALT
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import OutboxEvent
from apps.core.testkit import drain_outbox

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
NEW = "a new phrase of mine"
HERE = Client(ip="192.0.2.7", channel="test")


def token_in(url: str) -> str:
    return url.partition("token=")[2]


def test_a_link_sets_the_password_once(make_user: Callable[..., User]) -> None:
    user = make_user()
    token = token_in(make_link(user, TokenPurpose.RESET))

    use_link(token, TokenPurpose.RESET, NEW, client=HERE)
    with pytest.raises(ValidationFailed) as again:
        use_link(token, TokenPurpose.RESET, "yet another phrase", client=HERE)

    assert again.value.code == "invalid_link"
    assert User.objects.get(pk=user.pk).check_password(NEW)


@pytest.mark.parametrize(("purpose", "hours"), [(TokenPurpose.RESET, 4), (TokenPurpose.INVITE, 144)])
def test_links_end(make_user: Callable[..., User], purpose: TokenPurpose, hours: int) -> None:
    user = make_user()
    token = token_in(make_link(user, purpose))
    row = OneTimeToken.objects.get()
    assert abs((row.expires_at - row.created_at) - datetime.timedelta(hours=hours)) < datetime.timedelta(
        seconds=5
    )

    OneTimeToken.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))

    with pytest.raises(ValidationFailed):
        use_link(token, purpose, NEW, client=HERE)
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    "case", ["login", "password", "archived", "newer", "purpose", "forged", "stranger", "empty", "junk"]
)
def test_what_voids_a_link(case: str, make_user: Callable[..., User], system: Actor) -> None:
    user, other = make_user(), make_user("ben@example.com")
    token = token_in(make_link(user, TokenPurpose.RESET))
    purpose = TokenPurpose.RESET
    if case == "login":
        User.objects.filter(pk=user.pk).update(login="renamed@example.com")
    if case == "password":
        user.set_password("changed meanwhile")
        user.save()
    if case == "archived":
        archive_users([user], actor=system)
    if case == "newer":
        make_link(user, TokenPurpose.RESET)
    if case == "purpose":
        purpose = TokenPurpose.INVITE
    if case == "forged":
        token = signing.dumps([OneTimeToken.objects.get().pk, "guess"], salt=SALT)
    if case == "stranger":
        make_link(other, TokenPurpose.RESET)
        secret = signing.loads(token, salt=SALT)[1]
        token = signing.dumps([OneTimeToken.objects.get(user=other).pk, secret], salt=SALT)
    token = {"empty": "", "junk": "0:null:shared"}.get(case, token)

    with pytest.raises(ValidationFailed) as refusal:
        read_link(token, purpose)

    assert refusal.value.message == "This link is not valid any more. Ask for a new one."


def test_the_policy_holds_behind_links(make_user: Callable[..., User]) -> None:
    user = make_user()
    token = token_in(make_link(user, TokenPurpose.RESET))

    with pytest.raises(ValidationFailed):
        use_link(token, TokenPurpose.RESET, "short", client=HERE)

    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert use_link(token, TokenPurpose.RESET, NEW, client=HERE) == user


def test_asking_for_a_reset_tells_nothing_and_mails_the_right_person(
    client: Browser, make_user: Callable[..., User], mailoutbox: list[Any], settings: Any
) -> None:
    settings.PUBLIC_URL = "https://erp.example"
    user = make_user()

    known = client.post("/web/reset_password", {"login": "ANN@example.com"}, headers={"host": "localhost"})
    unknown = client.post("/web/reset_password", {"login": "nobody@example.com"})
    waiting = OutboxEvent.objects.filter(name="access.PasswordResetRequested").count()
    drain_outbox()

    strip = re.compile(rb'value="[A-Za-z0-9]{64}"')
    assert strip.sub(b"", known.content) == strip.sub(b"", unknown.content)
    assert waiting == 2
    assert [mail.to for mail in mailoutbox] == [["ann@example.com"]]
    url = re.search(r"https?://\S+", mailoutbox[0].body)[0]  # type: ignore[index]
    assert url.startswith("https://erp.example/web/reset_password?token=")
    assert mailoutbox[0].extra_headers["Auto-Submitted"] == "auto-generated"
    page = client.get(url.removeprefix("https://erp.example"))
    assert page.status_code == 200
    assert page["Referrer-Policy"] == "same-origin"  # the token in the address is told to no other site
    done = client.post("/web/reset_password", {"token": token_in(url), "password": NEW, "password2": NEW})
    assert done["Location"] == "/web/login?chosen=1"
    assert User.objects.get(pk=user.pk).check_password(NEW)


def test_requests_for_letters_are_limited(client: Browser, make_user: Callable[..., User]) -> None:
    make_user()

    for _number in range(12):
        assert client.post("/web/reset_password", {"login": "ann@example.com"}).status_code == 200

    assert OutboxEvent.objects.filter(name="access.PasswordResetRequested").count() == 10


def test_an_invitation_leads_to_a_password(
    client: Browser, make_user: Callable[..., User], admin_actor: Actor, mailoutbox: list[Any]
) -> None:
    user = make_user("eva@example.com", name="Eva & Co", password=None)

    invite_users([user], actor=admin_actor)
    drain_outbox()
    url = re.search(r"https?://\S+", mailoutbox[0].body)[0]  # type: ignore[index]
    path = "/" + url.split("/", 3)[3]
    page = client.get(path)
    different = client.post(
        path.partition("?")[0], {"token": token_in(url), "password": NEW, "password2": "x"}
    )
    done = client.post(path.partition("?")[0], {"token": token_in(url), "password": NEW, "password2": NEW})
    late = client.get(path)

    assert "Eva & Co" in mailoutbox[0].body
    assert "Eva &amp; Co" in mailoutbox[0].alternatives[0].content
    assert b"eva@example.com" in page.content
    assert (different.status_code, done.status_code, late.status_code) == (400, 302, 404)
    assert client.post("/web/login", {"login": "eva@example.com", "password": NEW}).status_code == 302


def test_nobody_makes_himself_an_account(client: Browser) -> None:
    assert client.get("/web/signup").status_code == 403
    assert client.post("/web/signup", {"login": "x@example.com", "password": NEW}).status_code == 403
    assert not User.objects.filter(login="x@example.com").exists()


def test_somebody_without_address_is_not_invited(make_user: Callable[..., User], admin: User) -> None:
    user = make_user("warehouse", password=None)

    with pytest.raises(ValidationFailed):
        invite_users([user], actor=actor_for(admin))

    assert not OutboxEvent.objects.filter(name="access.UserInvited").exists()
