"""Encoded words, parameters, addresses, dates and file names by themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apps.mail.parsing import (
    make_address,
    normalise_address,
    parse_address_list,
    safe_file_name,
    unique_addresses,
)
from apps.mail.parsing.address import parse_address_header
from apps.mail.parsing.dates import parse_date
from apps.mail.parsing.headers import decode_header, parse_parameters
from apps.mail.parsing.mime import decode_base64


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"plain", "plain"),
        (b"=?iso-8859-1?Q?a=E4?= =?iso-8859-1?q?b_c?=", "aäb c"),
        (b"=?utf-8?b?w6Q=?= and =?utf-8?b?w7Y?=", "ä and ö"),
        (b"=?utf-8?b?w6?=\n =?utf-8?b?pA==?=", "ä"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        (b"=?utf-8*en?q?=C3=A4?=", "ä"),
        (b"before=?utf-8?q?=C3=A4?=after", "beforeäafter"),
        (b"=?NONE?B?VEVTVA=?=", "TEST"),
        (b"=?utf-8?q?cut off", "cut off"),
        (b"=?utf-8?x?what?=", "=?utf-8?x?what?="),
        (b"=?utf-8?q?with spaces inside?=", "with spaces inside"),
        ("Größe".encode(), "Größe"),
        ("Größe".encode("cp1252"), "Größe"),
        (b"=?iso-8859-1?Q?J\xfcrgen?=", "Jürgen"),
        (b"a\x00b\r\n c\x07", "a b c"),
        (b"=?utf-8?b?AAAA?=", ""),
        (b"=?utf-7?q?+2AA-?=", "\ufffd"),
    ],
)
def test_decoding_of_headers(raw: bytes, expected: str) -> None:
    assert decode_header(raw) == expected


def test_the_charset_of_the_body_helps_with_raw_headers() -> None:
    assert decode_header("привет".encode("koi8-r"), "koi8-r") == "привет"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'text/plain; charset="utf-8"; name=x', ("text/plain", {"charset": "utf-8", "name": "x"})),
        (b"TEXT/HTML;CHARSET=x", ("text/html", {"charset": "x"})),
        (b"a/b; name*=utf-8''%C3%A4.txt", ("a/b", {"name": "ä.txt"})),
        (b"a/b; name*0*=utf-8''%C3; name*1*=%A4; name*2=.txt", ("a/b", {"name": "ä.txt"})),
        (b'a/b; name*1="b"; name*0="a"', ("a/b", {"name": "ab"})),
        (b"a/b; name=\"plain.txt\"; name*=utf-8''%C3%A4.txt", ("a/b", {"name": "ä.txt"})),
        (b'a/b; name="=?utf-8?b?w6Q=?=.txt"', ("a/b", {"name": "ä.txt"})),
        (b'a/b; name="q\\"x;y.txt"; b=c', ("a/b", {"name": 'q"x;y.txt', "b": "c"})),
        (b"a/b; boundary=----=_Part_1", ("a/b", {"boundary": "----=_Part_1"})),
        (b'a/b; name="unclosed; b=c', ("a/b", {"name": "unclosed", "b": "c"})),
        (b"a/b; flag; b=c", ("a/b", {"b": "c"})),
        (b"name=x.txt", ("", {"name": "x.txt"})),
        (b"", ("", {})),
    ],
)
def test_parameters(raw: bytes, expected: tuple[str, dict[str, str]]) -> None:
    assert parse_parameters(raw) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bob <bob@x.org>", [("Bob", "bob@x.org")]),
        ('"Doe, \\"J\\" <x>" <j@x.org>, a@b.c', [('Doe, "J" <x>', "j@x.org"), ("", "a@b.c")]),
        ("Doe, Jane <jane@x.org>", [("Doe, Jane", "jane@x.org")]),
        ("a@b.c; d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
        ("Team: Bob <bob@x.y>, c@d.e;, z@z.z", [("Bob", "bob@x.y"), ("", "c@d.e"), ("", "z@z.z")]),
        ("undisclosed-recipients:;", []),
        ("MAILER-DAEMON@x.org (Mail System)", [("Mail System", "MAILER-DAEMON@x.org")]),
        ("Mary <@relay.org:mary@x.org>, , jdoe@test   . example", [("Mary", "mary@x.org"), ("", "jdoe@test.example")]),
        ("John <jdoe@machine(comment).  example>", [("John", "jdoe@machine.example")]),
        ("Big Bug bb@bug.com", [("Big Bug", "bb@bug.com")]),
        ('"unclosed <foo@bar.baz>, second@x.y', [("unclosed", "foo@bar.baz"), ("", "second@x.y")]),
        ("(unclosed <foo@bar.baz>, second@x.y", [("unclosed", "foo@bar.baz"), ("", "second@x.y")]),
        ("Joe <joe@a.b", [("Joe", "joe@a.b")]),
        ("<mailto:x@y.z>, mailto:a@b.c", [("", "x@y.z"), ("", "a@b.c")]),
        ("<a@b.c, d@e.f>", [("", "a@b.c"), ("", "d@e.f")]),
        ("mailer-daemon", [("", "mailer-daemon")]),
        ("MAILER-DAEMON <>", [("MAILER-DAEMON", "")]),
        ("just a name", [("just a name", "")]),
        ("boss@corp.org <evil@x.org>", [("boss@corp.org", "evil@x.org")]),
        ('"a b"@c.d', [("", '"a b"@c.d')]),
        ("", []),
        (" , ;; ", []),
    ],
)  # fmt: skip
def test_address_lists(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(person.name, person.email) for person in parse_address_list(text)] == expected


def test_encoded_words_are_names_only() -> None:
    header = b"=?utf-8?q?admin=40corp.com?=, =?utf-8?q?Doe=2C_J=C3=A4n?= <j@x.org>, =?utf-8?q?a=40corp.com=3E?=@evil.org"

    found = parse_address_header(header)

    assert (found[0].name, found[0].email) == ("admin@corp.com", "")
    assert (found[1].name, found[1].email) == ("Doe, Jän", "j@x.org")
    assert found[2].email == "=?utf-8?q?a=40corp.com=3E?=@evil.org"
    assert "corp.com" not in found[2].domain


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("Bob@Example.ORG", "bob@example.org"),
        ("jdæe@mächine.example", "jdæe@xn--mchine-bua.example"),
        ("a@STRASSE.de", "a@strasse.de"),
        ("a@straße.de", "a@xn--strae-oqa.de"),
        ("a@xn--strae-oqa.de", "a@xn--strae-oqa.de"),
        ("a@b.c.", "a@b.c"),
        ("<a@b.c>", "a@b.c"),
        ("e\u0301@x.org", "\u00e9@x.org"),
        ("user@[192.168.0.1]", "user@[192.168.0.1]"),
        ("no-at", ""),
        ("@x.org", ""),
        ("a@", ""),
        ("a b@x.org", ""),
        ("a@b@c", ""),
        ("a@x.org\nBcc: b@x.org", ""),
        ("x" * 300 + "@x.org", ""),
        ("a@..", ""),
    ],
)
def test_normalised_addresses(email: str, expected: str) -> None:
    assert normalise_address(email) == expected
    assert normalise_address(expected) == expected


def test_unique_addresses_keep_order_and_gain_names() -> None:
    found = unique_addresses(
        [[make_address("A@x.org")], [make_address("b@x.org"), make_address("a@X.org", "Ann")]]
    )

    assert [(person.name, person.normalised) for person in found] == [("Ann", "a@x.org"), ("", "b@x.org")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),
        ("Fri, 21 Nov 1997 09:55:06 -0600 (CST)", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),
        ("21 Nov 97 09:55 GMT", datetime(1997, 11, 21, 9, 55, tzinfo=UTC)),
        ("Fri, 21 Nov 1997 09:55:06", datetime(1997, 11, 21, 9, 55, 6, tzinfo=UTC)),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),
        ("Wed, 20 Sep 1995 00:19:00 (EDT) -0400", datetime(1995, 9, 20, 4, 19, tzinfo=UTC)),
        ("2024-02-29T12:00:00+02:00", datetime(2024, 2, 29, 10, 0, tzinfo=UTC)),
        ("2024-02-29 12:00:00", datetime(2024, 2, 29, 12, 0, tzinfo=UTC)),
        ("Thursday, April 09, 2003 9:00 AM", datetime(2003, 4, 9, 9, 0, tzinfo=UTC)),
        ("Thu, 31 Dec 1998 23:59:60 +0000", datetime(1998, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Mon, 31 Feb 2020 10:00:00 +0000", None),
        ("Mon, 01 Jan 1900 00:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("yesterday", None),
        ("", None),
        ("Fri, 21 Nov 99999999999999999999 09:55:06", None),
    ],
)
def test_dates(text: str, expected: datetime | None) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\file.txt", "file.txt"),
        ("/absolute/file.txt", "file.txt"),
        ("A/B test.pdf", "A_B test.pdf"),
        ("a\x00b\r\nc.txt", "a b c.txt"),
        ("inv\u202efdp.exe", "inv_fdp.exe"),
        ('<img src=x onerror="alert(1)">.png', "_img src=x onerror=_alert(1)_.png"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("COM1.log", "_COM1.log"),
        (".htaccess", "htaccess"),
        ("trailing. . ", "trailing"),
        ("..", "attachment"),
        ("", "attachment"),
        ("???", "attachment"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("ä" * 300 + ".pdf", "ä" * 98 + ".pdf"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
    ],
)
def test_safe_names(name: str, expected: str) -> None:
    assert safe_file_name(name) == expected
    assert safe_file_name(expected) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"QUJD", (b"ABC", True)),
        (b"QU\r\nJD", (b"ABC", True)),
        (b"QUI=", (b"AB", True)),
        (b"QUI", (b"AB", True)),
        (b"QUI=\nQUJDREVGR0hJSktM\n", (b"ABABCDEFGHIJKL", True)),
        (b"QUJDRA== ignored", (b"ABCD", False)),
        (b"plain text, really!", (b"plain text, really!", False)),
        (b"Hello", (b"Hello", False)),
        (b"", (b"", True)),
    ],
)
def test_forgiving_base64(body: bytes, expected: tuple[bytes, bool]) -> None:
    assert decode_base64(body) == expected
