"""Mails built to hang, crash or fool a parser. Times are processor seconds, so a busy machine does not matter."""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable

import pytest

from apps.mail.parsing import (
    UnreadableMail,
    classify,
    html_to_text,
    parse_message,
    sanitize_html,
    text_to_html,
    visible_reply,
)
from tests.mail.parsing.test_corpus import check_invariants

# One second is the promise; a slow machine may take twice that and is no reason to fail.
LIMIT = 2.0
HEAD = b"From: a@b.c\nTo: x@y.z\nSubject: s\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n"
HTML = HEAD + b"Content-Type: text/html\n\n"


def _nested(levels: int, tail: bytes = b"") -> bytes:
    parts = (b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(levels))
    return HEAD + b"".join(parts) + b"\nhello\n" + tail


MAILS: dict[str, Callable[[], bytes]] = {
    "1000 nested multiparts": lambda: _nested(1000),
    "nested multiparts around a long text": lambda: _nested(200, b"line of text\n" * 200_000),
    "1000 nested messages": lambda: HEAD + b"Content-Type: message/rfc822\n\n" * 1000,
    "100 000 headers": lambda: b"".join(b"X-%d: y\n" % n for n in range(100_000)) + HEAD + b"\nhi",
    "100 000 times the same header": lambda: b"To: a@b.c\n" * 100_000 + HEAD + b"\nhi",
    "a header of 3 MB": lambda: b"X-A: " + b"\n x" * 1_000_000 + b"\n" + HEAD + b"\nhi",
    "30 000 recipients": lambda: b"From: a@b.c\nTo: " + b"a@b.c, " * 30_000 + b"\n\nhi",
    "colons for addresses": lambda: b"From: a@b.c\nTo: x@" + b":" * 250_000 + b"\n\nhi",
    "brackets for addresses": lambda: b"From: a@b.c\nTo: " + b"<(\"" * 80_000 + b"\n\nhi",
    "blanks before an at sign": lambda: b"From: a@b.c\nTo: " + b"a" * 250_000 + b" @\n\nhi",
    "encoded words without end": lambda: b"From: a@b.c\nSubject: " + b"=?a?q?" * 40_000 + b"\n\nhi",
    "60 000 references": lambda: HEAD + b"References: " + b"<a@b> " * 60_000 + b"\n\nhi",
    "parameters without end": lambda: HEAD + b"Content-Type: text/plain; " + b"a*0*=%41;" * 40_000 + b"\n\nhi",
    "quotes in a parameter": lambda: HEAD + b'Content-Type: text/plain; name="' + b'\\"' * 120_000 + b"\n\nhi",
    "100 000 parts": lambda: MIXED + b"--b\n\nx\n" * 100_000,
    "200 parts of HTML": lambda: MIXED + (b"--b\nContent-Type: text/html\n\n" + b"<p>x</p>" * 2_000 + b"\n") * 200,
    "dashes for a boundary": lambda: HEAD + b'Content-Type: multipart/mixed; boundary="-"\n\n' + b"---x\n" * 500_000,
    "boundaries to guess": lambda: HEAD + b"Content-Type: multipart/mixed; boundary=zz\n\n" + b"--x\n" * 300_000,
    "one line of 10 MB": lambda: HEAD + b"\n" + b"a" * 10_000_000,
    "5 MB of NUL": lambda: HEAD + b"\n" + b"\0" * 5_000_000,
    "uuencode that never begins": lambda: HEAD + b"\n" + b"begin 644 x\n" * 100_000,
    "base64 of padding": lambda: HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QUI=\n" * 500_000,
    "an attachment of 20 MB": lambda: (
        MIXED + b"--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(b"\x00\x10\x83\xf7" * 5_000_000) + b"\n--b--\n"
    ),
    "5 MB of table": lambda: HTML + b'<table><tr><td style="x">hello <b>x</b></td></tr></table>' * 80_000,
    "unclosed tags": lambda: HTML + b"<a " * 300_000 + b">",
    "a bounce of nothing but codes": lambda: (
        b"From: mailer-daemon@x.y\nReturn-Path: <>\nSubject: failure notice\n\n" + b"550 from a.b@x.y user " * 30_000
    ),
    "a report on 20 000 recipients": lambda: (
        b"From: mailer-daemon@x.y\nReturn-Path: <>\nContent-Type: message/delivery-status\n\n"
        + b"Final-Recipient: rfc822; a@b\nAction: failed\n\n" * 20_000
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MAILS))
def test_every_hostile_mail_is_read_within_a_second(name: str) -> None:
    data = MAILS[name]()
    started = time.process_time()

    mail = parse_message(data)
    classify(mail)
    spent = time.process_time() - started

    check_invariants(mail)
    assert mail.from_ is not None
    assert spent < LIMIT, f"{spent:.2f} s"
    assert len(mail.text_body) <= 500_000
    assert len(mail.attachments) <= 1_002


def test_nothing_is_lost_where_the_nesting_ends() -> None:
    mail = parse_message(_nested(1000, b"the innermost text\n"))

    assert "nested-too-deep" in mail.defects
    assert [(file.content_type, file.is_source) for file in mail.attachments] == [("message/rfc822", True)]
    assert mail.attachments[0].content.endswith(b"the innermost text\n")


def test_nothing_is_lost_behind_the_last_part_allowed() -> None:
    mail = parse_message(MIXED + b"".join(b"--b\n\npart %d\n" % n for n in range(2_000)) + b"--b--\n")

    assert "too-many-parts" in mail.defects
    assert "part 900" in mail.text_body
    assert b"part 1999" in mail.attachments[-1].content


def test_memory_stays_near_the_size_of_the_mail() -> None:
    data = MAILS["an attachment of 20 MB"]()
    tracemalloc.start()

    mail = parse_message(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert mail.attachments[0].size == 20_000_000
    assert peak < 4.5 * len(data)


def _many(text: str) -> str:
    return text * (60_000 // len(text))


HTML_BOMBS = {
    "open divisions": _many("<div>"),
    "divisions closed as paragraphs": "<div>" * 8_000 + "</p>" * 8_000,
    "lists": _many("<ul><li>"),
    "tables": _many("<table><tr><td>"),
    "formatting across paragraphs": "".join(f"<font color={n}>" for n in range(4_000)) + "<p>x" * 8_000,
    "misnested formatting": "<b><div>" * 6_000 + "</b>" * 6_000,
    "text in tables": "<table>" + _many("x<b>"),
    "comments": _many("<!--"),
    "scripts": _many("<script>"),
    "script ends": "<script>" + _many("</script "),
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(20_000)) + ">",
    "quotes": _many("<a x=\"' "),
    "ampersands": _many("&"),
    "numbers": _many("&#1111111111111;"),
    "angle brackets": _many("<"),
    "preformatted": _many("<pre>\n\n"),
    "links": _many("<a href=x>"),
}


@pytest.mark.parametrize("name", sorted(HTML_BOMBS))
def test_html_bombs(name: str) -> None:
    started = time.process_time()

    html = sanitize_html(HTML_BOMBS[name], fold_quotes=True)
    html_to_text(HTML_BOMBS[name])
    spent = time.process_time() - started

    assert sanitize_html(html, fold_quotes=True) == html
    assert spent < LIMIT, f"{spent:.2f} s"
    assert len(html) < 6 * len(HTML_BOMBS[name])


@pytest.mark.parametrize(
    "text",
    [
        "On 1\n" * 40_000, "On 1 wrote:\n\n" * 50_000, "> a\n\n" * 100_000, "From: a\n" * 100_000, "--\n" * 50_000,
        "_____\n" * 50_000, "\n" * 500_000, " " * 500_000, "x" * 500_000, "\n-Joe" * 50_000, "a@b.c " * 80_000,
        "http://" * 70_000, "." * 500_000, "sent from my " * 40_000,
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_folding_and_converting_long_texts(text: str) -> None:
    started = time.process_time()

    visible_reply(text)
    text_to_html(text[:200_000], fold_quotes=True)

    assert time.process_time() - started < LIMIT


def test_the_limits_do_not_hide_a_mail_without_content() -> None:
    with pytest.raises(UnreadableMail):
        parse_message(b"X: y\n" * 100_000)
