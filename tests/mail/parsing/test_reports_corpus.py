"""Bounces, complaints and automatic answers of real systems against the stored manifest."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from apps.mail.parsing import Classification, MailKind, UnreadableMail, classify, parse_message
from tests.mail.parsing.support import folder, messages, raw

_WANTED = {
    "bounce": {MailKind.BOUNCE, MailKind.DELAY},
    "broken_or_unusual": {MailKind.BOUNCE, MailKind.DELAY},
    "feedback_report": {MailKind.FEEDBACK_REPORT},
    "auto_reply": {MailKind.AUTO_REPLY},
    "not_a_bounce": {MailKind.ORDINARY},
}
# Where our reading departs from the manifest, and why.
DIVERGENCES = {
    "bsd/lhost-amazonses-12.eml": "a notice in JSON that the mail WAS delivered; marking a failure would be wrong",
    "not/rb-issue-368-bug.eml": "null return path, postmaster, 'your message was rejected': to a reader it is a bounce",
}


@cache
def manifest() -> list[dict[str, str]]:
    with (folder("sisimai") / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def classified(name: str) -> Classification:
    return classify(parse_message(raw(folder("sisimai") / name)))


def _diagnostic(text: str) -> str:
    """The manifest keeps the bytes of the report; seven-bit Japanese is decoded as our reader does."""
    if "\x1b$" in text:
        text = text.encode("ascii").decode("iso2022_jp")
    return re.sub(r"\s+", " ", text).strip()


def test_the_kind_of_every_mail() -> None:
    wrong = {row["file"] for row in manifest() if classified(row["file"]).kind not in _WANTED[row["kind"]]}

    assert len(manifest()) >= 100
    assert wrong == set(DIVERGENCES)
    assert 1 - len(wrong) / len(manifest()) >= 0.95


def test_formal_reports_are_read_completely() -> None:
    formal = [row for row in manifest() if row["formal_report"] == "yes"]

    for row in formal:
        result = classified(row["file"])
        recipients = result.recipients
        assert result.is_formal, row["file"]
        assert ";".join(item.address for item in recipients) == row["recipients"], row["file"]
        assert ";".join(dict.fromkeys(item.action for item in recipients)) == row["actions"], row["file"]
        assert ";".join(dict.fromkeys(item.status for item in recipients)) == row["status"], row["file"]
        # The manifest cuts long texts.
        expected = _diagnostic(row["diagnostic"])
        assert recipients[0].diagnostic.startswith(expected), row["file"]
        assert bool(recipients[0].diagnostic) == bool(expected), row["file"]

    assert len(formal) >= 53


def test_a_delay_is_no_failure() -> None:
    delayed = [row["file"] for row in manifest() if row["actions"] == "delayed"]

    assert len(delayed) >= 3
    for name in delayed:
        assert classified(name).kind is MailKind.DELAY
        assert classified(name).failed_recipients == ()


def test_informal_bounces_name_the_address_that_failed() -> None:
    informal = [row["file"] for row in manifest() if row["formal_report"] == "no" and row["kind"] == "bounce"]
    informal = [name for name in informal if name not in DIVERGENCES]

    named = [name for name in informal if classified(name).recipients]

    assert len(informal) >= 38
    assert named == informal
    for name in informal:
        mail = parse_message(raw(folder("sisimai") / name))
        authors = {author.normalised for author in mail.authors}
        assert not authors & {item.address.lower() for item in classified(name).recipients}, name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bsd/lhost-activehunter-02.eml", [("kijitora@example.ed.jp", "failed", "5.0.0")]),
        ("bsd/lhost-amazonworkmail-04.eml", [("chatoraneko@example.jp", "failed", "5.2.2")]),
        ("bsd/lhost-dragonfly-16.eml", [("notaccept@libsisimai.net", "failed", "5.3.2")]),
        ("bsd/lhost-exim-41.eml", [("kijitora@example.net", "delayed", "4.0.0")]),
        ("bsd/lhost-gmail-09.eml", [("kijitora@9jo.example.jp", "delayed", "")]),
        (
            "bsd/lhost-gmx-03.eml",
            [("mikeneko@example.co.jp", "failed", "5.2.1"), ("sabineko@example.co.jp", "failed", "5.2.2")],
        ),
        ("bsd/lhost-kddi-02.eml", [("kijitora@00000000000000.dion.ne.jp", "failed", "")]),
        ("bsd/lhost-mailru-06.eml", [("nyan@haineko.org", "failed", "")]),
        ("bsd/lhost-qmail-13.eml", [("nekochan@cx.libsisimai.com", "failed", "5.1.2")]),
        (
            "bsd/lhost-v5sendmail-04.eml",
            [("kijitora@example.ed.jp", "failed", "5.0.0"), ("mikeneko@example.ac.jp", "failed", "5.0.0")],
        ),
        ("bsd/lhost-verizon-02.eml", [("may-be-straycat-nyaaaaaan@vtext.com", "failed", "5.0.0")]),
        ("bsd/lhost-yahoo-08.eml", [("mailboxfull@libsisimai.org", "failed", "5.2.2")]),
        ("dos/lhost-mxlogic-01.eml", [("kijitora@example.co.jp", "failed", "5.1.1")]),
        ("mac/lhost-x3-01.eml", [("kijitora@example.com", "failed", "5.3.0")]),
    ],
)
def test_recipients_of_bounces_in_prose(name: str, expected: list[tuple[str, str, str]]) -> None:
    recipients = classified(name).recipients

    assert [(item.address, item.action, item.status) for item in recipients] == expected


def test_the_original_mail_is_found_whenever_its_id_came_back() -> None:
    pattern = re.compile(rb"(?im)^[ \t>]*message-id:\s*(<[^<>\s]+>)")
    found = Counter()

    for row in manifest():
        if row["kind"] not in ("bounce", "broken_or_unusual") or row["file"] in DIVERGENCES:
            continue
        data = raw(folder("sisimai") / row["file"]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        ids = pattern.findall(data.partition(b"\n\n")[2])
        if ids:
            result = classified(row["file"]).original_message_id
            found[result is not None and result.encode() in ids] += 1

    assert found[True] >= 60
    assert found[False] == 0


def _kinds(path: Path, part: str) -> dict[str, MailKind]:
    result = {}
    for message in messages("flanker"):
        if message.parent.name == part:
            result[message.name] = classify(parse_message(raw(message))).kind
    assert result
    return result


def test_other_bounces_complaints_and_spam() -> None:
    bounces = _kinds(folder("flanker"), "bounce")
    complaints = _kinds(folder("flanker"), "complaints")
    spam = _kinds(folder("flanker"), "spam")

    assert bounces.pop("no-mx.eml") is MailKind.DELAY
    assert set(bounces.values()) == {MailKind.BOUNCE}
    assert len(bounces) == 8
    assert complaints == {"aol.eml": MailKind.FEEDBACK_REPORT, "yahoo.eml": MailKind.FEEDBACK_REPORT}
    # Spam is told apart by filters in front of us and by its recipients, never by guessing.
    assert set(spam.values()) == {MailKind.ORDINARY}


def test_read_receipt() -> None:
    path = next(path for path in messages("flanker") if path.name == "disposition-notification.eml")

    result = classify(parse_message(raw(path)))

    assert result.kind is MailKind.DISPOSITION_NOTIFICATION
    assert result.disposition == "displayed"
    assert result.original_message_id == "<199509192301.23456@example.org>"
    assert not result.opens_record


def test_ordinary_mails_stay_ordinary() -> None:
    """No mail of a person is taken for a report."""
    reports = {"bounce", "complaints", "multipart_report_emails"}
    wrong = []

    for group in ("flanker", "mikel", "stalwart"):
        for path in messages(group):
            if path.parent.name in reports or path.name == "disposition-notification.eml":
                continue
            try:
                kind = classify(parse_message(raw(path))).kind
            except UnreadableMail:
                continue
            if kind is not MailKind.ORDINARY:
                wrong.append((path.name, kind))

    assert wrong == []
