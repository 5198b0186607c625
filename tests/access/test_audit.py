"""The audit trail: nothing in it changes, what changed it anyway is found, and refusals outlive their transaction."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.access.models import AuditEntry, AuditSeal, Role, User
from apps.access.selectors import actor_for
from apps.access.services import (
    assign_roles,
    audit,
    broken_seals,
    record,
    record_denial,
    seal_audit,
    set_grants,
)
from apps.access.tasks import write_audit_entry
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied
from apps.core.records import service_for

pytestmark = pytest.mark.django_db
LATER = datetime.timedelta(hours=3)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_auditentry SET reason = 'x'",
        "DELETE FROM access_auditentry",
        "TRUNCATE access_auditentry",
    ],
)
@pytest.mark.parametrize("table", ["access_auditentry", "access_auditseal"])
def test_postgres_refuses_to_change_the_trail(statement: str, table: str, system: Actor) -> None:
    record("login", actor=system)
    seal_audit(now=timezone.now() + LATER)
    sql = statement.replace("access_auditentry", table).replace(
        "reason = 'x'", "id = 99" if "seal" in table else "reason = 'x'"
    )

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)

    assert AuditEntry.objects.count() == AuditSeal.objects.count() == 1


def test_role_changes_tell_before_and_after(make_user: Callable[..., User], admin_actor: Actor) -> None:
    user = make_user(roles=["access.export"])

    assign_roles(user, ["access.access_rights"], actor=admin_actor)

    entry = AuditEntry.objects.filter(kind="roles", object_pk=user.pk).first()
    assert entry is not None
    assert (entry.before, entry.after) == ({"roles": ["access.export"]}, {"roles": ["access.access_rights"]})
    assert (entry.user_pk, entry.user_name) == (admin_actor.user_pk, "Root")


def test_a_refused_change_leaves_no_entry_of_success(make_user: Callable[..., User]) -> None:
    user = make_user()
    count = AuditEntry.objects.count()

    with pytest.raises(PermissionDenied):
        assign_roles(user, ["access.administrator"], actor=actor_for(user))

    assert AuditEntry.objects.filter(kind="roles").count() == 0
    assert AuditEntry.objects.exclude(kind="denial").count() == count


def test_denials_inside_a_transaction_go_to_the_worker(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = make_user(), make_user("ben@example.com")
    sent: list[Any] = []
    monkeypatch.setattr(audit, "enqueue", lambda name, *args, **options: sent.append((name, args)))

    for _number in range(3):
        with pytest.raises(PermissionDenied):
            service_for(User).update([other], {"name": "X"}, actor=actor_for(user))
    name, (facts,) = sent[0]
    write_audit_entry(json.loads(json.dumps(facts)))

    assert (len(sent), name) == (1, "access.write_audit_entry")  # the same refusal counts once a minute
    entry = AuditEntry.objects.get(kind="denial")
    assert (entry.user_pk, entry.model, entry.object_pk) == (user.pk, "access.user", other.pk)
    assert entry.reason.startswith("change: none of: apps.access.rules.")


@pytest.mark.django_db(transaction=True)
def test_denials_outside_a_transaction_are_written_at_once() -> None:
    boss = User.objects.create_superuser("boss", "x")

    record_denial(actor_for(boss), "projects.task", "delete", "some rule")

    entry = AuditEntry.objects.get(kind="denial")
    assert (entry.model, entry.reason, entry.user_name) == ("projects.task", "delete: some rule", "boss")


def fill(number: int, system: Actor) -> None:
    for index in range(number):
        record("login", actor=system, reason=f"entry {index}", after={"n": index, "text": "é"})


def test_seals_chain_and_verify(system: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEAL_BATCH", 4)
    fill(10, system)

    young = seal_audit()
    made = seal_audit(now=timezone.now() + LATER)
    again = seal_audit(now=timezone.now() + LATER)

    assert (young, made, again) == (0, 3, 0)
    assert [seal.count for seal in AuditSeal.objects.all()] == [4, 4, 2]
    assert list(broken_seals()) == []


@pytest.mark.parametrize("case", ["altered", "removed", "inserted", "seal_removed"])
def test_tampering_past_the_triggers_is_found(
    case: str, system: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SEAL_BATCH", 4)
    fill(10, system)
    seal_audit(now=timezone.now() + LATER)
    victim = AuditEntry.objects.order_by("pk")[5].pk
    second = AuditSeal.objects.order_by("pk")[1]
    with connection.cursor() as cursor:
        for table in ("access_auditentry", "access_auditseal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        if case == "altered":
            cursor.execute("UPDATE access_auditentry SET reason = 'innocent' WHERE id = %s", [victim])
        if case == "removed":
            cursor.execute("DELETE FROM access_auditentry WHERE id = %s", [victim])
        if case == "inserted":
            cursor.execute("DELETE FROM access_auditentry WHERE id = %s", [victim])
            cursor.execute(
                "INSERT INTO access_auditentry (id, at, kind, user_name, ip, channel, request_id, model, object_name, reason)"
                " VALUES (%s, now(), 'login', '', '', '', '', '', '', '')",
                [victim],
            )
        if case == "seal_removed":
            cursor.execute("DELETE FROM access_auditseal WHERE id = %s", [second.pk])

    broken = list(broken_seals())

    expected = {
        "altered": "an entry was altered",
        "removed": "4 entries were sealed, 3 are there",
        "inserted": "an entry was altered",
        "seal_removed": "a seal before this one is missing",
    }[case]
    assert broken[0].reason == expected
    if case != "seal_removed":
        assert broken[0].seal_pk == second.pk


def test_grants_are_audited_and_guarded(admin_actor: Actor, make_user: Callable[..., User]) -> None:
    manager = actor_for(make_user("manager@example.com", roles=["access.access_rights"]))
    role = service_for(Role).create_one({"name": "Clerk"}, actor=manager)

    set_grants(role, {"core.Currency": "view change"}, actor=manager)
    with pytest.raises(PermissionDenied):
        set_grants(role, {"*": "*"}, actor=manager)
    with pytest.raises(PermissionDenied):
        set_grants(Role.objects.get(code="access.administrator"), {"core.Currency": "view"}, actor=manager)

    assert role.code == "own.clerk"
    assert sorted(role.grants.values_list("model", "operation")) == [
        ("core.currency", "change"),
        ("core.currency", "view"),
    ]
    entry = AuditEntry.objects.filter(kind="roles", object_pk=role.pk).first()
    assert entry is not None
    assert entry.after == {"grants": ["core.currency:change", "core.currency:view"]}
