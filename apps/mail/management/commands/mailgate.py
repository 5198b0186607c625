"""``manage.py mailgate < message.eml``: the pipe through which a mail server hands over incoming mail.

Exit codes follow sysexits: 0 taken over (also when it went into quarantine), 65 no mail at all, 67 none of its
addresses is ours, 75 try again later (the database does not answer).
"""

from __future__ import annotations

import json
import mailbox
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.mail.services.intake import receive
from apps.mail.types import EX_OK


class Command(BaseCommand):
    help = "Take over one mail from standard input, or many from files, a folder of .eml files or an mbox."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="*", help="files or folders; standard input when there are none")
        parser.add_argument("--mbox", action="store_true", help="the files are mboxes")
        parser.add_argument(
            "--to",
            action="append",
            default=[],
            metavar="ADDRESS",
            help="recipient of the envelope, as the mail server knows it (blind copies, lists, forwarded mail)",
        )
        parser.add_argument(
            "--json", action="store_true", help="print what became of each mail as JSON lines"
        )

    def handle(self, *args: Any, paths: list[str], mbox: bool, to: list[str], **options: Any) -> None:
        worst = EX_OK
        for source, raw in self._mails(paths, mbox):
            receipt = receive(_delivered(raw, to), source=source)
            worst = max(worst, receipt.exit_code)
            if options["json"]:
                self.stdout.write(
                    json.dumps(
                        {
                            "source": source,
                            "state": str(receipt.state),
                            "reason": receipt.reason,
                            "log": receipt.log_pk,
                            "records": [str(ref) for ref in receipt.records],
                            "messages": list(receipt.message_pks),
                        }
                    )
                )
            else:
                became = ", ".join(str(ref) for ref in receipt.records)
                self.stderr.write(f"{source}: {receipt.state} {became} {receipt.reason}".rstrip())
        if worst != EX_OK:
            sys.exit(worst)

    def _mails(self, paths: list[str], mbox: bool) -> Any:
        if not paths:
            yield "mailgate", sys.stdin.buffer.read()
        for name in paths:
            path = Path(name)
            if mbox:
                with closing(mailbox.mbox(path, create=False)) as box:
                    for message in box:
                        yield f"{path.name}", message.as_bytes()
            elif path.is_dir():
                for file in sorted(path.rglob("*.eml")):
                    yield file.name, file.read_bytes()
            else:
                yield path.name, path.read_bytes()


def _delivered(raw: bytes, recipients: list[str]) -> bytes:
    """The mail with the trace that a mail server leaves when it delivers to an address: ``Delivered-To``."""
    if not recipients:
        return raw
    end = b"\r\n" if b"\r\n" in raw[:4096] else b"\n"
    trace = b"".join(b"Delivered-To: " + " ".join(address.split()).encode() + end for address in recipients)
    if raw.startswith(b"From "):  # the separator of an mbox comes before the headers
        separator, found, rest = raw.partition(b"\n")
        return separator + found + trace + rest
    return trace + raw
