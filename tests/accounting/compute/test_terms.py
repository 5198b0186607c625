"""Payment terms: dates, parts and early discounts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from apps.accounting.compute.terms import (
    Delay,
    EarlyDiscount,
    InvalidTerms,
    TermLine,
    check_terms,
    describe,
    discount_parts,
    due_date,
    instalments,
    preview,
)

D = Decimal

CENT, YEN = D("0.01"), D(1)
START = date(2026, 1, 15)


def percent(value: str, days: int = 0, delay: str = Delay.DAYS_AFTER, day: int = 0) -> TermLine:
    return TermLine("percent", D(value), days, delay, day)


def fixed(value: str, days: int = 0) -> TermLine:
    return TermLine("fixed", D(value), days)


def amounts(total: str, lines: list[TermLine], company: str | None = None) -> list[tuple[D, D]]:
    parts = instalments(D(total), D(company or total), lines, START, CENT, CENT)
    return [(part.amount, part.amount_company) for part in parts]


@pytest.mark.parametrize(
    ("start", "days", "delay", "day", "expected"),
    [
        ("2023-12-12", 30, "end_of_month_on", 10, "2024-02-10"),
        ("2023-12-12", 30, "end_of_month_on", 31, "2024-02-29"),
        ("2023-12-12", 30, "end_of_month_on", 0, "2024-01-31"),
        ("2023-12-12", 0, "end_of_month_on", 5, "2024-01-05"),
        ("2025-01-30", 0, "end_of_month_on", 30, "2025-02-28"),
        ("2026-01-31", 30, "days_after", 0, "2026-03-02"),
        ("2026-01-31", 0, "days_after", 0, "2026-01-31"),
        ("2026-01-10", 0, "end_of_month", 0, "2026-01-31"),
        ("2026-01-10", 15, "end_of_month", 0, "2026-02-15"),
        ("2026-01-31", 0, "end_of_next_month", 0, "2026-02-28"),
        ("2026-12-31", 10, "end_of_next_month", 0, "2027-02-10"),
    ],
)
def test_due_dates(start: str, days: int, delay: str, day: int, expected: str) -> None:
    line = TermLine("percent", D(100), days, delay, day)

    assert due_date(line, date.fromisoformat(start)).isoformat() == expected


@pytest.mark.parametrize(
    ("total", "lines", "expected"),
    [
        ("0.03", [percent("50"), percent("50", 30)], ["0.02", "0.01"]),
        ("1210.00", [percent("30"), percent("70", 60)], ["363.00", "847.00"]),
        ("-1210.00", [percent("30"), percent("70", 60)], ["-363.00", "-847.00"]),
        ("-0.03", [percent("50"), percent("50", 30)], ["-0.02", "-0.01"]),
        (
            "100.00",
            [percent("33.33"), percent("33.33", 30), percent("33.34", 60)],
            ["33.33", "33.33", "33.34"],
        ),
        ("100.00", [fixed("40.00"), percent("100", 30)], ["40.00", "60.00"]),
        ("30.00", [fixed("40.00"), percent("100", 30)], ["30.00"]),
        ("-30.00", [fixed("40.00"), percent("100", 30)], ["-30.00"]),
        ("0.01", [percent("25"), percent("25"), percent("25"), percent("25")], ["0.01"]),
        ("0.00", [percent("50"), percent("50", 30)], ["0.00"]),
        ("99.99", [percent("100")], ["99.99"]),
    ],
)
def test_totals_are_divided(total: str, lines: list[TermLine], expected: list[str]) -> None:
    parts = amounts(total, lines)

    assert [str(amount) for amount, _company in parts] == expected
    assert [company for _amount, company in parts] == [amount for amount, _company in parts]


def test_dates_follow_the_lines() -> None:
    parts = instalments(D(1210), D(1210), [percent("30"), percent("70", 60)], START, CENT, CENT)

    assert [part.date for part in parts] == [START, START + timedelta(days=60)]
    assert all(part.discount_amount is None for part in parts)


def test_the_last_part_takes_the_rest_in_both_units() -> None:
    parts = amounts("100.00", [percent("33.333"), percent("33.333", 30), percent("33.334", 60)], "90.91")

    assert parts == [(D("33.33"), D("30.30")), (D("33.33"), D("30.30")), (D("33.34"), D("30.31"))]


def test_a_part_of_nothing_in_the_document_is_nothing_in_the_company() -> None:
    parts = instalments(D(1), D(160), [percent("40"), percent("60", 30)], START, YEN, YEN)

    assert [(part.amount, part.amount_company) for part in parts] == [(D(1), D(160))]
    assert parts[0].date == START + timedelta(days=30)


@pytest.mark.parametrize(
    ("treatment", "total", "payable"),
    [("included", "1210.00", "1185.80"), ("excluded", "1210.00", "1190.00"), ("mixed", "1205.80", "1185.80")],
)
def test_early_discounts(treatment: str, total: str, payable: str) -> None:
    discount = EarlyDiscount(D(2), 10, treatment)

    (part,) = instalments(
        D(total),
        D(total) * 2,
        [percent("100", 30)],
        START,
        CENT,
        CENT,
        discount=discount,
        untaxed=D("1000.00"),
        untaxed_company=D("2000.00"),
    )
    (mirror,) = instalments(
        -D(total),
        -D(total) * 2,
        [percent("100", 30)],
        START,
        CENT,
        CENT,
        discount=discount,
        untaxed=D("-1000.00"),
        untaxed_company=D("-2000.00"),
    )

    assert part.amount == D(total)
    assert part.discount_date == date(2026, 1, 25)
    assert part.discount_amount == D(payable)
    assert part.discount_amount_company == D(payable) * 2
    assert mirror.discount_amount == -D(payable)


@pytest.mark.parametrize(
    ("taken", "untaxed", "taxes", "treatment", "expected"),
    [
        ("24.20", "1000.00", ["210.00"], "included", ("20.00", ["4.20"])),
        ("172.50", "1500.00", ["225.00"], "included", ("150.00", ["22.50"])),
        ("20.00", "1000.00", ["210.00"], "excluded", ("20.00", ["0.00"])),
        ("20.00", "1000.00", ["205.80"], "mixed", ("20.00", ["0.00"])),
        ("-24.20", "-1000.00", ["-210.00"], "included", ("-20.00", ["-4.20"])),
        ("20.00", "1000.00", [], "included", ("20.00", [])),
        ("1.00", "33.33", ["33.33", "33.34"], "included", ("0.33", ["0.33", "0.34"])),
    ],
)
def test_discounts_are_split_into_loss_and_tax(
    taken: str, untaxed: str, taxes: list[str], treatment: str, expected: tuple[str, list[str]]
) -> None:
    loss, corrections = discount_parts(D(taken), D(untaxed), [D(tax) for tax in taxes], treatment, CENT)

    assert (str(loss), [str(each) for each in corrections]) == expected


@pytest.mark.parametrize(
    ("lines", "discount", "code"),
    [
        ([], None, "terms_empty"),
        ([percent("50"), percent("49.99")], None, "terms_percent_sum"),
        ([fixed("50"), fixed("0")], None, "terms_percent_sum"),
        ([percent("-1"), percent("101")], None, "terms_value"),
        ([fixed("-1"), percent("100")], None, "terms_value"),
        ([TermLine("share", D(100))], None, "terms_kind"),
        ([TermLine("percent", D(100), 0, "sometime")], None, "terms_delay"),
        ([percent("100", -1)], None, "terms_days"),
        ([percent("100", 0, "end_of_month_on", 32)], None, "terms_day"),
        ([percent("50"), percent("50")], EarlyDiscount(D(2), 10), "discount_lines"),
        ([percent("100")], EarlyDiscount(D(0), 10), "discount_percent"),
        ([percent("100")], EarlyDiscount(D("100.01"), 10), "discount_percent"),
        ([percent("100")], EarlyDiscount(D(2), 0), "discount_days"),
        ([percent("100")], EarlyDiscount(D(2), 10, "half"), "discount_treatment"),
    ],
)
def test_terms_that_do_not_divide_are_refused(
    lines: list[TermLine], discount: EarlyDiscount | None, code: str
) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        check_terms(lines, discount)

    assert refusal.value.code == code
    assert refusal.value.fields
    with pytest.raises(InvalidTerms):
        instalments(D(1), D(1), lines, START, CENT, CENT, discount=discount)


def test_a_wrong_line_is_named() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        check_terms([percent("100"), percent("100", 0, "end_of_month_on", 40)])

    assert list(refusal.value.fields) == ["lines.1.day"]


def test_totals_of_different_sign_are_refused() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        instalments(D(1), D(-1), [percent("100")], START, CENT, CENT)

    assert refusal.value.code == "terms_signs"


def test_a_discount_without_tax_needs_the_untaxed_amount() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        instalments(
            D(1), D(1), [percent("100")], START, CENT, CENT, discount=EarlyDiscount(D(2), 5, "excluded")
        )

    assert refusal.value.code == "discount_untaxed"


money = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


@st.composite
def term_lines(draw: st.DrawFn) -> list[TermLine]:
    cuts = sorted(draw(st.lists(st.integers(1, 9999), max_size=5, unique=True)))
    shares = [b - a for a, b in zip([0, *cuts], [*cuts, 10000], strict=True)]
    lines = [
        TermLine("percent", D(share) / 100, draw(st.integers(0, 120)), draw(st.sampled_from(list(Delay))))
        for share in shares
    ]
    for _ in range(draw(st.integers(0, 2))):
        value = draw(st.decimals(min_value=0, max_value=10**6, places=2))
        lines.insert(draw(st.integers(0, len(lines))), TermLine("fixed", value))
    return lines


@given(total=money, rate=st.decimals(min_value=D("0.001"), max_value=1000, places=6), lines=term_lines())
def test_parts_add_up_never_change_sides_and_mirror(total: D, rate: D, lines: list[TermLine]) -> None:
    company = round(total * rate, 2)

    parts = instalments(total, company, lines, START, CENT, CENT)
    mirror = instalments(-total, -company, lines, START, CENT, CENT)

    assert sum(part.amount for part in parts) == total
    assert sum(part.amount_company for part in parts) == company
    for part in parts:
        assert part.amount * total >= 0
        assert part.amount_company * company >= 0
        assert part.amount or len(parts) == 1
        assert part.date >= START
    assert [(-p.date.toordinal(), -p.amount, -p.amount_company) for p in parts] == [
        (-p.date.toordinal(), p.amount, p.amount_company) for p in mirror
    ]


def test_terms_in_words() -> None:
    lines = [
        percent("30"),
        percent("20.50", 1, "end_of_month"),
        percent("49.5", 30, "end_of_month_on", 10),
        fixed("5"),
    ]

    with translation.override("en"):
        assert describe(lines) == [
            "30% at once",
            "20.5% 1 day after the end of the month",
            "49.5% on day 10 of the month after 30 days are over",
            "The rest at once",
        ]
        assert describe([percent("100", 30)], EarlyDiscount(D("2.000000"), 10)) == [
            "The total 30 days after the date",
            "2% off when paid within 10 days; the tax is reduced with it",
        ]


def test_an_example_in_words() -> None:
    parts = instalments(
        D(1210), D(1210), [percent("100", 30)], START, CENT, CENT, discount=EarlyDiscount(D(2), 10)
    )

    with translation.override("en"):
        texts = preview(parts, lambda amount: f"€ {amount:.2f}", lambda day: day.isoformat())

    assert texts == ["€ 1210.00 due on 2026-02-14", "€ 1185.80 if paid by 2026-01-25"]
