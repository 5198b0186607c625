"""Reading and writing vCards (RFC 6350, and the older 3.0 and 2.1 that mail programs still write). No ORM.

The reader takes what programs really produce: folded lines, quoted-printable with soft line breaks, base64 blocks,
character sets a property, groups (``item1.EMAIL``), parameters without a name. What it does not know it ignores.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LARGEST = 20 * 1024 * 1024
MOST_CARDS = 5_000
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Property:
    """One line of a card: name, parameters (lower case) and the raw value."""

    name: str
    types: set[str]
    parameters: dict[str, str]
    value: str

    @property
    def preference(self) -> int:
        """1 is preferred; 100 is not marked."""
        if self.parameters.get("pref", "").isdigit():
            return int(self.parameters["pref"])
        return 1 if "pref" in self.types else 100


@dataclass(slots=True)
class Address:
    """A postal address of a card."""

    street: str = ""
    street2: str = ""
    city: str = ""
    region: str = ""
    zip: str = ""
    country: str = ""
    kind: str = ""


@dataclass(slots=True)
class Card:
    """A contact as a card describes it."""

    name: str = ""
    family: str = ""
    given: str = ""
    title: str = ""
    organization: str = ""
    job: str = ""
    note: str = ""
    is_company: bool = False
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    mobiles: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    language: str = ""
    photo: bytes = b""
    photo_type: str = ""


class VCardError(ValueError):
    """The file is no vCard file, or is too large."""


# ------------------------------------------------------------------------------------------------------ reading
def parse_vcards(data: bytes | str) -> list[Card]:
    """All cards of a file. Raises ``VCardError`` when there is none; a broken property is left out, not the card."""
    if len(data) > LARGEST:
        raise VCardError("The file is larger than 20 MB.")
    cards = []
    for properties in _cards(_unfold(_text(data))):
        cards.append(_card(properties))
        if len(cards) > MOST_CARDS:
            raise VCardError(f"The file has more than {MOST_CARDS} cards.")
    if not cards:
        raise VCardError("The file holds no vCard.")
    return cards


def _text(data: bytes | str) -> str:
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", errors="replace")


def _unfold(text: str) -> Iterator[str]:
    """Logical lines: indented lines belong to the one before, and so does what follows a soft line break."""
    current: str | None = None
    for line in _LINE_END.split(text):
        if current is not None and _is_quoted(current) and current.endswith("="):
            current = current[:-1] + line
        elif current is not None and line[:1] in (" ", "\t"):
            # Base64 blocks are indented further than by the one character of folding.
            current += line.strip() if _is_base64(current) else line[1:]
        else:
            if current:
                yield current
            current = line
    if current:
        yield current


def _head(line: str) -> str:
    return line.partition(":")[0].upper()


def _is_quoted(line: str) -> bool:
    return "QUOTED-PRINTABLE" in _head(line)


def _is_base64(line: str) -> bool:
    head = _head(line)
    return "BASE64" in head or "ENCODING=B" in head


def _cards(lines: Iterable[str]) -> Iterator[list[Property]]:
    properties: list[Property] | None = None
    depth = 0  # a card may hold another (AGENT); the inner one is skipped
    for line in lines:
        mark = line.strip().upper()
        if mark == "BEGIN:VCARD":
            depth += 1
            if depth == 1:
                properties = []
        elif mark == "END:VCARD":
            depth = max(depth - 1, 0)
            if depth == 0 and properties is not None:
                yield properties
                properties = None
        elif properties is not None and depth == 1:
            parsed = _property(line)
            if parsed is not None:
                properties.append(parsed)
    if properties:
        yield properties  # the end was cut off


def _property(line: str) -> Property | None:
    head, colon, value = _split_value(line)
    if not colon:
        return None
    name, *parts = _split_unquoted(head, ";")
    name = name.rpartition(".")[2].strip().upper()
    types: set[str] = set()
    parameters: dict[str, str] = {}
    for part in parts:
        key, equals, text = part.partition("=")
        key, text = key.strip().lower(), text.strip().strip('"')
        if not equals:
            types.add(key)
        elif key == "type":
            types.update(item.strip().lower() for item in text.split(","))
        else:
            parameters[key] = text
    for word in ("quoted-printable", "base64", "b"):
        if word in types:
            types.discard(word)
            parameters.setdefault("encoding", word)
    if parameters.get("encoding", "").lower() == "quoted-printable":
        value = _decode(
            quopri.decodestring(value.encode("latin-1", "replace")), parameters.get("charset", "utf-8")
        )
    return Property(name, types, parameters, value)


def _split_value(line: str) -> tuple[str, str, str]:
    """At the first colon that is not inside quotes."""
    quoted = False
    for position, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == ":" and not quoted:
            return line[:position], ":", line[position + 1 :]
    return line.partition(":")


def _split_unquoted(text: str, mark: str) -> list[str]:
    parts, quoted, start = [], False, 0
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts


def _decode(raw: bytes, charset: str) -> str:
    try:
        return raw.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return raw.decode("utf-8", errors="replace")


def _plain(text: str) -> str:
    """Without the backslashes; ``\\n`` is a line break."""
    out, escaped = [], False
    for character in text:
        if escaped:
            out.append("\n" if character in "nN" else character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            out.append(character)
    return "".join(out).replace("\r\n", "\n").replace("\0", "").strip()


def _components(text: str, mark: str = ";") -> list[str]:
    """Split at marks that are not escaped, then unescape."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped:
            current += "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == mark:
            parts.append(_plain(current))
            current = ""
        else:
            current += character
    parts.append(_plain(current))
    return parts


def _card(properties: list[Property]) -> Card:
    card = Card()
    by_name: dict[str, list[Property]] = {}
    for item in properties:
        by_name.setdefault(item.name, []).append(item)
    for items in by_name.values():
        items.sort(key=lambda item: item.preference)  # stable: the order of the file decides between equals

    names = by_name.get("N")
    if names:
        family, given, more, prefix, *_rest = [*_components(names[0].value), "", "", "", ""]
        card.family, card.given, card.title = family, given, prefix
        spelled = " ".join(part for part in (given, more.replace(",", " "), family) if part)
        card.name = " ".join(spelled.split())
    formatted = by_name.get("FN")
    if formatted and _plain(formatted[0].value):
        card.name = " ".join(_plain(formatted[0].value).split())
    if "ORG" in by_name:
        card.organization = _components(by_name["ORG"][0].value)[0]
    for name, attribute in (("TITLE", "job"), ("NOTE", "note")):
        if name in by_name:
            setattr(card, attribute, _plain(by_name[name][0].value))
    if not card.job and "ROLE" in by_name:
        card.job = _plain(by_name["ROLE"][0].value)
    kind = by_name.get("KIND")
    card.is_company = bool(kind and kind[0].value.strip().lower() == "org")
    if not card.name and card.organization:
        card.name, card.is_company = card.organization, True
    for item in by_name.get("X-ABSHOWAS", ()):
        card.is_company = card.is_company or item.value.strip().upper() == "COMPANY"
    card.emails = _texts(by_name.get("EMAIL", ()), "mailto:")
    card.urls = _texts(by_name.get("URL", ()))
    card.categories = [
        text for item in by_name.get("CATEGORIES", ()) for text in _components(item.value, ",") if text
    ]
    card.language = next((_plain(item.value)[:10] for item in by_name.get("LANG", ())), "")
    _phones(card, by_name.get("TEL", []))
    card.addresses = [address for item in by_name.get("ADR", ()) if (address := _address(item)) is not None]
    for item in by_name.get("PHOTO", ()):
        _photo(card, item)
    if not card.name:
        card.name = card.emails[0] if card.emails else (card.phones or card.mobiles or [""])[0]
    return card


def _texts(items: Iterable[Property], scheme: str = "") -> list[str]:
    texts = [_plain(item.value) for item in items]
    if scheme:
        texts = [text[len(scheme) :] if text.lower().startswith(scheme) else text for text in texts]
    return list(dict.fromkeys(text for text in texts if text))


def _phones(card: Card, items: list[Property]) -> None:
    for item in items:
        number = _plain(item.value)
        if number.lower().startswith("tel:"):
            number, _semicolon, rest = number[4:].partition(";")
            if rest.startswith("ext="):
                number += f" ext. {rest[4:]}"
        if not number or item.types & {"fax", "pager"}:
            continue
        (card.mobiles if "cell" in item.types else card.phones).append(number)


def _address(item: Property) -> Address | None:
    box, extra, street, city, region, code, country, *_more = [*_components(item.value), *[""] * 7]
    lines = [line for text in (box, extra, street) for line in text.split("\n") if line.strip()]
    if extra and street and not box:
        lines = [line for text in (street, extra) for line in text.split("\n") if line.strip()]
    address = Address(
        street=lines[0].strip() if lines else "",
        street2=", ".join(line.strip() for line in lines[1:]),
        city=city,
        region=region,
        zip=code,
        country=country,
        kind=next((kind for kind in ("work", "home") if kind in item.types), ""),
    )
    return address if any((address.street, address.city, address.zip, address.country)) else None


def _photo(card: Card, item: Property) -> None:
    text = item.value.strip()
    media = item.parameters.get("mediatype", "")
    if text.lower().startswith("data:"):
        head, _comma, text = text[5:].partition(",")
        media = head.partition(";")[0]
    elif item.parameters.get("encoding", "").lower() not in ("b", "base64"):
        return  # an address elsewhere: nothing is fetched
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return
    if content and not card.photo:
        kind = next((kind for kind in ("jpeg", "png", "gif") if kind in item.types), "jpeg")
        card.photo, card.photo_type = content, media or f"image/{kind}"


# ------------------------------------------------------------------------------------------------------ writing
def _escape(text: str) -> str:
    return (
        text.replace("\\", "\\\\")
        .replace("\r\n", "\n")
        .replace("\n", "\\n")
        .replace(",", "\\,")
        .replace(";", "\\;")
    )


def _fold(line: str) -> str:
    """Lines of at most 75 bytes, never cutting a character."""
    folded, current, size = [], "", 0
    for character in line:
        width = len(character.encode())
        if size + width > 75:
            folded.append(current)
            current, size = " ", 1
        current += character
        size += width
    folded.append(current)
    return "\r\n".join(folded)


def write_vcards(cards: Iterable[Card]) -> str:
    """The cards as version 3.0, which every program reads."""
    lines: list[str] = []
    for card in cards:
        given, _space, family = card.name.rpartition(" ")
        if card.given or card.family:
            given, family = card.given, card.family
        if card.is_company:
            given, family = "", card.name
        lines += ["BEGIN:VCARD", "VERSION:3.0", f"FN:{_escape(card.name)}"]
        lines.append(f"N:{_escape(family)};{_escape(given)};;{_escape(card.title)};")
        if card.organization:
            lines.append(f"ORG:{_escape(card.organization)}")
        if card.is_company:
            lines.append("X-ABShowAs:COMPANY")
        lines += [f"TITLE:{_escape(card.job)}"] if card.job else []
        lines += [f"EMAIL;TYPE=INTERNET:{_escape(text)}" for text in card.emails]
        lines += [f"TEL;TYPE=WORK,VOICE:{_escape(text)}" for text in card.phones]
        lines += [f"TEL;TYPE=CELL:{_escape(text)}" for text in card.mobiles]
        lines += [f"URL:{_escape(text)}" for text in card.urls]
        for address in card.addresses:
            parts = (
                "",
                address.street2,
                address.street,
                address.city,
                address.region,
                address.zip,
                address.country,
            )
            lines.append(
                f"ADR;TYPE={(address.kind or 'work').upper()}:" + ";".join(_escape(part) for part in parts)
            )
        lines += (
            ["CATEGORIES:" + ",".join(_escape(text) for text in card.categories)] if card.categories else []
        )
        lines += [f"NOTE:{_escape(card.note)}"] if card.note else []
        lines.append("END:VCARD")
    return "".join(_fold(line) + "\r\n" for line in lines)
