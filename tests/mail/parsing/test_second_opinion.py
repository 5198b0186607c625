"""Our reading next to that of another parser, stored as JSON beside its messages."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from apps.mail.parsing import Address, ParsedMail, UnreadableMail, parse_message
from tests.mail.parsing.support import folder, messages, raw

# Malformed on purpose. Where we differ we show at least as much; the reason stands next to the name.
DIVERGENCES = {
    "malformed/000.eml": "unreadable for both: no sender, no recipient, no content",
    "malformed/002.eml": "multipart without parts: we show the text, they attach it",
    "malformed/004.eml": "boundary longer than announced: we show the text, they attach it",
    "malformed/006.eml": "outer boundary never closed: we show the text, they attach it",
    "malformed/008.eml": "boundary that begins like another: we show both texts, they attach the second",
    "malformed/012.eml": "three enclosed messages: we keep three, they keep two",
    "malformed/016.eml": "inner boundaries behind the outer one: we show the rest as it stands, they attach it",
    "malformed/020.eml": "lost first boundary: we show the HTML, they show its source as text",
    "thirdparty/002.eml": "text labelled base64 that is none: we show it, they attach it",
}
# Header and boundary lines that the other parser takes for text.
_MIME_WORDS = {
    "alternative",
    "Content",
    "Type",
    "Transfer",
    "Encoding",
    "text",
    "html",
    "charset",
    "UTF",
    "8bit",
}


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\0", "")).strip()


def _same(expected: str, got: str) -> bool:
    """Equal apart from blanks; where they have a replacement character, ours may be the letter itself."""
    pattern = re.sub("(?:\\\\?\ufffd)+", ".{1,4}", re.escape(_plain(expected)))
    return re.fullmatch(pattern, _plain(got), re.S) is not None


def _expected_people(value: Any) -> list[tuple[str, str]]:
    if value == "Empty":
        return []
    addresses = value["Address"]
    people = addresses.get("List") or [item for group in addresses["Group"] for item in group["addresses"]]
    return [(item["name"] or "", item["address"] or "") for item in people]


def _people_agree(expected: list[tuple[str, str]], got: tuple[Address, ...]) -> bool:
    if len(expected) != len(got):
        return False
    # A word without a domain may be called a name or an address.
    return all(
        (_same(name, person.name) and _same(email, person.email)) or (not email and _same(name, person.email))
        for (name, email), person in zip(expected, got, strict=True)
    )


def _file_name(part: dict[str, Any]) -> str:
    for wanted in ("content_disposition", "content_type"):
        for header in part["headers"]:
            if header["name"] == wanted and "ContentType" in header["value"]:
                for attribute in header["value"]["ContentType"]["attributes"] or []:
                    if attribute["name"] in ("filename", "name"):
                        return str(attribute["value"])
    return ""


def differences(mail: ParsedMail, expected: dict[str, Any]) -> list[str]:
    found: list[str] = []
    parts = expected["parts"]
    headers: dict[str, Any] = {}
    for header in parts[0]["headers"]:
        if isinstance(header["name"], str):
            headers.setdefault(header["name"], header["value"])
    for name, got in (("from", mail.authors), ("to", mail.to), ("cc", mail.cc), ("reply_to", mail.reply_to)):
        if not _people_agree(_expected_people(headers[name]) if name in headers else [], got):
            found.append(name)
    if "subject" in headers and not _same(headers["subject"].get("Text", ""), mail.subject):
        found.append("subject")
    if "date" in headers:
        value = headers["date"]["DateTime"]
        sign = -1 if value["tz_before_gmt"] else 1
        zone = timezone(sign * timedelta(hours=value["tz_hour"], minutes=value["tz_minute"]))
        numbers = [value[key] for key in ("year", "month", "day", "hour", "minute", "second")]
        if datetime(*numbers, tzinfo=zone) != mail.date:
            found.append("date")
    bodies = [parts[index]["body"] for index in expected["text_body"]]
    if not any("Html" in body for body in bodies):
        text = "\n".join(body["Text"] for body in bodies if "Text" in body)
        if not _same(text, mail.text_body):
            found.append("text")
    for index in expected["html_body"]:
        html = parts[index]["body"].get("Html")
        if html is not None and _plain(html) not in _plain(mail.html_body or ""):
            found.append("html")
    names = [_file_name(parts[index]) for index in expected["attachments"]]
    files = [file.name for file in mail.attachments]
    if len(names) != len(files) or not all(not a or _same(a, b) for a, b in zip(names, files, strict=True)):
        found.append("attachments")
    return found


def _expected(path: Path) -> dict[str, Any]:
    return json.loads(path.with_suffix(".json").read_text())


def test_both_parsers_agree_but_for_the_listed_cases() -> None:
    base = folder("stalwart")
    different: dict[str, list[str]] = {}

    for path in messages("stalwart"):
        label = path.relative_to(base).as_posix()
        try:
            found = differences(parse_message(raw(path)), _expected(path))
        except UnreadableMail:
            found = ["unreadable"]
        if found:
            different[label] = found

    assert set(different) == set(DIVERGENCES), different
    assert len(different) == 9


def test_where_we_differ_nothing_is_missing() -> None:
    base = folder("stalwart")

    for label in DIVERGENCES:
        path = base / label
        try:
            mail = parse_message(raw(path))
        except UnreadableMail:
            assert not any(
                body for body in ("text_body", "html_body", "attachments") if _expected(path)[body]
            )
            continue
        ours = mail.text_body + (mail.html_body or "")
        ours += "".join(file.content.decode("utf-8", "replace") for file in mail.attachments)
        for part in _expected(path)["parts"]:
            body = part["body"] if isinstance(part["body"], dict) else {}
            text = body.get("Text", "") + " " + body.get("Html", "")
            for word in set(re.findall(r"[\w.]{2,}", text)) - _MIME_WORDS:
                assert "\ufffd" in word or word in ours, (label, word)
