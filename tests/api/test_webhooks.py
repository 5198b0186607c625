"""Webhooks: who hears of what, signatures, retries, replay, and addresses that must not be called."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from meridian_dummy.models import Gadget

from apps.api.constants import PAUSES, DeliveryState
from apps.api.models import WebhookDelivery, WebhookEndpoint
from apps.api.services import targets, webhooks
from apps.core.models import OutboxDelivery
from apps.core.testkit import count_queries, drain_outbox
from tests.api.support import Rest, make_gadgets

HOOKS = "api/webhooks/"
GADGETS = "test/gadgets/"


class Receiver(http.server.ThreadingHTTPServer):
    """A receiver on this machine that answers as it is told and remembers what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[SimpleNamespace] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(SimpleNamespace(path=self.path, headers=dict(self.headers), body=body))
                status, headers, answer = receiver.answers.pop(0) if receiver.answers else (200, {}, b"ok")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                return None

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=1"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def admin(world: SimpleNamespace) -> Rest:
    return Rest(world.tokens["adm"])


def make_hook(admin: Rest, url: str, *events: str, **more: Any) -> Any:
    response = admin.post(HOOKS, {"name": "hook", "url": url, "events": list(events), **more})
    assert response.status_code == 201, response.content
    return response.data


def test_an_event_reaches_the_receiver_signed(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    hook = make_hook(admin, receiver.url, "dummy.GadgetSold", "dummy.gadget.created")
    pk = ann.post(GADGETS, {"name": "Lamp"}).data["id"]
    ann.post(f"{GADGETS}{pk}/actions/sell/", {"buyer": "Joe"})
    drain_outbox()

    assert webhooks.send_due() == 2

    created, sold = (json.loads(message.body) for message in receiver.got)
    assert created["event"] == "dummy.gadget.created"
    assert created["data"] == {"model": "dummy.gadget", "ids": [pk], "company": world.a.pk}
    assert (sold["event"], sold["data"]) == ("dummy.GadgetSold", {"ids": [pk], "buyer": "Joe"})
    assert sold["company"] == world.a.pk
    assert sold["user"] == world.users["ann"].pk
    message = receiver.got[1]
    assert message.path == "/hook?a=1"
    assert message.headers["X-Meridian-Event"] == "dummy.GadgetSold"
    assert message.headers["X-Meridian-Delivery"] == sold["id"]
    stamp, _comma, given = message.headers["X-Meridian-Signature"].partition(",")
    moment = stamp.removeprefix("t=")
    expected = hmac.new(
        hook["secret"].encode(), moment.encode() + b"." + message.body, hashlib.sha256
    ).hexdigest()
    assert given == f"v1={expected}"
    assert abs(int(moment) - time.time()) < 60
    delivery = WebhookDelivery.objects.first()
    assert delivery is not None
    assert (delivery.state, delivery.response_status, delivery.response, delivery.attempts) == (
        "delivered",
        200,
        "ok",
        1,
    )
    assert webhooks.send_due() == 0


def test_the_secret_is_shown_once(world: SimpleNamespace, admin: Rest) -> None:
    hook = make_hook(admin, "https://example.com/", "dummy.GadgetSold")
    read = admin.get(f"{HOOKS}{hook['id']}/").data

    rotated = admin.post(f"{HOOKS}{hook['id']}/actions/rotate_secret/").data["result"]["secret"]

    assert len(hook["secret"]) >= 32
    assert "secret" not in read
    assert rotated != hook["secret"]
    assert WebhookEndpoint.objects.get().secret == rotated
    assert admin.get(f"{HOOKS}?secret={rotated}").status_code == 400
    assert admin.patch(f"{HOOKS}{hook['id']}/", {"secret": "x" * 20}).status_code == 400


def test_only_the_own_company_is_heard_of(world: SimpleNamespace, admin: Rest, ann: Rest, bob: Rest) -> None:
    make_hook(admin, "https://example.com/a", "dummy.gadget.created", company=world.a.pk)
    make_hook(admin, "https://example.com/all", "dummy.gadget.created")
    ann.post(GADGETS, {"name": "of A"})
    bob.post(GADGETS, {"name": "of B"})

    drain_outbox()

    found = WebhookDelivery.objects.order_by("pk").values_list("endpoint__url", "payload__company")
    assert sorted(found) == [
        ("https://example.com/a", world.a.pk),
        ("https://example.com/all", world.a.pk),
        ("https://example.com/all", world.b.pk),
    ]


def test_without_a_subscription_events_cost_nothing(world: SimpleNamespace, ann: Rest) -> None:
    ann.post(GADGETS, {"name": "Lamp"})
    webhooks.is_subscribed("warm")

    with count_queries() as seen:
        assert not webhooks.is_subscribed("core.RecordsCreated")
    drain_outbox()

    assert len(seen) == 0
    assert not OutboxDelivery.objects.filter(handler__contains="webhooks").exists()


def test_archived_webhooks_hear_nothing(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    hook = make_hook(admin, receiver.url, "dummy.gadget.created")
    ann.post(GADGETS, {"name": "before"})
    drain_outbox()
    admin.post(f"{HOOKS}{hook['id']}/actions/archive/")
    ann.post(GADGETS, {"name": "after"})
    drain_outbox()

    webhooks.send_due()

    assert receiver.got == []
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.error) == ("failed", "The webhook is archived.")


def test_retries_with_growing_pauses_then_given_up_then_replayed(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    make_hook(admin, receiver.url, "dummy.gadget.created")
    ann.post(GADGETS, {"name": "Lamp"})
    drain_outbox()
    receiver.answers = [(500, {}, b"sorry")] * (1 + len(PAUSES))
    pauses, now = [], timezone.now()

    for _attempt in PAUSES:
        assert webhooks.send_due(now=now) == 1
        row = WebhookDelivery.objects.get()
        assert row.state == DeliveryState.WAITING
        assert row.next_attempt_at is not None
        pauses.append(round((row.next_attempt_at - timezone.now()).total_seconds()))
        assert webhooks.send_due(now=row.next_attempt_at - timedelta(seconds=2)) == 0
        now = row.next_attempt_at
    assert webhooks.send_due(now=now) == 1

    given_up = WebhookDelivery.objects.get()
    assert pauses == [30, 120, 600, 3600, 21600]
    assert (given_up.state, given_up.attempts, given_up.response_status) == (DeliveryState.FAILED, 6, 500)
    assert given_up.response == "sorry"
    assert given_up.error == "The receiver answered 500."

    replayed = admin.post(f"api/webhook-deliveries/{given_up.pk}/actions/replay/")
    webhooks.send_due()

    assert replayed.status_code == 200, replayed.content
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED
    assert len({message.headers["X-Meridian-Delivery"] for message in receiver.got}) == 1
    assert len(receiver.got) == 7


def test_redirects_are_not_followed(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    make_hook(admin, receiver.url, "dummy.gadget.created")
    ann.post(GADGETS, {"name": "Lamp"})
    drain_outbox()
    receiver.answers = [(302, {"Location": receiver.url.replace("/hook", "/elsewhere")}, b"")]

    webhooks.send_due()

    assert [message.path for message in receiver.got] == ["/hook?a=1"]
    assert WebhookDelivery.objects.get().response_status == 302
    assert WebhookDelivery.objects.get().state == DeliveryState.WAITING


def test_a_receiver_that_is_not_there(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    make_hook(admin, f"http://127.0.0.1:{port}/", "dummy.gadget.created")
    ann.post(GADGETS, {"name": "Lamp"})
    drain_outbox()

    webhooks.send_due()

    row = WebhookDelivery.objects.get()
    assert row.state == DeliveryState.WAITING
    assert "ConnectionRefusedError" in row.error


def test_a_dripping_receiver_is_cut_off(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _address = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            try:
                for _byte in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()

    with pytest.raises(targets.SendFailed):
        targets.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, timeout=1, keep=2000)

    assert time.monotonic() - started < 3
    thread.join(5)
    server.close()


PRIVATE = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://[::1]/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://example.com/",
    "http://user:pw@example.com/",
    "https:///nohost",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_addresses_that_are_refused_when_written(world: SimpleNamespace, admin: Rest, url: str) -> None:
    response = admin.post(HOOKS, {"name": "hook", "url": url, "events": ["dummy.GadgetSold"]})

    assert response.status_code == 400, response.content
    assert "url" in response.data["fields"]
    assert WebhookEndpoint.objects.count() == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"]
)
def test_names_that_lead_inside_are_refused_when_sent(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """One public and one private address: the name is refused as a whole, and nothing is connected."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in ("93.184.216.34", address)]
    monkeypatch.setattr(targets.socket, "getaddrinfo", lambda *a, **k: found)
    monkeypatch.setattr(targets.socket, "create_connection", lambda *a, **k: pytest.fail("it connected"))

    with pytest.raises(targets.TargetRefused):
        targets.post("http://rebind.example/", b"{}", {}, timeout=1, keep=10)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that would resolve to something else a moment later is asked for once only."""
    asked, connected = [], []

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    def connect(address: Any, *rest: Any, **more: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(targets.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(targets.socket, "create_connection", connect)

    with pytest.raises(targets.SendFailed):
        targets.post("http://rebind.example/", b"{}", {}, timeout=1, keep=10)

    assert asked == ["rebind.example"]
    assert connected == [("93.184.216.34", 80)]


def test_public_addresses_are_reachable() -> None:
    for text in ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"):
        assert targets.is_reachable(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "events",
    [
        [],
        "dummy.GadgetSold",
        [5],
        ["dummy.Nothing"],
        ["nothing.gadget.created"],
        ["dummy.Gadget.created"],
        ["core.RecordsCreated"],
    ],
)
def test_events_must_exist(world: SimpleNamespace, admin: Rest, events: Any) -> None:
    response = admin.post(HOOKS, {"name": "hook", "url": "https://example.com/", "events": events})

    assert response.status_code == 400
    assert "events" in response.data["fields"]


def test_deliveries_are_for_those_who_see_the_webhook(
    world: SimpleNamespace, admin: Rest, ann: Rest, receiver: Receiver
) -> None:
    make_hook(admin, receiver.url, "dummy.gadget.created", company=world.a.pk)
    ann.post(GADGETS, {"name": "Lamp"})
    drain_outbox()

    assert ann.get("api/webhook-deliveries/").status_code == 403
    assert admin.get("api/webhook-deliveries/").data["count"] == 1
    assert admin.get("api/webhook-deliveries/", x_company=str(world.b.pk)).data["count"] == 0


def test_old_deliveries_go(world: SimpleNamespace, admin: Rest) -> None:
    hook = make_hook(admin, "https://example.com/", "dummy.GadgetSold")
    old = timezone.now() - timedelta(days=31)
    for state in (DeliveryState.DELIVERED, DeliveryState.WAITING):
        WebhookDelivery.objects.create(
            endpoint_id=hook["id"], event="x", payload={}, state=state, created_at=old
        )

    assert webhooks.purge() == 1
    assert WebhookDelivery.objects.get().state == DeliveryState.WAITING


def test_a_gadget_is_created_though_no_receiver_answers(
    world: SimpleNamespace, admin: Rest, ann: Rest
) -> None:
    make_hook(admin, "https://example.com/", "dummy.gadget.created")

    assert ann.post(GADGETS, {"name": "Lamp"}).status_code == 201
    assert make_gadgets(world, 1)
    assert Gadget.objects.count() == 2
