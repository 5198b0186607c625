"""The vertical slice in a browser: a mail becomes a task, an employee answers, the customer gets a mail and sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail as mailbox

from apps.access.models import User
from apps.core import story
from apps.core.testkit import drain_outbox
from apps.mail.services.intake import receive
from apps.mail.services.sending import send_queue
from apps.projects.models import Task

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("e2e"),
]

MAIL = b"""From: Ingrid Bakker <ingrid@lelie.example>
To: support@localhost
Subject: The lamp is broken
Message-ID: <slice-1@lelie.example>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>It does <b>not</b> light any more.<script>alert(1)</script></p>
"""


def test_mail_task_answer_portal(open_page: Callable[..., Any]) -> None:
    story.load()
    drain_outbox(rounds=50)
    send_queue()
    mailbox.outbox.clear()
    receipt = receive(MAIL)
    task = Task.objects.get(pk=receipt.records[0].pk)

    office = open_page(User.objects.get(login="admin"))
    office.goto(f"/admin/projects/task/{task.pk}/change/")
    office.locator("[data-chatter]").get_by_text("light any more").first.wait_for()
    office.click("[data-open=note]")
    office.fill("[data-text]", "Between us: third lamp this year.")
    office.click("[data-send]")
    office.locator("[data-messages]").get_by_text("third lamp this year").wait_for()
    office.click("[data-open=comment]")
    office.fill("[data-text]", "A technician comes on Thursday.")
    office.click("[data-send]")
    office.locator("[data-messages]").get_by_text("comes on Thursday").wait_for()

    drain_outbox(rounds=50)
    send_queue()
    told = [sent for sent in mailbox.outbox if "comes on Thursday" in sent.body]
    answers = [sent for sent in told if "ingrid" in sent.to[0]]
    assert [sent.to for sent in answers] == [["Ingrid Bakker <ingrid@lelie.example>"]]
    assert "support@localhost" in answers[0].reply_to[0]
    assert not [sent for sent in mailbox.outbox if "third lamp" in sent.body and "ingrid" in sent.to[0]]

    reply = MAIL.replace(b"slice-1", b"slice-2").replace(b"Subject: ", b"Subject: Re: ")
    reply = reply.replace(
        b"MIME-Version", f"In-Reply-To: {answers[0].extra_headers['Message-ID']}\nMIME-Version".encode()
    ).replace(b"It does <b>not</b> light any more.", b"Thursday is fine.")
    assert [ref.pk for ref in receive(reply).records] == [task.pk]

    portal = open_page(User.objects.get(login="portal"), size=(390, 844))
    portal.goto("/my/tasks")
    portal.get_by_role("link", name="The lamp is broken").first.click()
    thread = portal.locator("[data-chatter]")
    thread.get_by_text("comes on Thursday").wait_for()
    thread.get_by_text("Thursday is fine").wait_for()
    assert "third lamp" not in portal.content()
