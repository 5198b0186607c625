"""Payment references that a bank can check: ISO 11649, Belgian structured communication, Finnish and Norwegian.

| kind | example | check |
|---|---|---|
| ISO 11649 | ``RF07 43`` | two digits after RF make the whole ≡ 1 modulo 97, letters counting 10 … 35 |
| Belgium | ``+++000/0000/04343+++`` | the last two digits are the first ten modulo 97, 97 for 0 |
| Finland | ``1009`` | last digit; weights 7, 3, 1 from the right |
| Norway (KID) | ``430`` | last digit; Luhn (modulus 10) |

Functions that make a reference take a number or a text (a document id, a customer number, an invoice number) and raise
``InvalidReference`` when nothing can be made of it. Functions that check one answer a plain yes or no.
"""

from __future__ import annotations

import re
import unicodedata

from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed

ISO_LENGTH = 21
_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Z]+")
_ISO = re.compile(r"RF(0[2-9]|[1-8][0-9]|9[0-8])[0-9A-Z]{1,21}")
_BELGIAN = re.compile(r"(?:\+{3}|\*{3})?\s*(\d{3})\s*/?\s*(\d{4})\s*/?\s*(\d{5})\s*(?:\+{3}|\*{3})?")
_BLANKS = re.compile(r"[\s\u200b\u2060\ufeff]+")


class InvalidReference(ValidationFailed):
    """A text or number of which no reference of the wanted kind can be made."""

    code = "invalid_reference"


def _grouped(text: str, size: int) -> str:
    return " ".join(text[start : start + size] for start in range(0, len(text), size))


def _as_digits(text: str) -> int:
    """Letters as 10 … 35, digits as they are, the whole as one number."""
    return int("".join(str(int(char, 36)) for char in text))


def normalise(reference: str) -> str:
    """The reference without blanks and in capitals, as it is compared and sent to a bank: ``rf07 43`` → ``RF0743``."""
    return _BLANKS.sub("", reference).upper()


def _body(value: int | str) -> str:
    """Letters and digits of a text; accents fall off, everything else (slashes, blanks) is dropped."""
    if isinstance(value, int):
        if isinstance(value, bool) or value < 0:
            raise InvalidReference(_("A payment reference needs a number of zero or more."))
        return str(value)
    plain = unicodedata.normalize("NFKD", value).upper()
    return _NOT_ALPHANUMERIC.sub("", plain)


def iso11649(value: int | str) -> str:
    """The creditor reference of a document number or id, in groups of four: 43 → ``RF07 43``.

    Errors: ``InvalidReference`` when no letter or digit is left, or more than 21 are.
    """
    body = _body(value)
    if not body:
        raise InvalidReference(
            _("“%(text)s” has no letter or digit to make a payment reference of.") % {"text": value},
            code="reference_empty",
        )
    if len(body) > ISO_LENGTH:
        raise InvalidReference(
            _("“%(text)s” is too long: a payment reference holds 21 letters and digits.") % {"text": value},
            code="reference_too_long",
        )
    check = 98 - _as_digits(f"{body}RF00") % 97
    return _grouped(f"RF{check:02d}{body}", 4)


def is_valid_iso11649(reference: str) -> bool:
    """Whether the text is a creditor reference whose check digits are right; blanks and small letters are allowed."""
    text = normalise(reference)
    return bool(_ISO.fullmatch(text)) and _as_digits(text[4:] + text[:4]) % 97 == 1


def _digits(value: int | str, *, most: int) -> str:
    """Digits of a number or text, at least one and at most ``most``."""
    body = _body(value)
    digits = "".join(char for char in body if char.isdigit())
    if not digits or len(digits) > most:
        raise InvalidReference(
            _("“%(text)s” must have between 1 and %(most)d digits.") % {"text": value, "most": most},
            code="reference_digits",
        )
    return digits


def belgian(value: int | str) -> str:
    """The structured communication of a number of up to ten digits: 43 → ``+++000/0000/04343+++``."""
    base = _digits(value, most=10).zfill(10)
    text = f"{base}{int(base) % 97 or 97:02d}"
    return f"+++{text[:3]}/{text[3:7]}/{text[7:]}+++"


def is_valid_belgian(reference: str) -> bool:
    found = _BELGIAN.fullmatch(reference.strip())
    if not found or not found[0].isascii():
        return False
    text = "".join(found.groups())
    return (int(text[:10]) % 97 or 97) == int(text[10:])


def _finnish_check(base: str) -> str:
    weighted = sum(int(char) * (7, 3, 1)[place % 3] for place, char in enumerate(reversed(base)))
    return str(-weighted % 10)


def finnish(value: int | str) -> str:
    """The Finnish reference of a number, in groups of five from the right: 100 → ``1009``, 1234567 → ``123 45672``."""
    base = _digits(value, most=19).lstrip("0").zfill(3)
    text = base + _finnish_check(base)
    head = len(text) % 5
    return " ".join(part for part in (text[:head], _grouped(text[head:], 5)) if part)


def is_valid_finnish(reference: str) -> bool:
    text = normalise(reference).lstrip("0")
    if not (text.isascii() and text.isdigit() and 2 <= len(text) <= 20):
        return False
    return _finnish_check(text[:-1]) == text[-1]


def _luhn_check(base: str) -> str:
    total = 0
    for place, char in enumerate(reversed(base)):
        total += sum(divmod(int(char) * (2 if place % 2 == 0 else 1), 10))
    return str(-total % 10)


def norwegian_kid(value: int | str) -> str:
    """The Norwegian customer identification (KID, modulus 10) of a number of up to 24 digits: 43 → ``430``."""
    base = _digits(value, most=24)
    return base + _luhn_check(base)


def is_valid_norwegian_kid(reference: str) -> bool:
    text = normalise(reference)
    if not (text.isascii() and text.isdigit() and 2 <= len(text) <= 25):
        return False
    return _luhn_check(text[:-1]) == text[-1]
