"""Fiscal positions, totals worked backwards, typed taxes, payments, early discounts, other currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounting.compute.taxes import (
    ManualTaxRefused,
    PaymentShareError,
    Repartition,
    TaxDefinitionError,
    TaxError,
    TaxLine,
    TaxSpec,
    UnreachableTotal,
    compute_document,
    compute_mixed,
    convert_rows,
    map_price,
    payment_share,
    payment_shares,
    solve_unit_price,
    spread_manual_tax,
)
from apps.accounting.compute.terms import EarlyDiscount, Treatment, discount_parts, discounted
from apps.core.money import MoneyError

CENT = Decimal("0.01")
BOTH = ("line", "total")


def d(value: str | int) -> Decimal:
    return Decimal(value)


def tax(pk: int, amount: str, kind: str = "percent", **more) -> TaxSpec:
    return TaxSpec(pk=pk, name=f"T{pk}", amount_type=kind, amount=d(amount), sequence=pk, **more)


I21, I6 = tax(1, "21", price_include=True), tax(2, "6", price_include=True)
N21, N6 = tax(3, "21"), tax(4, "6")
UNIT = tax(1, "1", "fixed", price_include=True, include_base_amount=True)


@pytest.mark.parametrize(
    "_case, price, old, new, expected",
    [
        ("included to included", "121", (I21,), (I6,), "106"),
        ("included to excluded", "121", (I21,), (N6,), "100"),
        ("included to none", "121", (I21,), (), "100"),
        ("excluded to included", "100", (N21,), (I6,), "106"),
        ("excluded to excluded", "100", (N21,), (N6,), "100"),
        ("unchanged", "9.99", (I21,), (I21,), "9.99"),
        ("rounded to the precision of prices", "10", (I21,), (), "8.264463"),
        ("below zero", "-121", (I21,), (I6,), "-106"),
        (
            "per unit and rate",
            "106",
            (UNIT, I6),
            (),
            "99",
        ),
        (
            "into a rate per unit",
            "99",
            (),
            (UNIT, I6),
            "106",
        ),
    ],
)
def test_prices_across_a_fiscal_position(_case, price, old, new, expected):
    assert map_price(d(price), old, new) == d(expected)


def test_a_tax_that_takes_the_whole_price_cannot_be_put_in():
    with pytest.raises(TaxDefinitionError):
        map_price(d(100), (), (tax(1, "100", "division", price_include=True),))


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize(
    "_case, total, taxes, expected",
    [
        ("excluded", "121.00", (N21,), "100.00"),
        ("odd", "99.99", (N21,), "82.64"),
        ("included", "99.99", (I21,), "99.99"),
        ("untaxed", "12.34", (), "12.34"),
        ("credit", "-121.00", (N21,), "-100.00"),
        ("per unit", "5.00", (tax(1, "2", "fixed"),), "3.00"),
        (
            "reverse charge",
            "50.00",
            (tax(1, "21", invoice_repartition=(Repartition(d(100), 1), Repartition(d(-100), 2))),),
            "50.00",
        ),
    ],
)
def test_price_from_the_total(_case, total, taxes, expected, rounding):
    assert str(solve_unit_price(d(total), taxes, step=CENT, rounding=rounding)) == expected


def test_a_total_between_two_steps_needs_a_finer_price_and_rounding_by_total():
    with pytest.raises(UnreachableTotal) as refused:
        solve_unit_price(d("0.03"), (N21,), step=CENT, rounding="line")
    fine = solve_unit_price(d("0.03"), (N21,), step=CENT, rounding="total")

    assert refused.value.code == "unreachable_total"
    assert fine == d("0.023810")  # 0.02 and, from here on, 0.01 of tax
    with pytest.raises(UnreachableTotal):
        solve_unit_price(d("0.03"), (N21,), step=CENT, rounding="total", price_step=CENT)


def bill(rounding: str = "line"):
    vat = tax(1, "21", group_pk=7, invoice_repartition=(Repartition(d(50), 411), Repartition(d(50))))
    low = tax(2, "6", group_pk=8, invoice_repartition=(Repartition(d(100), 412),))
    lines = [
        TaxLine("a", d(1), d("100.00"), taxes=(vat,), account_pk=600),
        TaxLine("b", d(2), d("33.33"), taxes=(vat, low), account_pk=601),
    ]
    return compute_document(lines, step=CENT, rounding=rounding)


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize("typed", ["35.01", "34.99", "30.00", "0.00", "-35.00"])
def test_a_typed_tax_spreads_over_its_group_and_everything_still_adds_up(typed, rounding):
    before = bill(rounding)

    after = spread_manual_tax(before, 7, d(typed))

    assert {g.group_pk: str(g.amount) for g in after.groups} == {7: typed, 8: "4.00"}
    assert sum(row.amount for row in after.rows if row.group_pk == 7) == d(typed)
    assert sum(row.amount for row in after.rows) == after.tax == d(typed) + 4
    assert sum(line.total for line in after.lines) == after.total == after.untaxed + after.tax
    assert sum(p.amount for line in after.lines for p in line.taxes if p.tax.pk == 1) == d(typed)
    void = sum(row.amount for row in after.rows if row.repartition.account_pk is None)
    assert sum(line.void for line in after.lines) == after.untaxed + void
    assert after.untaxed == before.untaxed
    assert [row.base for row in after.rows] == [row.base for row in before.rows]


def test_one_coin_goes_to_the_largest_row():
    before = bill()

    after = spread_manual_tax(before, 7, d("35.01"))

    changes = [
        (row.account_pk, str(a.amount - row.amount)) for row, a in zip(before.rows, after.rows, strict=True)
    ]
    assert changes == [(411, "0.01"), (600, "0.00"), (601, "0.00"), (412, "0.00")]


def test_typed_taxes_are_refused_without_a_row_or_finer_than_a_coin():
    totals = bill()

    with pytest.raises(ManualTaxRefused):
        spread_manual_tax(totals, 99, d("1.00"))
    with pytest.raises(ManualTaxRefused):
        spread_manual_tax(totals, 7, d("35.001"))
    assert spread_manual_tax(totals, 7, d("35.00")) is totals


@pytest.mark.parametrize(
    "_case, amounts, payments, total, expected",
    [
        ("half of 100 + 21", "100.00 21.00", "60.50", "121.00", ["50.00 10.50"]),
        ("half, then the rest", "100.00 21.00", "60.50 60.50", "121.00", ["50.00 10.50", "50.00 10.50"]),
        # 133.36 is 100.00 + 33.33 of tax and 0.03 beside (see the documentation)
        (
            "133.36 in three",
            "100.00 33.33",
            "33.34 11.11 88.91",
            "133.36",
            ["25.00 8.33", "8.33 2.78", "66.67 22.22"],
        ),
        ("thirds", "100.00 21.00", "40.33 40.33 40.34", "121.00", ["33.33 7.00", "33.33 7.00", "33.34 7.00"]),
        ("credit note", "-100.00 -21.00", "-60.50 -60.50", "-121.00", ["-50.00 -10.50", "-50.00 -10.50"]),
        (
            "reverse charge",
            "100.00 21.00 -21.00",
            "25.00 75.00",
            "100.00",
            ["25.00 5.25 -5.25", "75.00 15.75 -15.75"],
        ),
        ("never more than there is", "0.01", "0.60 0.60 0.80", "2.00", ["0.00", "0.00", "0.01"]),
        ("nor twice", "0.01", "1.20 0.50 0.30", "2.00", ["0.01", "0.00", "0.00"]),
    ],
)
def test_payments_make_their_share_exigible(_case, amounts, payments, total, expected):
    parts = [d(text) for text in amounts.split()]

    shares = payment_shares(parts, [d(text) for text in payments.split()], total=d(total), step=CENT)

    assert [" ".join(str(share) for share in row) for row in shares] == expected


@pytest.mark.parametrize("payment", ["0.00", "-1.00", "60.51"])
def test_payments_that_do_not_fit(payment):
    with pytest.raises(PaymentShareError):
        payment_share(
            [d(100)], total=d("121.00"), paid=d("60.50"), payment=d(payment), moved=[d("50.00")], step=CENT
        )


@settings(deadline=None)
@given(
    payments=st.lists(st.integers(1, 5000), min_size=1, max_size=12),
    amounts=st.lists(st.integers(-9999, 9999), min_size=1, max_size=4),
)
def test_all_payments_move_everything_exactly(payments, amounts):
    cents = [n * CENT for n in amounts]
    total = sum(payments) * CENT

    shares = payment_shares(cents, [n * CENT for n in payments], total=total, step=CENT)

    assert [sum(column) for column in zip(*shares, strict=True)] == cents
    for column, amount in zip(zip(*shares, strict=True), cents, strict=True):
        assert all(share * amount >= 0 for share in column)


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize(
    "treatment, total, tax_amount, pays, loss, correction",
    [
        (Treatment.INCLUDED, "1210.00", "210.00", "1185.80", "20.00", "4.20"),
        (Treatment.EXCLUDED, "1210.00", "210.00", "1190.00", "20.00", "0.00"),
        (Treatment.MIXED, "1205.80", "205.80", "1185.80", "20.00", "0.00"),
    ],
)
def test_the_three_treatments_of_an_early_discount(
    treatment, total, tax_amount, pays, loss, correction, rounding
):
    lines = [TaxLine(1, d(1), d(1000), taxes=(N21,))]
    if treatment == Treatment.MIXED:
        totals = compute_mixed(lines, percent=d(2), step=CENT, rounding=rounding).totals
    else:
        totals = compute_document(lines, step=CENT, rounding=rounding)

    paid = discounted(totals.total, totals.untaxed, EarlyDiscount(d(2), 10, treatment), CENT)
    lost, corrections = discount_parts(totals.total - paid, totals.untaxed, [totals.tax], treatment, CENT)

    assert (str(totals.total), str(totals.tax)) == (total, tax_amount)
    assert (str(paid), str(lost), [str(c) for c in corrections]) == (pays, loss, [correction])


@pytest.mark.parametrize("rounding", BOTH)
def test_mixed_taxes_rest_on_the_discounted_base_and_lines_keep_their_price(rounding):
    lines = [
        TaxLine(1, d(3), d("33.35"), d(5), taxes=(N21,), account_pk=700),
        TaxLine(2, d(1), d("121.00"), taxes=(I21,), account_pk=701),
    ]

    mixed = compute_mixed(lines, percent=d(2), step=CENT, rounding=rounding)

    totals = mixed.totals
    assert [str(line.subtotal) for line in totals.lines] == ["95.05", "100.00"]
    assert [str(r) for r in mixed.reductions] == ["1.90", "2.00"]
    assert [str(row.base) for row in totals.rows] == ["93.15", "98.00"]
    assert str(totals.untaxed) == "195.05"
    assert sum(line.total for line in totals.lines) == totals.total == totals.untaxed + totals.tax
    assert [str(row.amount) for row in totals.rows] == ["19.56", "20.58"]


@pytest.mark.parametrize("percent", ["-1", "101"])
def test_discounts_out_of_range(percent):
    with pytest.raises(TaxError):
        compute_mixed([], percent=d(percent), step=CENT, rounding="line")


def test_the_receivable_takes_what_conversion_leaves():
    rows = [d("-33.33"), d("-33.33"), d("-33.34"), d("-21.00"), d("121.00")]

    converted = convert_rows(rows, rate_from=d("1.1"), rate_to=1, step=CENT, balance_row=4)

    assert [str(amount) for amount in converted] == ["-30.30", "-30.30", "-30.31", "-19.09", "110.00"]
    # Converted by itself, 0.05 at 2 to 1 would be 0.03, and the others −0.01 × 5.
    crumbs = [d("-0.01")] * 5 + [d("0.05")]
    assert convert_rows(crumbs, rate_from=2, rate_to=1, step=CENT, balance_row=5)[5] == d("0.05")


@settings(deadline=None)
@given(
    cents=st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=9),
    rate=st.decimals(min_value="0.0001", max_value=500, places=6),
    step=st.sampled_from([CENT, Decimal(1), Decimal("0.05")]),
)
def test_converted_entries_balance(cents, rate, step):
    rows = [n * CENT for n in cents]
    rows.append(-sum(rows))

    converted = convert_rows(rows, rate_from=rate, rate_to=1, step=step, balance_row=len(rows) - 1)

    assert sum(converted) == 0
    assert all(amount % step == 0 for amount in converted)
    for row, amount in zip(rows[:-1], converted, strict=False):
        assert abs(amount * rate - row) <= step * rate / 2


def test_conversion_refuses_what_does_not_balance():
    with pytest.raises(MoneyError):
        convert_rows([d(1), d(1)], rate_from=1, rate_to=1, step=CENT, balance_row=0)
    with pytest.raises(MoneyError):
        convert_rows([d(1), d(-1)], rate_from=0, rate_to=1, step=CENT, balance_row=0)
