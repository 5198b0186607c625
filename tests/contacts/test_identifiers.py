"""Account numbers, tax numbers, addresses and telephone numbers against vectors and by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from apps.contacts.identifiers import (
    EXAMPLES,
    check_bic,
    check_iban,
    check_tax_id,
    looks_like_iban,
    parse_address,
    phone_e164,
    sanitize_account,
    website_url,
)
from apps.core.errors import ValidationFailed


def _vectors(shared_data: Path, kind: str) -> list[dict[str, str]]:
    path = shared_data / "identifiers" / "vectors.csv"
    if not path.is_file():
        pytest.skip(f"NOT TESTED: the {kind} vectors (identifiers/vectors.csv) are absent")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind]
    assert len(rows) > 30
    return rows


def test_iban_vectors(shared_data: Path) -> None:
    wrong = []
    for row in _vectors(shared_data, "iban"):
        try:
            outcome = check_iban(row["value"])
        except ValidationFailed as exc:
            outcome = "" if exc.fields["number"][0] else "no message"
        if outcome != (row["normalised"] if row["valid"] == "true" else ""):
            wrong.append((row["value"], outcome))

    assert wrong == []


def test_vat_vectors_with_and_without_country(shared_data: Path) -> None:
    wrong = []
    for row in _vectors(shared_data, "vat"):
        home = {"EL": "GR", "XI": "GB", "EU": ""}.get(row["country"], row["country"])
        for country in {"", home}:
            try:
                outcome = check_tax_id(row["value"], country)
            except ValidationFailed as exc:
                outcome = "" if exc.fields["tax_id"][0] else "no message"
            if outcome != (row["normalised"] if row["valid"] == "true" else ""):
                wrong.append((row["value"], country, outcome))

    assert wrong == []


@pytest.mark.parametrize(("country", "example"), sorted(EXAMPLES.items()))
def test_the_examples_in_messages_are_right(country: str, example: str) -> None:
    assert check_tax_id(example, country)


@pytest.mark.parametrize(
    ("text", "country", "stored"),
    [
        ("/", "NL", "/"),
        (" / ", "NL", "/"),
        ("x", "NL", "x"),
        ("", "NL", ""),
        ("123456782B90", "NL", "NL123456782B90"),
        ("nl 1234.56.782.b90", "NL", "NL123456782B90"),
        ("094259216", "GR", "EL094259216"),
        ("DE123456788", "NL", "DE123456788"),  # registered abroad
        ("12-3456789", "US", "12-3456789"),  # no rule is known
        ("anything 5", "", "ANYTHING 5"),
    ],
)
def test_how_tax_numbers_are_taken(text: str, country: str, stored: str) -> None:
    assert check_tax_id(text, country) == stored


@pytest.mark.parametrize(
    ("text", "country"), [("NL001241613B01", "NL"), ("123", "DE"), ("FR12345678901", "FR"), ("XX12", "IT")]
)
def test_a_wrong_tax_number_is_refused_with_a_right_one(text: str, country: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        check_tax_id(text, country)

    assert refusal.value.code == "invalid_tax_id"
    assert EXAMPLES[country] in refusal.value.fields["tax_id"][0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("BE68539007547035", "do not match"),
        ("BE6853900754703", "has 16 characters; this one has 15"),
        ("XX68539007547034", "'XX' is not a country"),
        ("BE00539007547034", "between 02 and 98"),
        ("BE68 5390*0754 7034", "letters and digits only"),
        ("", "Enter an IBAN"),
    ],
)
def test_a_wrong_iban_names_its_fault(text: str, fault: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        check_iban(text)

    assert fault in refusal.value.message


def test_the_iban_of_the_specification() -> None:
    assert check_iban("BE68 5390 0754 7034") == "BE68539007547034"
    assert check_iban("be68-5390.0754 7034") == "BE68539007547034"


def test_what_is_taken_for_an_iban() -> None:
    assert looks_like_iban("BE68539007547035")
    assert not looks_like_iban("0012345678")
    assert not looks_like_iban("XX431234567890")
    assert sanitize_account(" 12-34.567 / x ") == "1234567X"


def test_bic() -> None:
    assert check_bic(" deutdeff ") == "DEUTDEFF"
    with pytest.raises(ValidationFailed):
        check_bic("DEUT")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('"Ann B" <ann@x.com>', ("Ann B", "ann@x.com")),
        ("Ann B <Ann@X.com>", ("Ann B", "Ann@X.com")),
        ("ann@x.com", ("", "ann@x.com")),
        ("Ann B", ("Ann B", "")),
        ("B, Ann <ann@x.com>", ("B, Ann", "ann@x.com")),
        ("", ("", "")),
        ("@", ("", "")),
    ],
)
def test_addresses_are_taken_apart(text: str, parsed: tuple[str, str]) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize(
    ("text", "country", "international"),
    [
        ("030 555 0142", "NL", "+31305550142"),
        ("+1 (503) 555-0117", "NL", "+15035550117"),
        ("(503) 555-0117", "US", "+15035550117"),
        ("ask Jane", "US", ""),
        ("030 555 0142", "", ""),
        ("", "US", ""),
    ],
)
def test_telephone_numbers(text: str, country: str, international: str) -> None:
    assert phone_e164(text, country) == international


def test_websites() -> None:
    assert website_url("example.com/x") == "https://example.com/x"
    assert website_url("http://example.com") == "http://example.com"
    for text in ("javascript://alert(1)", "not a site", "ftp://example.com"):
        with pytest.raises(ValidationFailed):
            website_url(text)
