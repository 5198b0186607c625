"""Headers and body of single mails made for one point each."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from apps.mail.parsing import UnreadableMail, parse_message
from tests.mail.parsing.support import encoded_part, mail, multipart, part


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \r\n\t\x00",
        b"just some text without a header\n",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"Foo: bar\n\nbody",
    ],
)
def test_what_is_no_mail_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(UnreadableMail) as error:
        parse_message(data)

    assert error.value.reason.endswith(".")


def test_a_mail_without_people_and_content_is_refused() -> None:
    with pytest.raises(UnreadableMail, match="no sender, no recipient and no content"):
        parse_message(b"Subject: nothing\n\n \n")


def test_a_mail_with_text_only_is_kept() -> None:
    parsed = parse_message(b"Subject: nothing\n\nbut text\n")

    assert parsed.from_ is None
    assert parsed.recipients == ()
    assert parsed.text_body == "but text\n"


def test_plain_mail() -> None:
    data = (
        b"Return-Path: <ann@example.org>\r\nDelivered-To: support@example.com\r\n"
        b"From: Ann <Ann@Example.org>\r\nTo: <support@example.com>, Bob <bob@example.net>\r\n"
        b"Cc: BOB@example.net\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@x.example>\r\n"
        b"In-Reply-To: <0@x.example>\r\nReferences: <a@x> <b@x>\r\n\t<0@x.example>\r\n\r\nHello\r\nyou\r\n"
    )

    parsed = parse_message(data)

    assert parsed.digest == hashlib.sha256(data).hexdigest()
    assert parsed.from_ is not None
    assert (parsed.from_.name, parsed.from_.email, parsed.from_.normalised) == (
        "Ann",
        "Ann@Example.org",
        "ann@example.org",
    )
    assert [person.normalised for person in parsed.recipients] == ["support@example.com", "bob@example.net"]
    assert parsed.recipients[1].name == "Bob"
    assert parsed.subject == "Grüße"
    assert parsed.date == datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)
    assert parsed.message_id == "<1@x.example>"
    assert parsed.in_reply_to == "<0@x.example>"
    assert parsed.thread_ids == ("<0@x.example>", "<b@x>", "<a@x>")
    assert parsed.return_path == "ann@example.org"
    assert parsed.text_body == "Hello\nyou\n"
    assert parsed.html_body is None
    assert parsed.attachments == ()
    assert parsed.defects == ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [("Return-Path: <>", ""), ("Return-Path:", ""), ("Return-Path: <a@b.c>", "a@b.c"), ("X-Other: x", None)],
)
def test_null_return_path_is_not_a_missing_one(header: str, expected: str | None) -> None:
    parsed = mail(header)

    assert parsed.return_path == expected
    assert parsed.automation.has_null_return_path is (expected == "")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end(end: str) -> None:
    data = end.join(["From: a@b.c", "Subject: x", " y", "", "one", "two", ""]).encode()

    parsed = parse_message(data)

    assert parsed.subject == "x y"
    assert parsed.text_body == "one\ntwo\n"


def test_mbox_line_byte_order_mark_and_blank_lines_before_the_headers() -> None:
    parsed = parse_message(b"\xef\xbb\xbfFrom bounce@x.org Sat Oct  4 08:00:09 2025\n\n  \nFrom: a@b.c\n\nhi")

    assert parsed.from_ is not None
    assert parsed.from_.email == "a@b.c"
    assert parsed.return_path == "bounce@x.org"


def test_all_envelope_recipients_count_once() -> None:
    parsed = mail(
        "X-Original-To: alias@example.com",
        "Delivered-To: alias@example.com",
        "Delivered-To: box@example.com",
        "Envelope-To: <third@example.com>",
        "To: Team <ALIAS@example.com>, undisclosed-recipients:;",
        "Resent-To: fourth@example.com",
        "Resent-Cc: fifth@example.com",
    )

    assert [person.normalised for person in parsed.recipients] == [
        "alias@example.com", "box@example.com", "third@example.com", "fourth@example.com", "fifth@example.com",
    ]  # fmt: skip
    assert parsed.recipients[0].name == "Team"


def test_second_from_header_is_noted() -> None:
    parsed = mail("From: First <first@x.org>", "From: second@x.org")

    assert parsed.from_ is not None
    assert parsed.from_.email == "first@x.org"
    assert [author.email for author in parsed.authors] == ["first@x.org", "second@x.org"]
    assert "several-from-headers" in parsed.defects


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("<a.b@c.d>", "<a.b@c.d>"),
        ("< 1234 @ local(blah) .machine .example >", "<1234@local.machine.example>"),
        ("no-brackets@host", "<no-brackets@host>"),
        ("<only-a-word>", "<only-a-word>"),
        ("", None),
        ("<>", None),
    ],
)
def test_message_ids(raw: str, expected: str | None) -> None:
    assert mail(f"Message-ID: {raw}").message_id == expected


def test_overlong_message_id_stays_recognisable() -> None:
    first = mail(f"Message-ID: <{'a' * 700}@x>").message_id
    second = mail(f"Message-ID: <{'a' * 701}@x>").message_id

    assert first is not None
    assert len(first) < 100
    assert first == mail(f"Message-ID: <{'a' * 700}@x>").message_id
    assert first != second


def test_references_are_the_newest_thirty_two() -> None:
    parsed = mail("References: " + " ".join(f"<{number}@x>" for number in range(50)) + " <3@x>")

    assert len(parsed.references) == 32
    assert parsed.references[0] == "<19@x>"
    assert parsed.references[-1] == "<3@x>"


def test_loop_notices_and_own_headers_are_recognised() -> None:
    parsed = mail(
        "References: <1-loop-detection-bounce-email@example.com>", "X-Meridian-Record: projects.task:7"
    )

    assert parsed.is_loop_answer
    assert parsed.own_header("Record") == "projects.task:7"
    assert not mail("References: <1@example.com>").is_loop_answer


@pytest.mark.parametrize(
    ("header", "automatic", "reply", "no_answer"),
    [
        ("Auto-Submitted: no", False, False, False),
        ("Auto-Submitted: auto-replied (vacation)", True, True, True),
        ("Auto-Submitted: auto-generated; type=x", True, False, True),
        ("Precedence: bulk", True, False, True),
        ("Precedence: auto_reply", True, True, True),
        ("Precedence: list", False, False, True),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", False, False, True),
        ("X-Autoreply: yes", True, True, True),
        ("List-Id: <news.example.org>", False, False, True),
        ("Return-Path: <>", False, False, True),
        ("X-Mailer: Something", False, False, False),
    ],
)
def test_signs_of_machines(header: str, automatic: bool, reply: bool, no_answer: bool) -> None:
    signs = mail(header).automation

    assert (signs.is_automatic, signs.is_auto_reply, signs.forbids_answer) == (automatic, reply, no_answer)


def test_last_html_of_alternatives_and_its_plain_text() -> None:
    parsed = multipart(
        part("text/plain; charset=utf-8", "plain"), part("text/html", "<p>first</p>"), part("text/html", "<p>last</p>"),
        kind="alternative",
    )  # fmt: skip

    assert parsed.text_body == "plain"
    assert parsed.html_body == "<p>last</p>"
    assert [(file.name, file.content) for file in parsed.attachments] == [
        ("alternative-1.html", b"<p>first</p>")
    ]


def test_mixed_texts_are_joined_in_their_order() -> None:
    parsed = multipart(
        part("text/plain", "before <1>"), encoded_part("image/png", b"png", "Content-Disposition: inline"),
        part("text/html", "<b>middle</b>"), part("text/plain", "after"),
    )  # fmt: skip

    assert parsed.text_body == "before <1>\n\nmiddle\n\nafter"
    assert (
        parsed.html_body
        == "<div><p>before &lt;1&gt;</p></div>\n<div><b>middle</b></div>\n<div><p>after</p></div>"
    )
    assert [file.content_type for file in parsed.attachments] == ["image/png"]


def test_text_of_a_mail_with_html_only() -> None:
    parsed = mail("Content-Type: text/html; charset=utf-8", body="<p>Hällo</p><p>you</p>")

    assert parsed.text_body == "Hällo\n\nyou"
    assert parsed.html_body == "<p>Hällo</p><p>you</p>"


def test_related_images_are_inline_files() -> None:
    parsed = multipart(
        part("text/html", '<img src="cid:logo@x">'), encoded_part("image/png", b"png", "Content-ID: <logo@x>"),
        kind="related",
    )  # fmt: skip

    file = parsed.attachments[0]
    assert (file.name, file.content, file.content_id, file.is_inline) == (
        "attachment-1.png",
        b"png",
        "logo@x",
        True,
    )


def test_images_written_into_the_html_become_inline_files() -> None:
    data = "QUJD" * 100
    parsed = mail("Content-Type: text/html", body=f'<p>a<img src="data:image/png;base64,{data}"></p>')

    file = parsed.attachments[0]
    assert file.content == b"ABC" * 100
    assert parsed.html_body == f'<p>a<img src="cid:{file.content_id}"></p>'


def test_calendar_and_signature_parts_are_kept() -> None:
    parsed = multipart(
        part("text/plain", "invitation"),
        part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR"),
        encoded_part("application/pkcs7-signature", b"sig"),
        encoded_part("application/ms-tnef; name=winmail.dat", b"tnef"),
        kind="alternative",
    )

    assert parsed.text_body == "invitation"
    assert [(file.name, file.content_type) for file in parsed.attachments] == [
        ("attachment-1.ics", "text/calendar"),
        ("attachment-2.p7s", "application/pkcs7-signature"),
        ("winmail.dat", "application/ms-tnef"),
    ]


def test_enclosed_message_keeps_its_bytes() -> None:
    inner = "Subject: =?utf-8?q?Inner_=C3=A4/b?=\nFrom: a@b.c\nContent-Type: multipart/mixed; boundary=XX\n\n--YY\n\nx\n--YY--"
    parsed = multipart(part("text/plain", "see below"), part("message/rfc822", inner), boundary="OUTER")

    assert [(file.name, file.content) for file in parsed.attachments] == [("Inner ä-b.eml", inner.encode())]


def test_flowed_text_is_joined() -> None:
    body = "This is \none line\n> quoted \n> too\nend \n-- \nAnn\n"
    parsed = mail("Content-Type: text/plain; format=flowed", body=body)

    assert parsed.text_body == "This is one line\n> quoted too\nend \n-- \nAnn\n"


def test_uuencoded_files_in_the_text() -> None:
    parsed = mail(body="before\nbegin 644 cat.txt\n#0V%T\n`\nend\nafter\n")

    assert parsed.text_body == "before\nafter\n"
    assert [(file.name, file.content, file.content_type) for file in parsed.attachments] == [
        ("cat.txt", b"Cat", "text/plain")
    ]


def test_text_that_only_begins_like_uuencode_stays() -> None:
    parsed = mail(body="begin 644 words here\nthis is no encoded line\nend\n")

    assert parsed.attachments == ()
    assert parsed.text_body == "begin 644 words here\nthis is no encoded line\nend\n"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (["Content-Type: text/plain; charset=windows-874"], "ไทย".encode("cp874"), "ไทย"),
        (["Content-Type: text/plain; charset=iso-8859-1"], "“€”".encode("cp1252"), "“€”"),
        (["Content-Type: text/plain; charset=us-ascii"], "Größe".encode(), "Größe"),
        (["Content-Type: text/plain; charset=utf-8"], "Größe".encode("latin-1"), "Größe"),
        (["Content-Type: text/plain; charset=nonsense"], "Größe".encode("cp1252"), "Größe"),
        (["Content-Type: text/plain; charset=unknown-8bit"], "Größe".encode(), "Größe"),
        (["Content-Type: text/plain; charset=gb2312"], "镕".encode("gb18030"), "镕"),
        (["Content-Type: text/plain; charset=shift_jis"], "①".encode("cp932"), "①"),
        (["Content-Type: text/plain"], "日本".encode("iso2022_jp"), "日本"),
        (["Content-Type: text/html"], '<meta charset="cp1251">привет'.encode("cp1251"), '<meta charset="cp1251">привет'),
        (["Content-Type: text/plain; charset=utf-7"], b"+2AA- +AOQ-", "\ufffd ä"),
        (["Content-Type: text/plain; charset=punycode"], b"abc-", "abc-"),
        (["Content-Type: text/plain; charset=utf-8"], b"a\x00b\x07c\x0cd", "abc\nd"),
        (["Content-Type: text/plain", "Content-Transfer-Encoding: quoted printable"], b"=C3=A4=\n!", "ä!"),
        (["Content-Type: text/plain", "Content-Transfer-Encoding: base64"], b"w6Q", "ä"),
        (["Content-Type: text/plain", "Content-Transfer-Encoding: base64"], b"No base64 at all, sorry!", "No base64 at all, sorry!"),
        (["Content-Type: text/plain", "Content-Transfer-Encoding: x-unknown"], b"as it is", "as it is"),
        (["Content-Type: text/plain charset=utf-8"], "ä".encode(), "ä"),
    ],
)  # fmt: skip
def test_encodings(headers: list[str], body: bytes, expected: str) -> None:
    parsed = mail(*headers, body=body)

    assert (parsed.html_body or parsed.text_body) == expected


def test_missing_final_boundary_keeps_the_last_part() -> None:
    parsed = mail(
        "Content-Type: multipart/mixed; boundary=b",
        body="--b\n\nfirst\n--b\nContent-Type: text/plain\n\nsecond",
    )

    assert parsed.text_body == "first\n\nsecond"
    assert parsed.defects == ("missing-final-boundary",)


def test_wrong_boundary_is_guessed() -> None:
    body = "--real\nContent-Type: text/plain\n\ntext\n--real\nContent-Type: application/pdf; name=a.pdf\n\npdf\n--real--\n"
    parsed = mail("Content-Type: multipart/mixed; boundary=announced", body=body)

    assert parsed.text_body == "text"
    assert [file.name for file in parsed.attachments] == ["a.pdf"]
    assert "boundary-guessed" in parsed.defects


def test_multipart_without_parts_is_text() -> None:
    parsed = mail("Content-Type: multipart/alternative; boundary=b", body="just text")

    assert parsed.text_body == "just text"
    assert parsed.defects == ("multipart-without-parts",)


def test_a_part_whose_text_looks_like_a_header_loses_nothing() -> None:
    parsed = mail("Content-Type: multipart/mixed; boundary=b", body="--b\nNote: important\n\nmore\n--b--")

    assert parsed.text_body == "Note: important\n\nmore"


@pytest.mark.parametrize(
    ("content_type", "name", "expected"),
    [
        ("pdf;", "x", ("attachment-1.pdf", "application/pdf")),
        ("binary/octet-stream; name=a.xlsx", "", ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")),
        ("application/octet-stream; name=b.unknownsuffix", "", ("b.unknownsuffix", "application/octet-stream")),
        ("image/jpg; name=c.jpg", "", ("c.jpg", "image/jpeg")),
        ("; name=d.png", "", ("d.png", "image/png")),
        ("garbage", "", ("attachment-1.bin", "application/octet-stream")),
    ],
)  # fmt: skip
def test_odd_content_types(content_type: str, name: str, expected: tuple[str, str]) -> None:
    parsed = multipart(part("text/plain", "t"), part(content_type, "data", "Content-Disposition: attachment"))

    assert [(file.name, file.content_type) for file in parsed.attachments] == [expected]


def test_headers_can_be_looked_up_decoded() -> None:
    parsed = mail("X-Thing: =?utf-8?b?w6Q=?=", "X-Thing: second")

    assert parsed.header("x-thing") == "ä"
    assert parsed.header_all("X-THING") == ("ä", "second")
    assert parsed.header("absent") is None


def test_a_body_beyond_the_limit_is_shown_cut_and_kept_whole() -> None:
    body = "word " * 120_000

    parsed = mail(body=body)

    assert len(parsed.text_body) == 500_000
    assert parsed.attachments[0].name == "message-body.txt"
    assert parsed.attachments[0].content == body.encode()
    assert "body-too-long" in parsed.defects
