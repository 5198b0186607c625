"""A mail server to send to, as a process of its own kind: real SMTP on a port, scripted answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from django.test import override_settings


class Sink:
    """Takes every mail, or answers as told: ``answers["a@x.com"] = "451 later"`` at RCPT, ``after_data`` at the end."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.answers: dict[str, str] = {}
        self.after_data = "250 taken"
        self.connections = 0

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.after_data.startswith("250"):
            self.envelopes.append(envelope)
        return self.after_data

    @property
    def recipients(self) -> list[str]:
        return sorted(address for envelope in self.envelopes for address in envelope.rcpt_tos)

    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(e.original_content, policy=policy.default) for e in self.envelopes]  # type: ignore[misc]

    def mail_to(self, address: str) -> EmailMessage:
        found = [i for i, e in enumerate(self.envelopes) if e.rcpt_tos == [address]]
        assert len(found) == 1, f"{len(found)} mails to {address}, expected one"
        return self.mails()[found[0]]


class _Controller(Controller):
    utf8 = True

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=self.utf8, decode_data=False)


@contextmanager
def mail_server(*, utf8: bool = True) -> Iterator[Sink]:
    """A running server that Django's settings point to."""
    sink = Sink()
    controller = _Controller(sink, hostname="127.0.0.1", port=0)
    controller.utf8 = utf8
    controller.start()
    try:
        with override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=controller.port,
            EMAIL_TIMEOUT=10,
        ):
            yield sink
    finally:
        controller.stop()
