"""Payment references that a bank can check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iso11649 as oracle
from stdnum import luhn
from stdnum.be import ogm_vcs

from apps.accounting.compute.references import (
    InvalidReference,
    belgian,
    finnish,
    is_valid_belgian,
    is_valid_finnish,
    is_valid_iso11649,
    is_valid_norwegian_kid,
    iso11649,
    normalise,
    norwegian_kid,
)

bodies = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=21)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (43, "RF07 43"),
        (654, "RF97 654"),
        (202600042, "RF89 2026 0004 2"),
        ("INV/2026/00001", "RF76 INV2 0260 0001"),
        ("inv 2026-00001", "RF76 INV2 0260 0001"),
        ("539007547034", "RF18 5390 0754 7034"),
        ("Ænéa 7", iso11649("nea7")),
    ],
)
def test_references_of_numbers_and_texts(value: int | str, expected: str) -> None:
    reference = iso11649(value)

    assert reference == expected
    assert is_valid_iso11649(reference)
    assert oracle.is_valid(normalise(reference))


@given(body=bodies)
def test_every_reference_is_valid_and_a_wrong_character_is_found(body: str) -> None:
    reference = normalise(iso11649(body))

    assert reference[4:] == body
    assert oracle.is_valid(reference)
    assert is_valid_iso11649(reference.lower())
    last = reference[
        -1
    ]  # for another of its kind: a digit for a letter changes the length and may slip through
    other = str((int(last) + 1) % 10) if last.isdigit() else ("A" if last != "A" else "B")
    assert not is_valid_iso11649(reference[:-1] + other)


@pytest.mark.parametrize(
    "text",
    ["", "RF07", "RF07 44", "RF00 43", "RF99 43", "XX07 43", "RF07 43 ö", "RF07" + "1" * 22, "RF٠٧ 43"],
)
def test_what_is_no_reference(text: str) -> None:
    assert not is_valid_iso11649(text)


@pytest.mark.parametrize(
    ("value", "code"),
    [("", "reference_empty"), ("//", "reference_empty"), ("A" * 22, "reference_too_long"), (-1, None)],
)
def test_nothing_can_be_made_of_it(value: int | str, code: str | None) -> None:
    with pytest.raises(InvalidReference) as refusal:
        iso11649(value)

    assert refusal.value.code == (code or "invalid_reference")


@given(number=st.integers(0, 10**10 - 1))
def test_belgian_communication(number: int) -> None:
    reference = belgian(number)

    assert is_valid_belgian(reference)
    assert ogm_vcs.is_valid(reference)
    assert int(normalise(reference).replace("+", "").replace("/", "")[:10]) == number


def test_belgian_examples() -> None:
    assert belgian(43) == "+++000/0000/04343+++"
    assert belgian(97) == "+++000/0000/09797+++"  # a remainder of nothing is written 97
    assert is_valid_belgian("***000/0000/04343***")
    assert is_valid_belgian("000000004343")
    assert not is_valid_belgian("+++000/0000/04344+++")
    assert not is_valid_belgian("+++000/0000/0434+++")
    with pytest.raises(InvalidReference) as refusal:
        belgian(10**10)
    assert refusal.value.code == "reference_digits"


@pytest.mark.parametrize(("value", "expected"), [(100, "1009"), (1234567, "123 45672"), (43, "0437")])
def test_finnish_references(value: int, expected: str) -> None:
    assert finnish(value) == expected
    assert is_valid_finnish(expected)
    assert not is_valid_finnish(expected[:-1] + str((int(expected[-1]) + 1) % 10))


@given(number=st.integers(0, 10**24 - 1))
def test_norwegian_kid(number: int) -> None:
    reference = norwegian_kid(number)

    assert is_valid_norwegian_kid(reference)
    assert luhn.is_valid(reference)
    assert not is_valid_norwegian_kid(reference[:-1] + str((int(reference[-1]) + 1) % 10))
