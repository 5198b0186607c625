"""The free field ``:86:`` of MT940: German subfields ?20–?34 with SEPA keywords, slash tags, or prose.

German: ``166?00GUTSCHRIFT?20EREF+123?21SVWZ+Invoice 7?30BIC?31IBAN?32Name``; the separator may be another sign.
Slash tags: ``/TRTP/SEPA OVERBOEKING/IBAN/NL…/NAME/…/REMI/…/EREF/…``, also with ``/CNTP/iban/bic/name/city/``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from apps.accounting.compute.bank import text as t

_GERMAN = re.compile(r"\s*(\d{3})?([?>])(?=\d\d)", re.ASCII)
_KEYWORDS = {
    "EREF": "reference",
    "KREF": "customer_reference",
    "MREF": "mandate",
    "CRED": "creditor_id",
    "DEBT": "debtor_id",
    "COAM": "compensation_amount",
    "OAMT": "original_amount",
    "SVWZ": "text",
    "ABWA": "ultimate_partner",
    "ABWE": "ultimate_recipient",
    "PURP": "purpose",
    "IBAN": "account",
    "BIC": "bic",
}
_KEYWORD = re.compile(rf"({'|'.join(_KEYWORDS)})\+")
_SUBFIELD_WIDTH = 27
# Marks the end of a subfield that had room left; it counts as a blank in text and as the end of a reference.
_BREAK = "\x1e"
_REFERENCES = frozenset({"reference", "customer_reference", "mandate", "creditor_id", "debtor_id"})

# Slash tags of the Dutch, Belgian and international dialects.
_SLASH = {
    "TRTP": "posting_text",
    "TYPE": "posting_text",
    "IBAN": "account",
    "BIC": "bic",
    "NAME": "name",
    "REMI": "text",
    "EREF": "reference",
    "MARF": "mandate",
    "CSID": "creditor_id",
    "PREF": "payment_information_id",
    "KREF": "customer_reference",
    "TRCD": "transaction_code",
    "RTRN": "return_reason",
    "PURP": "purpose",
    "ULTC": "ultimate_partner",
    "ULTD": "ultimate_partner",
    "UCRD": "ultimate_partner",
    "UDTR": "ultimate_partner",
    "CNTP": "counterparty",
    "ORDP": "",
    "BENM": "",
    "INIT": "",
    "ADDR": "partner_address",
    "ISDT": "",
    "OCMT": "original_amount",
    "EXCH": "rate",
    "CHGS": "charges",
    "SVCL": "",
    "BUSP": "",
    "ID": "partner_id",
}
_SLASH_TAG = re.compile(rf"/({'|'.join(sorted(_SLASH, key=len, reverse=True))})/")
_STRUCTURED = re.compile(r"/?(USTD|STRD)/([^/]*)/(.*)", re.DOTALL)
_NO_REFERENCE = frozenset({"NONREF", "NOTPROVIDED", "NOT PROVIDED", "NONE", "NOTAVAILABLE"})


@dataclass(slots=True)
class Information:
    """What ``:86:`` says about one movement; ``text`` is the remittance text."""

    text: str = ""
    reference: str = ""
    structured_reference: str = ""
    name: str = ""
    account: str = ""
    bic: str = ""
    details: dict[str, str] = field(default_factory=dict)


def read_information(fields: list[tuple[str, str]]) -> Information:
    """Read the ``:86:`` fields of one movement, each given as (lines joined at once, lines joined as prose)."""
    if not fields:
        return Information()
    joined = "".join(tight for tight, _prose in fields)
    if match := _GERMAN.match(joined):
        return _german(joined, match)
    stripped = joined.lstrip()
    if stripped.startswith("/") and _SLASH_TAG.match(stripped):
        return _slash(stripped)
    return Information(text=t.clean(" ".join(prose for _tight, prose in fields)))


def _join(parts: list[str]) -> tuple[str, list[int]]:
    """Subfields of fixed width, and where each starts.

    A full one runs on into the next, one that is a character short lost a blank to the bank, a shorter one has ended.
    """
    width = max([_SUBFIELD_WIDTH, *map(len, parts)])
    text = ""
    starts = []
    for number, part in enumerate(parts):
        starts.append(len(text))
        text += part
        if number + 1 < len(parts) and len(part) < width:
            text += " " if len(part) == width - 1 else _BREAK
    return text, starts


def _german(joined: str, match: re.Match[str]) -> Information:
    separator = re.escape(match.group(2))
    pieces = re.split(rf"{separator}(\d\d)", joined[match.end() - 1 :])
    subfields: dict[int, str] = {}
    for number, content in zip(pieces[1::2], pieces[2::2], strict=True):
        # A repeated subfield is text that happens to look like one.
        subfields[int(number)] = subfields.get(int(number), "") + content
    purpose = [subfields[key] for key in (*range(20, 30), *range(60, 64)) if key in subfields]
    info = Information(
        name=t.clean(_join([subfields[key] for key in (32, 33) if key in subfields])[0]),
        account=t.clean(subfields.get(31) or subfields.get(38)).replace(" ", ""),
        bic=t.clean(subfields.get(30)),
    )
    for key, value in (
        ("transaction_code", match.group(1) or ""),
        ("posting_text", t.clean(subfields.get(0))),
        ("prima_nota", t.clean(subfields.get(10))),
        ("return_reason", t.clean(subfields.get(34))),
        (
            "ultimate_partner",
            t.clean(_join([subfields[key] for key in range(70, 80) if key in subfields])[0]),
        ),
    ):
        if value:
            info.details[key] = value
    _keywords(purpose, info)
    return info


def _keywords(parts: list[str], info: Information) -> None:
    """Cut the purpose at SEPA keywords: they stand at the start of a subfield or behind something not a letter."""
    # A keyword may itself be cut by the end of a subfield ("…S" + "VWZ+…"); the joined text has it whole.
    text, starts = _join(parts)
    found = [
        match
        for match in _KEYWORD.finditer(text)
        if match.start() in starts or not text[match.start() - 1 : match.start()].isalnum()
    ]
    if not found:
        info.text = t.clean(text)
        return
    values: dict[str, str] = {}
    unmarked = [text[: found[0].start()]]
    for match, following in zip(found, [*found[1:], None], strict=True):
        value = text[match.end() : following.start() if following else None]
        key = _KEYWORDS[match.group(1)]
        if key in _REFERENCES:
            value, _break, more = value.partition(_BREAK)
            unmarked.append(more)
        values[key] = t.clean(f"{values.get(key, '')} {value}")
    rest = t.clean(" ".join(unmarked))
    if rest:
        values["additional_info" if values.get("text") else "text"] = rest
    _take(values, info)


def _slash(joined: str) -> Information:
    info = Information()
    values: dict[str, str] = {}
    found = list(_SLASH_TAG.finditer(joined))
    for match, following in zip(found, [*found[1:], None], strict=True):
        raw = joined[match.end() : following.start() if following else None]
        key = _SLASH[match.group(1)]
        if key == "counterparty":
            account, bic, name, *_rest = [*raw.split("/"), "", "", ""]
            values |= {"account": t.clean(account), "bic": t.clean(bic), "name": t.clean(name)}
        elif key == "text":
            _remittance(raw, values, info)
        elif key and (value := t.clean(raw.strip("/ "))):
            values.setdefault(key, value)
    _take(values, info)
    return info


def _remittance(raw: str, values: dict[str, str], info: Information) -> None:
    """``/REMI/text``, ``/REMI/USTD//text/`` or ``/REMI/STRD/issuer/reference/``."""
    match = _STRUCTURED.match(raw)
    content = t.clean((match.group(3) if match else raw).strip("/ "))
    if match and match.group(1) == "STRD":
        info.structured_reference = content
    values["text"] = t.clean(f"{values.get('text', '')} {content}")


def _take(values: dict[str, str], info: Information) -> None:
    info.text = values.pop("text", "")
    reference = values.pop("reference", "")
    info.reference = "" if reference.upper() in _NO_REFERENCE else reference
    info.account = info.account or values.pop("account", "").replace(" ", "")
    info.bic = info.bic or values.pop("bic", "")
    info.name = info.name or values.pop("name", "")
    for key, value in values.items():
        if value:
            info.details.setdefault(key, value)
