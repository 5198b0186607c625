"""What must hold for every real mail, and for pieces of them that stand for whole groups."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from apps.mail.parsing import (
    MailKind,
    ParsedMail,
    UnreadableMail,
    classify,
    html_to_text,
    parse_message,
    safe_file_name,
    sanitize_html,
    text_to_html,
    visible_reply,
)
from tests.mail.parsing.support import EXPECTED_COUNTS, messages, raw

_BAD_TEXT = re.compile("[\x00\ud800-\udfff]")
_BAD_LINE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_BAD_NAME = re.compile('[\x00-\x1f\x7f/\\\\<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')

# The only one without sender, recipient and content: parts announced, none there.
UNREADABLE = {"stalwart/malformed/000.eml"}


def check_invariants(mail: ParsedMail) -> None:
    """The promises of the types module."""
    for text in (mail.text_body, mail.html_body or ""):
        assert not _BAD_TEXT.search(text)
    lines = [
        mail.subject,
        mail.return_path or "",
        mail.message_id or "",
        mail.in_reply_to or "",
        *mail.references,
    ]
    lines += [value for _, value in mail.headers]
    people = [*mail.authors, *mail.to, *mail.cc, *mail.reply_to, *mail.delivered_to, *mail.recipients]
    lines += [text for person in people for text in (person.name, person.email, person.normalised)]
    for line in lines:
        assert not _BAD_LINE.search(line), repr(line)
        line.encode("utf-8")
    for message_id in (mail.message_id, mail.in_reply_to, *mail.references):
        assert message_id is None or re.fullmatch(r"<[^<>\s]+>", message_id), message_id
    assert len(mail.references) <= 32
    assert len(mail.subject) <= 998
    assert mail.date is None or mail.date.tzinfo is UTC
    normalised = [person.normalised for person in mail.recipients]
    assert all(normalised)
    assert len(set(normalised)) == len(normalised)
    assert all(value == value.lower() for value in normalised)
    for file in mail.attachments:
        assert file.name
        assert not _BAD_NAME.search(file.name), file.name
        assert file.name not in (".", "..")
        assert len(file.name) <= 150
        assert len(file.name.encode("utf-8")) <= 200
        assert safe_file_name(file.name) == file.name
        assert re.fullmatch(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", file.content_type)
        assert isinstance(file.content, bytes)


def _label(path: Path) -> str:
    return "/".join(path.parts[-3:]) if path.parts[-2] != path.parts[-3] else path.name


@pytest.mark.parametrize("group", sorted(EXPECTED_COUNTS))
def test_every_mail_is_read_safely_and_fast(group: str) -> None:
    unreadable, slowest = set(), (0.0, "")

    for path in messages(group):
        started = time.process_time()
        try:
            mail = parse_message(raw(path))
        except UnreadableMail:
            unreadable.add(_label(path))
            continue
        kind = classify(mail)
        html = sanitize_html(mail.html_body or text_to_html(mail.text_body), fold_quotes=True)
        visible_reply(mail.text_body)
        slowest = max(slowest, (time.process_time() - started, _label(path)))

        check_invariants(mail)
        assert mail.digest == parse_message(raw(path)).digest
        assert kind.kind in MailKind
        assert sanitize_html(html, fold_quotes=True) == html, path
        assert not _BAD_TEXT.search(html)
        if mail.html_body is None:
            assert (
                html_to_text(html).split() == mail.text_body.replace("\u00a0", " ").split() or mail.text_body
            )

    assert unreadable == {label for label in UNREADABLE if label.startswith(group)}
    assert slowest[0] < 1.0, slowest


def _own_leaves(message: email.message.Message) -> Iterator[email.message.Message]:
    """Leaves of a message, not of those enclosed in it."""
    if message.get_content_type().startswith("message/"):
        return
    if message.is_multipart():
        for child in message.get_payload():
            yield from _own_leaves(child)
    else:
        yield message


def test_no_text_of_any_mail_is_lost() -> None:
    """Every word of every text part is in the text, the HTML or a file of the result."""
    checked = 0
    for group in EXPECTED_COUNTS:
        for path in messages(group):
            try:
                mail = parse_message(raw(path))
            except UnreadableMail:
                continue
            haystack = mail.text_body + html_to_text(mail.html_body or "") + (mail.html_body or "")
            haystack += " ".join(f"{name}: {value}" for name, value in mail.headers)
            haystack += "".join(item.content.decode("latin-1") for item in mail.attachments)
            haystack = re.sub(r"\s+", "", haystack).lower()
            words = set(re.findall(r"[a-z]{4,30}", haystack))
            for leaf in _own_leaves(email.message_from_bytes(raw(path), policy=email.policy.compat32)):
                if leaf.get_content_maintype() != "text":
                    continue
                content = leaf.get_payload(decode=True) or b""
                for word in re.findall(rb"[a-z]{4,30}", content[:20_000].lower())[:200]:
                    assert word.decode() in words or word.decode() in haystack, (path, word)
                    checked += 1

    assert checked > 10_000


def test_enclosed_messages_keep_their_source() -> None:
    path = next(path for path in messages("flanker") if path.name == "enclosed.eml")

    mail = parse_message(raw(path))

    enclosed = [file for file in mail.attachments if file.content_type == "message/rfc822"]
    assert len(enclosed) == 1
    assert enclosed[0].name.endswith(".eml")
    assert enclosed[0].content in raw(path)
    assert parse_message(enclosed[0].content).from_ is not None


def test_the_torture_mail_is_flat_and_complete() -> None:
    path = next(path for path in messages("flanker") if path.name == "torture.eml")

    mail = parse_message(raw(path))

    assert sum(file.size for file in mail.attachments) > 0.9 * len(raw(path))
    assert {"image/gif", "image/pbm", "message/rfc822", "audio/basic"} == {
        file.content_type for file in mail.attachments
    }
    assert mail.date is not None


@pytest.mark.parametrize(
    ("group", "name", "check"),
    [
        (
            "flanker",
            "long-header.eml",
            lambda mail: mail.subject.startswith("Die heiße Zypernsonne quälte Max"),
        ),
        ("flanker", "from-encoding.eml", lambda mail: mail.from_.name == "Ingo Lütkebohle"),
        (
            "flanker",
            "russian-attachment-yahoo.eml",
            lambda mail: mail.attachments[0].name.endswith((".png", ".jpg", ".pdf", ".docx", ".gif")),
        ),
        (
            "flanker",
            "missing-final-boundary.eml",
            lambda mail: "missing-final-boundary" in mail.defects and mail.text_body.strip(),
        ),
        ("flanker", "missing-boundaries.eml", lambda mail: "Messy part" in mail.text_body),
        (
            "flanker",
            "broken-ctype.eml",
            lambda mail: (
                [(f.name, f.content_type) for f in mail.attachments] == [("facejj.jpg", "image/jpeg")]
            ),
        ),
        ("flanker", "dashed-boundaries.eml", lambda mail: mail.text_body.strip() == "Hi"),
        ("mikel", "japanese_shift_jis.eml", lambda mail: mail.text_body.startswith("あいうえお")),
        (
            "mikel",
            "japanese.eml",
            lambda mail: mail.subject == "まみむめも" and "かきくえこ" in mail.text_body,
        ),
        (
            "mikel",
            "japanese_attachment_long_name.eml",
            lambda mail: mail.attachments[0].name.endswith(".txt"),
        ),
        (
            "mikel",
            "attachment_with_quoted_filename.eml",
            lambda mail: mail.attachments[0].name == "Eelanalüüsi päring.jpg",
        ),
        (
            "mikel",
            "attachment_with_base64_encoded_name.eml",
            lambda mail: mail.attachments[0].name == "This is a test.pdf",
        ),
        ("mikel", "attachment_nonascii_filename.eml", lambda mail: mail.attachments[0].name == "ciële.txt"),
        ("mikel", "attachment_content_disposition.eml", lambda mail: mail.attachments[0].name == "api.rb"),
        (
            "mikel",
            "attachment_message_rfc822.eml",
            lambda mail: mail.attachments[0].name == "ForwardedMessage.eml",
        ),
        ("mikel", "missing_content_disposition.eml", lambda mail: mail.attachments[0].name == "somefile.jpg"),
        (
            "mikel",
            "utf8_headers.eml",
            lambda mail: (
                mail.to[0].normalised == "märy@xn--exmple-cua.net" and mail.subject == "Säying Hello"
            ),
        ),
        ("mikel", "two_from_in_message.eml", lambda mail: mail.from_.email == "tester1@test.com"),
        ("mikel", "empty_group_lists.eml", lambda mail: all(a.normalised for a in mail.to)),
        ("mikel", "bad_encoded_subject.eml", lambda mail: mail.subject == "TEST"),
        (
            "mikel",
            "invalid_subject_characters.eml",
            lambda mail: mail.subject.startswith("Formação FrenetikPolis"),
        ),
        (
            "mikel",
            "trademark_character_in_subject.eml",
            lambda mail: "\ufffd" not in mail.subject and mail.subject,
        ),
        ("mikel", "bad_date_header.eml", lambda mail: mail.date is None and "bad-date" in mail.defects),
        ("mikel", "raw_email_bad_time.eml", lambda mail: mail.date is None or mail.date.year == 3609),
        (
            "mikel",
            "raw_email_incorrect_header.eml",
            lambda mail: mail.from_.email == "xxx@xxx.xxx" and mail.text_body.startswith("You are infected"),
        ),
        (
            "mikel",
            "mix_caps_content_type.eml",
            lambda mail: (
                mail.from_.email == "bb@bug.com"
                and mail.message_id == "<201002191008.30117.foo.bar@company.com>"
            ),
        ),
        (
            "mikel",
            "raw_email_with_illegal_boundary.eml",
            lambda mail: mail.html_body and mail.text_body.strip(),
        ),
        (
            "mikel",
            "email_with_similar_boundaries.eml",
            lambda mail: len(mail.attachments) == 1 and "Test" in mail.html_body,
        ),
        (
            "mikel",
            "example11.eml",
            lambda mail: [a.email for a in mail.to] == ["mary@example.net", "jdoe@test.example"],
        ),
        (
            "mikel",
            "example13.eml",
            lambda mail: (
                (mail.from_.email, mail.to[0].email, mail.message_id, mail.date.isoformat())
                == (
                    "jdoe@machine.example",
                    "mary@example.net",
                    "<1234@local.machine.example>",
                    "1997-11-21T15:55:06+00:00",
                )
            ),
        ),
        ("mikel", "example03.eml", lambda mail: [a.name for a in mail.cc] == ["", 'Giant; "Big" Box']),
        (
            "mikel",
            "content_transfer_encoding_qp_with_space.eml",
            lambda mail: "magyar8stator.com/26" in mail.text_body,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_known_difficulty_is_read_right(group: str, name: str, check) -> None:
    path = next(path for path in messages(group) if path.name == name)

    mail = parse_message(raw(path))

    assert check(mail), (mail, mail.attachments)
