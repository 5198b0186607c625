"""Partners: families kept in step, guards, finding by address, rights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.access.services import archive_users, create_user, unarchive_users
from apps.contacts.models import BankAccount, Partner, PartnerTag
from apps.contacts.selectors import (
    address_get,
    duplicate_groups,
    duplicates_of,
    format_address,
    partner_of,
    partners_by_email,
)
from apps.contacts.services import create_company, create_from_text, find_or_create_by_email
from apps.core.actor import Actor, system_actor
from apps.core.errors import Conflict, NotVisible, PermissionDenied, ValidationFailed
from apps.core.models import Country, CountryState
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.search import search
from apps.core.testkit import count_queries, run_in_threads

Make = Callable[..., Partner]
ADDRESS = {"street": "Biltstraat 101", "zip": "3572 AP", "city": "Utrecht"}


def update(partner: Partner, actor: Actor, **values: object) -> Partner:
    return service_for(Partner).update([partner], values, actor=actor)[0]


def at_commit(write: Callable[[], object]) -> None:
    """Write in a transaction and let PostgreSQL look at it as at its end."""
    with transaction.atomic(), connection.cursor() as cursor:
        write()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def fresh(partner: Partner) -> Partner:
    return Partner.objects.get(pk=partner.pk)


# --------------------------------------------------------------------------------------------- family in step
@pytest.mark.django_db
def test_a_person_shows_the_organisation_and_shares_its_address(make_partner: Make) -> None:
    acme = make_partner("Acme", is_company=True, tax_id="NL123456782B90", **ADDRESS)

    bob = make_partner("Bob", parent=acme)

    assert (bob.complete_name, bob.commercial_entity_id) == ("Acme, Bob", acme.pk)
    assert (bob.street, bob.city, bob.tax_id) == ("Biltstraat 101", "Utrecht", "NL123456782B90")
    assert (acme.complete_name, acme.commercial_entity_id) == ("Acme", acme.pk)


@pytest.mark.django_db
def test_addresses_of_other_types_keep_their_own(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme", is_company=True, **ADDRESS)
    bob = make_partner("Bob", parent=acme)
    depot = make_partner("", parent=acme, type="delivery", street="Dock 4", city="Rotterdam")

    update(acme, system, street="Nieuwegracht 1", city="Leiden")

    assert (fresh(bob).street, fresh(bob).city) == ("Nieuwegracht 1", "Leiden")
    assert (fresh(depot).street, fresh(depot).city) == ("Dock 4", "Rotterdam")
    assert fresh(depot).complete_name == "Acme, Delivery address"
    assert fresh(bob).version == bob.version + 1
    assert fresh(depot).version == depot.version


@pytest.mark.django_db
def test_the_tax_id_flows_from_the_commercial_entity_always(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme", is_company=True)
    depot = make_partner("Depot", parent=acme, type="delivery")
    clerk = make_partner("Clerk", parent=depot)
    branch = make_partner("Acme South", parent=acme, is_company=True, tax_id="DE123456788")

    update(acme, system, tax_id="NL123456782B90")

    assert fresh(depot).tax_id == fresh(clerk).tax_id == "NL123456782B90"
    assert fresh(branch).tax_id == "DE123456788"
    with pytest.raises(ValidationFailed) as refusal:
        update(clerk, system, tax_id="DE123456788")
    assert refusal.value.fields["tax_id"] == ["This belongs to the organisation; change it there."]


@pytest.mark.django_db
def test_a_new_parent_brings_its_address_and_tax_id(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme", is_company=True, tax_id="NL123456782B90", **ADDRESS)
    bob = make_partner("Bob", street="Elsewhere 1", city="Delft")
    child = make_partner("Bob's depot", parent=bob, type="delivery", street="Dock 4")

    update(bob, system, parent=acme.pk)

    bob, child = fresh(bob), fresh(child)
    assert (bob.street, bob.tax_id, bob.complete_name) == ("Biltstraat 101", "NL123456782B90", "Acme, Bob")
    assert (child.commercial_entity_id, child.tax_id, child.street) == (acme.pk, "NL123456782B90", "Dock 4")
    update(bob, system, parent=None)
    assert (fresh(bob).commercial_entity_id, fresh(child).commercial_entity_id) == (bob.pk, bob.pk)


@pytest.mark.django_db
def test_the_first_contact_brings_the_address_of_its_organisation(make_partner: Make) -> None:
    acme = make_partner("Acme", is_company=True)

    make_partner("Bob", parent=acme, **ADDRESS)
    make_partner("Eve", parent=acme, street="Other street")

    assert (fresh(acme).street, fresh(acme).city) == ("Biltstraat 101", "Utrecht")
    assert Partner.objects.get(name="Eve").street == "Biltstraat 101"


@pytest.mark.django_db
def test_names_follow_the_organisation_also_past_the_services(make_partner: Make) -> None:
    acme = make_partner("Acme", is_company=True)
    bob = make_partner("Bob", parent=acme)
    freelancer = make_partner("Kim", company_name="Kim Works")

    Partner.objects.filter(pk=acme.pk).update(name="Acme International")

    assert fresh(bob).complete_name == "Acme International, Bob"
    assert fresh(freelancer).complete_name == "Kim Works, Kim"


@pytest.mark.django_db
def test_becoming_a_company_makes_its_own_entity(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme", is_company=True)
    south = make_partner("South", parent=acme)
    clerk = make_partner("Clerk", parent=south)

    update(south, system, is_company=True)

    assert (fresh(south).commercial_entity_id, fresh(clerk).commercial_entity_id) == (south.pk, south.pk)
    assert (fresh(south).complete_name, fresh(clerk).complete_name) == ("South", "South, Clerk")


@pytest.mark.django_db
def test_create_the_organisation_a_person_names(make_partner: Make, system: Actor) -> None:
    kim = make_partner("Kim", company_name="Kim Works", tax_id="NL123456782B90", **ADDRESS)

    create_company([kim], actor=system)

    works = Partner.objects.get(name="Kim Works")
    kim = fresh(kim)
    assert (works.is_company, works.tax_id, works.street) == (True, "NL123456782B90", "Biltstraat 101")
    assert (kim.parent_id, kim.company_name, kim.complete_name) == (works.pk, "", "Kim Works, Kim")
    with pytest.raises(Conflict):
        create_company([kim], actor=system)


@pytest.mark.django_db
def test_families_without_circles(make_partner: Make, system: Actor) -> None:
    a = make_partner("A", is_company=True)
    b = make_partner("B", parent=a)
    c = make_partner("C", parent=b)

    with pytest.raises(ValidationFailed):
        update(a, system, parent=c.pk)
    with pytest.raises(ValidationFailed):
        update(a, system, parent=a.pk)
    with pytest.raises(IntegrityError, match="belongs to it"), transaction.atomic():
        Partner.objects.filter(pk=a.pk).update(parent=c)

    assert fresh(a).parent_id is None


@pytest.mark.django_db(transaction=True)
def test_a_circle_cannot_close_from_two_sides() -> None:
    a, b = (service_for(Partner).create_one({"name": n}, actor=system_actor()) for n in "AB")

    outcomes = run_in_threads(
        [
            lambda: Partner.objects.filter(pk=a.pk).update(parent=b),
            lambda: Partner.objects.filter(pk=b.pk).update(parent=a),
        ]
    )

    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == 1


@pytest.mark.django_db
def test_a_family_moves_to_another_company_together(
    make_partner: Make, company: Company, other_company: Company, system: Actor
) -> None:
    acme = make_partner("Acme", is_company=True, company=company.pk)
    bob = make_partner("Bob", parent=acme)
    account = service_for(BankAccount).create_one({"partner": bob, "number": "123456"}, actor=system)
    assert (bob.company_id, account.company_id) == (company.pk, company.pk)

    update(acme, system, company=other_company.pk)

    account.refresh_from_db()
    assert (fresh(bob).company_id, account.company_id) == (other_company.pk, other_company.pk)
    with pytest.raises(ValidationFailed):
        update(bob, system, company=company.pk)
    assert fresh(bob).company_id == other_company.pk


@pytest.mark.django_db
def test_a_family_with_users_stays_where_they_work(
    make_partner: Make,
    make_portal_user: Callable[..., User],
    company: Company,
    other_company: Company,
    system: Actor,
) -> None:
    acme = make_partner("Acme", is_company=True)
    make_portal_user("bob@acme.example", make_partner("Bob", parent=acme))

    with pytest.raises(Conflict) as refusal:
        update(acme, system, company=other_company.pk)
    update(acme, system, company=company.pk)

    assert refusal.value.message == "These users do not work for that company: Bob."
    assert fresh(acme).company_id == company.pk


@pytest.mark.django_db
def test_writing_many_costs_what_writing_two_costs(make_partner: Make, system: Actor) -> None:
    acme = make_partner("Acme", is_company=True, **ADDRESS)
    rows = [{"name": f"P {n}", "parent": acme.pk, "phone": "030 555 0142"} for n in range(12)]
    service = service_for(Partner)
    service.create(rows[:2], actor=system)

    with count_queries() as two:
        few = service.create(rows[:2], actor=system)
    with count_queries() as twelve:
        many = service.create(rows, actor=system)
    with count_queries() as change_two:
        service.update(few, {"city": "Leiden"}, actor=system)
    with count_queries() as change_twelve:
        service.update(many, {"city": "Leiden"}, actor=system)

    assert len(two) == len(twelve)
    assert len(change_two) == len(change_twelve)


# ------------------------------------------------------------------------------------------------ address_get
@pytest.mark.django_db
def test_the_nearest_address_of_each_type(make_partner: Make, system: Actor) -> None:
    c = make_partner("C", is_company=True)
    i = make_partner("", parent=c, type="invoice", street="Billing 1")
    p = make_partner("P", parent=c)
    alone = make_partner("Alone")
    sister = make_partner("Sister", parent=c, is_company=True)
    make_partner("", parent=sister, type="delivery", street="Not ours")

    with count_queries() as seen:
        found = address_get([p, c, alone], ["invoice", "delivery"])

    assert found[p.pk] == {"invoice": i, "delivery": p, "contact": p}
    assert found[c.pk] == {"invoice": i, "delivery": c, "contact": c}
    assert found[alone.pk] == {"invoice": alone, "delivery": alone, "contact": alone}
    assert len(seen) == 1


@pytest.mark.django_db
def test_addresses_are_written_as_in_their_country(make_partner: Make) -> None:
    oregon = CountryState.objects.get(country__code="US", code="OR")
    american = make_partner("Harbor", street="2210 NW Thurman St", zip="97210", city="Portland", state=oregon)
    dutch = make_partner("Noord", country=Country.objects.get(code="NL"), **ADDRESS)

    assert american.country_id == oregon.country_id  # the state brings its country
    assert format_address(american) == "2210 NW Thurman St\nPortland OR 97210\nUnited States"
    assert format_address(dutch, with_name=True) == "Noord\nBiltstraat 101\n3572 AP Utrecht\nNetherlands"


@pytest.mark.django_db
def test_a_state_lies_in_its_country(make_partner: Make) -> None:
    oregon = CountryState.objects.get(country__code="US", code="OR")

    with pytest.raises(ValidationFailed) as refusal:
        make_partner("X", state=oregon, country=Country.objects.get(code="NL"))

    assert list(refusal.value.fields) == ["state"]


# ------------------------------------------------------------------------------------------------------ guards
@pytest.mark.django_db
def test_the_contact_of_a_user_is_neither_archived_nor_deleted(
    make_user: Callable[..., User], system: Actor
) -> None:
    user = make_user("ann@example.com", name="Ann Other")
    service = service_for(Partner)

    with pytest.raises(Conflict) as archive:
        service.archive([user.partner], actor=system)
    with pytest.raises(Conflict) as delete:
        service.delete([user.partner], actor=system)

    assert "Ann Other" in archive.value.message
    assert "Ann Other" in delete.value.message
    assert fresh(user.partner).active
    with pytest.raises(IntegrityError, match="active user"):
        at_commit(lambda: Partner.objects.filter(pk=user.partner.pk).update(active=False))
    archive_users([user], actor=system)
    service.archive([user.partner], actor=system)
    assert not fresh(user.partner).active
    unarchive_users([user], actor=system)
    assert fresh(user.partner).active


@pytest.mark.django_db
def test_the_contact_of_our_company_stays_ours(
    company: Company, other_company: Company, system: Actor
) -> None:
    partner = company.partner

    with pytest.raises(Conflict):
        update(partner, system, company=other_company.pk)
    with pytest.raises(Conflict):
        service_for(Partner).delete([partner], actor=system)
    service_for(Company).update([company], {"name": "Alpha Holding", "city": "Utrecht"}, actor=system)

    assert (fresh(partner).name, fresh(partner).city, fresh(partner).company_id) == (
        "Alpha Holding",
        "Utrecht",
        None,
    )


@pytest.mark.django_db
def test_a_partner_needs_a_name_unless_it_is_an_address(make_partner: Make) -> None:
    acme = make_partner("Acme", is_company=True)

    with pytest.raises(ValidationFailed):
        make_partner("")
    with pytest.raises(IntegrityError), transaction.atomic():
        Partner.objects.create(name="", type="contact")
    assert make_partner("", parent=acme, type="invoice").complete_name == "Acme, Invoice address"


@pytest.mark.django_db
def test_barcodes_are_unique_within_a_company(make_partner: Make, company: Company) -> None:
    make_partner("One", barcode="123")
    make_partner("Two", barcode="123", company=company.pk)

    with pytest.raises(Conflict) as refusal:
        make_partner("Three", barcode="123")

    assert refusal.value.message == "Another contact has this barcode already."
    make_partner("Four", barcode="")
    make_partner("Five", barcode="")


@pytest.mark.django_db
def test_what_comes_in_is_made_safe_and_uniform(make_partner: Make) -> None:
    nl = Country.objects.get(code="NL")

    partner = make_partner(
        "Noord",
        email='"Info" <Info@Noord.example>',
        phone=" 030 555 0142 ",
        website="noord.example",
        comment="<p onclick='x()'>Hi<script>alert(1)</script></p>",
        country=nl,
    )

    assert (partner.email, partner.email_normalized) == ("Info@Noord.example", "info@noord.example")
    assert (partner.phone, partner.phone_e164) == ("030 555 0142", "+31305550142")
    assert partner.website == "https://noord.example"
    assert "script" not in partner.comment
    assert "onclick" not in partner.comment
    assert "Hi" in partner.comment


# ---------------------------------------------------------------------------------------------- find or create
@pytest.mark.django_db
def test_one_address_is_one_partner(make_partner: Make, system: Actor) -> None:
    ann = make_partner("Ann", email="ann@x.example")

    found = find_or_create_by_email('"Ann B" <ANN@x.example>', actor=system)
    made = find_or_create_by_email("Bob C <bob@x.example>", actor=system)
    nameless = find_or_create_by_email("kim@x.example", actor=system)

    assert (found, made.name, nameless.name) == (ann, "Bob C", "kim@x.example")
    with pytest.raises(ValidationFailed):
        find_or_create_by_email("nobody", actor=system)
    assert create_from_text("Eve D <eve@x.example>", actor=system).email == "eve@x.example"


@pytest.mark.django_db
def test_a_partner_with_a_login_is_preferred(
    make_partner: Make,
    make_portal_user: Callable[..., User],
    company: Company,
    other_company: Company,
    system: Actor,
) -> None:
    make_partner("Old", email="ann@x.example")
    mine = make_partner("Ours", email="ann@x.example", company=company.pk)
    theirs = make_partner("Theirs", email="ann@x.example", company=other_company.pk)

    assert partners_by_email(["Ann@X.example"], actor=system, company_pk=company.pk)["ann@x.example"] == mine
    assert (
        partners_by_email(["ann@x.example"], actor=system, company_pk=other_company.pk)["ann@x.example"]
        == theirs
    )
    login = make_partner("Login", email="ann@x.example")
    make_portal_user("ann@x.example", login)
    assert partners_by_email(["ann@x.example"], actor=system)["ann@x.example"] == login


@pytest.mark.django_db(transaction=True)
def test_two_letters_at_once_make_one_partner() -> None:
    outcomes = run_in_threads(
        [lambda: find_or_create_by_email("new@x.example", "New", actor=system_actor()).pk for _n in range(6)]
    )

    assert len(set(outcomes)) == 1
    assert Partner.objects.filter(email_normalized="new@x.example").count() == 1


# ------------------------------------------------------------------------------------------------------- users
@pytest.mark.django_db
def test_a_user_and_its_contact_come_together(
    make_user: Callable[..., User], make_partner: Make, system: Actor
) -> None:
    user = make_user("ann@example.com", name="Ann", language="de")
    known = make_partner("Bob", is_company=False)
    linked = make_user("bob@example.com", links={"partner": known.pk})

    assert partner_of(user).name == "Ann"
    assert partner_of(user).language == "de"
    assert partner_of(linked) == known
    with pytest.raises(Conflict):
        create_user("x@example.com", company=user.company_id, links={"partner": known.pk}, actor=system)
    assert not User.objects.filter(login="x@example.com").exists()
    service_for(User).update([user], {"name": "Ann Other", "email": "other@example.com"}, actor=system)
    assert (fresh(user.partner).name, fresh(user.partner).email) == ("Ann Other", "other@example.com")


@pytest.mark.django_db
def test_changing_a_contact_does_not_move_where_password_letters_go(
    make_user: Callable[..., User], clerk_actor: Actor
) -> None:
    user = make_user("ann@example.com")

    update(user.partner, clerk_actor, email="evil@example.com")

    user.refresh_from_db()
    assert (user.email, user.login) == ("ann@example.com", "ann@example.com")


@pytest.mark.django_db
def test_an_actor_knows_its_contact_and_a_change_is_seen(
    make_partner: Make, make_portal_user: Callable[..., User], system: Actor
) -> None:
    acme, beta = make_partner("Acme", is_company=True), make_partner("Beta", is_company=True)
    bob = make_partner("Bob", parent=acme)
    user = make_portal_user("bob@acme.example", bob)
    assert (actor_for(user).partner_pk, actor_for(user).commercial_partner_pk) == (bob.pk, acme.pk)

    update(bob, system, parent=beta.pk)

    assert actor_for(User.objects.with_rights_key().get(pk=user.pk)).commercial_partner_pk == beta.pk


# ------------------------------------------------------------------------------------------------------ rights
@pytest.mark.django_db
def test_who_may_do_what(
    make_partner: Make, clerk_actor: Actor, reader_actor: Actor, make_portal_user: Callable[..., User]
) -> None:
    acme, other = make_partner("Acme", is_company=True), make_partner("Other", is_company=True)
    bob, eve = make_partner("Bob", parent=acme), make_partner("Eve", parent=acme)
    portal = actor_for(make_portal_user("bob@acme.example", bob))
    service = service_for(Partner)

    assert set(visible(Partner, portal)) == {acme, bob, eve}
    assert {acme, other, bob} <= set(visible(Partner, reader_actor))
    service.update([other], {"name": "Another"}, actor=clerk_actor)
    for actor in (reader_actor, portal):
        with pytest.raises((PermissionDenied, NotVisible)):
            service.update([acme], {"name": "Mine"}, actor=actor)
        with pytest.raises(PermissionDenied):
            service.create_one({"name": "New"}, actor=actor)
    assert fresh(acme).name == "Acme"


@pytest.mark.django_db
def test_partners_of_another_company_are_hidden_and_cannot_be_linked(
    make_partner: Make, other_company: Company, clerk_actor: Actor
) -> None:
    theirs = make_partner("Theirs", is_company=True, company=other_company.pk)

    assert theirs not in set(visible(Partner, clerk_actor))
    with pytest.raises(ValidationFailed) as link:
        service_for(Partner).create_one({"name": "X", "parent": theirs.pk}, actor=clerk_actor)
    with pytest.raises(ValidationFailed):
        service_for(Partner).create_one({"name": "X", "company": other_company.pk}, actor=clerk_actor)

    assert list(link.value.fields) == ["parent"]


# ------------------------------------------------------------------------------------------- search, duplicates
@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["gelére", "GELERE", "noord gel", "info@gel", "REF-77", "NL1234567", "0142", "305550142"]
)
def test_search_finds_by_name_address_reference_tax_id_and_digits(make_partner: Make, text: str) -> None:
    make_partner("Somebody else", email="x@y.example")
    wanted = make_partner(
        "Noord Gelére",
        is_company=True,
        email="info@gelere.example",
        ref="REF-77",
        tax_id="NL123456782B90",
        phone="030 555 0142",
        country=Country.objects.get(code="NL"),
    )

    assert list(search(Partner.objects.all(), text)) == [wanted]


@pytest.mark.django_db
def test_duplicates_are_warned_of_also_archived_but_not_in_the_family(
    make_partner: Make, system: Actor
) -> None:
    acme = make_partner("Acme", is_company=True, tax_id="NL123456782B90", registry="R1")
    make_partner("Bob", parent=acme)
    twin = make_partner("Acme BV", is_company=True, tax_id="NL123456782B90")
    service_for(Partner).archive([twin], actor=system)
    same_registry = make_partner("Acme Ltd", is_company=True, registry="r1")

    found = duplicates_of(acme, actor=system)

    assert [(item.partner, item.field) for item in found] == [(twin, "tax_id"), (same_registry, "registry")]


@pytest.mark.django_db
def test_groups_of_duplicates(make_partner: Make, make_user: Callable[..., User], system: Actor) -> None:
    a, b = make_partner("Ann", email="ann@x.example"), make_partner("Ann B", email="ANN@x.example")
    make_partner("Kim", email="kim@x.example")
    make_partner("No address"), make_partner("no address")
    make_user("ann@x.example")

    assert duplicate_groups(["email"], actor=system) == [[a.pk, b.pk]]
    assert [len(group) for group in duplicate_groups(["name"], actor=system)] == [2]
    with pytest.raises(ValueError, match="Group by some of"):
        duplicate_groups(["password"], actor=system)


@pytest.mark.django_db
def test_tags_form_a_tree(system: Actor) -> None:
    service = service_for(PartnerTag)
    top = service.create_one({"name": "Customers"}, actor=system)
    below = service.create_one({"name": "Gold", "parent": top.pk}, actor=system)

    with pytest.raises(ValidationFailed):
        service.update([top], {"parent": below.pk}, actor=system)
    with pytest.raises(Conflict):
        service.create_one({"name": "Customers"}, actor=system)

    assert PartnerTag.objects.get(pk=top.pk).parent_id is None
