"""Second factors: RFC 6238 vectors, codes and recovery codes that work once, passkeys with a software key."""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client as Browser
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from apps.access.models import AuditEntry, TrustedDevice, User
from apps.access.selectors import actor_for
from apps.access.services import check_code, enable_totp, has_second_factor, new_recovery_codes, remove_factor
from apps.access.services.second_factor import (
    matching_counter,
    new_totp_secret,
    recovery_codes_left,
    reset_second_factor,
    totp_code,
)
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.config import set_setting
from apps.core.errors import PermissionDenied, Throttled, ValidationFailed
from apps.core.testkit import drain_outbox

PASSWORD = "correct horse battery"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
HERE = Client(ip="192.0.2.7", channel="test")
NOW = 1_900_000_000.0


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_of_the_standard(moment: int, code: str) -> None:
    assert totp_code(RFC_SECRET, moment // 30) == code
    assert matching_counter(RFC_SECRET, code, now=moment) == moment // 30


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(-31, True), (0, True), (31, True), (-61, False), (61, False)]
)
def test_one_period_of_a_wrong_clock_is_forgiven(seconds: int, accepted: bool) -> None:
    base = 1_900_000_035.0  # the middle of a period

    code = totp_code(RFC_SECRET, int(base + seconds) // 30)

    assert (matching_counter(RFC_SECRET, code, now=base) is not None) is accepted


def with_totp(user: User) -> tuple[str, list[str]]:
    secret = new_totp_secret()
    codes = enable_totp(
        user, secret, totp_code(secret, int(NOW) // 30), actor=actor_for(user), client=HERE, now=NOW
    )
    return secret, codes


@pytest.mark.django_db
def test_switching_on_needs_a_valid_code(make_user: Callable[..., User]) -> None:
    user = make_user()

    with pytest.raises(ValidationFailed):
        enable_totp(user, new_totp_secret(), "000000", actor=actor_for(user), now=NOW)

    assert not has_second_factor(user)


@pytest.mark.django_db
def test_a_code_works_once(make_user: Callable[..., User]) -> None:
    user = make_user()
    secret, _codes = with_totp(user)
    later = NOW + 90
    code = totp_code(secret, int(later) // 30)

    first = check_code(user, code, client=HERE, now=later)
    again = check_code(user, code, client=HERE, now=later + 20)
    earlier = check_code(user, totp_code(secret, int(later) // 30 - 1), client=HERE, now=later + 20)

    assert (first, again, earlier) == (True, False, False)


@pytest.mark.django_db
def test_the_code_that_switched_it_on_does_not_sign_in(make_user: Callable[..., User]) -> None:
    user = make_user()
    secret, _codes = with_totp(user)

    assert not check_code(user, totp_code(secret, int(NOW) // 30), client=HERE, now=NOW + 1)


@pytest.mark.django_db
def test_recovery_codes_work_once_and_are_not_stored(make_user: Callable[..., User]) -> None:
    user = make_user()
    _secret, codes = with_totp(user)
    stored = json.dumps(Authenticator.objects.get(user=user, type="recovery_codes").data)

    first = check_code(user, codes[3].upper().replace("-", " "), client=HERE)
    again = check_code(user, codes[3], client=HERE)

    assert (len(codes), len(set(codes)), first, again, recovery_codes_left(user)) == (10, 10, True, False, 9)
    assert not any(code in stored for code in codes)
    new_recovery_codes(user, actor=actor_for(user))
    assert not check_code(user, codes[4], client=HERE)


@pytest.mark.django_db
def test_the_secret_is_encrypted_at_rest(make_user: Callable[..., User]) -> None:
    user = make_user()
    secret, _codes = with_totp(user)

    assert secret not in json.dumps(Authenticator.objects.get(user=user, type="totp").data)


@pytest.mark.django_db
def test_guessing_codes_is_limited(make_user: Callable[..., User]) -> None:
    user = make_user()
    secret, _codes = with_totp(user)
    for _number in range(20):
        assert not check_code(user, "123456", client=HERE, now=NOW + 300)

    with pytest.raises(Throttled):
        check_code(user, totp_code(secret, int(NOW + 300) // 30), client=HERE, now=NOW + 300)


@pytest.mark.django_db
def test_removing_the_last_factor_removes_its_companions(make_user: Callable[..., User]) -> None:
    user = make_user()
    with_totp(user)
    nonce = User.objects.get(pk=user.pk).session_nonce

    remove_factor(user, Authenticator.objects.get(user=user, type="totp").pk, actor=actor_for(user))

    assert not Authenticator.objects.filter(user=user).exists()
    assert User.objects.get(pk=user.pk).session_nonce != nonce


@pytest.mark.django_db
def test_administrators_reset_a_lost_factor_but_not_of_administrators(
    make_user: Callable[..., User], admin: User, admin_actor: Actor
) -> None:
    user = make_user()
    manager = actor_for(make_user("manager@example.com", roles=["access.access_rights"]))
    with_totp(user)
    with_totp(admin)

    reset_second_factor([user], actor=manager)
    with pytest.raises(PermissionDenied):
        reset_second_factor([admin], actor=manager)

    assert (has_second_factor(user), has_second_factor(admin)) == (False, True)
    assert AuditEntry.objects.filter(
        kind="second_factor", object_pk=user.pk, reason__contains="reset"
    ).exists()


# ------------------------------------------------------------------------------------------------------ in pages
def begin(browser: Browser, user: User) -> Any:
    return browser.post("/web/login", {"login": user.login, "password": PASSWORD, "redirect": "/admin/"})


@pytest.mark.django_db
def test_the_half_made_session_has_no_rights(client: Browser, make_user: Callable[..., User]) -> None:
    user = make_user()
    secret, _codes = with_totp(user)

    answer = begin(client, user)
    kept_out = client.get("/web/security")
    wrong = client.post("/web/login/second-factor", {"code": "000000"})
    before = client.session.session_key
    right = client.post("/web/login/second-factor", {"code": totp_code(secret, int(time.time()) // 30)})

    assert answer["Location"] == "/web/login/second-factor"
    assert kept_out.status_code == 302
    assert wrong.status_code == 401
    # The secret was confirmed in 2030, so today's code is older than the last one used: it must be refused.
    assert right.status_code == 401
    Authenticator.objects.filter(user=user, type="totp").update(
        data={**Authenticator.objects.get(user=user, type="totp").data, "counter": 0}
    )
    right = client.post("/web/login/second-factor", {"code": totp_code(secret, int(time.time()) // 30)})
    assert (right.status_code, right["Location"]) == (302, "/admin/")
    assert client.session.session_key != before
    assert client.get("/web/security").status_code == 200


@pytest.mark.django_db
def test_a_trusted_device_is_not_asked_again(make_user: Callable[..., User]) -> None:
    user = make_user()
    _secret, codes = with_totp(user)
    browser, other = Browser(), Browser()
    begin(browser, user)
    browser.post("/web/login/second-factor", {"code": codes[0], "trust": "1"})
    browser.post("/web/logout")

    again = begin(browser, user)
    elsewhere = begin(other, user)

    assert again["Location"] == "/admin/"
    assert elsewhere["Location"] == "/web/login/second-factor"
    assert TrustedDevice.objects.filter(user=user).count() == 1


@pytest.mark.django_db
def test_a_new_password_voids_a_half_made_sign_in(client: Browser, make_user: Callable[..., User]) -> None:
    user = make_user()
    _secret, codes = with_totp(user)
    begin(client, user)

    user = User.objects.get(pk=user.pk)
    user.set_password("something else now")
    user.save()

    assert client.post("/web/login/second-factor", {"code": codes[0]})["Location"] == "/web/login"


@pytest.mark.django_db
def test_the_policy_sends_a_code_by_mail(
    client: Browser,
    make_user: Callable[..., User],
    admin_actor: Actor,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    user = make_user()
    with django_capture_on_commit_callbacks(execute=True):
        set_setting("access.second_factor", "employees", actor=admin_actor)

    answer = begin(client, user)
    code = mailoutbox[0].subject.rpartition(" ")[2]
    wrong = client.post("/web/login/second-factor", {"code": "000000" if code != "000000" else "000001"})
    right = client.post("/web/login/second-factor", {"code": code})

    assert answer["Location"] == "/web/login/second-factor"
    assert mailoutbox[0].to == ["ann@example.com"]
    assert (wrong.status_code, right.status_code) == (401, 302)


@pytest.mark.django_db
def test_setting_up_an_app_in_the_browser(client: Browser, make_user: Callable[..., User]) -> None:
    user = make_user()
    begin(client, user)
    page = client.get("/web/security/totp")
    secret = client.session["new_totp_secret"]

    answer = client.post("/web/security/totp", {"code": totp_code(secret, int(time.time()) // 30)})

    assert b"<svg" in page.content
    assert secret.encode() in page.content
    assert answer.content.count(b"<li><code>") == 10
    assert has_second_factor(user)
    assert client.get("/web/security").status_code == 200  # this session goes on


@pytest.mark.django_db
def test_sensitive_acts_ask_for_the_password_again(client: Browser, make_user: Callable[..., User]) -> None:
    begin(client, make_user())
    session = client.session
    session["confirmed_at"] = 0
    session.save()

    asked = client.get("/web/security/totp")
    wrong = client.post("/web/confirm", {"password": "wrong", "redirect": "/web/security/totp"})
    right = client.post("/web/confirm", {"password": PASSWORD, "redirect": "/web/security/totp"})

    assert asked["Location"] == "/web/confirm?redirect=%2Fweb%2Fsecurity%2Ftotp"
    assert wrong.status_code == 401
    assert right["Location"] == "/web/security/totp"
    assert client.get("/web/security/totp").status_code == 200


@pytest.mark.django_db
def test_an_unknown_device_is_told_by_mail(
    client: Browser, make_user: Callable[..., User], mailoutbox: list[Any]
) -> None:
    user = make_user()
    _secret, codes = with_totp(user)
    begin(client, user)
    client.post("/web/login/second-factor", {"code": codes[0]})

    drain_outbox()

    assert [mail.subject for mail in mailoutbox] == ["Your account was used from a new device"]


# ------------------------------------------------------------------------------------------------------ passkeys
class SoftwareKey:
    """An authenticator in software: keys on P-256, counting, verifying its user."""

    def __init__(self, host: str = "testserver", origin: str = "https://testserver") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.identifier = b"\x01" * 16 + hashlib.sha256(str(id(self)).encode()).digest()[:16]
        self.host, self.origin, self.counter, self.user_handle = host, origin, 0, ""

    def _data(self, *, attested: bool) -> AuthenticatorData:
        self.counter += 1
        flags = 0x05 | (0x40 if attested else 0)  # present, verified, attested
        credential = b""
        if attested:
            credential = bytes(
                AttestedCredentialData.create(
                    b"\0" * 16, self.identifier, ES256.from_cryptography_key(self.key.public_key())
                )
            )
        digest = hashlib.sha256(self.host.encode()).digest()
        return AuthenticatorData(digest + struct.pack(">BI", flags, self.counter) + credential)

    def _client_data(self, kind: str, challenge: str) -> CollectedClientData:
        return CollectedClientData(
            json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()
        )

    def register(self, options: dict[str, Any]) -> dict[str, Any]:
        public = options["publicKey"]
        self.user_handle = public["user"]["id"]
        attestation = AttestationObject.create("none", self._data(attested=True), {})
        return {
            "id": websafe_encode(self.identifier),
            "rawId": websafe_encode(self.identifier),
            "type": "public-key",
            "response": {
                "clientDataJSON": websafe_encode(self._client_data("webauthn.create", public["challenge"])),
                "attestationObject": websafe_encode(bytes(attestation)),
            },
            "clientExtensionResults": {},
        }

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        client_data = self._client_data("webauthn.get", options["publicKey"]["challenge"])
        data = self._data(attested=False)
        signature = self.key.sign(bytes(data) + client_data.hash, ec.ECDSA(hashes.SHA256()))
        return {
            "id": websafe_encode(self.identifier),
            "rawId": websafe_encode(self.identifier),
            "type": "public-key",
            "response": {
                "clientDataJSON": websafe_encode(client_data),
                "authenticatorData": websafe_encode(bytes(data)),
                "signature": websafe_encode(signature),
                "userHandle": self.user_handle,
            },
            "clientExtensionResults": {},
        }


def post(browser: Browser, path: str, data: dict[str, Any] | None = None) -> Any:
    return browser.post(path, json.dumps(data or {}), content_type="application/json")


def register(browser: Browser, user: User) -> SoftwareKey:
    begin(browser, user)
    key = SoftwareKey()
    options = post(browser, "/web/security/passkeys/begin").json()
    answer = post(
        browser, "/web/security/passkeys/complete", {"name": "Blue key", "credential": key.register(options)}
    )
    assert answer.status_code == 200, answer.content
    assert len(answer.json()["recovery_codes"]) == 10
    assert browser.get("/web/security").status_code == 200
    return key


@pytest.mark.django_db
def test_a_passkey_signs_in_without_password(make_user: Callable[..., User]) -> None:
    user, browser = make_user(), Browser()
    key = register(Browser(), user)

    options = post(browser, "/web/login/passkey/begin").json()
    answer = post(
        browser, "/web/login/passkey/complete", {"credential": key.sign(options), "redirect": "/admin/core/"}
    )

    assert answer.json() == {"redirect": "/admin/core/"}
    assert browser.get("/web/security").status_code == 200
    assert AuditEntry.objects.filter(kind="login", user_pk=user.pk, after__second_factor=True).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "case", ["replay", "challenge_used", "origin", "counter", "signature", "stranger", "archived"]
)
def test_a_passkey_is_refused(case: str, make_user: Callable[..., User]) -> None:
    user, browser = make_user(), Browser()
    key = register(Browser(), user)
    options = post(browser, "/web/login/passkey/begin").json()
    if case == "origin":
        key.origin = "https://evil.example"
    if case == "counter":
        key.counter = 0
        row = Authenticator.objects.get(user=user, type="webauthn")
        row.data["sign_count"] = 50
        row.save()
    if case == "archived":
        User.objects.filter(pk=user.pk).update(active=False)
    credential = SoftwareKey().sign(options) if case == "stranger" else key.sign(options)
    if case == "signature":
        credential["response"]["signature"] = websafe_encode(b"\x30\x06\x02\x01\x01\x02\x01\x01")
    if case == "challenge_used":
        post(browser, "/web/login/passkey/complete", {"credential": key.sign(options)})
        browser.post("/web/logout")
    if case == "replay":
        options = post(browser, "/web/login/passkey/begin").json()

    answer = post(browser, "/web/login/passkey/complete", {"credential": credential})

    assert answer.status_code == 401
    assert answer.json()["message"] == "The passkey was not accepted."
    assert browser.get("/web/security").status_code == 302


@pytest.mark.django_db
def test_a_passkey_completes_the_second_step_of_its_own_user_only(make_user: Callable[..., User]) -> None:
    user, other = make_user(), make_user("ben@example.com")
    key, others_key = register(Browser(), user), register(Browser(), other)
    browser = Browser()
    begin(browser, user)

    options = post(browser, "/web/login/passkey/begin").json()
    wrong = post(browser, "/web/login/passkey/complete", {"credential": others_key.sign(options)})
    options = post(browser, "/web/login/passkey/begin").json()
    right = post(browser, "/web/login/passkey/complete", {"credential": key.sign(options)})

    assert [item["id"] for item in options["publicKey"]["allowCredentials"]] == [
        websafe_encode(key.identifier)
    ]
    assert (wrong.status_code, right.status_code) == (401, 200)


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["", "[]", "{}", '{"credential": {}}', '{"credential": {"id": 3}}', "\x00"])
def test_nonsense_instead_of_a_passkey_is_refused(client: Browser, body: str) -> None:
    client.post("/web/login/passkey/begin", "{}", content_type="application/json")

    answer = client.post("/web/login/passkey/complete", body, content_type="application/json")

    assert answer.status_code == 401
