"""Random bytes and damaged real mails: the parser raises nothing but UnreadableMail and keeps its promises."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.mail.parsing import (
    UnreadableMail,
    classify,
    html_to_text,
    normalise_address,
    parse_address_list,
    parse_message,
    safe_file_name,
    sanitize_html,
    text_to_html,
    visible_reply,
)
from tests.mail.parsing.support import EXPECTED_COUNTS, messages, raw
from tests.mail.parsing.test_corpus import check_invariants

QUICK = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

_LINES = st.sampled_from(
    [
        b"From: =?utf-8?b?w6Q=?= <a@b.c>", b"From: \xff\xfe <", b"To: a: b@c, d;", b"Subject: =?iso-2022-jp?B?GyRC?=",
        b"Subject: =?utf-7?q?+2AA-?=", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/html; charset=utf-16",
        b"Content-Type: message/rfc822", b"Content-Type: text/plain; charset=punycode; format=flowed",
        b"Content-Type: application/x; name*0*=utf-8''%ff; name*1*=%00", b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: x-uuencode",
        b"Content-Disposition: attachment; filename=\"../../a\x00b\"", b"Date: 99 Foo 20000 99:99", b"Message-ID: <>", b"--b", b"--b--",
        b"begin 644 x", b"#0V%T", b"end", b"<p>&#xD800;<b", b"=C3=28=", b"\x00\x1b$B\xff", b"", b"", b" folded", b"Action: failed",
        b"Final-Recipient: rfc822; x@y", b"Content-Type: message/delivery-status", b"Return-Path: <>", b"> quoted",
    ]
)  # fmt: skip


def _check(data: bytes) -> None:
    try:
        mail = parse_message(data)
    except UnreadableMail:
        return
    check_invariants(mail)
    classify(mail)
    html = sanitize_html(mail.html_body or text_to_html(mail.text_body), fold_quotes=True)
    assert "<script" not in html
    visible_reply(mail.text_body)


@QUICK
@given(st.binary(max_size=3_000))
def test_random_bytes(data: bytes) -> None:
    _check(data)
    _check(b"From: a@b.c\n" + data)


@QUICK
@given(
    st.lists(st.one_of(_LINES, st.binary(max_size=40)), max_size=40), st.sampled_from([b"\n", b"\r\n", b"\r"])
)
def test_random_mails_of_hard_lines(lines: list[bytes], end: bytes) -> None:
    _check(end.join(lines))


@pytest.mark.parametrize("group", sorted(EXPECTED_COUNTS))
def test_damaged_real_mails(group: str) -> None:
    paths = [path for path in messages(group) if path.stat().st_size < 40_000]
    chance = random.Random(20240229)

    for _ in range(150):
        _check(_damage(raw(chance.choice(paths)), raw(chance.choice(paths)), chance))


def _damage(data: bytes, other: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if not damaged:
            break
        at = chance.randrange(len(damaged))
        kind = chance.randrange(6)
        if kind == 0:
            del damaged[at : at + chance.randint(1, 200)]
        elif kind == 1:
            damaged[at] = chance.randrange(256)
        elif kind == 2:
            damaged[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
        elif kind == 3:
            del damaged[at:]
        elif kind == 4:
            start = chance.randrange(max(1, len(other)))
            damaged[at:at] = other[start : start + chance.randint(1, 2_000)]
        else:
            damaged[at:at] = chance.choice(
                [b"\n\n", b"\r", b"\x00", b'"', b"=?utf-8?b?", b"--", b"<", b"\xff\xfe", b"%00", b"\\"]
            )
    return bytes(damaged)


_MARKUP = st.lists(
    st.sampled_from(
        ["<div>", "</div>", "<p>", "</p>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<b>", "</b>", "<a href='http://x/'>",
         "</a>", "<blockquote>", "</blockquote>", "<pre>\n", "</pre>", "<ul>", "<li>", "<font color=red>", "</font>", "text", "\n",
         "&nbsp;", "&amp;", "<br>", "<img src='cid:a'>", "<img src='http://r/'>", "<span style='color:red;position:x'>", "<svg>",
         "</svg>", "<math>", "<style>", "</style>", "<script>", "</script>", "<!--", "-->", "<title>", "<noscript>", "</noscript>",
         "<p title='", "'>", '<div class="gmail_quote">', "<hr id=stopSpelling>", "<select>", "<option>", "<template>", "<col>",
         "<form>", "<button>", "<dl>", "<dd>", "<ruby>", "<rt>", "<details>", "<body>", "<frameset>", "<textarea>", "<plaintext>",
         "\x00", "\r", "&#x0;", "&lt;", "<", ">", '"', "'", "=", "/>", "javascript:", "onerror=alert(1) "]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@settings(QUICK, max_examples=300)
@given(_MARKUP, st.booleans())
def test_sanitising_is_a_fixed_point_and_loads_nothing(source: str, fold: bool) -> None:
    urls = {"a": "/files/1"}

    html = sanitize_html(source, cid_urls=urls, fold_quotes=fold)

    assert sanitize_html(html, cid_urls=urls, fold_quotes=fold) == html
    assert 'src="http' not in html.replace('data-remote-src="http', "")
    for bad in ("<script", "<svg", "<style", "<form", " onerror", "position"):
        assert bad not in html.lower().replace("&lt;", "").replace('title="', "") or bad in (
            " onerror",
            "position",
        )
    html_to_text(source)


@settings(QUICK, max_examples=200)
@given(st.text(max_size=400))
def test_any_text_survives_the_way_to_html(text: str) -> None:
    html = text_to_html(text, fold_quotes=True)

    assert sanitize_html(html) == sanitize_html(sanitize_html(html))
    reply = visible_reply(text)
    assert "".join(text[part.start : part.end] for part in reply.segments) == text


@settings(QUICK, max_examples=300)
@given(st.text(max_size=120))
def test_names_and_addresses_of_any_text(text: str) -> None:
    name = safe_file_name(text)
    assert safe_file_name(name) == name
    assert "/" not in name
    assert name.strip(" .") == name
    assert len(name.encode("utf-8", "replace")) <= 200
    for person in parse_address_list(text):
        assert normalise_address(person.normalised) == person.normalised
