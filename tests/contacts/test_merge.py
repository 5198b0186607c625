"""Merging duplicates and taking it back."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from apps.access.models import AuditEntry, User
from apps.access.selectors import actor_for
from apps.contacts.models import BankAccount, Partner, PartnerMerge, PartnerTag
from apps.contacts.services import count_references, merge_groups, merge_partners, undo_merges
from apps.core.actor import Actor
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for

Make = Callable[..., Partner]


def tag(name: str, actor: Actor) -> PartnerTag:
    return service_for(PartnerTag).create_one({"name": name}, actor=actor)


def check_deferred() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db
def test_everything_that_refers_to_a_source_refers_to_the_destination(
    make_partner: Make, clerk_actor: Actor, system: Actor
) -> None:
    gold, silver = tag("Gold", system), tag("Silver", system)
    kept = make_partner("Acme", is_company=True, email="info@acme.example", tags=[gold.pk])
    source = make_partner(
        "ACME",
        is_company=True,
        email="INFO@acme.example",
        phone="030 1",
        tags=[gold.pk, silver.pk],
        ref="R7",
        city="Delft",
    )
    person = make_partner("Bob", parent=source)
    for partner in (kept, source):
        service_for(BankAccount).create_one(
            {"partner": partner.pk, "number": "BE68539007547034"}, actor=system
        )
    other = service_for(BankAccount).create_one({"partner": source.pk, "number": "1234567"}, actor=system)
    Partner.objects.filter(pk=kept.pk).update(customer_rank=2)
    Partner.objects.filter(pk=source.pk).update(customer_rank=3)

    merge_partners([kept, source], actor=clerk_actor)

    check_deferred()
    merged = Partner.objects.get(pk=kept.pk)
    assert not Partner.objects.filter(pk=source.pk).exists()
    assert (merged.name, merged.phone, merged.ref, merged.city, merged.customer_rank) == (
        "Acme",
        "030 1",
        "R7",
        "Delft",
        5,
    )
    assert set(merged.tags.all()) == {gold, silver}
    assert sorted(merged.bank_accounts.values_list("sanitized", flat=True)) == ["1234567", "BE68539007547034"]
    assert BankAccount.objects.get(pk=other.pk).partner_id == kept.pk
    person = Partner.objects.get(pk=person.pk)
    assert (person.parent_id, person.commercial_entity_id, person.complete_name) == (
        kept.pk,
        kept.pk,
        "Acme, Bob",
    )
    assert PartnerMerge.objects.get().names == ["ACME"]
    assert AuditEntry.objects.get(kind="merge").object_pk == kept.pk


@pytest.mark.django_db
def test_the_oldest_active_contact_is_kept_unless_one_is_chosen(
    make_partner: Make, clerk_actor: Actor, system: Actor
) -> None:
    first, second, third = make_partner("First"), make_partner("Second"), make_partner("Third")
    service_for(Partner).archive([first], actor=system)

    merge_partners([first, second, third], actor=clerk_actor)
    assert set(Partner.objects.filter(name__in=["First", "Second", "Third"])) == {second}
    fourth, fifth = make_partner("Fourth"), make_partner("Fifth")
    merge_partners([fourth, fifth], destination=fifth, actor=clerk_actor)
    assert not Partner.objects.filter(pk=fourth.pk).exists()
    with pytest.raises(ValidationFailed):
        merge_partners([second, fifth], destination=make_partner("Outsider"), actor=clerk_actor)


@pytest.mark.django_db
@pytest.mark.parametrize("case", ["four", "one", "family", "users", "companies", "emails"])
def test_what_is_not_merged(
    case: str,
    make_partner: Make,
    make_portal_user: Callable[..., User],
    clerk_actor: Actor,
    make_company: Callable[..., object],
) -> None:
    a, b = make_partner("A"), make_partner("B")
    partners = [a, b]
    if case == "four":
        partners = [a, b, make_partner("C"), make_partner("D")]
    if case == "one":
        partners = [a]
    if case == "family":
        partners = [a, make_partner("Below", parent=make_partner("Between", parent=a))]
    if case == "users":
        make_portal_user("a@x.example", a), make_portal_user("b@x.example", b)
    if case == "companies":
        partners = [make_company("Gamma").partner, make_company("Delta").partner]  # type: ignore[attr-defined]
    if case == "emails":
        partners = [make_partner("E", email="e@x.example"), make_partner("F", email="f@x.example")]
    count = Partner.objects.count()

    with pytest.raises((ValidationFailed, Conflict, PermissionDenied)):
        merge_partners(partners, actor=clerk_actor)

    assert Partner.objects.count() == count
    assert not PartnerMerge.objects.exists()


@pytest.mark.django_db
def test_administrators_may_merge_different_addresses(make_partner: Make, admin_actor: Actor) -> None:
    e, f = make_partner("E", email="e@x.example"), make_partner("F", email="f@x.example")

    merge_partners([e, f], actor=admin_actor)

    assert Partner.objects.get(pk=e.pk).email == "e@x.example"


@pytest.mark.django_db
def test_the_login_goes_along(
    make_partner: Make, make_portal_user: Callable[..., User], clerk_actor: Actor
) -> None:
    kept = make_partner("Bob")
    source = make_partner("Bob too")
    user = make_portal_user("bob@x.example", source)
    Partner.objects.filter(pk=source.pk).update(email="")

    merge_partners([kept, source], destination=kept, actor=clerk_actor)

    check_deferred()
    assert User.objects.get(pk=user.pk).partner == kept
    assert actor_for(User.objects.with_rights_key().get(pk=user.pk)).partner_pk == kept.pk


@pytest.mark.django_db
def test_a_merge_can_be_taken_back(make_partner: Make, clerk_actor: Actor, system: Actor) -> None:
    gold = tag("Gold", system)
    kept = make_partner("Acme", is_company=True, tags=[gold.pk])
    source = make_partner("ACME", is_company=True, phone="030 1", tags=[gold.pk], barcode="77")
    person = make_partner("Bob", parent=source)
    account = service_for(BankAccount).create_one({"partner": source.pk, "number": "1234567"}, actor=system)
    merge_partners([kept, source], actor=clerk_actor)
    assert Partner.objects.get(pk=kept.pk).phone == "030 1"
    later = make_partner("Later", parent=kept)

    undo_merges(list(PartnerMerge.objects.all()), actor=clerk_actor)

    check_deferred()
    back, kept = Partner.objects.get(pk=source.pk), Partner.objects.get(pk=kept.pk)
    assert (back.name, back.phone, back.barcode, back.complete_name) == ("ACME", "030 1", "77", "ACME")
    assert (kept.phone, kept.barcode) == ("", "")
    assert set(back.tags.all()) == set(kept.tags.all()) == {gold}
    assert Partner.objects.get(pk=person.pk).parent_id == back.pk
    assert Partner.objects.get(pk=person.pk).complete_name == "ACME, Bob"
    assert Partner.objects.get(pk=later.pk).parent_id == kept.pk
    assert BankAccount.objects.get(pk=account.pk).partner_id == back.pk
    with pytest.raises(Conflict):
        undo_merges(list(PartnerMerge.objects.all()), actor=clerk_actor)


@pytest.mark.django_db
def test_after_thirty_days_a_merge_stays(make_partner: Make, clerk_actor: Actor) -> None:
    a, b = make_partner("A"), make_partner("B")
    merge_partners([a, b], actor=clerk_actor)
    PartnerMerge.objects.update(created_at=timezone.now() - datetime.timedelta(days=31))

    with pytest.raises(Conflict):
        undo_merges(list(PartnerMerge.objects.all()), actor=clerk_actor)

    assert not Partner.objects.filter(pk=b.pk).exists()


@pytest.mark.django_db
def test_readers_do_not_merge(make_partner: Make, reader_actor: Actor) -> None:
    a, b = make_partner("A"), make_partner("B")

    with pytest.raises(PermissionDenied):
        merge_partners([a, b], actor=reader_actor)

    assert Partner.objects.filter(pk__in=[a.pk, b.pk]).count() == 2


@pytest.mark.django_db
def test_groups_are_merged_each_by_itself(
    make_partner: Make, clerk_actor: Actor, make_portal_user: Callable[..., User]
) -> None:
    five = [make_partner(f"Five {n}") for n in range(5)]
    bad = [make_partner("X"), make_partner("Y")]
    make_portal_user("x@x.example", bad[0]), make_portal_user("y@x.example", bad[1])

    done, refusals = merge_groups([[p.pk for p in five], [p.pk for p in bad]], actor=clerk_actor)

    assert (done, len(refusals)) == (2, 1)
    assert Partner.objects.filter(name__startswith="Five").count() == 1
    assert Partner.objects.filter(pk__in=[p.pk for p in bad]).count() == 2


@pytest.mark.django_db
def test_what_a_merge_would_move_is_counted(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme")
    make_partner("Bob", parent=acme)
    service_for(BankAccount).create_one({"partner": acme.pk, "number": "1234567"}, actor=system)

    assert count_references([acme.pk]) == {"contacts": 1, "bank accounts": 1}
