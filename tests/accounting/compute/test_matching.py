"""Reconciliation: what settles what, to the cent, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounting.compute.matching import (
    MatchError,
    MatchPlan,
    OpenItem,
    Residual,
    full_groups,
    match,
    residuals_after,
)

D = Decimal

EUR, USD, GBP, JPY = 1, 2, 3, 4
STEPS = {EUR: D("0.01"), USD: D("0.01"), GBP: D("0.01"), JPY: D(1)}
DAY = date(2026, 1, 1)


def item(
    pk: int,
    company: str,
    own: str | None = None,
    currency: int = USD,
    *,
    day: int = 0,
    due: int | None = None,
    rates: dict[int, D] | None = None,
) -> OpenItem:
    """An open item; without ``own`` one in company currency."""
    return OpenItem(
        pk,
        D(company),
        EUR if own is None else currency,
        D(company if own is None else own),
        DAY + timedelta(days=day),
        None if due is None else DAY + timedelta(days=due),
        rates,
    )


def run(*items: OpenItem) -> MatchPlan:
    return match(items, company_currency_pk=EUR, steps=STEPS)


def partials(plan: MatchPlan) -> list[tuple[int, int, D, D, D]]:
    return [tuple(partial[:5]) for partial in plan.partials]  # type: ignore[misc]


def differences(plan: MatchPlan) -> list[tuple[int, D, D, int]]:
    return [(each.item_pk, each.amount, each.amount_currency, each.partial) for each in plan.exchange]


@pytest.mark.parametrize(
    ("debit", "credit", "amount", "currencies", "difference", "left"),
    [
        (("60", "120"), ("-80", "-240"), 40, (120, 120), (1, -20), ((0, 0), (-40, -120))),
        (("40", "120"), ("-120", "-240"), 40, (120, 120), (2, 20), ((0, 0), (-60, -120))),
        (("60", "120"), ("-40", "-120"), 40, (120, 120), (1, -20), ((0, 0), (0, 0))),
        (("60", None), ("-30", "-90"), 30, (30, 90), None, ((30, 30), (0, 0))),
    ],
)
def test_the_four_examples(
    debit: tuple[str, str | None],
    credit: tuple[str, str | None],
    amount: int,
    currencies: tuple[int, int],
    difference: tuple[int, int] | None,
    left: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    plan = run(item(1, *debit), item(2, *credit, day=3))

    assert partials(plan) == [(1, 2, D(amount), D(currencies[0]), D(currencies[1]))]
    assert plan.partials[0].date == DAY + timedelta(days=3)
    assert [each[:2] for each in differences(plan)] == ([difference] if difference else [])
    assert all(each.date == DAY + timedelta(days=3) for each in plan.exchange)
    assert plan.residuals == {1: Residual(*map(D, left[0])), 2: Residual(*map(D, left[1]))}
    assert plan.fully is (left == ((0, 0), (0, 0)))


def test_the_worked_case_step_by_step() -> None:
    invoice = item(1, "1090.91", "1200.00")

    first = run(invoice, item(2, "-416.67", "-500.00", day=10))
    rest = replace(
        invoice,
        balance_residual=first.residuals[1].company,
        residual_currency=first.residuals[1].currency,
    )
    second = run(rest, item(3, "-666.67", "-700.00", day=40))

    assert partials(first) == [(1, 2, D("416.67"), D(500), D(500))]
    assert differences(first) == [(1, D("-37.88"), D(0), 0)]
    assert first.exchange[0].is_loss
    assert first.residuals[1] == Residual(D("636.36"), D("700.00"))
    assert not first.fully
    assert partials(second) == [(1, 3, D("636.36"), D(700), D(700))]
    assert differences(second) == [(3, D("30.31"), D(0), 0)]
    assert not second.exchange[0].is_loss
    assert second.fully
    assert sum(each.amount for each in first.exchange + second.exchange) == D("-7.57")


def test_undoing_the_first_match_of_the_worked_case_restores_it() -> None:
    items = [
        item(1, "1090.91", "1200.00"),
        item(2, "-416.67", "-500.00", day=10),
        item(3, "-666.67", "-700.00", day=40),
    ]
    plan = run(*items)

    undone = residuals_after(items, plan.partials[1:], [each for each in plan.exchange if each.partial == 1])
    nothing_left = residuals_after(items, plan.partials, plan.exchange)

    assert plan.fully
    assert undone[1] == Residual(D("454.55"), D("500.00"))
    assert undone[2] == Residual(D("-416.67"), D("-500.00"))
    assert all(left.is_zero for left in nothing_left.values())
    assert residuals_after(items, []) == {
        each.pk: Residual(each.balance_residual, each.residual_currency) for each in items
    }


def test_a_payable_gains_when_less_is_paid() -> None:
    plan = run(item(1, "-1090.91", "-1200.00"), item(2, "416.67", "500.00"))

    assert differences(plan) == [(1, D("37.88"), D(0), 0)]
    assert plan.residuals[1] == Residual(D("-636.36"), D("-700.00"))


def test_maturity_then_date_then_key_decide_the_order() -> None:
    plan = run(
        item(1, "10", due=30),
        item(2, "10", day=5, due=20),
        item(3, "10", day=4, due=20),
        item(5, "10", day=4, due=20),
        item(4, "10", day=4, due=20),
        item(9, "-35"),
    )

    assert [(partial.debit_pk, partial.amount) for partial in plan.partials] == [
        (3, D(10)),
        (4, D(10)),
        (5, D(10)),
        (2, D(5)),
    ]


def test_each_currency_is_settled_first_within_itself() -> None:
    plan = run(item(1, "100", "110", USD), item(2, "100", day=9), item(3, "-100", day=10))

    assert partials(plan) == [(2, 3, D(100), D(100), D(100))]
    assert plan.residuals[1] == Residual(D(100), D(110))


def test_two_foreign_currencies_meet_in_the_companys() -> None:
    plan = run(item(1, "100.00", "110.00", USD), item(2, "-40.00", "-35.00", GBP))

    assert partials(plan) == [(1, 2, D("40.00"), D("44.00"), D("35.00"))]
    assert differences(plan) == []
    assert plan.residuals[1] == Residual(D("60.00"), D("66.00"))


@pytest.mark.parametrize(
    ("_case", "rate", "paid", "amount", "difference", "left"),
    [
        ("the rate fell: loss", "1.20", "1000.00", "1000.00", (1, "-90.91", "0"), ("0", "0", "0")),
        (
            "it rose: gain on the payment",
            "1.05",
            "1142.86",
            "1090.91",
            (2, "51.95", "51.95"),
            ("0", "0", "0"),
        ),
        ("part of it", "1.20", "500.00", "500.00", (1, "-45.46", "0"), ("545.45", "600.00", "0")),
        ("too much", "1.20", "1100.00", "1000.00", (1, "-90.91", "0"), ("0", "0", "-100.00")),
    ],
)
def test_a_payment_in_company_currency_settles_at_its_rate(
    _case: str,
    rate: str,
    paid: str,
    amount: str,
    difference: tuple[int, str, str],
    left: tuple[str, str, str],
) -> None:
    plan = run(item(1, "1090.91", "1200.00"), item(2, f"-{paid}", rates={USD: D(rate)}))

    (partial,) = plan.partials
    assert partial.amount == D(amount)
    assert partial.credit_amount_currency == D(amount)
    assert differences(plan) == [(difference[0], D(difference[1]), D(difference[2]), 0)]
    assert plan.residuals[1] == Residual(D(left[0]), D(left[1]))
    assert plan.residuals[2] == Residual(D(left[2]), D(left[2]))


def test_a_converted_payment_closes_its_invoice_whatever_was_rounded() -> None:
    rate = D("160.37")
    paid = (D(100001) / rate).quantize(D("0.01"))  # 623.56: worth 100000 yen again when converted back

    plan = run(item(1, "640.00", "100001", JPY), item(2, f"-{paid}", rates={JPY: rate}))

    assert plan.fully
    assert plan.partials[0].debit_amount_currency == D(100001)


def test_a_payment_in_another_foreign_currency_at_its_rate() -> None:
    plan = run(item(1, "100.00", "110.00", USD), item(2, "-90.00", "-80.00", GBP, rates={USD: D("1.25")}))

    assert partials(plan) == [(1, 2, D("88.00"), D("110.00"), D("78.22"))]
    assert differences(plan) == [(1, D("-12.00"), D(0), 0)]
    assert plan.residuals == {1: Residual(D(0), D(0)), 2: Residual(D("-2.00"), D("-1.78"))}


def test_nothing_left_in_the_company_only() -> None:
    same = run(item(1, "0", "35"), item(2, "-28", "-35"))
    other = run(item(1, "0", "1", JPY), item(2, "-50"))
    rated = run(item(1, "0", "1", JPY), item(2, "-50", rates={JPY: D(160)}))

    assert partials(same) == [(1, 2, D(0), D(35), D(35))]
    assert differences(same) == [(2, D(28), D(0), 0)]
    assert same.fully
    assert other.partials == []  # a yen is owed whatever it is worth; euros without a rate are no yen
    assert partials(rated) == [(1, 2, D(0), D(1), D(0))]
    assert differences(rated) == [(2, D("0.01"), D("0.01"), 0)]
    assert rated.residuals == {1: Residual(D(0), D(0)), 2: Residual(D("-49.99"), D("-49.99"))}


def test_nothing_left_in_the_currency_only() -> None:
    plan = run(item(1, "1090.91", "1200.00"), item(2, "-37.88", "0"))

    assert partials(plan) == [(1, 2, D("37.88"), D(0), D(0))]
    assert plan.residuals == {1: Residual(D("1053.03"), D("1200.00")), 2: Residual(D(0), D(0))}


def test_a_revaluation_does_not_swallow_foreign_amounts() -> None:
    plan = run(item(1, "30", "35"), item(2, "-40", "0"), item(3, "-28", "-35", day=1))

    assert partials(plan) == [(1, 3, D(28), D(35), D(35))]
    assert differences(plan) == [(1, D(-2), D(0), 0)]
    assert plan.residuals[2] == Residual(D(-40), D(0))


def test_a_pair_that_settles_nothing_does_not_stop_the_next() -> None:
    plan = run(item(1, "30", "35"), item(2, "-40", "0"), item(3, "5"), item(4, "-5", "-4", GBP, day=9))

    assert plan.residuals[1] == Residual(D(0), D(35))
    assert plan.residuals[2] == Residual(D("-5"), D(0))
    assert plan.residuals[3] == Residual(D(0), D(0))
    assert plan.residuals[4] == Residual(D(-5), D(-4))


def test_items_of_one_side_or_without_residual_match_nothing() -> None:
    assert run(item(1, "10"), item(2, "20")).partials == []
    assert run().fully is False
    plan = run(item(1, "0"), item(2, "-5"))
    assert plan.partials == []
    assert plan.residuals[1].is_zero


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([item(1, "1"), item(1, "-1")], "twice"),
        ([item(1, "1", "-1")], "different sign"),
        ([OpenItem(1, D(1), EUR, D(2), DAY)], "same amount"),
        ([OpenItem(1, D(1), 99, D(2), DAY)], "99"),
        ([item(1, "1", "1"), item(2, "-1", rates={USD: D(0)})], "greater than zero"),
    ],
)
def test_items_that_cannot_be_matched_are_refused(items: list[OpenItem], message: str) -> None:
    with pytest.raises(MatchError, match=message):
        match(items, company_currency_pk=EUR, steps=STEPS)


# ---- properties


@st.composite
def open_items(draw: st.DrawFn, *, currencies: Sequence[int] = (EUR, USD, GBP, JPY)) -> list[OpenItem]:
    items = []
    for pk in range(1, draw(st.integers(1, 9)) + 1):
        sign = draw(st.sampled_from([1, -1]))
        currency = draw(st.sampled_from(currencies))
        company = D(draw(st.integers(1, 200_000))) / 100
        if currency == EUR:
            own = company
        else:
            rate = D(draw(st.integers(50, 200))) / 100 * (160 if currency == JPY else 1)
            own = max(STEPS[currency], (company * rate).quantize(STEPS[currency]))
        rates = {}
        if currency != USD and draw(st.booleans()):
            rates[USD] = D(draw(st.integers(80, 160))) / 100
        due = draw(st.none() | st.integers(0, 60))
        items.append(
            OpenItem(
                pk,
                sign * company,
                currency,
                sign * own,
                DAY + timedelta(days=draw(st.integers(0, 30))),
                None if due is None else DAY + timedelta(days=due),
                rates,
            )
        )
    return items


def check_plan(items: list[OpenItem], plan: MatchPlan) -> None:
    known = {each.pk: each for each in items}
    # conserved: what is written explains what is left, exactly
    assert residuals_after(items, plan.partials, plan.exchange) == plan.residuals
    for each in items:
        left = plan.residuals[each.pk]
        for before, after in (
            (each.balance_residual, left.company),
            (each.residual_currency, left.currency),
        ):
            assert before * after >= 0  # no residual changes sides
            assert abs(after) <= abs(before)  # nor grows
        if not left.currency:
            assert not left.company
        if each.currency_pk == EUR:
            assert left.company == left.currency
        else:
            assert left.currency % STEPS[each.currency_pk] == 0
        assert left.company % STEPS[EUR] == 0
    for partial in plan.partials:
        debit, credit = known[partial.debit_pk], known[partial.credit_pk]
        assert debit.balance_residual > 0 > credit.balance_residual
        assert min(partial.amount, partial.debit_amount_currency, partial.credit_amount_currency) >= 0
        assert partial.amount or partial.debit_amount_currency or partial.credit_amount_currency
        assert partial.date == max(debit.date, credit.date)
    for difference in plan.exchange:
        assert difference.amount * known[difference.item_pk].balance_residual < 0
        assert difference.item_pk in plan.partials[difference.partial][:2]
    assert plan.fully is all(left.is_zero for left in plan.residuals.values())


@settings(max_examples=250)
@given(items=open_items())
def test_nothing_is_lost_turned_or_over_matched(items: list[OpenItem]) -> None:
    check_plan(items, run(*items))


@settings(max_examples=100)
@given(items=open_items(), data=st.data())
def test_the_order_of_the_items_given_does_not_matter(items: list[OpenItem], data: st.DataObject) -> None:
    plan = run(*items)

    shuffled = run(*data.draw(st.permutations(items)))

    assert shuffled == plan


@settings(max_examples=100)
@given(items=open_items(currencies=[USD]))
def test_one_currency_leaves_only_one_side_open(items: list[OpenItem]) -> None:
    plan = run(*items)

    total = sum(each.residual_currency for each in items)
    assert sum(left.currency for left in plan.residuals.values()) == total
    assert all(left.currency * total >= 0 for left in plan.residuals.values())
    assert all(left.is_zero for left in plan.residuals.values()) is (total == 0)


@settings(max_examples=100)
@given(items=open_items(currencies=[EUR]))
def test_company_currency_has_no_differences(items: list[OpenItem]) -> None:
    plan = run(*[replace(each, rates=None) for each in items])

    assert plan.exchange == []
    assert sum(left.company for left in plan.residuals.values()) == sum(e.balance_residual for e in items)


@settings(max_examples=100)
@given(items=open_items())
def test_matching_in_two_runs_keeps_the_books(items: list[OpenItem]) -> None:
    half = items[: len(items) // 2 + 1]
    first = run(*half)
    rest = [
        replace(each, balance_residual=left.company, residual_currency=left.currency)
        for each in items
        for left in [first.residuals.get(each.pk, Residual(each.balance_residual, each.residual_currency))]
    ]

    second = run(*rest)

    assert residuals_after(rest, second.partials, second.exchange) == second.residuals
    for each in items:
        assert each.balance_residual * second.residuals[each.pk].company >= 0
        assert second.residuals[each.pk].currency or not second.residuals[each.pk].company


# ---- connected sets


def test_connected_items_are_full_together() -> None:
    edges = [(1, 2), (1, 3), (10, 11), (20, 21), (21, 22)]
    nothing = (D(0), D(0))
    residuals = {
        1: nothing,
        2: nothing,
        3: nothing,
        10: (D(0), D("0.01")),
        11: nothing,
        20: nothing,
        21: nothing,
    }

    groups = full_groups(edges, residuals)

    assert groups == [
        (1, frozenset({1, 2, 3}), True),
        (10, frozenset({10, 11}), False),
        (20, frozenset({20, 21, 22}), False),  # the residual of 22 is not known
    ]


@given(edges=st.lists(st.tuples(st.integers(1, 30), st.integers(31, 60)), max_size=60))
def test_groups_are_the_connected_components(edges: list[tuple[int, int]]) -> None:
    groups = full_groups(edges, {})

    where = {pk: group.key for group in groups for pk in group.pks}
    assert sum(len(group.pks) for group in groups) == len(where) == len({pk for edge in edges for pk in edge})
    assert all(where[debit] == where[credit] for debit, credit in edges)
    for group in groups:
        assert group.key == min(group.pks)
        reached, grew = {group.key}, True
        while grew:
            more = {pk for edge in edges if reached & set(edge) for pk in edge}
            grew = not more <= reached
            reached |= more
        assert reached == group.pks


def test_a_long_chain_is_one_group() -> None:
    edges = [(n, n + 1) for n in range(1, 20_000)]

    (group,) = full_groups(reversed(edges), {n: (D(0), D(0)) for n in range(1, 20_001)})

    assert group.key == 1
    assert group.full
    assert len(group.pks) == 20_000
