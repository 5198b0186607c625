"""Incoming mail through `manage.py mailgate`: one process a mail, and one process for many."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

from . import Figure, workload
from .system import System

ONE_BY_ONE = 8
BATCH = 200


def write_mail(number: int, recipient: str) -> bytes:
    """A mail of a customer with a text, an HTML body and a small attachment; each its own sender and id."""
    mail = EmailMessage()
    mail["From"] = f"Customer {number} <customer{number}@bench.example>"
    mail["To"] = recipient
    mail["Subject"] = f"Question {number} about the delivery"
    mail["Message-ID"] = f"<{number}.{time.time_ns()}@bench.example>"
    mail.set_content("Good morning,\n\nwhen will it come?\n\nKind regards\n" * 5)
    mail.add_alternative("<p>Good morning,</p><p>when will <b>it</b> come?</p>" * 5, subtype="html")
    mail.add_attachment(
        b"%PDF-1.4\n" + bytes(4000), maintype="application", subtype="pdf", filename="order.pdf"
    )
    return mail.as_bytes()


def project_address(system: System) -> str:
    """An address that makes tasks."""
    program = system.with_token("admin", "admin")
    for project in system.json(program, "/api/v1/projects/projects/?limit=80")["results"]:
        if project.get("alias_address"):
            return str(project["alias_address"])
    raise RuntimeError("no project of the demo data has a mail address")


@workload("mails")
def mails(system: System) -> Sequence[Figure]:
    recipient = project_address(system)
    program = system.with_token("admin", "admin")

    def tasks() -> int:
        return int(system.json(program, "/api/v1/projects/tasks/?limit=1")["count"])

    before = tasks()
    started = time.perf_counter()
    for number in range(ONE_BY_ONE):
        done = system.manage("mailgate", stdin=write_mail(number, recipient))
        if done.returncode != 0:
            raise RuntimeError(f"mailgate ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    alone = ONE_BY_ONE / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(BATCH):
            (Path(folder) / f"{number:04}.eml").write_bytes(write_mail(1000 + number, recipient))
        started = time.perf_counter()
        done = system.manage("mailgate", folder)
        if done.returncode != 0:
            raise RuntimeError(f"mailgate ended with {done.returncode}: {done.stderr.decode()[-500:]}")
        together = BATCH / (time.perf_counter() - started)
    made = tasks() - before
    if made != ONE_BY_ONE + BATCH:
        raise RuntimeError(f"{ONE_BY_ONE + BATCH} mails made {made} tasks")
    return [
        Figure("mails, one process each", alone, "1/s", lower_is_better=False),
        Figure(
            "mails, one process for all",
            together,
            "1/s",
            f"{BATCH} mails, start included",
            lower_is_better=False,
        ),
    ]
