"""Accounts, groups, journals, taxes and terms: what the services accept and what they refuse."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import models

from apps.accounting.compute.tax_shares import Share, faults_of_shares
from apps.accounting.errors import AccountInUse
from apps.accounting.models import (
    Account,
    AccountGroup,
    CashRounding,
    Journal,
    JournalChain,
    LedgerGroup,
    NumberSeries,
    PaymentMethodLine,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxRepartition,
    TaxTag,
)
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.contacts.models import BankAccount, Partner
from apps.core.errors import BusinessError, Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books, get_currency, make_company, make_partner, make_tax


def post(books: Books, debit: Account, credit: Account, amount: int = 100, **options: Any) -> None:
    """One posted entry of the miscellaneous journal."""
    currency = books.company.currency_id
    partner = options.pop("partner_pk", None)
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
                            debit.pk,
                            Decimal(amount),
                            currency,
                            Decimal(amount),
                            partner_pk=partner,
                            **options,
                        ),
                        ItemSpec(credit.pk, Decimal(-amount), currency, Decimal(-amount), partner_pk=partner),
                    ],
                )
            ],
            actor=books.system,
        )


def refusal(call: Any) -> BusinessError:
    with pytest.raises(BusinessError) as refused:
        call()
    return refused.value


def count(model: type[models.Model]) -> int:
    return model._base_manager.count()


# ------------------------------------------------------------------------------------------------------------ accounts
def test_the_type_decides_on_matching(books: Books) -> None:
    service, adviser = service_for(Account), books.actor("adviser")

    made = service.create(
        [
            {"code": " 401000 ", "name": "A", "type": "asset_receivable"},
            {"code": "901000", "name": "B", "type": "off_balance"},
            {"code": "551000", "name": "C", "type": "asset_cash"},
            {"code": "498000", "name": "D", "type": "asset_current", "reconcile": True},
        ],
        actor=adviser,
    )

    assert [(a.code, a.reconcile) for a in made] == [
        ("401000", True),
        ("901000", False),
        ("551000", False),
        ("498000", True),
    ]
    assert made[0].company == books.company


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "40 1"}, None),
        ({"code": "400000"}, "code"),
        ({"type": "asset_receivable", "reconcile": False}, "reconcile"),
        ({"type": "off_balance", "reconcile": True}, "reconcile"),
        ({"type": "nonsense"}, "type"),
        ({"type": "equity_unaffected"}, None),
    ],
)
def test_refused_accounts(books: Books, values: dict[str, Any], field: str | None) -> None:
    row = {"code": "401000", "name": "A", "type": "asset_current", **values}
    before = count(Account)

    wrong = refusal(lambda: service_for(Account).create_one(row, actor=books.actor("adviser")))

    assert field is None or field in wrong.fields
    assert count(Account) == before


def test_accountants_add_accounts_and_advisers_change_them(books: Books) -> None:
    service = service_for(Account)
    row = {"code": "401000", "name": "A", "type": "asset_current"}

    with pytest.raises(PermissionDenied):
        service.create_one(row, actor=books.actor("billing"))
    made = service.create_one(row, actor=books.actor("accountant"))
    with pytest.raises(PermissionDenied):
        service.update([made], {"name": "B"}, actor=books.actor("accountant"))
    service.update([made], {"name": "B"}, actor=books.actor("adviser"))

    made.refresh_from_db()
    assert made.name == "B"


def test_taxes_of_accounts(books: Books, other_books: Books) -> None:
    service, adviser = service_for(Account), books.actor("adviser")

    service.update([books.accounts.income2], {"taxes": [books.taxes.sale6]}, actor=adviser)
    off = refusal(
        lambda: service.update([books.accounts.off_balance], {"taxes": [books.taxes.sale6]}, actor=adviser)
    )
    foreign = refusal(
        lambda: service.update(
            [books.accounts.income2], {"taxes": [other_books.taxes.sale6]}, actor=books.system
        )
    )

    assert off.fields == {"taxes": ["Accounts off balance have no taxes."]}
    assert foreign.code == "company_mismatch"
    assert list(books.accounts.income2.taxes.all()) == [books.taxes.sale6]
    assert not books.accounts.off_balance.taxes.exists()


def test_an_account_with_items_stays(books: Books, customer: Partner) -> None:
    a, adviser, service = books.accounts, books.actor("adviser"), service_for(Account)
    post(books, a.receivable2, a.income2, partner_pk=customer.pk)

    gone = refusal(lambda: service.delete([a.receivable2], actor=adviser))
    typed = refusal(lambda: service.update([a.receivable2], {"type": "asset_current"}, actor=adviser))
    partnered = refusal(lambda: service.update([a.income2], {"type": "liability_payable"}, actor=adviser))
    foreign = refusal(lambda: service.update([a.income2], {"currency": get_currency("USD")}, actor=adviser))

    assert isinstance(gone, AccountInUse)
    assert gone.message == "Account 400900 has items and stays. Mark it as deprecated instead."
    assert set(typed.fields) == set(partnered.fields) == {"type"}
    assert set(foreign.fields) == {"currency"}
    a.receivable2.refresh_from_db()
    a.income2.refresh_from_db()
    assert (a.receivable2.type, a.income2.type, a.income2.currency_id) == ("asset_receivable", "income", None)
    service.update([a.receivable2], {"deprecated": True}, actor=adviser)
    service.update([a.income2], {"type": "income_other"}, actor=adviser)


def test_an_account_without_items_goes(books: Books) -> None:
    made = service_for(Account).create_one(
        {"code": "401000", "name": "A", "type": "asset_current"}, actor=books.actor("adviser")
    )

    service_for(Account).delete([made], actor=books.actor("adviser"))

    assert not Account.objects.filter(code="401000").exists()


def test_accounts_in_use_by_journals_and_settings(books: Books) -> None:
    a, adviser, service = books.accounts, books.actor("adviser"), service_for(Account)

    journal = refusal(lambda: service.update([a.income], {"type": "asset_receivable"}, actor=adviser))
    liquid = refusal(lambda: service.update([a.bank], {"type": "asset_current"}, actor=adviser))
    deprecated = refusal(lambda: service.update([a.bank], {"deprecated": True}, actor=adviser))
    named = refusal(lambda: service.update([a.receivable], {"deprecated": True}, actor=adviser))

    assert "Customer invoices" in journal.fields["type"][0]
    assert "Bank" in liquid.fields["type"][0]
    assert "Journal Bank" in deprecated.fields["deprecated"][0]
    assert "“receivable”" in named.fields["deprecated"][0]
    assert not Account.objects.filter(company=books.company, deprecated=True).exists()


def test_matching_switched_on_opens_items_and_off_closes_them(books: Books) -> None:
    a, adviser = books.accounts, books.actor("adviser")
    post(books, a.suspense, a.income)

    service_for(Account).update([a.suspense], {"reconcile": True}, actor=adviser)
    opened = list(a.suspense.items.values_list("residual", "residual_currency"))
    service_for(Account).update([a.suspense], {"reconcile": False}, actor=adviser)

    assert opened == [(Decimal(100), Decimal(100))]
    assert list(a.suspense.items.values_list("residual", flat=True)) == [Decimal(0)]


def test_codes_and_the_current_year_are_one_in_a_tree_of_companies(books: Books) -> None:
    branch = make_company("Alpha North", parent=books.company)
    service = service_for(Account)

    def make(**values: Any) -> Account:
        row = {"company": branch, "code": "401000", "name": "A", "type": "asset_current", **values}
        return service.create_one(row, actor=books.system)

    code = refusal(lambda: make(code="400000"))
    year = refusal(lambda: make(type="equity_unaffected"))
    made = make()

    assert set(code.fields) == {"code"}
    assert set(year.fields) == {"type"}
    assert made.company == branch
    assert set(refusal(lambda: make()).fields) == {"code"}


# -------------------------------------------------------------------------------------------------------------- groups
def test_groups_of_one_length_never_overlap(books: Books) -> None:
    service, adviser = service_for(AccountGroup), books.actor("adviser")
    rows = [
        {"name": "Class 4", "code_prefix_start": "4"},
        {"name": "Trade", "code_prefix_start": "40", "code_prefix_end": "44"},
        {"name": "Tax", "code_prefix_start": "45", "code_prefix_end": "45"},
    ]

    made = service.create(rows, actor=adviser)
    overlap = refusal(
        lambda: service.create_one(
            {"name": "X", "code_prefix_start": "44", "code_prefix_end": "46"}, actor=adviser
        )
    )
    length = refusal(
        lambda: service.create_one(
            {"name": "X", "code_prefix_start": "6", "code_prefix_end": "61"}, actor=adviser
        )
    )
    twins = refusal(
        lambda: service.create(
            [{"name": "X", "code_prefix_start": "7"}, {"name": "Y", "code_prefix_start": "7"}], actor=adviser
        )
    )
    widened = refusal(lambda: service.update([made[1]], {"code_prefix_end": "45"}, actor=adviser))

    assert made[0].code_prefix_end == "4"
    assert "40 Trade" in overlap.fields["code_prefix_start"][0]
    assert set(length.fields) == {"code_prefix_end"}
    assert set(twins.fields) == set(widened.fields) == {"code_prefix_start"}
    assert count(AccountGroup) == 3
    service.update([made[1]], {"name": "Trade and others", "code_prefix_end": "43"}, actor=adviser)


# ------------------------------------------------------------------------------------------------------------ journals
def test_a_bank_journal_brings_its_account_and_ways_to_pay(books: Books) -> None:
    journal = service_for(Journal).create_one(
        {"name": "Savings", "type": "bank"}, actor=books.actor("adviser")
    )

    account = journal.default_account
    assert account is not None
    assert (account.code, account.name, account.type) == ("550001", "Savings", "asset_cash")
    assert (journal.code, journal.payment_series, journal.refund_series) == ("BNK3", True, False)
    assert journal.suspense_account == books.accounts.suspense
    assert [(m.direction, m.outstanding_account) for m in journal.payment_methods.order_by("sequence")] == [
        ("inbound", books.accounts.outstanding_in),
        ("outbound", books.accounts.outstanding_out),
    ]
    assert JournalChain.objects.get(journal=journal).length == 0


def test_defaults_of_other_journals(books: Books) -> None:
    service, adviser = service_for(Journal), books.actor("adviser")

    cash = service.create_one({"name": "Till", "type": "cash"}, actor=adviser)
    card = service.create_one(
        {"name": "Card", "type": "credit", "currency": get_currency("USD")}, actor=adviser
    )
    sale = service.create_one({"name": "Web shop", "type": "sale"}, actor=adviser)
    own = service.create_one(
        {
            "name": "Sums",
            "type": "bank",
            "code": "SUMS",
            "payment_methods": [{"direction": "inbound", "name": "Direct debit"}],
        },
        actor=adviser,
    )

    assert cash.default_account is not None
    assert card.default_account is not None
    assert (cash.code, cash.default_account.code) == ("CSH2", "570001")
    assert (cash.profit_account, cash.loss_account) == (books.accounts.cash_gain, books.accounts.cash_loss)
    assert (card.default_account.type, card.default_account.currency) == (
        "liability_credit_card",
        get_currency("USD"),
    )
    assert (sale.code, sale.refund_series, sale.payment_methods.count()) == ("INV2", True, 0)
    assert [(m.name, m.outstanding_account) for m in own.payment_methods.all()] == [("Direct debit", None)]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"type": "sale", "default_account": "receivable"}, "default_account"),
        ({"type": "purchase", "default_account": "off_balance"}, "default_account"),
        ({"type": "bank", "default_account": "income"}, "default_account"),
        ({"type": "bank", "default_account": "bank"}, "default_account"),
        ({"type": "general", "payment_methods": [{"direction": "inbound", "name": "X"}]}, "journal"),
        (
            {
                "type": "bank",
                "payment_methods": [{"direction": "inbound", "name": "X", "outstanding_account": "suspense"}],
            },
            "outstanding_account",
        ),
        ({"type": "sale", "code": "TOOLONG"}, "code"),
        ({"type": "sale", "code": "INV"}, "code"),
    ],
)
def test_refused_journals(books: Books, values: dict[str, Any], field: str) -> None:
    row = {"name": "New", **values}
    if "default_account" in row:
        row["default_account"] = getattr(books.accounts, row["default_account"])
    for method in row.get("payment_methods", ()):
        if "outstanding_account" in method:
            method["outstanding_account"] = getattr(books.accounts, method["outstanding_account"])
    before = count(Journal), count(Account), count(PaymentMethodLine)

    wrong = refusal(lambda: service_for(Journal).create_one(row, actor=books.actor("adviser")))

    assert field in wrong.fields
    assert (count(Journal), count(Account), count(PaymentMethodLine)) == before


def test_the_bank_account_of_a_journal_is_the_companys_own(books: Books) -> None:
    own = BankAccount.objects.create(
        partner=books.company.partner, number="BE68 5390 0754 7034", sanitized="BE68539007547034"
    )
    foreign = BankAccount.objects.create(
        partner=make_partner(), number="BE71 0961 2345 6769", sanitized="BE71096123456769"
    )
    service, adviser = service_for(Journal), books.actor("adviser")

    wrong = refusal(lambda: service.update([books.journals.bank], {"bank_account": foreign}, actor=adviser))
    service.update([books.journals.bank], {"bank_account": own}, actor=adviser)
    twice = refusal(lambda: service.update([books.journals.bank2], {"bank_account": own}, actor=adviser))
    sale = refusal(lambda: service.update([books.journals.sale], {"bank_account": own}, actor=adviser))

    assert wrong.fields == {"bank_account": ["Choose one of the company's own bank accounts."]}
    assert isinstance(twice, Conflict)
    assert "bank_account" in sale.fields
    assert list(Journal.objects.filter(bank_account=own)) == [books.journals.bank]


def test_a_journal_with_entries_is_fixed(books: Books) -> None:
    a, j, adviser, service = books.accounts, books.journals, books.actor("adviser"), service_for(Journal)
    post(books, a.expense, a.bank)

    typed = refusal(lambda: service.update([j.general], {"type": "sale"}, actor=adviser))
    money = refusal(lambda: service.update([j.general], {"currency": get_currency("USD")}, actor=adviser))
    gone = refusal(lambda: service.delete([j.general], actor=adviser))
    service.update([j.general], {"restricted": True}, actor=adviser)
    freed = refusal(lambda: service.update([j.general], {"restricted": False}, actor=adviser))

    assert typed.fields == {"type": ["Journal Miscellaneous has entries: its type is fixed."]}
    assert "currency is fixed" in money.message + str(money.fields)
    assert gone.message == "Journal Miscellaneous has entries and stays. Archive it instead."
    assert "beyond resetting" in freed.message + str(freed.fields)
    j.general.refresh_from_db()
    assert (j.general.type, j.general.currency_id, j.general.restricted) == ("general", None, True)
    service.archive([j.general], actor=adviser)


def test_an_unused_journal_goes_and_one_named_by_the_settings_stays(books: Books) -> None:
    service, adviser = service_for(Journal), books.actor("adviser")

    service.delete([books.journals.bank2], actor=adviser)
    named = refusal(lambda: service.archive([books.journals.exchange], actor=adviser))

    assert not Journal.objects.filter(code="BNK2").exists()
    assert "active" in named.fields
    assert Journal.objects.get(pk=books.journals.exchange.pk).active


def test_series_are_written_by_nobody(books: Books) -> None:
    post(books, books.accounts.expense, books.accounts.bank)
    series = NumberSeries.objects.get(journal=books.journals.general)
    was = series.next_number

    for call in (
        lambda: service_for(NumberSeries).update([series], {"next_number": 1}, actor=books.actor("adviser")),
        lambda: service_for(NumberSeries).delete([series], actor=books.actor("adviser")),
    ):
        assert refusal(call).code == "part_of_document"

    series.refresh_from_db()
    assert series.next_number == was


def test_ledger_groups_leave_out_journals_of_the_company(books: Books, other_books: Books) -> None:
    service = service_for(LedgerGroup)

    service.create_one(
        {"company": books.company, "name": "Tax view", "excluded_journals": [books.journals.exchange]},
        actor=books.actor("adviser"),
    )
    wrong = refusal(
        lambda: service.create_one(
            {"company": books.company, "name": "X", "excluded_journals": [other_books.journals.sale]},
            actor=books.system,
        )
    )

    assert wrong.code == "company_mismatch"
    assert count(LedgerGroup) == 1


# --------------------------------------------------------------------------------------------------------------- taxes
def share(percent: Any = 100, kind: str = "tax", document: str = "invoice", **more: Any) -> dict[str, Any]:
    return {"document": document, "kind": kind, "percent": percent, **more}


def lists(*percents: Any, **more: Any) -> list[dict[str, Any]]:
    """The same shares for invoices and credit notes, with their bases."""
    return [
        row
        for document in ("invoice", "refund")
        for row in (
            share(100, "base", document),
            *(share(percent, "tax", document, **more) for percent in percents),
        )
    ]


@pytest.mark.parametrize(
    ("percents", "faults"),
    [
        ((100,), 0),
        ((60, 40), 0),
        ((100, -100), 0),
        (("33.333333", "33.333333", "33.333333"), 0),
        ((99,), 2),
        ((100, -50), 2),
        ((50, 60), 2),
        ((), 2),
    ],
)
def test_shares_add_up(percents: tuple[Any, ...], faults: int) -> None:
    rows = [Share("base"), *(Share("tax", Decimal(p)) for p in percents)]

    assert len(faults_of_shares(rows, rows)) == faults


def test_credit_notes_mirror_invoices() -> None:
    base = Share("base")
    invoice = [base, Share("tax", Decimal(60)), Share("tax", Decimal(40))]
    turned = [base, Share("tax", Decimal(40)), Share("tax", Decimal(60))]

    assert len(faults_of_shares(invoice, turned)) == 1
    assert len(faults_of_shares([*invoice, base], invoice)) == 1


def tax_row(books: Books, **values: Any) -> dict[str, Any]:
    return {"name": "9 %", "use": "sale", "amount": 9, "group": books.groups.other, **values}


def test_a_tax_with_its_shares(books: Books) -> None:
    a, tags = books.accounts, books.tags
    tax = service_for(Tax).create_one(
        tax_row(
            books,
            repartition=[
                share(100, "base", tags=[tags.sale_base]),
                share(70, account=a.tax_collected, tags=[tags.sale_tax]),
                share(30, account=a.expense),
                share(100, "base", "refund"),
                share(70, document="refund", account=a.tax_collected),
                share(30, document="refund", account=a.expense),
            ],
        ),
        actor=books.actor("adviser"),
    )

    rows = list(tax.repartition.filter(document="invoice").order_by("sequence"))
    assert tax.country == books.company.country
    assert [(r.kind, r.percent, r.account_id, r.in_closing) for r in rows] == [
        ("base", Decimal(100), None, False),
        ("tax", Decimal(70), a.tax_collected.pk, True),
        ("tax", Decimal(30), a.expense.pk, False),
    ]
    assert [list(r.tags.all()) for r in rows] == [[tags.sale_base], [tags.sale_tax], []]


def test_a_tax_without_shares_stays_on_the_account_of_the_line(books: Books) -> None:
    tax = service_for(Tax).create_one(tax_row(books), actor=books.actor("adviser"))

    assert [(r.document, r.kind, r.percent, r.account_id) for r in tax.repartition.all()] == [
        ("invoice", "base", Decimal(100), None),
        ("invoice", "tax", Decimal(100), None),
        ("refund", "base", Decimal(100), None),
        ("refund", "tax", Decimal(100), None),
    ]


def test_refused_taxes(books: Books, other_books: Books) -> None:
    a, t, service, adviser = books.accounts, books.taxes, service_for(Tax), books.actor("adviser")
    before = count(Tax), count(TaxRepartition)
    group = {"amount_type": "group", "amount": 0}
    nested = make_tax(books, "Nested", 0, amount_type="group", children=[t.sale6])
    wrong: list[tuple[dict[str, Any], str | None]] = [
        ({"repartition": lists(90)}, "repartition"),
        ({"repartition": lists(100)[:2]}, "repartition"),
        ({"repartition": [{"document": "invoice", "kind": "half"}]}, "repartition.0.kind"),
        ({"repartition": lists(100, account=other_books.accounts.income)}, "repartition.account"),
        ({"children": [t.sale6]}, "children"),
        ({**group}, "children"),
        ({**group, "children": [t.purchase6]}, "children"),
        ({**group, "children": [nested]}, "children"),
        ({**group, "amount": 5, "children": [t.sale6]}, "amount"),
        ({**group, "children": [t.sale6], "repartition": lists(100)}, "repartition"),
        ({"exigibility": "payment"}, None),
        ({"exigibility": "payment", "transition_account": a.suspense}, "transition_account"),
        ({"amount_type": "division", "amount": 100}, None),
        ({"name": "21 %"}, None),
        ({"group": other_books.groups.other}, "group"),
    ]
    for values, field in wrong:
        found = refusal(lambda values=values: service.create_one(tax_row(books, **values), actor=adviser))
        assert field is None or set(found.fields) == {field}, (values, found.fields)

    assert (count(Tax), count(TaxRepartition)) == (before[0] + 1, before[1])


def test_groups_of_taxes(books: Books) -> None:
    t, service, adviser = books.taxes, service_for(Tax), books.actor("adviser")
    group = service.create_one(
        tax_row(books, name="Both", amount_type="group", amount=0, children=[t.sale6, t.sale15]),
        actor=adviser,
    )

    use = refusal(lambda: service.update([t.sale6], {"use": "purchase", "name": "6 % bought"}, actor=adviser))
    kind = refusal(lambda: service.update([t.sale6], {"amount_type": "group", "amount": 0}, actor=adviser))

    assert set(use.fields) == {"use"}
    assert kind.fields
    t.sale6.refresh_from_db()
    assert (t.sale6.use, t.sale6.amount_type) == ("sale", "percent")
    assert set(group.children.all()) == {t.sale6, t.sale15}
    assert not group.repartition.exists()


def test_a_used_tax_is_fixed_but_may_be_renamed_and_sent_back(books: Books) -> None:
    a, tax, service, adviser = books.accounts, books.taxes.sale21, service_for(Tax), books.actor("adviser")
    row = tax.repartition.get(document="invoice", kind="tax")
    post(books, a.receivable, a.tax_collected, 21, tax_pk=tax.pk, repartition_pk=row.pk)
    same = [
        {"id": r.pk, "document": r.document, "kind": r.kind, "percent": r.percent, "account": r.account_id}
        for r in tax.repartition.all()
    ]
    changed = [{**item, "account": a.suspense.pk} if item["kind"] == "tax" else item for item in same]

    amount = refusal(lambda: service.update([tax], {"amount": 22}, actor=adviser))
    shares = refusal(lambda: service.update([tax], {"repartition": changed}, actor=adviser))
    gone = refusal(lambda: service.delete([tax], actor=adviser))
    service.update([tax], {"name": "21 % VAT", "repartition": same}, actor=adviser)

    assert "make a new tax" in amount.message + str(amount.fields)
    assert "make a new tax" in shares.message + str(shares.fields)
    assert isinstance(gone, AccountInUse)
    tax.refresh_from_db()
    assert (tax.name, tax.amount) == ("21 % VAT", Decimal(21))
    assert set(tax.repartition.filter(kind="tax").values_list("account", flat=True)) == {a.tax_collected.pk}


def test_a_tax_of_a_base_stays_too(books: Books) -> None:
    a, tax = books.accounts, books.taxes.sale0
    post(books, a.receivable, a.income, 100, tax_pks=(tax.pk,))

    with pytest.raises(AccountInUse):
        service_for(Tax).delete([tax], actor=books.actor("adviser"))

    assert Tax.objects.filter(pk=tax.pk).exists()


def test_default_taxes_are_not_archived(books: Books) -> None:
    wrong = refusal(lambda: service_for(Tax).archive([books.taxes.sale21], actor=books.actor("adviser")))
    service_for(Tax).archive([books.taxes.sale6], actor=books.actor("adviser"))

    assert set(wrong.fields) == {"active"}
    assert Tax.objects.get(pk=books.taxes.sale21.pk).active


def test_names_of_taxes_are_one_in_a_tree_of_companies(books: Books) -> None:
    branch = make_company("Alpha North", parent=books.company)
    row = tax_row(books, company=branch, country=books.company.country)

    wrong = refusal(lambda: service_for(Tax).create_one({**row, "name": "21 %"}, actor=books.system))
    made = service_for(Tax).create_one(row, actor=books.system)

    assert set(wrong.fields) == {"name"}
    assert made.company == branch


def test_boxes_in_use_stay(books: Books) -> None:
    tag, adviser = books.tags.sale_tax, books.actor("adviser")

    for call in (
        lambda: service_for(TaxTag).delete([tag], actor=adviser),
        lambda: service_for(TaxTag).update([tag], {"sign": -1}, actor=adviser),
    ):
        assert isinstance(refusal(call), AccountInUse)
    service_for(TaxTag).update([tag], {"name": "Tax on sales", "sign": 1}, actor=adviser)

    tag.refresh_from_db()
    assert (tag.name, tag.sign) == ("Tax on sales", 1)


def test_many_taxes_are_written_with_the_queries_of_one(books: Books) -> None:
    service, system = service_for(Tax), books.system

    def statements(number: int, stem: str) -> int:
        rows = [
            tax_row(books, company=books.company, name=f"{stem} {n}", repartition=lists(60, 40))
            for n in range(number)
        ]
        with count_queries() as seen:
            service.create(rows, actor=system)
        return len(seen)

    statements(1, "warm")

    assert statements(20, "many") <= statements(1, "one") + 2


# --------------------------------------------------------------------------------------------------------------- terms
def test_payment_terms_with_their_parts(books: Books) -> None:
    service, adviser = service_for(PaymentTerm), books.actor("adviser")

    plain = service.create_one({"name": "Now"}, actor=adviser)
    parts = service.create_one(
        {
            "name": "30/70",
            "lines": [
                {"value": "percent", "amount": 30},
                {"value": "percent", "amount": 70, "days": 60, "delay": "end_of_month_on", "day": 10},
            ],
        },
        actor=adviser,
    )

    assert [(line.amount, line.days) for line in plain.lines.all()] == [(Decimal(100), 0)]
    assert [(line.amount, line.days, line.day, line.sequence) for line in parts.lines.all()] == [
        (Decimal(30), 0, 0, 1),
        (Decimal(70), 60, 10, 2),
    ]
    first = parts.lines.first()
    service.update(
        [parts],
        {"lines": [{"id": first.pk, "amount": 50}, {"value": "percent", "amount": 50, "days": 30}]},
        actor=adviser,
    )
    assert [(line.amount, line.days) for line in parts.lines.all()] == [(Decimal(50), 0), (Decimal(50), 30)]
    assert parts.lines.first().pk == first.pk


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"value": "percent", "amount": 90}]}, "lines"),
        ({"lines": [{"value": "percent", "amount": 120}]}, None),
        ({"lines": [{"value": "half", "amount": 100}]}, "lines.0.value"),
        (
            {
                "early_discount": True,
                "discount_percent": 2,
                "discount_days": 10,
                "lines": [{"value": "percent", "amount": 50}, {"value": "percent", "amount": 50}],
            },
            "lines",
        ),
        ({"early_discount": True}, None),
    ],
)
def test_refused_terms(books: Books, values: dict[str, Any], field: str | None) -> None:
    wrong = refusal(
        lambda: service_for(PaymentTerm).create_one({"name": "X", **values}, actor=books.actor("adviser"))
    )

    assert field is None or field in wrong.fields, wrong.fields
    assert count(PaymentTerm) == count(PaymentTermLine) == 0


def test_cash_rounding_books_to_results(books: Books) -> None:
    a, service, adviser = books.accounts, service_for(CashRounding), books.actor("adviser")
    row = {"name": "5 cents", "rounding": Decimal("0.05")}

    wrong = refusal(
        lambda: service.create_one(
            {**row, "profit_account": a.bank, "loss_account": a.cash_loss}, actor=adviser
        )
    )
    missing = refusal(lambda: service.create_one(row, actor=adviser))
    service.create_one({**row, "profit_account": a.cash_gain, "loss_account": a.cash_loss}, actor=adviser)

    assert set(wrong.fields) == {"profit_account"}
    assert isinstance(missing, ValidationFailed)
    assert count(CashRounding) == 1
