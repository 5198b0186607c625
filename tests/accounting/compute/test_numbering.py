"""Numbers of documents: formats, series, what follows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounting.compute.numbering import (
    CALENDAR,
    Format,
    InvalidNumber,
    Kind,
    NumberDateMismatch,
    check_date,
    detect,
    first_format,
    first_number,
    fiscal_year,
    next_after,
    period_bounds,
    read,
    read_with,
    render,
    series_key,
)

NOVEMBER = date(2026, 11, 15)
JUNE_END = (6, 30)
days = st.dates(min_value=date(1950, 1, 1), max_value=date(2150, 12, 31))
year_ends = st.sampled_from([CALENDAR, (6, 30), (3, 31), (2, 28), (4, 5), (9, 30)])
journals = st.sampled_from(["sale", "purchase", "bank", "cash", "credit", "general"])


@pytest.mark.parametrize(
    ("number", "kind", "reset", "key", "following"),
    [
        ("INV/2026/00001", "year", "year", "INV/2026/", "INV/2026/00002"),
        ("RINV/2026/00099", "year", "year", "RINV/2026/", "RINV/2026/00100"),
        ("BILL/2026/11/0001", "month", "month", "BILL/2026/11/", "BILL/2026/11/0002"),
        ("INV/26-27/0009", "year_range", "year", "INV/26-27/", "INV/26-27/0010"),
        ("INV/2026-27/1", "year_range", "year", "INV/2026-27/", "INV/2026-27/2"),
        ("B/26-27/11/0001", "year_range_month", "month", "B/26-27/11/", "B/26-27/11/0002"),
        ("INV00001", "fixed", "never", "INV", "INV00002"),
        ("99999", "fixed", "never", "", "100000"),
        ("ABC", "fixed", "never", "ABC", "ABC1"),
        ("2026-17", "year", "year", "2026-", "2026-18"),
        ("202611/7", "month", "month", "202611/", "202611/8"),
        ("F26.0012-x", "year", "year", "F26.", "F26.0013-x"),
        ("X1/2026/11/0001", "month", "month", "X1/2026/11/", "X1/2026/11/0002"),
        ("INV/2026/130/0001", "fixed", "never", "INV/2026/130/", "INV/2026/130/0002"),
        ("A12345678901234", "fixed", "never", "A12345", "A12345678901235"),
    ],
)
def test_formats_are_detected(number: str, kind: str, reset: str, key: str, following: str) -> None:
    form = detect(number, fiscal_year_end=JUNE_END)

    assert form.kind == kind
    assert form.reset == reset
    assert series_key(form, NOVEMBER) == key
    assert next_after(number, fiscal_year_end=JUNE_END) == following
    counter = read(number, fiscal_year_end=JUNE_END).counter
    if number != "ABC":  # without a counter there is nothing to write back
        assert render(form, NOVEMBER, counter) == number


@pytest.mark.parametrize(
    ("number", "year_end", "day", "kind"),
    [
        ("X/11-12/0001", CALENDAR, None, "month"),
        ("X/11-12/0001", JUNE_END, None, "year_range"),
        ("X/11-12/0001", JUNE_END, date(2011, 9, 1), "year_range"),
        ("X/11-12/0001", (3, 31), date(2012, 2, 1), "year_range"),
        ("X/11-12/0001", CALENDAR, date(2011, 12, 5), "month"),
        ("INV/25-26/0001", CALENDAR, None, "year_range"),
        ("INV/25-26/0001", CALENDAR, date(2026, 2, 1), "year"),
        ("99-00/1", JUNE_END, date(1999, 12, 1), "year_range"),
    ],
)
def test_date_and_fiscal_year_settle_what_is_meant(
    number: str, year_end: tuple[int, int], day: date | None, kind: str
) -> None:
    assert detect(number, day=day, fiscal_year_end=year_end).kind == kind


@pytest.mark.parametrize("number", ["", "  ", "/", "INV\n1", "x" * 61, "a\x00b"])
def test_what_cannot_be_a_number(number: str) -> None:
    with pytest.raises(InvalidNumber):
        detect(number)


@pytest.mark.parametrize(
    ("number", "day", "following"),
    [
        ("INV/2026/00007", date(2026, 12, 31), "INV/2026/00008"),
        ("INV/2026/00007", date(2027, 1, 1), "INV/2027/00001"),
        ("BILL/2026/11/0007", date(2026, 12, 1), "BILL/2026/12/0001"),
        ("BILL/2026/11/0007", date(2027, 11, 1), "BILL/2027/11/0001"),
        ("INV00007", date(2030, 1, 1), "INV00008"),
        ("INV/26/00007-b", date(2027, 1, 1), "INV/27/00001-b"),
    ],
)
def test_the_next_number_follows_the_period(number: str, day: date, following: str) -> None:
    assert next_after(number, day=day) == following


def test_the_next_number_follows_the_fiscal_year() -> None:
    assert next_after("INV/25-26/0007", day=date(2026, 6, 30), fiscal_year_end=JUNE_END) == "INV/25-26/0008"
    assert next_after("INV/25-26/0007", day=date(2026, 7, 1), fiscal_year_end=JUNE_END) == "INV/26-27/0001"


@pytest.mark.parametrize(
    ("code", "journal_type", "day", "options", "expected"),
    [
        ("INV", "sale", "2026-11-15", {}, "INV/2026/00001"),
        ("INV", "sale", "2026-11-15", {"is_refund": True}, "RINV/2026/00001"),
        ("BNK1", "bank", "2026-11-15", {}, "BNK1/2026/00001"),
        ("BNK1", "bank", "2026-11-15", {"is_payment": True}, "PBNK1/2026/00001"),
        ("CSH1", "cash", "2026-11-15", {}, "CSH1/2026/00001"),
        ("CCD1", "credit", "2026-11-15", {}, "CCD1/2026/00001"),
        ("BILL", "purchase", "2026-11-15", {}, "BILL/2026/11/0001"),
        ("BILL", "purchase", "2026-11-15", {"is_refund": True}, "RBILL/2026/11/0001"),
        ("MISC", "general", "2026-11-15", {}, "MISC/2026/11/0001"),
        ("INV", "sale", "2026-06-30", {"fiscal_year_end": JUNE_END}, "INV/25-26/0001"),
        ("INV", "sale", "2026-07-01", {"fiscal_year_end": JUNE_END}, "INV/26-27/0001"),
        ("BILL", "purchase", "2026-07-01", {"fiscal_year_end": JUNE_END}, "BILL/26-27/07/0001"),
        ("INV", "sale", "1999-07-01", {"fiscal_year_end": JUNE_END}, "INV/99-00/0001"),
    ],
)
def test_first_numbers(
    code: str, journal_type: str, day: str, options: dict[str, object], expected: str
) -> None:
    assert first_number(code, journal_type, date.fromisoformat(day), **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "day", "year_end", "agrees"),
    [
        ("INV/2026/00005", "2026-12-31", CALENDAR, True),
        ("INV/2025/00005", "2026-01-01", CALENDAR, False),
        ("BILL/2026/11/0005", "2026-11-30", CALENDAR, True),
        ("BILL/2026/10/0005", "2026-11-01", CALENDAR, False),
        ("BILL/2025/11/0005", "2026-11-01", CALENDAR, False),
        ("INV/25-26/0005", "2026-06-30", JUNE_END, True),
        ("INV/25-26/0005", "2026-07-01", JUNE_END, False),
        ("INV00005", "1999-01-01", CALENDAR, True),
    ],
)
def test_a_number_must_match_its_date(number: str, day: str, year_end: tuple[int, int], agrees: bool) -> None:
    form = detect(number, fiscal_year_end=year_end)

    if agrees:
        assert check_date(form, number, date.fromisoformat(day)).counter == 5
        return
    with pytest.raises(NumberDateMismatch) as refusal:
        check_date(form, number, date.fromisoformat(day))
    assert refusal.value.code == "number_date"
    assert number in refusal.value.message


def test_a_number_of_another_format_is_refused() -> None:
    with pytest.raises(InvalidNumber) as refusal:
        check_date(detect("INV/2026/00001"), "BILL/2026/00001", NOVEMBER)

    assert refusal.value.code == "number_format"
    assert "INV/2026/00001" in refusal.value.message


def test_the_counter_has_an_end() -> None:
    with pytest.raises(InvalidNumber) as refusal:
        next_after("INV/2026/999999999")
    assert refusal.value.code == "number_range"
    with pytest.raises(InvalidNumber):
        render(detect("INV/2026/1"), NOVEMBER, 10**9)


@pytest.mark.parametrize(
    ("year_end", "day", "start", "end"),
    [
        (CALENDAR, "2026-07-01", "2026-01-01", "2026-12-31"),
        (JUNE_END, "2026-06-30", "2025-07-01", "2026-06-30"),
        (JUNE_END, "2026-07-01", "2026-07-01", "2027-06-30"),
        ((2, 28), "2024-02-29", "2023-03-01", "2024-02-29"),
        ((2, 29), "2025-02-28", "2024-03-01", "2025-02-28"),
        ((4, 31), "2026-04-30", "2025-05-01", "2026-04-30"),
    ],
)
def test_fiscal_years(year_end: tuple[int, int], day: str, start: str, end: str) -> None:
    found = fiscal_year(date.fromisoformat(day), year_end)

    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


@pytest.mark.parametrize(
    ("number", "bounds"),
    [
        ("INV/2026/00001", ("2026-01-01", "2026-12-31")),
        ("BILL/2026/11/0001", ("2026-11-01", "2026-11-30")),
        ("INV/26-27/0001", ("2026-07-01", "2027-06-30")),
        ("BILL/26-27/11/0001", ("2026-11-01", "2026-11-30")),
        ("INV1", None),
    ],
)
def test_bounds_of_a_series(number: str, bounds: tuple[str, str] | None) -> None:
    found = period_bounds(detect(number, fiscal_year_end=JUNE_END), NOVEMBER)

    assert (found and (found.start.isoformat(), found.end.isoformat())) == bounds


literals = st.text("ABZ/-. #", min_size=0, max_size=6)
gaps = st.text("/-.", min_size=1, max_size=1)


@st.composite
def formats(draw: st.DrawFn) -> Format:
    kind = draw(st.sampled_from(list(Kind)))
    head = draw(literals).lstrip()
    padding = draw(st.integers(1, 6))
    suffix = draw(st.sampled_from(["", "-b", "/X"]))
    year_end = draw(year_ends)
    if kind is Kind.FIXED:
        return Format(kind, head=head, padding=padding, suffix=suffix, fiscal_year_end=year_end)
    ranged = kind in (Kind.YEAR_RANGE, Kind.YEAR_RANGE_MONTH)
    monthly = kind in (Kind.MONTH, Kind.YEAR_RANGE_MONTH)
    return Format(
        kind,
        head=head,
        year_digits=draw(st.sampled_from([2, 4])),
        year_gap=draw(gaps) if ranged else "",
        end_digits=draw(st.sampled_from([2, 4])) if ranged else 0,
        month_gap=draw(gaps) if monthly else "",
        tail=draw(gaps),
        padding=padding,
        suffix=suffix,
        fiscal_year_end=year_end,
    )


@given(form=formats(), day=days, counter=st.integers(0, 10**9 - 1))
def test_what_is_written_is_read_back(form: Format, day: date, counter: int) -> None:
    number = render(form, day, counter)

    found = read_with(form, number)

    assert found is not None
    assert found.counter == counter
    assert number.startswith(series_key(form, day))
    assert check_date(form, number, day).counter == counter
    if counter < 10**9 - 1:
        again = read_with(form, render(form, day, counter + 1))
        assert again is not None
        assert again.counter == counter + 1


@given(form=formats(), day=days)
def test_a_series_is_one_within_its_period_and_another_outside(form: Format, day: date) -> None:
    bounds = period_bounds(form, day)

    if bounds is None:
        assert series_key(form, day) == series_key(form, day + timedelta(days=4000))
        return
    key = series_key(form, day)
    assert day in bounds
    assert series_key(form, bounds.start) == key
    assert series_key(form, bounds.end) == key
    assert series_key(form, bounds.start - timedelta(days=1)) != key
    assert series_key(form, bounds.end + timedelta(days=1)) != key


@given(
    journal=journals,
    day=days,
    later=st.integers(0, 800),
    refund=st.booleans(),
    year_end=year_ends,
    steps=st.integers(1, 5),
)
def test_default_numbers_lead_from_one_to_the_next(
    journal: str, day: date, later: int, refund: bool, year_end: tuple[int, int], steps: int
) -> None:
    form = first_format("JRN", journal, is_refund=refund, fiscal_year_end=year_end)
    number = first_number("JRN", journal, day, is_refund=refund, fiscal_year_end=year_end)
    assert detect(number, day=day, fiscal_year_end=year_end) == form

    current = number
    for step in range(2, 2 + steps):
        current = next_after(current, day=day, previous_day=day, fiscal_year_end=year_end)
        assert current == render(form, day, step)

    moved = day + timedelta(days=later)
    following = next_after(current, day=moved, previous_day=day, fiscal_year_end=year_end)
    same = series_key(form, moved) == series_key(form, day)
    assert following == render(form, moved, steps + 2 if same else 1)


@given(text=st.text("AB0123456789/-", min_size=1, max_size=30), day=days)
def test_any_text_is_read_and_the_counter_grows(text: str, day: date) -> None:
    if text == "/":
        return
    found = read(text)
    if found.counter == 10**9 - 1:
        return

    following = next_after(text)

    assert following != text
    assert read_with(found.format, following) is not None
    again = read_with(found.format, following)
    assert again is not None
    assert again.counter == found.counter + 1
