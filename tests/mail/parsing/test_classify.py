"""Telling reports of machines from mails of people."""

from __future__ import annotations

import json

import pytest

from apps.mail.parsing import MailKind, classify
from tests.mail.parsing.support import mail, multipart, part

DAEMON = ("From: Mail Delivery System <MAILER-DAEMON@mx.example.net>", "Return-Path: <>")
STATUS = (
    "Reporting-MTA: dns; mx.example.net\n\n"
    "Final-Recipient: rfc822; gone@example.org\nOriginal-Recipient: rfc822;alias@example.org\n"
    "Action: failed\nStatus: 5.1.1 (no such user)\nDiagnostic-Code: smtp; 550 5.1.1\n  User unknown\n"
)
ORIGINAL = "From: us@example.com\nTo: gone@example.org\nMessage-ID: <original@example.com>\n\nHello"


def _report(
    status: str = STATUS,
    *,
    headers: tuple[str, ...] = DAEMON,
    original: str = ORIGINAL,
    kind: str = "delivery-status",
):
    return multipart(
        part("text/plain", "Your mail could not be delivered."),
        part(f"message/{kind}", status),
        part("message/rfc822", original),
        kind=f'report; report-type="{kind}"',
        headers=headers,
    )


def test_formal_bounce() -> None:
    result = classify(_report())

    assert result.kind is MailKind.BOUNCE
    assert result.is_formal
    assert not result.opens_record
    assert result.original_message_id == "<original@example.com>"
    recipient = result.recipients[0]
    assert (recipient.address, recipient.action, recipient.status) == ("gone@example.org", "failed", "5.1.1")
    assert recipient.diagnostic == "smtp; 550 5.1.1 User unknown"
    assert result.failed_recipients == result.recipients


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("failed", MailKind.BOUNCE),
        ("Failed (permanently)", MailKind.BOUNCE),
        ("delayed", MailKind.DELAY),
        ("delivered", MailKind.DELIVERED),
        ("relayed", MailKind.DELIVERED),
        ("expanded", MailKind.DELIVERED),
        ("mystery", MailKind.BOUNCE),
    ],
)
def test_action_decides(action: str, kind: MailKind) -> None:
    result = classify(_report(STATUS.replace("failed", action)))

    assert result.kind is kind
    assert bool(result.failed_recipients) is (kind is MailKind.BOUNCE)


def test_one_failure_among_several_recipients_is_a_bounce() -> None:
    status = STATUS + "\nFinal-Recipient: rfc822; slow@example.org\nAction: delayed\nStatus: 4.4.7\n"

    result = classify(_report(status))

    assert result.kind is MailKind.BOUNCE
    assert [(item.address, item.action) for item in result.recipients] == [
        ("gone@example.org", "failed"), ("slow@example.org", "delayed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "status",
    [
        "Reporting-MTA: dns; x\nFinal-Recipient: rfc822; gone@example.org\nAction: failed\nStatus: 5.1.1",
        "MIME-Version: 1.0\nFinal-Recipient : rfc/822;<gone@example.org>\nAction : failed\nStatus : 5.1.1 (x)",
        "\n\nStatus: 5.1.1\nAction: failed\nFinal-Recipient: RFC822; gone@example.org>\n\n\n",
        "Final-Recipient: gone@example.org\nStatus: 5.1.1",
        "Final-Recipient: rfc822;\nOriginal-Recipient: rfc822; gone@example.org\nAction: failed\nStatus: 5.1.1",
    ],
)
def test_careless_reports(status: str) -> None:
    result = classify(_report(status))

    assert [(item.address, item.action, item.status) for item in result.recipients] == [
        ("gone@example.org", "failed", "5.1.1")
    ]


def test_the_id_kept_by_a_rewriting_provider_is_a_candidate() -> None:
    original = "Message-ID: <rewritten@provider>\nX-Microsoft-Original-Message-ID: <ours@example.com>\n\nx"

    result = classify(_report(original=original, headers=(*DAEMON, "In-Reply-To: <third@example.com>")))

    assert result.original_message_ids == (
        "<rewritten@provider>",
        "<ours@example.com>",
        "<third@example.com>",
    )


def test_a_report_inside_a_notice_of_a_gateway() -> None:
    inner = (
        "From: MAILER-DAEMON@inner\nContent-Type: multipart/report; report-type=delivery-status; boundary=IN\n\n"
        f"--IN\nContent-Type: message/delivery-status\n\n{STATUS}\n--IN--"
    )
    outer = multipart(
        part("text/plain", "----- The following addresses had permanent delivery errors -----"),
        part("message/rfc822", inner),
        headers=(*DAEMON, "Subject: Returned mail: User unknown"),
    )

    result = classify(outer)

    assert result.is_formal
    assert [item.address for item in result.failed_recipients] == ["gone@example.org"]


def test_a_person_who_forwards_a_report_opens_a_record() -> None:
    forwarded = multipart(
        part("text/plain", "What does this mean?\n\n550 5.1.1 user unknown"),
        part("message/delivery-status", STATUS),
        part("message/rfc822", ORIGINAL),
        headers=("Subject: Fwd: Undelivered Mail Returned to Sender", "Return-Path: <ann@example.org>"),
    )

    result = classify(forwarded)

    assert result.kind is MailKind.ORDINARY
    assert result.opens_record


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        (
            "Delivery failed",
            "The parcel could not be delivered to the following address: Main St 5. Please call us.",
        ),
        ("Undeliverable: order 77", "Our carrier was unable to deliver. Write to depot@example.net."),
        (
            "Re: Undelivered Mail Returned to Sender",
            "I get 550 5.1.1 user unknown for bob@example.net, please help.",
        ),
        ("Mail problem", "Your server says: 550 5.1.1 <bob@example.net>: User unknown"),
        ("Office", "Out of office chairs? We sell them."),
    ],
)
def test_people_write_about_failures_too(subject: str, body: str) -> None:
    assert (
        classify(mail(f"Subject: {subject}", "Return-Path: <ann@example.org>", body=body)).kind
        is MailKind.ORDINARY
    )
    assert classify(mail(f"Subject: {subject}", body=body)).kind is MailKind.ORDINARY


def test_a_postmaster_who_is_a_person_opens_a_record() -> None:
    parsed = mail(
        "From: Postmaster <postmaster@customer.example>", "Return-Path: <postmaster@customer.example>",
        "Subject: Your SPF record", body="Hello, your SPF record lacks a server. Could you look into it?",
    )  # fmt: skip

    assert classify(parsed).kind is MailKind.ORDINARY


def test_bounce_in_prose() -> None:
    parsed = mail(
        *DAEMON,
        "Subject: Mail delivery failed: returning message to sender",
        "To: bounce@example.com",
        body=(
            "A message that you sent could not be delivered to one of its recipients.\n\n"
            "  gone@example.org\n    550 5.1.1 <gone@example.org>: mailbox unavailable\n\n"
            "------ This is a copy of the message ------\n\n"
            "From: us@example.com\nTo: gone@example.org\nMessage-ID: <original@example.com>\n\nother@example.org\n"
        ),
    )

    result = classify(parsed)

    assert result.kind is MailKind.BOUNCE
    assert not result.is_formal
    assert [(item.address, item.status) for item in result.recipients] == [("gone@example.org", "5.1.1")]
    assert result.recipients[0].diagnostic == "550 5.1.1 <gone@example.org>: mailbox unavailable"
    assert result.original_message_id == "<original@example.com>"


def test_delay_in_prose() -> None:
    parsed = mail(
        *DAEMON,
        "Subject: Warning: message delayed 24 hours",
        body="Your message has not yet been delivered to slow@example.org.\n450 try later\nIt will be retried.",
    )

    result = classify(parsed)

    assert result.kind is MailKind.DELAY
    assert result.failed_recipients == ()


def test_failed_recipients_header_wins() -> None:
    parsed = mail(
        *DAEMON, "X-Failed-Recipients: gone@example.org, away@example.org", "Subject: Notiz", body="550 no"
    )

    assert [item.address for item in classify(parsed).recipients] == ["gone@example.org", "away@example.org"]


def test_complaint() -> None:
    fields = "Feedback-Type: abuse\nUser-Agent: x/1\nOriginal-Rcpt-To: <angry@example.org>\n"

    result = classify(_report(fields, kind="feedback-report"))

    assert result.kind is MailKind.FEEDBACK_REPORT
    assert result.feedback_type == "abuse"
    assert [item.address for item in result.recipients] == ["angry@example.org"]
    assert result.original_message_id == "<original@example.com>"
    assert result.failed_recipients == ()


def test_read_receipt() -> None:
    fields = (
        "Reporting-UA: x\nFinal-Recipient: rfc822; ann@example.org\nOriginal-Message-ID: <original@example.com>\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n"
    )

    result = classify(_report(fields, kind="disposition-notification", headers=()))

    assert result.kind is MailKind.DISPOSITION_NOTIFICATION
    assert result.disposition == "displayed"
    assert result.original_message_ids[0] == "<original@example.com>"


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied", "X-Autorespond: yes", "Precedence: auto_reply",
        "Subject: Automatic reply: your order", "Subject: Out of Office", "Subject: Abwesenheitsnotiz: Urlaub",
        "Subject: Réponse automatique : absent", "Subject: AutoReply: x", "Subject: 自動応答: 不在",
    ],
)  # fmt: skip
def test_automatic_answers(header: str) -> None:
    result = classify(mail(header, "In-Reply-To: <original@example.com>", body="I am away until Monday."))

    assert result.kind is MailKind.AUTO_REPLY
    assert result.original_message_id == "<original@example.com>"


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: auto-generated", "Precedence: bulk", "List-Id: <l.example.org>"]
)
def test_machines_that_answer_nobody_may_open_records(header: str) -> None:
    """Order and invoice mails carry these; what they may do is up to the gateway."""
    assert classify(mail(header)).kind is MailKind.ORDINARY


def test_event_notices_in_json() -> None:
    bounce = {
        "notificationType": "Bounce",
        "mail": {"messageId": "0100-abc"},
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [
                {"emailAddress": "gone@example.org", "status": "5.1.1", "diagnosticCode": "smtp; 550"}
            ],
        },
    }
    complaint = {
        "notificationType": "Complaint",
        "mail": {},
        "complaint": {"complainedRecipients": [{"emailAddress": "a@b.c"}]},
    }

    failed = classify(mail(body=json.dumps(bounce) + "\n--\nfooter"))
    complained = classify(mail(body=json.dumps(complaint)))
    delivered = classify(
        mail(body='{"notificationType":"Delivery","mail":{},"delivery":{"recipients":["a@b.c"]}}')
    )
    broken = classify(mail(body='{"notificationType":"Bounce","mail":[]' + "[" * 50_000))

    assert (failed.kind, failed.recipients[0].status) == (MailKind.BOUNCE, "5.1.1")
    assert (complained.kind, complained.feedback_type) == (MailKind.FEEDBACK_REPORT, "abuse")
    assert delivered.kind is MailKind.DELIVERED
    assert broken.kind is MailKind.ORDINARY
