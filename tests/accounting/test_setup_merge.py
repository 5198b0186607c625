"""Merging contacts that the books name."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from apps.accounting.models import JournalItem, PartnerTerms
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.contacts.models import Partner
from apps.contacts.services.merge import merge_partners
from apps.core.errors import Conflict
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books, make_partner


def post_for(books: Books, partner: Partner) -> None:
    currency = books.company.currency_id
    amount = Decimal(100)
    with unit_of_work(books.system):
        post_entries(
            [
                EntrySpec(
                    journal=books.journals.general,
                    date=datetime.date(2026, 3, 1),
                    company_pk=books.company.pk,
                    currency_pk=currency,
                    items=[
                        ItemSpec(
                            books.accounts.receivable.pk, amount, currency, amount, partner_pk=partner.pk
                        ),
                        ItemSpec(books.accounts.income.pk, -amount, currency, -amount, partner_pk=partner.pk),
                    ],
                )
            ],
            actor=books.system,
        )


def test_a_contact_with_posted_entries_does_not_vanish(books: Books) -> None:
    kept, booked = make_partner("Prime"), make_partner("Prime Ltd")
    post_for(books, booked)

    with pytest.raises(Conflict) as refused:
        merge_partners([kept, booked], actor=books.system, destination=kept)

    assert refused.value.code == "merge_posted"
    assert "“Prime Ltd” is named by posted entries" in refused.value.message
    assert Partner.objects.filter(pk__in=[kept.pk, booked.pk]).count() == 2
    assert set(JournalItem.objects.values_list("partner", flat=True)) == {booked.pk}


def test_others_are_merged_into_it(books: Books) -> None:
    booked, twin = make_partner("Prime"), make_partner("Prime Ltd")
    post_for(books, booked)
    PartnerTerms.objects.create(company=books.company, partner=booked, credit_limit=Decimal(5))
    PartnerTerms.objects.create(company=books.company, partner=twin, credit_limit=Decimal(9))

    merge_partners([booked, twin], actor=books.system, destination=booked)

    assert not Partner.objects.filter(pk=twin.pk).exists()
    assert PartnerTerms.objects.get(company=books.company).credit_limit == Decimal(5)
    assert set(JournalItem.objects.values_list("partner", flat=True)) == {booked.pk}
