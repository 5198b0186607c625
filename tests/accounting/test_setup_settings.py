"""Settings in force, and what they name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apps.accounting.errors import SettingMissing
from apps.accounting.models import AccountingSettings, PartnerTerms, Tax
from apps.accounting.selectors import partners, setup
from apps.accounting.services.setup import settings_for
from apps.contacts.models import Partner
from apps.core.actor import system_actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.models import Country
from apps.core.records import service_for
from apps.core.testkit import count_queries
from tests.accounting.factories import (
    Books,
    make_books,
    make_company,
    make_partner,
    make_tax,
    make_term,
)


def test_the_factory_obeys_the_rules(books: Books) -> None:
    system = books.system

    for row in (*vars(books.accounts).values(), *vars(books.journals).values(), *vars(books.taxes).values()):
        service_for(type(row)).update([row], {"name": row.name}, actor=system)
    service_for(AccountingSettings).update([books.settings], {"code_digits": 6}, actor=system)


def test_settings_of_a_company_take_one_query(books: Books) -> None:
    with count_queries() as seen:
        settings = setup.settings_of(books.company.pk)
        assert settings.company.currency.code == "EUR"

    assert len(seen) == 1
    assert settings.receivable_account_id == books.accounts.receivable.pk
    assert settings.pk == books.settings.pk


def test_a_branch_keeps_the_books_of_its_parent(books: Books) -> None:
    branch = make_company("Alpha North", parent=books.company)
    AccountingSettings.objects.filter(pk=books.settings.pk).update(tax_rounding="total", invoice_terms="Net")

    settings = setup.settings_of(branch.pk)

    assert settings.pk is None
    assert settings.receivable_account_id == books.accounts.receivable.pk
    assert settings.exchange_journal_id == books.journals.exchange.pk
    assert (settings.tax_rounding, settings.invoice_terms) == ("total", "Net")
    assert setup.company_line_of(settings) == (branch.pk, books.company.pk)


def test_a_branch_may_have_settings_of_its_own_but_not_another_rounding(books: Books) -> None:
    branch = make_company("Alpha North", parent=books.company)
    own = settings_for(branch, actor=system_actor(company_pk=branch.pk))
    AccountingSettings.objects.filter(pk=own.pk).update(
        income_account=books.accounts.income2, payable_account=None, tax_rounding="total"
    )

    settings = setup.settings_of(branch.pk)

    assert settings.income_account_id == books.accounts.income2.pk
    assert settings.payable_account_id == books.accounts.payable.pk
    assert settings.tax_rounding == "line"


def test_settings_are_made_once_when_first_needed(db: None) -> None:
    company = make_company("Fresh", country="DE")

    first = settings_for(company, actor=system_actor())
    second = settings_for(company, actor=system_actor())

    assert first.pk == second.pk
    assert AccountingSettings.objects.filter(company=company).count() == 1
    assert first.fiscal_country == Country.objects.get(code="DE")


def test_a_missing_setting_is_named(db: None) -> None:
    company = make_company("Fresh")

    with pytest.raises(SettingMissing) as refused:
        setup.required(setup.settings_of(company.pk), "receivable_account")

    assert refused.value.message == "Fresh has no “receivable”. Set it under Accounting › Settings."
    assert refused.value.code == "setting_missing"


def test_a_missing_journal_is_named(db: None) -> None:
    company = make_company("Fresh")

    with pytest.raises(SettingMissing, match="no journal of type “Sales”"):
        setup.default_journal(setup.settings_of(company.pk), "sale")


def test_the_company_comes_before_its_parents_in_the_choice_of_journals(books: Books) -> None:
    settings = setup.settings_of(books.company.pk)

    assert setup.default_journal(settings, "bank") == books.journals.bank
    assert [j.code for j in setup.journals_of(settings, "bank")] == ["BNK1", "BNK2"]
    assert [
        m.name for m in setup.methods_of([books.journals.bank.pk], "inbound")[books.journals.bank.pk]
    ] == [
        "Manual",
        "By statement",
    ]


@pytest.mark.parametrize(
    ("field", "account", "words"),
    [
        ("receivable_account", "payable", "of type “Payable”"),
        ("income_account", "expense", "of type “Expenses”"),
        ("exchange_gain_account", "receivable", "of type “Receivable”"),
        ("transfer_account", "suspense", "are not matched"),
    ],
)
def test_accounts_must_fit_their_part(books: Books, field: str, account: str, words: str) -> None:
    wrong = getattr(books.accounts, account)

    with pytest.raises(ValidationFailed) as refused:
        service_for(AccountingSettings).update([books.settings], {field: wrong}, actor=books.actor("adviser"))

    assert words in refused.value.fields[field][0]
    books.settings.refresh_from_db()
    assert getattr(books.settings, f"{field}_id") != wrong.pk


def test_journals_taxes_and_dates_of_settings_are_checked(books: Books) -> None:
    service, adviser = service_for(AccountingSettings), books.actor("adviser")

    for values in (
        {"exchange_journal": books.journals.sale},
        {"sale_tax": books.taxes.purchase21},
        {"fiscal_year_last_month": 4, "fiscal_year_last_day": 31},
        {"code_digits": 2},
    ):
        with pytest.raises(ValidationFailed) as refused:
            service.update([books.settings], values, actor=adviser)
        assert set(refused.value.fields) <= {*values}

    service.update([books.settings], {"fiscal_year_last_month": 2, "fiscal_year_last_day": 29}, actor=adviser)


def test_accounts_of_another_company_are_refused(books: Books, other_books: Books) -> None:
    with pytest.raises(ValidationFailed):
        service_for(AccountingSettings).update(
            [books.settings], {"income_account": other_books.accounts.income}, actor=books.system
        )


def test_only_advisers_change_settings(books: Books) -> None:
    for role in ("billing", "accountant", "auditor"):
        with pytest.raises(PermissionDenied):
            service_for(AccountingSettings).update(
                [books.settings], {"quick_totals": True}, actor=books.actor(role)
            )

    books.settings.refresh_from_db()
    assert books.settings.quick_totals is False


# --------------------------------------------------------------------------------------------------------------- taxes
def test_taxes_become_values_in_three_queries(books: Books) -> None:
    group = make_tax(
        books,
        "Both",
        0,
        amount_type="group",
        children=[books.taxes.sale6, books.taxes.sale15],
    )
    wanted = [t.pk for t in vars(books.taxes).values()] + [group.pk]

    with count_queries() as seen:
        specs = setup.tax_specs(wanted, inclusion="excluded")

    assert len(seen) == 2
    assert set(specs) == set(wanted)
    spec = specs[books.taxes.sale21.pk]
    assert (spec.amount, spec.price_include, spec.use) == (Decimal(21), False, "sale")
    assert [(p.percent, p.account_pk) for p in spec.invoice_repartition] == [
        (Decimal(100), books.accounts.tax_collected.pk)
    ]
    assert spec.invoice_base_tag_pks == (books.tags.sale_base.pk,)
    assert spec.invoice_repartition[0].tag_pks == (books.tags.sale_tax.pk,)
    assert specs[books.taxes.sale21_included.pk].price_include is True
    assert [
        (p.percent, p.account_pk) for p in specs[books.taxes.purchase21_reverse.pk].refund_repartition
    ] == [
        (Decimal(100), books.accounts.tax_deductible.pk),
        (Decimal(-100), books.accounts.tax_collected.pk),
    ]
    assert [child.pk for child in specs[group.pk].children] == sorted(
        [books.taxes.sale6.pk, books.taxes.sale15.pk]
    )
    assert specs[books.taxes.sale15_on_payment.pk].transition_account_pk == books.accounts.transition.pk


def test_taxes_follow_the_price_setting_of_their_company(books: Books) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(price_inclusion="included")

    with count_queries() as seen:
        specs = setup.tax_specs([books.taxes.sale21.pk, books.taxes.sale6.pk])

    assert len(seen) == 3
    assert all(spec.price_include for spec in specs.values())


def test_default_taxes_come_from_the_account_first(books: Books) -> None:
    books.accounts.income2.taxes.set([books.taxes.sale6, books.taxes.purchase6])
    settings = setup.settings_of(books.company.pk)
    pks = [books.accounts.income.pk, books.accounts.income2.pk]

    assert setup.default_taxes(settings, "sale", pks) == {
        books.accounts.income.pk: (books.taxes.sale21.pk,),
        books.accounts.income2.pk: (books.taxes.sale6.pk,),
    }
    assert setup.default_tax(settings, "purchase") == books.taxes.purchase21.pk


def test_the_parent_of_a_group_is_the_longest_range_around_it() -> None:
    groups = [
        (1, "4", "4"),
        (2, "40", "44"),
        (3, "400", "409"),
        (4, "45", "45"),
        (5, "9", "9"),
        (6, "438", "449"),
    ]

    assert setup.parents_of_groups(groups) == {1: None, 2: 1, 3: 2, 4: 1, 5: None, 6: 2}
    assert [setup.group_of_code(code, groups) for code in ("400100", "451000", "480000", "700000")] == [
        3,
        4,
        1,
        None,
    ]


def test_free_codes_skip_taken_ones(books: Books) -> None:
    pk = books.company.pk

    assert setup.next_free_code([pk], "550", 6) == "550001"
    assert setup.next_free_code([pk], "5500", 6) == "550001" != setup.next_free_code([pk], "5501", 6)


# ----------------------------------------------------------------------------------------------------------- partners
def test_terms_of_a_partner_come_from_the_entity_and_the_parent_company(
    books: Books, customer: Partner
) -> None:
    branch = make_company("Alpha North", parent=books.company)
    person = make_partner("Ann", is_company=False, parent=customer)
    net30 = make_term(books, "30 days", ("percent", 100, 30))
    PartnerTerms.objects.create(
        company=books.company, partner=customer, sale_term=net30, credit_limit=Decimal(500)
    )
    PartnerTerms.objects.create(company=branch, partner=customer, credit_limit=Decimal(50))

    with count_queries() as seen:
        own = partners.terms_of(books.company.pk, [person, customer])

    assert len(seen) <= 2
    assert (own[person.pk].sale_term_id, own[person.pk].credit_limit) == (net30.pk, Decimal(500))
    there = partners.terms_of(branch.pk, [customer])[customer.pk]
    assert (there.sale_term_id, there.credit_limit) == (net30.pk, Decimal(50))


def test_terms_with_a_partner_are_checked(books: Books, customer: Partner) -> None:
    service, accountant = service_for(PartnerTerms), books.actor("accountant")
    row = {"partner": customer, "company": books.company}

    with pytest.raises(ValidationFailed) as refused:
        service.create_one({**row, "receivable_account": books.accounts.payable}, actor=accountant)

    assert refused.value.fields == {"receivable_account": ["Choose an account of type “Receivable”."]}
    assert not PartnerTerms.objects.exists()
    made = service.create_one({**row, "receivable_account": books.accounts.receivable2}, actor=accountant)
    with pytest.raises(ValidationFailed):
        service.update([made], {"partner": make_partner()}, actor=accountant)


def test_books_of_two_companies_are_apart(books: Books, other_books: Books) -> None:
    assert setup.settings_of(other_books.company.pk).company.currency.code == "USD"
    assert not Tax.objects.filter(company=other_books.company, pk__in=[books.taxes.sale21.pk]).exists()
    assert make_books().company.pk not in (books.company.pk, other_books.company.pk)
