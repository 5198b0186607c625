"""Proposals for bank lines: their order and reasons, rules, habits; a fixed number of questions for a whole statement."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounting.models import Invoice, Payment, ReconcileRule, StatementLine
from apps.accounting.selectors.bank_matching import Proposal, certain_one, label_pattern, proposals_for
from apps.accounting.services.bank_reconcile import reconcile
from apps.accounting.services.bank_rules import apply_rules, choice_of
from apps.accounting.services.payments import post_payments
from apps.contacts.models import BankAccount, Partner
from apps.core.errors import ValidationFailed
from apps.core.records import service_for
from tests.accounting.factories import Books, make_partner
from tests.accounting.payment_helpers import account_balance, fresh, make_invoices, settled, term_item

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 20)


def make_line(books: Books, amount: str, **more: Any) -> StatementLine:
    values = {"journal": books.journals.bank, "date": DAY, "amount": Decimal(amount), **more}
    return service_for(StatementLine).create_one(values, actor=books.actor())


def make_rule(books: Books, **values: Any) -> ReconcileRule:
    values = {"name": "Fees", "account": books.accounts.expense, **values}
    return service_for(ReconcileRule).create_one(values, actor=books.actor("adviser"))


def proposals(books: Books, line: StatementLine) -> list[Proposal]:
    return proposals_for([line], actor=books.actor()).get(line.pk, [])


def invoices(books: Books, partner: Partner, *amounts: str, **more: Any) -> list[Invoice]:
    return [make_invoices(books, partner, untaxed=amount, **more)[0] for amount in amounts]


def test_the_number_in_the_label_comes_first(books: Books, customer: Partner) -> None:
    one, two = invoices(books, customer, "50.00", "50.00")

    found = proposals(books, make_line(books, "50.00", label=f"Payment of {two.number}, thanks"))

    assert found[0].items == (term_item(two).pk,)
    assert two.number in found[0].reason
    assert found[0].partner_pk == customer.pk
    assert term_item(one).pk not in found[0].items


# ------------------------------------------------------------------------------------------------------ what is certain
def certain(books: Books, line: StatementLine) -> tuple[int, ...] | None:
    found = certain_one(proposals(books, line))
    return None if found is None else found.items


def test_a_full_reference_with_the_whole_amount_is_certain_a_part_is_not(
    books: Books, customer: Partner
) -> None:
    invoice = invoices(books, customer, "50.00", payment_reference="RF18539007547034")[0]
    label = "RF18 5390 0754 7034"

    assert certain(books, make_line(books, "50.00", label=label)) == (term_item(invoice).pk,)
    assert certain(books, make_line(books, "49.00", label=label)) is None


def test_of_several_that_the_label_names_the_one_of_the_amount_is_certain(
    books: Books, customer: Partner
) -> None:
    one, two = invoices(books, customer, "50.00", "70.00")

    found = proposals(books, make_line(books, "70.00", label=f"{one.number} {two.number}"))
    both = proposals(books, make_line(books, "120.00", label=f"{one.number} {two.number}"))

    assert [p.items for p in found[:2]] == [
        (term_item(two).pk,),
        (term_item(one).pk, term_item(two).pk),
    ]
    assert [p.certain for p in found[:2]] == [True, False]
    assert (both[0].items, both[0].certain) == ((term_item(one).pk, term_item(two).pk), True)


def test_the_amount_of_a_partner_is_certain_when_he_is_known_and_has_one_such_item(
    books: Books, customer: Partner
) -> None:
    invoice = invoices(books, customer, "70.00")[0]

    known = certain(books, make_line(books, "70.00", partner=customer))
    alike = certain(books, make_line(books, "70.00", partner_name="Prime Customer Ltd"))
    invoices(books, customer, "70.00")
    two = certain(books, make_line(books, "70.00", partner=customer))

    assert known == (term_item(invoice).pk,)
    assert (alike, two) == (None, None)


def test_a_rule_that_asks_nobody_is_certain_and_one_that_asks_is_not(books: Books) -> None:
    rule = make_rule(books, label_test="contains", label_text="fee")
    line = make_line(books, "-5.00", label="Card fee")

    asks = certain_one(proposals(books, line))
    service_for(ReconcileRule).update([rule], {"auto_validate": True}, actor=books.actor("adviser"))
    found = certain_one(proposals(books, line))

    assert asks is None
    assert found is not None
    assert found.rule_pk == rule.pk


def test_buttons_of_rules_show_only_where_they_are_asked_for(books: Books) -> None:
    make_rule(books, kind="button")
    line = make_line(books, "-5.00", label="Card fee")

    asked = proposals_for([line], actor=books.actor(), buttons=True).get(line.pk, [])

    assert proposals(books, line) == []
    assert [p.reason for p in asked] == ["rule “Fees”"]


def test_a_payment_reference_in_groups_is_read(books: Books, customer: Partner) -> None:
    invoice = invoices(books, customer, "50.00", payment_reference="RF18539007547034")[0]

    found = proposals(books, make_line(books, "49.00", label="SEPA RF18 5390 0754 7034 SALARY"))

    assert found[0].items == (term_item(invoice).pk,)


def test_same_amount_and_partner(books: Books, customer: Partner) -> None:
    other = make_partner("Somebody Else")
    mine = invoices(books, customer, "70.00", "20.00")[0]
    invoices(books, other, "70.00")

    found = proposals(books, make_line(books, "70.00", partner=customer))

    assert found[0].items == (term_item(mine).pk,)
    assert "same amount" in found[0].reason


def test_the_end_of_a_number_is_enough(books: Books, customer: Partner) -> None:
    invoice = invoices(books, customer, "70.00", payment_reference="ORDER-987654")[0]

    found = proposals(books, make_line(books, "10.00", label="nr 987654"))

    assert [proposal.items for proposal in found] == [(term_item(invoice).pk,)]


def test_the_partner_is_known_by_account_number(books: Books, customer: Partner) -> None:
    service_for(BankAccount).create_one(
        {"partner": customer, "number": "BE43068999999501"}, actor=books.system
    )
    first, _second = invoices(books, customer, "70.00", "20.00")

    found = proposals(books, make_line(books, "75.00", account_number="BE43 0689 9999 9501"))

    assert found[0].items == (term_item(first).pk,)
    assert "BE43 0689 9999 9501" in found[0].reason


def test_the_partner_is_known_by_a_name_alike(books: Books, customer: Partner) -> None:
    invoice = invoices(books, customer, "70.00")[0]

    found = proposals(books, make_line(books, "60.00", partner_name="PRIME CUSTOMR"))

    assert found[0].items == (term_item(invoice).pk,)
    assert "Prime Customer" in found[0].reason


def test_money_sent_is_not_for_invoices(books: Books, customer: Partner, vendor: Partner) -> None:
    invoice = invoices(books, customer, "70.00")[0]
    bill = invoices(books, vendor, "70.00", kind="vendor_bill")[0]

    found = proposals(books, make_line(books, "-70.00", label=f"{invoice.number} {bill.number}"))

    assert found[0].items == (term_item(bill).pk,)


def test_promises_and_payments_are_proposed(books: Books, customer: Partner) -> None:
    one, two = invoices(books, customer, "70.00", "90.00")
    made = []
    for invoice, method in ((one, "bank_in"), (two, "bank_in_direct")):
        payment = service_for(Payment).create_one(
            {
                "direction": "inbound",
                "partner": customer,
                "amount": invoice.total_amount,
                "date": DAY,
                "journal": books.journals.bank,
                "method_line": getattr(books.methods, method),
                "invoices": [invoice],
            },
            actor=books.actor(),
        )
        post_payments([payment], actor=books.actor())
        made.append(payment)

    booked = proposals(books, make_line(books, "70.00", partner=customer))
    promised = proposals(books, make_line(books, "90.00", partner=customer))

    money = made[0].journal_entry.items.get(account=books.accounts.outstanding_in)
    assert booked[0].items == (money.pk,)
    assert (made[1].pk,) in [proposal.payments for proposal in promised[:2]]


def test_nothing_of_another_company_is_proposed(books: Books, other_books: Books, customer: Partner) -> None:
    invoice = invoices(other_books, customer, "70.00")[0]

    assert proposals(books, make_line(books, "70.00", label=invoice.number, partner=customer)) == []


# ---------------------------------------------------------------------------------------------------------------- rules
def test_a_rule_proposes_and_only_when_its_conditions_hold(books: Books) -> None:
    rule = make_rule(
        books,
        label_test="contains",
        label_text="fee",
        nature="sent",
        amount_max=Decimal(20),
        line_label="Fee",
    )

    fitting = proposals(books, make_line(books, "-5.00", label="Monthly FEE"))
    received = proposals(books, make_line(books, "5.00", label="Monthly FEE"))
    large = proposals(books, make_line(books, "-20.01", label="Monthly FEE"))
    other = proposals(books, make_line(books, "-5.00", label="Rent"))

    assert [(p.rule_pk, p.account_pk, p.label) for p in fitting] == [
        (rule.pk, books.accounts.expense.pk, "Fee")
    ]
    assert (received, large, other) == ([], [], [])


def test_a_pattern_is_tried_by_the_database(books: Books) -> None:
    make_rule(books, label_test="regex", label_text=r"^card [0-9]{4}")

    assert len(proposals(books, make_line(books, "-5.00", label="CARD 1234 shop"))) == 1
    assert proposals(books, make_line(books, "-5.00", label="the card 1234")) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"label_test": "regex", "label_text": "(a"}, "label_text"),
        ({"label_test": "contains"}, "label_text"),
        ({"account": None}, "account"),
        ({"amount_value": Decimal(101)}, "amount_value"),
        ({"kind": "button", "auto_validate": True}, "auto_validate"),
        ({"amount_min": Decimal(5), "amount_max": Decimal(4)}, "amount_max"),
    ],
)
def test_rules_that_cannot_work_are_refused(books: Books, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make_rule(books, **values)

    assert field in refused.value.fields
    assert not ReconcileRule.objects.exists()


def test_rules_that_need_no_asking_reconcile(books: Books) -> None:
    make_rule(books, label_test="contains", label_text="fee", auto_validate=True)
    make_rule(books, name="Ask", label_test="contains", label_text="rent")
    fee, rent = make_line(books, "-5.00", label="Fee"), make_line(books, "-50.00", label="Rent")

    result = apply_rules([fee, rent], actor=books.actor())
    settled()

    assert result == {"reconciled": [fee.pk]}
    assert (fee.reconciled, fresh(rent).reconciled) == (True, False)
    assert account_balance(books, books.accounts.expense) == Decimal(5)


def test_a_matching_rule_bears_a_small_difference(books: Books, customer: Partner) -> None:
    make_rule(
        books,
        kind="matching",
        tolerance_percent=Decimal(3),
        account=books.accounts.write_off,
        auto_validate=True,
    )
    invoice = invoices(books, customer, "100.00")[0]
    line = make_line(books, "98.00", partner=customer)

    apply_rules([line], actor=books.actor())
    settled()

    assert (fresh(invoice).payment_state, fresh(line).reconciled) == ("paid", True)
    assert account_balance(books, books.accounts.write_off) == Decimal("2.00")


# --------------------------------------------------------------------------------------------------------------- habits
def test_what_was_chosen_twice_is_proposed_with_the_reason(books: Books) -> None:
    for month in (1, 2):
        line = make_line(books, "-30.00", label=f"Insurance policy 8812/{month}")
        reconcile([line], write_offs=[{"account": books.accounts.expense2.pk}], actor=books.actor())

    found = proposals(books, make_line(books, "-31.00", label="INSURANCE policy 8812/3"))

    assert [proposal.account_pk for proposal in found] == [books.accounts.expense2.pk]
    assert found[0].reason == "2 lines with this label went to 610000"


def test_patterns_leave_out_what_changes() -> None:
    assert label_pattern("Insurance 12/2026, policy A-77") == "INSURANCE POLICY"


def test_a_proposal_is_carried_out_as_it_stands(books: Books, customer: Partner) -> None:
    invoice = invoices(books, customer, "70.00")[0]
    line = make_line(books, "70.00", label=invoice.number)

    choice = choice_of(line, proposals(books, line)[0])

    assert (choice.items, choice.partner_pk, choice.write_offs) == ((term_item(invoice).pk,), customer.pk, [])


def test_five_hundred_lines_ask_no_more_than_five(books: Books, customer: Partner) -> None:
    make_rule(books, label_test="regex", label_text="x")
    rows = make_invoices(books, customer, 20, untaxed="10.00")
    actor = books.actor()
    values = [
        {
            "journal": books.journals.bank,
            "date": DAY,
            "amount": Decimal(n % 40 + 1),
            "label": f"Payment {rows[n % 20].number} {n}",
            "partner_name": f"Name number {n}",
        }
        for n in range(500)
    ]
    lines = service_for(StatementLine).create(values, actor=actor)

    counts = []
    for size in (5, 500):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            found = proposals_for(lines[:size], actor=actor)
        counts.append(len(asked))

    assert len(found) == 500
    assert counts[1] <= counts[0] <= 20
