"""XML from strangers: no DTD, no entities, no network, bounded depth; anything else is refused as a whole."""

from __future__ import annotations

import re

from lxml import etree

from apps.accounting.compute.bank.text import decode
from apps.accounting.compute.bank.types import BankFileError

_DECLARATION = re.compile(r"^\s*<\?xml\b[^>]*?\?>", re.DOTALL)
_ENCODING = re.compile(rb"""^\s*<\?xml\b[^>]*?encoding\s*=\s*["']([A-Za-z0-9_.:-]{1,40})["']""", re.DOTALL)
# Two marks an element; a tree of more does not fit into a worker's memory.
_MAX_MARKS = 6_000_000
# Characters that XML 1.0 forbids; banks do send them inside remittance texts.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def xml_text(data: bytes) -> str:
    """The document as text, by its byte order mark, its content or its declaration, in that order."""
    match = _ENCODING.match(data[:400])
    return decode(data, match.group(1).decode("ascii") if match else "")


def parse_xml(data: bytes) -> etree._Element:
    """Root element. Raises ``BankFileError`` for a document type declaration and for XML that is not well formed.

    The text is decoded here and handed on as UTF-8, so that no declared encoding can hide a declaration from the check.
    """
    text = xml_text(data)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BankFileError(
            "The XML declares a document type, which bank files never do.", code="xml_doctype"
        )
    if text.count("<") > _MAX_MARKS:
        raise BankFileError("The XML has too many elements; please split the file.", code="too_long")
    text = _FORBIDDEN.sub(" ", _DECLARATION.sub("", text, count=1)).lstrip("\ufeff \t\r\n")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as exc:
        raise BankFileError(f"The XML is damaged or cut off: {exc.msg}", code="xml_damaged") from exc


def local_name(element: etree._Element) -> str:
    """The tag without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
