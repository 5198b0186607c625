"""Installing charts of accounts: what they bring, what stays, and when they are refused."""

from __future__ import annotations

import datetime
import time
from decimal import Decimal
from typing import Any

import pytest

from apps.access.models import Company
from apps.access.selectors import actor_for
from apps.accounting.compute.charts import available_charts, load_chart
from apps.accounting.compute.taxes import TaxLine, compute_document
from apps.accounting.errors import ChartRefused
from apps.accounting.models import (
    Account,
    AccountGroup,
    AccountingSettings,
    FiscalPosition,
    FiscalPositionTax,
    Incoterm,
    Journal,
    JournalChain,
    PaymentMethodLine,
    PaymentTerm,
    Tax,
    TaxRepartition,
    TaxTag,
)
from apps.accounting.selectors import setup
from apps.accounting.selectors.partners import map_taxes, position_for, position_maps
from apps.accounting.services.charts import charts_for, install_chart, preview_chart, reload
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.setup import settings_for
from apps.core.actions import actions_of
from apps.core.actor import Actor, system_actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import make_company, make_partner, make_user

KINDS = (
    Account,
    AccountGroup,
    Tax,
    TaxRepartition,
    FiscalPosition,
    FiscalPositionTax,
    Journal,
    PaymentMethodLine,
)


def rows_of_everything() -> dict[str, int]:
    return {model.__name__: model._base_manager.count() for model in KINDS}


def system(company: Company) -> Actor:
    return system_actor(company_pk=company.pk, channel="test")


@pytest.mark.parametrize("key", [info.key for info in available_charts()])
def test_every_chart_installs_whole(db: None, key: str) -> None:
    chart = load_chart(key)
    company = make_company("New Co", country=chart.country or "BE")

    settings = install_chart(company, key, actor=system(company))

    assert (settings.chart, settings.chart_version) == (key, chart.version)
    assert Account.objects.filter(company=company).count() == len(chart.accounts)
    assert AccountGroup.objects.filter(company=company).count() == len(chart.groups)
    assert Tax.objects.filter(company=company).count() == len(chart.taxes)
    assert FiscalPosition.objects.filter(company=company).count() == len(chart.positions)
    assert Journal.objects.filter(company=company).count() == len(chart.journals)
    assert JournalChain.objects.filter(journal__company=company).count() == len(chart.journals)
    assert PaymentMethodLine.objects.filter(journal__company=company).count() == 4
    assert PaymentTerm.objects.filter(company=company).count() == 6
    assert Incoterm.objects.count() == 11
    effective = setup.settings_of(company.pk)
    optional = {"cash_basis_base_account", "opening_entry"}
    for name in setup.INHERITED_LINKS:
        assert name in optional or setup.required(effective, name)
    specs = setup.tax_specs(Tax.objects.filter(company=company).values_list("pk", flat=True))
    # What was installed is what the services accept, and what the computation takes.
    for model in (Account, Journal, Tax, FiscalPosition, AccountGroup):
        rows = list(model.objects.filter(company=company))
        service_for(model).validate(rows, system(company))
    service_for(Tax).check_parts(list(Tax.objects.filter(company=company)), system(company))  # type: ignore[attr-defined]
    for spec in specs.values():
        totals = compute_document(
            [TaxLine("a", Decimal(1), Decimal(100), taxes=(spec,))], step=Decimal("0.01"), rounding="line"
        )
        assert totals.total == totals.untaxed + totals.tax


def test_the_german_chart_takes_under_two_seconds_and_few_statements(db: None) -> None:
    company = make_company("GmbH", country="DE")
    load_chart("de_skr03")

    with count_queries() as seen:
        started = time.perf_counter()
        install_chart(company, "de_skr03", actor=system(company))
        took = time.perf_counter() - started

    assert took < 2, f"{took:.2f} s"
    assert len(seen) < 90, len(seen)


def test_a_preview_tells_what_comes_and_writes_nothing(db: None) -> None:
    company = make_company("BV", country="BE")
    before = rows_of_everything()

    preview = preview_chart(company, "be", actor=system(company), language="en")

    assert preview.is_possible
    assert not preview.reload
    assert preview.kept == 0
    assert len(preview.accounts) == len(load_chart("be").accounts)
    assert ("400000", "Trade receivables", "asset_receivable") in preview.accounts or any(
        code == "400000" and kind == "asset_receivable" for code, _name, kind in preview.accounts
    )
    assert [code for code, _name in preview.journals][:2] == ["INV", "BILL"]
    assert rows_of_everything() == before
    assert not AccountingSettings.objects.filter(company=company).exists()


def test_a_chart_speaks_the_language_asked_for(db: None) -> None:
    company = make_company("SA", country="BE")

    install_chart(company, "be", actor=system(company), language="fr")

    assert Journal.objects.get(company=company, code="INV").name == "Factures clients"


def test_charts_of_the_country_come_first(db: None) -> None:
    keys = [info.key for info in charts_for(make_company("GmbH", country="DE"))]

    assert keys[:3] == ["de_skr03", "de_skr04", "generic"]
    assert set(keys) == {info.key for info in available_charts()}


# --------------------------------------------------------------------------------------------------------- reloading
def test_reloading_adds_what_is_missing_and_leaves_what_people_changed(db: None) -> None:
    company = make_company("BV", country="BE")
    actor = system(company)
    settings = install_chart(company, "be", actor=actor)
    renamed = Account.objects.get(company=company, code="604000")
    service_for(Account).update([renamed], {"name": "Our purchases", "code": "604999"}, actor=actor)
    tax = Tax.objects.get(company=company, template_key="sale_21")
    service_for(Tax).update([tax], {"name": "VAT high", "sequence": 99}, actor=actor)
    gone = Account.objects.filter(company=company, type="off_balance").first() or Account.objects.get(
        company=company, code="613000"
    )
    gone_code = gone.code
    service_for(Account).delete([gone], actor=actor)
    journal = Journal.objects.get(company=company, code="CSH1")
    service_for(Journal).delete([journal], actor=actor)
    service_for(AccountingSettings).update([settings], {"tax_rounding": "total"}, actor=actor)
    before = rows_of_everything()

    made = reload([settings], actor=actor)

    assert made == {"accounts": 1, "groups": 0, "taxes": 0, "positions": 0, "journals": 1}
    renamed.refresh_from_db()
    tax.refresh_from_db()
    settings.refresh_from_db()
    assert (renamed.name, renamed.code) == ("Our purchases", "604999")
    assert (tax.name, tax.sequence) == ("VAT high", 99)
    assert settings.tax_rounding == "total"
    assert Account.objects.filter(company=company, code=gone_code).count() == 1
    assert not Account.objects.filter(company=company, code="604000").exists()
    after = rows_of_everything()
    assert (after["Account"], after["Journal"], after["Tax"]) == (
        before["Account"] + 1,
        before["Journal"] + 1,
        before["Tax"],
    )
    assert reload([settings], actor=actor) == dict.fromkeys(made, 0)
    assert rows_of_everything() == after


def test_a_new_tax_of_the_chart_enters_the_positions_that_are_there(db: None) -> None:
    company = make_company("BV", country="BE")
    actor = system(company)
    settings = install_chart(company, "be", actor=actor)
    source = Tax.objects.get(company=company, template_key="sale_21")
    pairs = set(
        FiscalPositionTax.objects.filter(source=source).values_list("position_id", "target__template_key")
    )
    kept = (
        FiscalPositionTax.objects.filter(position__company=company)
        .exclude(source=source)
        .exclude(target=source)
    )
    untouched = kept.count()
    assert pairs
    AccountingSettings.objects.filter(pk=settings.pk).update(sale_tax=None)
    Tax.objects.filter(pk=source.pk).delete()

    reload([settings], actor=actor)

    again = Tax.objects.get(company=company, template_key="sale_21")
    assert (
        set(FiscalPositionTax.objects.filter(source=again).values_list("position_id", "target__template_key"))
        == pairs
    )
    assert (
        FiscalPositionTax.objects.filter(position__company=company)
        .exclude(source=again)
        .exclude(target=again)
        .count()
        == untouched
    )
    settings.refresh_from_db()
    assert settings.sale_tax_id == again.pk


def test_what_people_made_before_is_used_under_its_code(db: None) -> None:
    company = make_company("BV", country="BE")
    actor = system(company)
    own = service_for(Account).create_one(
        {"company": company, "code": "400000", "name": "Clients", "type": "asset_receivable"}, actor=actor
    )
    year = service_for(Account).create_one(
        {"company": company, "code": "199999", "name": "Result", "type": "equity_unaffected"}, actor=actor
    )

    settings = install_chart(company, "be", actor=actor)

    own.refresh_from_db()
    assert (own.name, own.template_key, own.version) == ("Clients", "", 1)
    assert settings.receivable_account_id == own.pk
    assert list(Account.objects.filter(company=company, type="equity_unaffected")) == [year]


def test_an_account_of_another_kind_in_the_way_refuses_the_chart(db: None) -> None:
    company = make_company("BV", country="BE")
    actor = system(company)
    service_for(Account).create_one(
        {"company": company, "code": "400000", "name": "Rent", "type": "expense"}, actor=actor
    )

    preview = preview_chart(company, "be", actor=actor)
    with pytest.raises(ChartRefused, match="Account 400000 is of type “Expenses”"):
        install_chart(company, "be", actor=actor)

    assert not preview.is_possible
    assert Account.objects.filter(company=company).count() == 1
    assert not Journal.objects.filter(company=company).exists()


# --------------------------------------------------------------------------------------------------------- switching
def post_one(company: Company, actor: Actor) -> None:
    journal = Journal.objects.get(company=company, type="general", code="MISC")
    accounts = list(Account.objects.filter(company=company, type="expense", currency=None)[:2])
    currency = company.currency_id
    with unit_of_work(actor):
        post_entries(
            [
                EntrySpec(
                    journal=journal,
                    date=datetime.date(2026, 3, 1),
                    company_pk=company.pk,
                    currency_pk=currency,
                    items=[
                        ItemSpec(accounts[0].pk, Decimal(10), currency, Decimal(10)),
                        ItemSpec(accounts[1].pk, Decimal(-10), currency, Decimal(-10)),
                    ],
                )
            ],
            actor=actor,
        )


def test_another_chart_may_be_chosen_until_entries_are_posted(db: None) -> None:
    company = make_company("GmbH", country="DE")
    actor = system(company)
    install_chart(company, "de_skr03", actor=actor)
    mine = service_for(Account).create_one(
        {"company": company, "code": "9999", "name": "Mine", "type": "equity"}, actor=actor
    )

    settings = install_chart(company, "de_skr04", actor=actor)

    chart = load_chart("de_skr04")
    assert settings.chart == "de_skr04"
    codes = set(Account.objects.filter(company=company).values_list("code", flat=True))
    assert codes == {row.code for row in chart.accounts} | {"9999"}
    assert Account.objects.get(pk=mine.pk).name == "Mine"
    assert Tax.objects.filter(company=company).count() == len(chart.taxes)
    receivable = Account.objects.get(company=company, code=chart.defaults.receivable)
    assert settings.receivable_account_id == receivable.pk

    post_one(company, actor)
    before = rows_of_everything()
    preview = preview_chart(company, "de_skr03", actor=actor)
    with pytest.raises(ChartRefused, match="Entries are posted"):
        install_chart(company, "de_skr03", actor=actor)

    assert not preview.is_possible
    assert preview.switches_from == "de_skr04"
    assert rows_of_everything() == before
    settings.refresh_from_db()
    assert settings.chart == "de_skr04"
    assert reload([settings], actor=actor)["accounts"] == 0


def test_what_people_built_on_the_old_chart_stops_the_switch(db: None) -> None:
    company = make_company("GmbH", country="DE")
    actor = system(company)
    settings = install_chart(company, "de_skr03", actor=actor)
    account = Account.objects.get(company=company, code="1200")
    income = setup.settings_of(company.pk).income_account_id
    service_for(Journal).create_one(
        {"company": company, "name": "Second sales", "type": "sale", "default_account": income}, actor=actor
    )
    before = rows_of_everything()

    with pytest.raises(ChartRefused, match="still use the old chart"):
        install_chart(company, "de_skr04", actor=actor)

    assert rows_of_everything() == before
    settings.refresh_from_db()
    assert settings.chart == "de_skr03"
    assert settings.income_account_id == income
    assert Account.objects.filter(pk=account.pk).exists()


# ---------------------------------------------------------------------------------------------------------- refusals
def test_branches_and_unknown_charts_are_refused(db: None) -> None:
    company = make_company("GmbH", country="DE")
    branch = make_company("GmbH Nord", country="DE", parent=company)
    homeless = make_company("Nowhere", country=None)

    with pytest.raises(ChartRefused, match="branch"):
        install_chart(branch, "de_skr03", actor=system(branch))
    with pytest.raises(ChartRefused, match="country first"):
        install_chart(homeless, "generic", actor=system(homeless))
    with pytest.raises(ValidationFailed) as refused:
        install_chart(company, "atlantis", actor=system(company))

    assert set(refused.value.fields) == {"chart"}
    assert not Account.objects.exists()


def test_only_advisers_install_charts(db: None) -> None:
    company = make_company("GmbH", country="DE")

    for role in ("billing", "accountant", "auditor", "plain"):
        with pytest.raises(PermissionDenied):
            install_chart(company, "generic", actor=actor_for(make_user(role, company=company)))
    assert not Account.objects.exists()
    install_chart(company, "generic", actor=actor_for(make_user("adviser", company=company)))

    assert Account.objects.filter(company=company).count() == len(load_chart("generic").accounts)


def test_the_actions_are_offered(db: None) -> None:
    company = make_company("GmbH", country="DE")
    row = settings_for(company, actor=system(company))
    offered: dict[str, Any] = {action.name: action for action in actions_of(AccountingSettings)}
    adviser = actor_for(make_user("adviser", company=company))

    assert offered["install_chart"].available(row, adviser)
    assert not offered["reload_chart"].available(row, adviser)
    assert [spec.name for spec in offered["install_chart"].inputs] == ["chart", "language"]


# -------------------------------------------------------------------------------------------------------- in practice
def test_two_companies_of_a_country_share_the_boxes(db: None) -> None:
    one, two = make_company("A", country="BE"), make_company("B", country="BE")

    install_chart(one, "be", actor=system(one))
    boxes = TaxTag.objects.count()
    install_chart(two, "be", actor=system(two))

    assert TaxTag.objects.count() == boxes
    assert not Account.objects.filter(company=one, pk__in=Account.objects.filter(company=two)).exists()


def test_sales_within_the_union_lose_their_tax(db: None) -> None:
    company = make_company("BV", country="BE")
    company.tax_id = "BE0477472701"
    settings = install_chart(company, "be", actor=system(company))
    german = make_partner("GmbH", country="DE", tax_id="DE136695976")
    belgian = make_partner("NV", country="BE", tax_id="BE0428759497")

    abroad, home = position_for(german, None, company), position_for(belgian, None, company)

    assert abroad is not None
    assert settings.sale_tax_id is not None
    mapped = map_taxes(position_maps([abroad])[abroad], [settings.sale_tax_id])
    assert [Tax.objects.get(pk=pk).category for pk in mapped] == ["K"]
    at_home = map_taxes(position_maps([home])[home] if home else None, [settings.sale_tax_id])
    assert at_home == (settings.sale_tax_id,)
