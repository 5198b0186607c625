"""The worked table of tax cases, to the coin, under both roundings."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from apps.accounting.compute.taxes import (
    DocumentTotals,
    Repartition,
    TaxDefinitionError,
    TaxError,
    TaxLine,
    TaxSpec,
    compute_document,
    compute_line,
)

CENT = Decimal("0.01")
BOTH = ("line", "total")


def d(value: str | int) -> Decimal:
    return Decimal(value)


def tax(pk: int, amount: str, kind: str = "percent", **more) -> TaxSpec:
    more.setdefault("sequence", pk)
    return TaxSpec(pk=pk, name=f"T{pk}", amount_type=kind, amount=d(amount), **more)


def incl(pk: int, amount: str, kind: str = "percent", **more) -> TaxSpec:
    return tax(pk, amount, kind, price_include=True, **more)


def document(
    prices: list[str],
    taxes: tuple[TaxSpec, ...],
    rounding: str,
    *,
    step: Decimal = CENT,
    quantity: str = "1",
    **more,
) -> DocumentTotals:
    lines = [TaxLine(n, d(quantity), d(price), taxes=taxes, **more) for n, price in enumerate(prices)]
    return compute_document(lines, step=step, rounding=rounding)


def by_tax(totals: DocumentTotals) -> list[str]:
    return [str(row.amount) for row in totals.rows]


V21, V10, V6 = incl(1, "21"), incl(1, "10"), incl(1, "6")
N21 = tax(1, "21")

ONE_TAX = [
    # case, prices, tax, step, (untaxed, tax, total) by line, the same by total
    ("T1", ["21.53"] * 2, V21, "0.01", "35.58 7.48 43.06", "35.59 7.47 43.06"),
    ("T2", ["10.01"] * 3, N21, "0.01", "30.03 6.30 36.33", "30.03 6.31 36.34"),
    ("T3", ["0.55"] * 5, N21, "0.01", "2.75 0.60 3.35", "2.75 0.58 3.33"),
    ("T4", ["52.50"], incl(1, "12"), "0.01", "46.87 5.63 52.50", "46.87 5.63 52.50"),
    ("T5", ["124.40"], incl(1, "8"), "0.01", "115.19 9.21 124.40", "115.19 9.21 124.40"),
    ("T7a", ["27000"], incl(1, "19"), "1", "22689 4311 27000", "22689 4311 27000"),
    ("T7b", ["10920"], incl(1, "19"), "1", "9176 1744 10920", "9176 1744 10920"),
    ("T8a", ["5.00"], incl(1, "5"), "0.05", "4.75 0.25 5.00", "4.75 0.25 5.00"),
    ("T8b", ["50.00"], incl(1, "5"), "0.05", "47.60 2.40 50.00", "47.60 2.40 50.00"),
    ("T9", ["13582"] * 2, V10, "1", "24694 2470 27164", "24695 2469 27164"),
    ("T10", ["11.90", "2.80"], V21, "0.01", "12.14 2.56 14.70", "12.15 2.55 14.70"),
    ("T11", ["200"], tax(1, "10", "division"), "0.01", "200.00 22.22 222.22", "200.00 22.22 222.22"),
    ("T17", ["0"], incl(1, "0.05", "fixed"), "0.01", "-0.05 0.05 0.00", "-0.05 0.05 0.00"),
    ("half", ["34.55"], tax(1, "10"), "0.01", "34.55 3.46 38.01", "34.55 3.46 38.01"),
]


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize(
    "_case, prices, spec, step, by_line, by_total", ONE_TAX, ids=[row[0] for row in ONE_TAX]
)
def test_one_tax(_case, prices, spec, step, by_line, by_total, rounding):
    totals = document(prices, (spec,), rounding, step=d(step))

    expected = by_line if rounding == "line" else by_total
    assert f"{totals.untaxed} {totals.tax} {totals.total}" == expected
    assert sum(line.subtotal for line in totals.lines) == totals.untaxed
    assert sum(line.total for line in totals.lines) == totals.total


def test_t1_by_total_the_coin_goes_to_the_first_of_the_largest_lines():
    totals = document(["21.53"] * 2, (V21,), "total")

    assert [str(line.subtotal) for line in totals.lines] == ["17.80", "17.79"]
    assert [str(line.taxes[0].amount) for line in totals.lines] == ["3.73", "3.74"]
    assert [str(line.total) for line in totals.lines] == ["21.53", "21.53"]


def test_t10_by_total_the_coin_goes_to_the_largest_line():
    totals = document(["2.80", "11.90"], (V21,), "total")

    assert [str(line.subtotal) for line in totals.lines] == ["2.31", "9.84"]


def test_t4_raw():
    line = compute_line(TaxLine(1, d(1), d("52.50"), taxes=(incl(1, "12"),)), step=CENT)

    assert line.raw_excluded == Fraction("46.875")
    assert line.parts[0].raw == Fraction("5.625")


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_t6_included_and_excluded_side_by_side(rounding, order):
    taxes = (tax(order[0], "15"), incl(order[1], "5.5"))

    totals = document(["2300"], taxes, rounding)

    assert str(totals.untaxed) == "2180.09"
    assert sorted(by_tax(totals)) == ["119.91", "327.01"]
    assert str(totals.total) == "2627.01"


@pytest.mark.parametrize("rounding", BOTH)
def test_t12_group(rounding):
    children = (tax(11, "10", "division"), tax(12, "10", "fixed"), tax(13, "10"))
    group = TaxSpec(pk=1, name="Group", amount_type="group", children=children)

    totals = document(["200"], (group,), rounding)

    assert by_tax(totals) == ["22.22", "10.00", "20.00"]
    assert str(totals.total) == "252.22"


DIVISIONS = ("5", "3", "0.65", "9", "15")


def test_t13_divisions_raw():
    taxes = tuple(tax(n, rate, "division") for n, rate in enumerate(DIVISIONS, 1))

    line = compute_line(TaxLine(1, d(1), d("32.33"), taxes=taxes), step=CENT)

    assert round(line.raw_included, 5) == Fraction("48.00297")
    expected = ["2.400148", "1.440089", "0.312019", "4.320267", "7.200445"]
    assert [round(part.raw, 6) for part in line.parts] == [Fraction(text) for text in expected]
    assert all(part.raw_base == Fraction("32.33") for part in line.parts)


def test_t14_divisions_included_raw():
    taxes = tuple(incl(n, rate, "division") for n, rate in enumerate(DIVISIONS, 1))

    line = compute_line(TaxLine(1, d(1), d("48.00"), taxes=taxes), step=CENT)

    assert line.raw_excluded == Fraction("32.328")
    expected = ["2.40", "1.44", "0.312", "4.32", "7.20"]
    assert [part.raw for part in line.parts] == [Fraction(text) for text in expected]
    assert line.raw_included == 48


@pytest.mark.parametrize("rounding", BOTH)
@pytest.mark.parametrize(
    "_case, price, affects, base, total",
    [("T15", "20", False, "100.00", "136.00"), ("T16", "19", True, "100.00", "131.00")],
)
def test_t15_t16_fixed_before_and_after(_case, price, affects, base, total, rounding):
    taxes = (tax(1, "1", "fixed", include_base_amount=affects), tax(2, "21"), tax(3, "2", "fixed"))

    totals = document([price], taxes, rounding, quantity="5")

    assert by_tax(totals) == ["5.00", "21.00", "10.00"]
    assert str(totals.rows[1].base) == base
    assert str(totals.total) == total


@pytest.mark.parametrize(
    "rounding, amounts, base, total",
    [
        ("line", ["1.90", "1.90", "1.06"], "35.58", "36.64"),
        ("total", ["1.91", "1.91", "1.07"], "35.60", "36.67"),
    ],
)
def test_t18_tax_on_tax(rounding, amounts, base, total):
    taxes = (
        tax(1, "6", include_base_amount=True),
        tax(2, "6", include_base_amount=True, is_base_affected=False),
        tax(3, "3"),
    )

    totals = document(["15.89"] * 2, taxes, rounding)

    assert by_tax(totals) == amounts
    assert str(totals.rows[2].base) == base  # untaxed and both taxes, as the ledger will add it up
    assert str(totals.total) == total
    assert totals.rows[0].base_of == (taxes[2],)
    assert totals.rows[2].base_of == ()


@pytest.mark.parametrize("rounding", BOTH)
def test_t19_discount_is_taken_of_the_gross_price(rounding):
    totals = document(["121.00"], (V21,), rounding, discount=d(10))

    assert (str(totals.untaxed), str(totals.tax), str(totals.total)) == ("90.00", "18.90", "108.90")


REVERSE = tax(
    1,
    "21",
    use="purchase",
    invoice_repartition=(Repartition(d(100), 451, (81,)), Repartition(d(-100), 411, (59,))),
    refund_repartition=(Repartition(d(100), 451, (84,)), Repartition(d(-100), 411, (63,))),
)


@pytest.mark.parametrize("rounding", BOTH)
def test_t20_reverse_charge(rounding):
    totals = document(["100"], (REVERSE,), rounding)

    assert [(row.account_pk, str(row.amount), row.tag_pks) for row in totals.rows] == [
        (451, "21.00", (81,)),
        (411, "-21.00", (59,)),
    ]
    assert (str(totals.untaxed), str(totals.tax), str(totals.total)) == ("100.00", "0.00", "100.00")
    assert str(totals.lines[0].taxes[0].amount) == "21.00"
    assert str(totals.lines[0].taxes[0].charged) == "0.00"


def test_a_refund_takes_the_refund_side():
    totals = compute_document(
        [TaxLine(1, d(1), d(100), taxes=(REVERSE,))], step=CENT, rounding="line", is_refund=True
    )

    assert [(row.tag_pks, str(row.amount)) for row in totals.rows] == [((84,), "21.00"), ((63,), "-21.00")]


@pytest.mark.parametrize("rounding", BOTH)
def test_rest_of_the_repartition_goes_to_the_largest_share(rounding):
    parts = (Repartition(d(30), 1), Repartition(d(40), 2), Repartition(d(30), 3))
    spec = tax(1, "10", invoice_repartition=parts)

    totals = document(["0.50"], (spec,), rounding)  # 0.05 = 0.015 + 0.020 + 0.015

    assert by_tax(totals) == ["0.02", "0.01", "0.02"]


def test_parts_are_divided_once_a_document_by_total_and_once_a_line_by_line():
    spec = tax(1, "10", invoice_repartition=(Repartition(d(50), 1), Repartition(d(50), 2)))
    prices = ["0.10"] * 10

    assert by_tax(document(prices, (spec,), "line")) == ["0.00", "0.10"]
    assert by_tax(document(prices, (spec,), "total")) == ["0.05", "0.05"]


@pytest.mark.parametrize("rounding", BOTH)
def test_a_part_without_account_follows_the_line_and_counts_as_cost(rounding):
    spec = tax(1, "21", invoice_repartition=(Repartition(d(50), 411), Repartition(d(50))))
    lines = [
        TaxLine("a", d(1), d("100.00"), taxes=(spec,), account_pk=600),
        TaxLine("b", d(1), d("50.00"), taxes=(spec,), account_pk=610),
    ]

    totals = compute_document(lines, step=CENT, rounding=rounding)

    assert {row.account_pk: str(row.amount) for row in totals.rows} == {
        411: "15.75",
        600: "10.50",
        610: "5.25",
    }
    assert [str(line.void) for line in totals.lines] == ["110.50", "55.25"]
    assert sum(line.void for line in totals.lines) == Decimal("165.75")


def test_exigible_on_payment_waits_on_the_transition_account_without_tags():
    spec = tax(
        1,
        "21",
        exigibility="payment",
        transition_account_pk=4519,
        invoice_base_tag_pks=(3,),
        invoice_repartition=(Repartition(d(100), 451, (54,)),),
    )

    totals = document(["100"], (spec,), "line", account_pk=700)

    row = totals.rows[0]
    assert (row.account_pk, row.tag_pks, row.final_account_pk, row.final_tag_pks) == (4519, (), 451, (54,))
    assert totals.lines[0].base_tag_pks == ()


def test_base_tags_travel_with_the_taxes_later_taxes_rest_on():
    eco = tax(1, "10", include_base_amount=True, invoice_base_tag_pks=(1,))
    vat = tax(2, "21", invoice_base_tag_pks=(2,), refund_base_tag_pks=(3,))

    totals = document(["100"], (vat, eco), "line")

    assert totals.lines[0].base_tag_pks == (1, 2)
    assert [(row.tax.pk, row.base_tag_pks, str(row.base)) for row in totals.rows] == [
        (1, (2,), "100.00"),
        (2, (), "110.00"),
    ]


@pytest.mark.parametrize("rounding", BOTH)
def test_negative_zero_and_free_lines(rounding):
    spec = tax(1, "21")
    lines = [
        TaxLine("sold", d(1), d("100.00"), taxes=(spec,)),
        TaxLine("deposit", d(-1), d("30.00"), taxes=(spec,)),
        TaxLine("nothing", d(0), d("10.00"), taxes=(spec,)),
        TaxLine("gift", d(1), d("10.00"), discount=d(100), taxes=(spec,)),
    ]

    totals = compute_document(lines, step=CENT, rounding=rounding)

    assert [str(line.total) for line in totals.lines] == ["121.00", "-36.30", "0.00", "0.00"]
    assert (str(totals.untaxed), str(totals.tax), str(totals.total)) == ("70.00", "14.70", "84.70")


@pytest.mark.parametrize(
    "quantity, price, expected",
    [("2", "5", "2.00"), ("-2", "5", "-2.00"), ("2", "-5", "-2.00"), ("-2", "-5", "2.00")],
)
def test_fixed_taxes_go_the_way_of_the_amount(quantity, price, expected):
    totals = document([price], (tax(1, "1", "fixed"),), "line", quantity=quantity)

    assert by_tax(totals) == [expected]


def test_an_included_fixed_tax_is_taken_out_before_the_percentage():
    plain = (incl(1, "1", "fixed"), incl(2, "21"))
    under = (incl(1, "1", "fixed", include_base_amount=True), incl(2, "21"))

    apart, stacked = document(["122"], plain, "line"), document(["122"], under, "line")

    assert (str(apart.untaxed), by_tax(apart)) == ("100.00", ["1.00", "21.00"])
    assert (str(stacked.untaxed), by_tax(stacked)) == ("99.83", ["1.00", "21.17"])
    assert str(stacked.rows[1].base) == "100.83"


def test_included_percentages_with_one_base_are_computed_together():
    totals = document(["131"], (incl(1, "21"), incl(2, "10", include_base_amount=True)), "line")

    assert (str(totals.untaxed), by_tax(totals)) == ("100.00", ["21.00", "10.00"])


def test_included_tax_on_included_tax():
    totals = document(["133.10"], (incl(1, "21", include_base_amount=True), incl(2, "10")), "line")

    assert (str(totals.untaxed), by_tax(totals)) == ("100.00", ["21.00", "12.10"])


def test_by_total_a_rate_does_not_pay_for_the_roundings_of_another():
    full, low = tax(1, "21"), tax(2, "6")
    small = [TaxLine(n, d(1), d("0.104"), taxes=(full,)) for n in range(10)]

    totals = compute_document(
        [TaxLine("large", d(1), d("1000"), taxes=(low,)), *small], step=CENT, rounding="total"
    )

    assert str(totals.lines[0].subtotal) == "1000.00"
    assert {row.tax.pk: str(row.base) for row in totals.rows} == {2: "1000.00", 1: "1.04"}
    assert str(totals.untaxed) == "1001.04"


@pytest.mark.parametrize("rounding", BOTH)
def test_the_box_counts_a_line_once_a_group(rounding):
    a, b = tax(1, "21", group_pk=7), tax(2, "5", group_pk=7)
    other = tax(3, "6", group_pk=8)
    lines = [TaxLine(1, d(1), d(100), taxes=(a, b)), TaxLine(2, d(1), d(50), taxes=(other,))]

    totals = compute_document(lines, step=CENT, rounding=rounding)

    assert [(g.group_pk, str(g.base), str(g.amount)) for g in totals.groups] == [
        (7, "100.00", "26.00"),
        (8, "50.00", "3.00"),
    ]


def test_a_price_may_be_declared_included_or_excluded_whatever_the_tax_says():
    forced_out = document(["100"], (V21,), "line", price_mode="excluded")
    forced_in = document(["121"], (N21,), "line", price_mode="included")

    assert (str(forced_out.untaxed), str(forced_out.total)) == ("100.00", "121.00")
    assert (str(forced_in.untaxed), str(forced_in.total)) == ("100.00", "121.00")


def test_no_lines_is_nothing():
    totals = compute_document([], step=CENT, rounding="total")

    assert (str(totals.untaxed), str(totals.tax), str(totals.total)) == ("0.00", "0.00", "0.00")
    assert totals.lines == totals.rows == totals.groups == ()


@pytest.mark.parametrize(
    "spec",
    [
        tax(1, "100", "division"),
        incl(1, "-100"),
        tax(1, "21", invoice_repartition=(Repartition(d(90)),)),
        tax(1, "21", invoice_repartition=(Repartition(d(100)), Repartition(d(-50)))),
        tax(1, "1", "python"),
        TaxSpec(pk=1, amount_type="group", children=(TaxSpec(pk=2, amount_type="group"),)),
    ],
    ids=["division of all", "included minus 100", "parts of 90", "half given back", "unknown", "nested"],
)
def test_taxes_without_a_meaning_are_refused(spec):
    with pytest.raises(TaxDefinitionError) as refused:
        document(["100"], (spec,), "line")
    assert refused.value.code == "tax_definition"


def test_other_refusals():
    with pytest.raises(TaxError):
        document(["100"], (N21,), "globally")
    with pytest.raises(TaxDefinitionError):
        document(["100"], (N21,), "line", step=d(0))
    with pytest.raises(TypeError):
        compute_document([TaxLine(1, 1.0, d(10), taxes=(N21,))], step=CENT, rounding="line")
