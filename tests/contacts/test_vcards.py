"""vCards of real programs come in; what goes out comes in again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.contacts.hooks import collect_pictures
from apps.contacts.models import Partner
from apps.contacts.services import export_vcards, import_vcards
from apps.contacts.vcards import Address, Card, VCardError, parse_vcards, write_vcards
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.testkit import count_queries


def _cards(shared_data: Path, name: str) -> list[Card]:
    path = shared_data / "vcard" / name
    if not path.is_file():
        pytest.skip(f"NOT TESTED: the vCard {name} is absent")
    return parse_vcards(path.read_bytes())


def test_outlook(shared_data: Path) -> None:
    (card,) = _cards(shared_data, "John_Doe_MS_OUTLOOK.vcf")

    assert (card.name, card.family, card.given, card.title) == (
        "Mr. John Richter James Doe Sr.",
        "Doe",
        "John",
        "Mr.",
    )
    assert (card.organization, card.job, card.emails) == ("IBM", "Money Counter", ["john.doe@ibm.cm"])
    assert card.phones == ["(905) 555-1234", "(905) 666-1234"]
    assert card.addresses[0] == Address(
        "Cresent moon drive", "", "Albaney", "New York", "12345", "United States of America", "work"
    )
    assert len(card.addresses) == 2
    assert card.urls == ["http://www.ibm.com"]
    assert card.photo.startswith(b"\xff\xd8\xff")
    assert card.photo_type == "image/jpeg"
    assert card.note.startswith("THIS SOFTWARE IS PROVIDED")


def test_outlook_2003_quoted_printable(shared_data: Path) -> None:
    (card,) = _cards(shared_data, "outlook-2003.vcf")

    assert card.note == "This is the note field!!\nSecond line\n\nThird line is empty"
    assert (card.organization, card.phones, card.mobiles) == (
        "Company, The",
        ["BusinessPhone", "HomePhone"],
        ["MobilePhone"],
    )
    assert card.addresses[0] == Address(
        "123 Main St", "TheOffice", "Austin", "TX", "12345", "United States of America", "work"
    )


def test_iphone(shared_data: Path) -> None:
    (card,) = _cards(shared_data, "John_Doe_IPHONE.vcf")

    assert (card.emails, card.mobiles, card.urls) == (
        ["john.doe@ibm.com"],
        ["905-555-1234"],
        ["http://www.ibm.com"],
    )
    assert card.phones == ["905-666-1234", "905-777-1234", "905-222-1234"]  # neither fax nor pager
    assert (card.addresses[1].street, card.addresses[1].street2) == ("Street4", "Building 6, Floor 8")
    assert card.photo.startswith(b"\xff\xd8\xff")


def test_gmail(shared_data: Path) -> None:
    (card,) = _cards(shared_data, "John_Doe_GMAIL.vcf")

    assert (card.name, card.family, card.emails) == (
        "Mr. John Richter, James Doe Sr.",
        "Doe",
        ["john.doe@ibm.com"],
    )
    assert card.addresses[0].street == "Crescent moon drive"
    assert "Favotire Color: Blue" in card.note


def test_android_has_several_cards_and_accents(shared_data: Path) -> None:
    cards = _cards(shared_data, "John_Doe_ANDROID.vcf")

    assert len(cards) > 3
    assert (cards[0].name, cards[0].categories) == ("john.doe@company.com", ["My Contacts"])
    assert cards[2].name == "Ñ Ñ Ñ Ñ Ñ"
    assert cards[2].mobiles == ["123456789"]
    assert all("=C3" not in card.name and "=C3" not in card.note for card in cards)


def test_the_example_of_the_standard(shared_data: Path) -> None:
    (card,) = _cards(shared_data, "rfc6350-example.vcf")

    assert (card.name, card.organization, card.language) == ("Simon Perreault", "Viagenie", "fr")
    assert (card.phones, card.mobiles) == (["+1-418-656-9254 ext. 102"], ["+1-418-262-6501"])
    assert card.addresses == [
        Address("2875 Laurier", "Suite D2-630", "Quebec", "QC", "G1V 2M2", "Canada", "work")
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", b"\xff\xfe\x00", b"x" * (20 * 1024 * 1024 + 1)],
)
def test_what_is_no_vcard_is_refused(data: bytes) -> None:
    with pytest.raises(VCardError):
        parse_vcards(data)


@pytest.mark.parametrize(
    "line",
    [
        "PHOTO;ENCODING=b:###",
        "ADR:",
        "TEL;",
        "N",
        'EMAIL;TYPE="a:b":x@y.example',
        "NOTE;CHARSET=nonsense;ENCODING=QUOTED-PRINTABLE:=E9",
        "AGENT:BEGIN:VCARD",
    ],
)
def test_a_broken_line_does_not_lose_the_card(line: str) -> None:
    (card,) = parse_vcards(f"BEGIN:VCARD\nVERSION:3.0\nFN:Ann\n{line}\nEND:VCARD\n")

    assert card.name == "Ann"


def test_what_is_written_is_read_the_same() -> None:
    card = Card(
        name="Ann; B, \\ C",
        organization="Köln & Söhne; Bau",
        job="Buyer",
        note="one\ntwo, three; four " + "é" * 80,
        emails=["ann@x.example"],
        phones=["+31 30 555 0142"],
        mobiles=["+31 6 1234"],
        urls=["https://x.example/a,b"],
        categories=["Gold, old", "New"],
        addresses=[Address("Street 1", "Floor 2", "Utrecht", "", "3572 AP", "Netherlands", "work")],
    )

    text = write_vcards([card, Card(name="Acme", is_company=True, organization="Acme")])
    again, company = parse_vcards(text.encode())

    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    for name in (
        "name",
        "organization",
        "job",
        "note",
        "emails",
        "phones",
        "mobiles",
        "urls",
        "categories",
        "addresses",
    ):
        assert getattr(again, name) == getattr(card, name), name
    assert company.is_company


@pytest.mark.django_db
def test_cards_become_partners_once(shared_data: Path, clerk_actor: Actor) -> None:
    path = shared_data / "vcard" / "John_Doe_MS_OUTLOOK.vcf"
    if not path.is_file():
        pytest.skip("NOT TESTED: the vCard John_Doe_MS_OUTLOOK.vcf is absent")
    pictures: list[Any] = []

    @collect_pictures.register
    def take(pictures_given: Any = None, **context: Any) -> None:
        pictures.extend(context["pictures"])

    try:
        first = import_vcards(path.read_bytes(), actor=clerk_actor)
        again = import_vcards(path.read_bytes(), actor=clerk_actor)
    finally:
        collect_pictures.unregister(take)

    (john,) = first.partners
    assert (john.name, john.email, john.job_position) == (
        "Mr. John Richter James Doe Sr.",
        "john.doe@ibm.cm",
        "Money Counter",
    )
    assert (john.city, john.country.code, john.state.code, john.phone_e164) == (
        "Albaney",
        "US",
        "NY",
        "+19055551234",
    )  # type: ignore[union-attr]
    assert john.complete_name.startswith("IBM, ")
    assert list(john.children.values_list("type", "city")) == [("other", "New York")]
    assert pictures[0][0] == john
    assert pictures[0][1].startswith(b"\xff\xd8")
    assert (again.partners, again.known) == ([], [john.name])
    assert "(905) 666-1234" in john.comment


@pytest.mark.django_db
def test_all_cards_or_none_and_only_with_the_right(clerk_actor: Actor, reader_actor: Actor) -> None:
    cards = "".join(f"BEGIN:VCARD\nFN:P {n}\nEMAIL:p{n}@x.example\nEND:VCARD\n" for n in range(3))

    with pytest.raises(PermissionDenied):
        import_vcards(cards, actor=reader_actor)
    with pytest.raises(ValidationFailed):
        import_vcards("nothing", actor=clerk_actor)
    assert not Partner.objects.filter(name__startswith="P ").exists()
    assert len(import_vcards(cards + cards, actor=clerk_actor).partners) == 3


@pytest.mark.django_db
def test_export_costs_the_same_for_many(make_partner: Callable[..., Partner], clerk_actor: Actor) -> None:
    acme = make_partner("Acme", is_company=True, city="Utrecht")
    people = [make_partner(f"P {n}", parent=acme) for n in range(12)]

    with count_queries() as two:
        export_vcards(people[:2], actor=clerk_actor)
    with count_queries() as twelve:
        text = export_vcards(people, actor=clerk_actor)

    assert len(two) == len(twelve) <= 3
    assert [card.organization for card in parse_vcards(text)] == ["Acme"] * 12
