"""Log entries about changes and new records, and the following that comes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps.chatter import hooks
from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import Activity, Attachment, Follower, Message, Notification, Subtype, TrackedValue
from apps.chatter.selectors.subtypes import forget_subtypes
from apps.chatter.selectors.threads import thread_of
from apps.chatter.services.activities import plan_activity
from apps.chatter.services.following import follow, follow_as
from apps.chatter.services.posting import post_comment
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.models import Country
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.core.unit_of_work import unit_of_work
from tests.chatter.conftest import World
from tests.chatter.factories import make_partner, system


def changes(record: Partner) -> list[tuple[str, str, str]]:
    rows = TrackedValue.objects.filter(message__object_id=record.pk, message__model="contacts.partner")
    return [(row.field, row.old_text, row.new_text) for row in rows.order_by("pk")]


def update(record: Partner, world: World, **values: Any) -> None:
    service_for(Partner).update([record], values, actor=world.actor("bob"))


@pytest.fixture
def country(db: None) -> Country:
    return Country.objects.get_or_create(code="BE", defaults={"name": "Belgium"})[0]


def test_a_change_is_logged_with_old_and_new_values(
    world: World, other_record: Partner, country: Country
) -> None:
    update(other_record, world, phone="+32 2 555 12 12", country=country, salesperson=world.ann)

    assert sorted(changes(other_record)) == [
        ("country", "", "Belgium"),
        ("phone", "", "+32 2 555 12 12"),
        ("salesperson", "", "Ann"),
    ]
    row = TrackedValue.objects.get(field="country")
    assert (row.kind, row.old, row.new, row.label) == (
        "link",
        None,
        {"pk": country.pk, "name": "Belgium"},
        "Country",
    )
    entry = row.message
    assert (entry.message_type, entry.subtype.code, entry.is_internal) == ("notification", NOTE, True)
    assert entry.author == world.partner("bob")
    assert TrackedValue.objects.filter(message=entry).count() == 3


def test_there_and_back_leaves_nothing_and_two_steps_leave_one(world: World, other_record: Partner) -> None:
    update(other_record, world, name="A")
    before = Message.objects.count()

    with unit_of_work(world.actor("bob")):
        update(other_record, world, name="B")
        update(other_record, world, name="A")
    after_nothing = Message.objects.count()
    with unit_of_work(world.actor("bob")):
        update(other_record, world, name="B")
        update(other_record, world, name="C")

    assert after_nothing == before
    assert changes(other_record)[-1] == ("name", "A", "C")
    assert Message.objects.count() == before + 1


def test_a_new_record_has_one_log_entry_and_its_maker_follows(world: World) -> None:
    record = make_partner("New", actor=world.actor("bob"))

    entries = Message.objects.of_record("contacts.partner", record.pk)
    assert [entry.body for entry in entries] == ["<p>Contact created</p>"]
    assert entries[0].is_internal is True
    assert list(
        Follower.objects.filter(object_id=record.pk, model="contacts.partner").values_list(
            "partner", flat=True
        )
    ) == [world.partner("bob").pk]
    assert not TrackedValue.objects.filter(message__in=entries).exists()


def test_who_is_put_in_charge_follows_and_is_told_unless_he_did_it_himself(
    world: World, other_record: Partner
) -> None:
    update(other_record, world, salesperson=world.ann)
    update(other_record, world, salesperson=world.bob)

    followers = set(Follower.objects.filter(object_id=other_record.pk).values_list("partner", flat=True))
    notices = Message.objects.filter(message_type="user_notification", object_id=other_record.pk)
    assert followers == {world.partner("ann").pk, world.partner("bob").pk}
    assert [notice.subject for notice in notices] == ["You have been assigned to Contact: Somebody else"]
    assert list(Notification.objects.filter(message__in=notices).values_list("partner", "kind")) == [
        (world.partner("ann").pk, "inbox")
    ]


@pytest.fixture
def moved(db: None) -> Iterator[Subtype]:
    """A public kind of log entry about addresses, of which customers may read the city."""
    kind = Subtype.objects.create(code="tests.moved", name="Moved", model="contacts.partner")
    forget_subtypes()

    def choose(code: str, *, changes: list[Any], **_context: Any) -> str:
        return "tests.moved" if any(change.field == "city" for change in changes) else code

    hooks.filter_change_subtype.register(choose)
    hooks.set_public_fields("contacts.Partner", "city")
    yield kind
    hooks.filter_change_subtype.unregister(choose)
    hooks.set_public_fields("contacts.Partner")
    forget_subtypes()


def test_a_public_kind_of_change_is_told_to_followers_and_shows_customers_only_what_is_meant_for_them(
    world: World, moved: Subtype
) -> None:
    follow_as(world.record, [world.record], actor=system())

    update(world.record, world, city="Ghent", phone="123")

    entry = Message.objects.get(subtype=moved)
    assert entry.is_internal is False
    assert list(Notification.objects.filter(message=entry).values_list("partner", flat=True)) == [
        world.record.pk
    ]
    for_customer = thread_of(world.record, world.actor("carl")).messages
    for_employee = thread_of(world.record, world.actor("bob")).messages
    assert [[row.field for row in view.tracked] for view in for_customer] == [["city"]]
    assert sorted(row.field for row in for_employee[0].tracked) == ["city", "phone"]


def test_fields_reserved_for_a_role_are_hidden_in_the_history(
    world: World, other_record: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    update(other_record, world, phone="123", tax_id="/")
    monkeypatch.setattr(
        Partner, "erp", replace(Partner.erp, field_roles={"tax_id": ("access.administrator",)})
    )

    seen_by_bob = thread_of(other_record, world.actor("bob")).messages[0].tracked
    seen_by_admin = thread_of(other_record, world.actor("admin")).messages[0].tracked

    assert [row.field for row in seen_by_bob] == ["phone"]
    assert sorted(row.field for row in seen_by_admin) == ["phone", "tax_id"]


def test_followers_of_a_parent_follow_what_is_made_below_it(world: World, other_record: Partner) -> None:
    above = Subtype.objects.create(code="tests.member_new", name="New member", model="contacts.partner")
    Subtype.objects.create(
        code="tests.member_moved",
        name="Member moved",
        model="contacts.partner",
        parent=above,
        relation="parent",
    )
    forget_subtypes()
    follow(other_record, [world.partner("ann").pk], actor=system(), subtypes=[COMMENT, "tests.member_new"])
    follow(other_record, [world.partner("eve").pk], actor=system(), subtypes=[COMMENT])

    record = make_partner("Below", parent=other_record)

    rows = {
        row.partner_id: set(Subtype.objects.filter(pk__in=row.subtype_pks).values_list("code", flat=True))
        for row in Follower.objects.filter(object_id=record.pk)
    }
    assert set(rows) == {world.partner("ann").pk}
    assert {COMMENT, "tests.member_moved"} <= rows[world.partner("ann").pk]
    forget_subtypes()


def test_logging_costs_the_same_for_two_records_and_for_twelve(world: World) -> None:
    records = [make_partner(f"P{n}") for n in range(14)]
    bob = world.actor("bob")
    service = service_for(Partner)
    service.update(records[:1], {"ref": "warm", "phone": "0"}, actor=bob)

    with count_queries() as few:
        service.update(records[:2], {"phone": "1", "salesperson": world.ann}, actor=bob)
    with count_queries() as many:
        service.update(records[2:], {"phone": "1", "salesperson": world.ann}, actor=bob)

    assert len(many) == len(few)
    assert TrackedValue.objects.filter(field="salesperson").count() == 14


def test_a_deleted_record_takes_its_thread_along(world: World, files: object) -> None:
    record = make_partner("Short-lived", actor=world.actor("bob"))
    post_comment(record, "Hello", actor=world.actor("bob"), attachments=[NewFile("a.txt", b"a")])
    plan_activity(record, actor=world.actor("bob"), summary="Call")
    pk = record.pk

    service_for(Partner).delete([record], actor=system())

    for model in (Message, Follower, Activity, Attachment):
        assert not model.objects.filter(model="contacts.partner", object_id=pk).exists(), model
