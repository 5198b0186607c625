"""Bank accounts: one spelling, checked IBANs, and trust that falls with the number."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from apps.access.models import User
from apps.access.selectors import actor_for
from apps.contacts.models import BankAccount, Partner
from apps.contacts.selectors import same_account_elsewhere
from apps.contacts.services import distrust_accounts, trust_accounts
from apps.core.actor import Actor
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for

pytestmark = pytest.mark.django_db
Make = Callable[..., Partner]


def account(partner: Partner, number: str, actor: Actor, **values: object) -> BankAccount:
    return service_for(BankAccount).create_one(
        {"partner": partner.pk, "number": number, **values}, actor=actor
    )


def test_ibans_are_checked_and_others_taken(make_partner: Make, clerk_actor: Actor) -> None:
    acme = make_partner("Acme")

    iban = account(acme, "be68 5390 0754 7034", clerk_actor, bic="bbrubebb")
    other = account(acme, "12-34.567", clerk_actor)

    assert (iban.kind, iban.sanitized, iban.number, iban.bic) == (
        "iban",
        "BE68539007547034",
        "be68 5390 0754 7034",
        "BBRUBEBB",
    )
    assert (other.kind, other.sanitized) == ("bank", "1234567")
    with pytest.raises(ValidationFailed) as refusal:
        account(acme, "BE68 5390 0754 7035", clerk_actor)
    assert "do not match" in refusal.value.fields["number"][0]
    assert BankAccount.objects.count() == 2


@pytest.mark.parametrize("number", ["BE68539007547034", "BE68 5390 0754 7034", " be68-5390-0754-7034 "])
def test_the_same_account_twice_is_refused_whatever_its_blanks(
    make_partner: Make, clerk_actor: Actor, number: str
) -> None:
    acme = make_partner("Acme")
    account(acme, "BE68 539007547034", clerk_actor)

    with pytest.raises(Conflict) as refusal:
        account(acme, number, clerk_actor)

    assert refusal.value.message == "This contact has this account already."
    assert BankAccount.objects.count() == 1


def test_the_same_account_of_another_partner_is_a_warning(make_partner: Make, clerk_actor: Actor) -> None:
    one = account(make_partner("One"), "BE68539007547034", clerk_actor)
    two = account(make_partner("Two"), "BE68 5390 0754 7034", clerk_actor)

    assert list(same_account_elsewhere(two, actor=clerk_actor)) == [one]


def test_trust_is_for_validators_and_falls_with_the_number(
    make_partner: Make, make_user: Callable[..., User], clerk_actor: Actor
) -> None:
    validator = actor_for(make_user("bank@example.com", roles=["contacts.bank_validator"]))
    row = account(make_partner("Acme"), "BE68539007547034", clerk_actor)

    with pytest.raises(PermissionDenied):
        trust_accounts([row], actor=clerk_actor)
    with pytest.raises(ValidationFailed):
        service_for(BankAccount).update([row], {"trusted": True}, actor=clerk_actor)
    assert not BankAccount.objects.get().trusted
    trust_accounts([row], actor=validator)
    assert (BankAccount.objects.get().trusted, BankAccount.objects.get().trusted_by_id) == (
        True,
        validator.user_pk,
    )

    spelled = service_for(BankAccount).update([row], {"number": "BE68 5390 0754 7034"}, actor=clerk_actor)[0]
    changed = service_for(BankAccount).update([row], {"number": "NL91 ABNA 0417 1643 00"}, actor=clerk_actor)[
        0
    ]

    assert (spelled.trusted, changed.trusted) == (True, False)
    assert BankAccount.objects.get().trusted_by_id is None
    trust_accounts([row], actor=validator)
    distrust_accounts([row], actor=validator)
    assert not BankAccount.objects.get().trusted


def test_postgres_takes_the_trust_away_whoever_writes(make_partner: Make, clerk_actor: Actor) -> None:
    row = account(make_partner("Acme"), "BE68539007547034", clerk_actor)
    BankAccount.objects.filter(pk=row.pk).update(trusted=True)

    BankAccount.objects.filter(pk=row.pk).update(sanitized="NL91ABNA0417164300", trusted=True)

    assert not BankAccount.objects.get().trusted
    with pytest.raises(IntegrityError), transaction.atomic():
        BankAccount.objects.filter(pk=row.pk).update(sanitized="be 68")


def test_portal_users_see_no_accounts(
    make_partner: Make, make_portal_user: Callable[..., User], clerk_actor: Actor
) -> None:
    acme = make_partner("Acme")
    account(acme, "BE68539007547034", clerk_actor)
    portal = actor_for(make_portal_user("x@acme.example", acme))

    assert not portal.can(BankAccount, "view")
