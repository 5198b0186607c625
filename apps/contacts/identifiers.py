"""Checking what identifies partners: bank accounts, tax numbers, e-mail addresses, telephone numbers.

Pure functions: text in, normal form out, or a ``ValidationFailed`` that says what the right form looks like. Check
digits follow ISO 13616 (IBAN) and each country's own rule (python-stdnum).
"""

from __future__ import annotations

import re
from email.utils import parseaddr

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, URLValidator
from django.utils.translation import gettext as _
from stdnum import bic as stdnum_bic
from stdnum import get_cc_module, iban
from stdnum.exceptions import InvalidChecksum
from stdnum.exceptions import ValidationError as StdnumError

from apps.core.errors import ValidationFailed

NOT_TAXABLE = "/"

# The two letters of a tax number in trade within the Union, where they are not those of the country.
_PREFIX_OF_COUNTRY = {"GR": "EL"}
_COUNTRY_OF_PREFIX = {"EL": "GR", "XI": "GB"}
EU_COUNTRIES = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ]
)
# One right number a country, for messages. The tests check each of them.
EXAMPLES = {
    "AT": "ATU12345675",
    "BE": "BE0477472701",
    "BG": "BG1234567892",
    "CH": "CHE-123.456.788 TVA",
    "CY": "CY10259033P",
    "CZ": "CZ12345679",
    "DE": "DE123456788",
    "DK": "DK12345674",
    "EE": "EE123456780",
    "ES": "ESA12345674",
    "FI": "FI12345671",
    "FR": "FR23334175221",
    "GB": "GB123456782",
    "GR": "EL123456783",
    "HR": "HR01234567896",
    "HU": "HU12345676",
    "IE": "IE1234567FA",
    "IT": "IT12345670017",
    "LT": "LT123456715",
    "LU": "LU12345613",
    "LV": "LV41234567891",
    "MT": "MT12345634",
    "NL": "NL123456782B90",
    "NO": "NO123456785MVA",
    "PL": "PL1234567883",
    "PT": "PT123456789",
    "RO": "RO1234567897",
    "SE": "SE123456789701",
    "SI": "SI12345679",
    "SK": "SK2022749619",
}
_IBAN_SHAPE = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{7,30}")
_SEPARATORS = re.compile(r"[\s.\-–/()]+")


# ------------------------------------------------------------------------------------------------ bank accounts
def sanitize_account(number: str) -> str:
    """Letters and digits only, in capitals: what makes two spellings of an account one."""
    return "".join(character for character in number.upper() if character.isalnum() and character.isascii())


def check_iban(text: str) -> str:
    """The normal form of an IBAN; raises ``ValidationFailed`` that names the fault.

    Blanks, dots and hyphens are ignored; anything else that is no letter or digit is a fault.
    """
    plain = re.sub(r"[\s.\-]+", "", text or "").upper()
    if not plain:
        raise _refuse_iban(_("Enter an IBAN."))
    if not plain.isascii() or not plain.isalnum():
        raise _refuse_iban(_("An IBAN has letters and digits only."))
    length = iban_length(plain[:2])
    if length is None:
        raise _refuse_iban(_("'%(country)s' is not a country that has IBANs.") % {"country": plain[:2]})
    if len(plain) != length:
        raise _refuse_iban(
            _("An IBAN of %(country)s has %(length)d characters; this one has %(actual)d.")
            % {"country": plain[:2], "length": length, "actual": len(plain)}
        )
    if not plain[2:4].isdigit() or not 2 <= int(plain[2:4]) <= 98:
        raise _refuse_iban(_("The check digits of an IBAN lie between 02 and 98."))
    try:
        return str(
            iban.validate(plain, check_country=False)
        )  # form, length and check digits; no lists of banks
    except InvalidChecksum as exc:
        raise _refuse_iban(
            _("The check digits of this IBAN do not match: look for a typing mistake.")
        ) from exc
    except StdnumError as exc:
        raise _refuse_iban(
            _("This is not an account number as banks of %(country)s use them.") % {"country": plain[:2]}
        ) from exc


def _refuse_iban(message: str) -> ValidationFailed:
    return ValidationFailed(message, code="invalid_iban", fields={"number": [message]})


def iban_length(country: str) -> int | None:
    """How long an IBAN of the country is, or ``None`` for a country without."""
    info = iban._ibandb.info(f"{country.upper():2.2}00")[0][1]
    structure = info.get("bban", "") if info else ""
    parts = re.findall(r"(\d+)!", structure)
    return 4 + sum(int(part) for part in parts) if parts else None


def looks_like_iban(sanitized: str) -> bool:
    """Whether somebody who wrote this meant an IBAN, so that a wrong one is refused and not taken for another kind."""
    return bool(_IBAN_SHAPE.fullmatch(sanitized)) and iban_length(sanitized[:2]) is not None


def format_iban(number: str) -> str:
    """In groups of four, as it is printed."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def check_bic(text: str) -> str:
    """The normal form of a BIC; raises ``ValidationFailed``."""
    try:
        return str(stdnum_bic.validate(text))
    except StdnumError as exc:
        message = _("A BIC has 8 or 11 characters, such as DEUTDEFF or DEUTDEFF500.")
        raise ValidationFailed(message, fields={"bic": [message]}) from exc


# ------------------------------------------------------------------------------------------------- tax numbers
def check_tax_id(text: str, country: str = "", *, field: str = "tax_id") -> str:
    """The normal form of a tax number; raises ``ValidationFailed`` with the form that is right in the country.

    ``/`` says that the partner is not liable; a single character and countries whose rule is not known are taken as
    they are. Within the Union the two leading letters may be left out and are added.
    """
    given = (text or "").strip()
    if len(given) <= 1:
        return given
    country = country.upper()
    plain = _SEPARATORS.sub("", given).upper()
    prefix, rest = plain[:2], plain[2:]
    own_prefix = _PREFIX_OF_COUNTRY.get(country, country)

    found = None
    if _known_prefix(prefix):  # first as it is written: also somebody registered in another country
        found = _check_prefixed(prefix, rest)
        if found is None and (not country or prefix in (own_prefix, country)):
            raise _refuse_tax_id(given, country or _COUNTRY_OF_PREFIX.get(prefix, prefix), field)
    if found is None and country and _own_rule(country):
        found = _check_plain(plain, country)
    if found is None:
        if country and _own_rule(country):
            raise _refuse_tax_id(given, country, field)
        return given.upper()
    return found


def _own_rule(country: str) -> bool:
    return _module(country) is not None


def _known_prefix(prefix: str) -> bool:
    return prefix in EU_COUNTRIES or prefix in ("EL", "XI", "EU", "GB")


def _module(country: str) -> object | None:
    try:
        return get_cc_module(country.lower(), "vat")
    except (ImportError, ValueError):
        return None


def _check_prefixed(prefix: str, rest: str) -> str | None:
    """A number with its country letters, in the form that trade within the Union uses."""
    country = {"EL": "gr", "XI": "gb", "EU": "eu"}.get(prefix, prefix.lower())
    module = get_cc_module("eu", "oss") if prefix == "EU" else _module(country)
    if module is None:
        return None
    number = f"EU{rest}" if prefix == "EU" else rest
    try:
        compact = str(module.validate(number))  # type: ignore[attr-defined]
    except StdnumError:
        return None
    if prefix == "EU":
        return compact if compact.startswith("EU") else f"EU{compact}"
    return (
        compact if prefix == "ES" and compact.startswith("ES") else f"{prefix}{compact.removeprefix(prefix)}"
    )


def _check_plain(plain: str, country: str) -> str | None:
    """A number by the rule of the country; within the Union its letters are put in front."""
    if country in EU_COUNTRIES:
        prefix = _PREFIX_OF_COUNTRY.get(country, country)
        return _check_prefixed(prefix, plain.removeprefix(prefix))
    if country == "GB":
        return _check_prefixed("GB", plain.removeprefix("GB"))
    module = _module(country)
    if module is None:
        return plain
    try:
        return str(module.validate(plain))  # type: ignore[attr-defined]
    except StdnumError:
        return None


def _refuse_tax_id(given: str, country: str, field: str) -> ValidationFailed:
    example = EXAMPLES.get(country)
    if example:
        message = _(
            "'%(number)s' is not a tax number of %(country)s. A right one looks like %(example)s."
        ) % {
            "number": given,
            "country": country,
            "example": example,
        }
    else:
        message = _("'%(number)s' is not a tax number of %(country)s.") % {
            "number": given,
            "country": country,
        }
    return ValidationFailed(message, code="invalid_tax_id", fields={field: [message]})


# ----------------------------------------------------------------------------------------- e-mail, phone, web
_valid_email = EmailValidator()
_valid_url = URLValidator(schemes=["http", "https"])


def parse_address(text: str) -> tuple[str, str]:
    """``"Ann B" <ann@x.com>`` → name and address. A text without an address is all name."""
    text = " ".join((text or "").split())
    if "@" not in text:
        return text, ""
    name, address = parseaddr(text)
    if not is_email(address):
        words = [word.strip("<>,;()[]\"'") for word in text.split()]
        address = next((word for word in words if is_email(word)), "")
        name = " ".join(word for word in text.split() if address and address not in word)
    return name.strip().strip("\"'"), address


def is_email(address: str) -> bool:
    try:
        _valid_email(address)
    except ValidationError:
        return False
    return True


def normalize_email(text: str) -> str:
    """The address alone, in lower case; empty when there is none."""
    return parse_address(text)[1].lower()


def phone_e164(text: str, country: str = "") -> str:
    """International form of a telephone number, read as somebody in ``country`` writes it; empty when it is none."""
    if not text.strip():
        return ""
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def website_url(text: str) -> str:
    """With a scheme; raises for what no browser opens."""
    text = text.strip()
    if not text:
        return ""
    url = text if re.match(r"[a-z][a-z0-9+.\-]*://", text, re.IGNORECASE) else f"https://{text}"
    try:
        _valid_url(url)
    except ValidationError as exc:
        raise ValidationFailed(
            fields={"website": [_("Enter an address such as https://example.com.")]}
        ) from exc
    return url


__all__ = [
    "EU_COUNTRIES",
    "EXAMPLES",
    "check_bic",
    "check_iban",
    "check_tax_id",
    "format_iban",
    "iban_length",
    "is_email",
    "looks_like_iban",
    "normalize_email",
    "parse_address",
    "phone_e164",
    "sanitize_account",
    "website_url",
]
