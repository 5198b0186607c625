"""Where the shared example mails are, and small builders for mails of our own."""

from __future__ import annotations

import base64
import functools
from pathlib import Path

import pytest

from apps.mail.parsing import ParsedMail, parse_message

MAIL_DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "mail"

# At least this many messages must be there, or the tests over them prove less than they claim.
EXPECTED_COUNTS = {"flanker": 48, "mikel": 53, "sisimai": 100, "stalwart": 54}


def folder(name: str) -> Path:
    """A folder of shared examples; without it the test is skipped and says what it did not test."""
    path = MAIL_DATA / name
    if not path.is_dir():
        pytest.skip(f"NOT TESTED: the real mails of shared/data/mail/{name} are not here")
    return path


def messages(name: str) -> list[Path]:
    found = sorted(folder(name).rglob("*.eml"))
    assert len(found) >= EXPECTED_COUNTS[name], f"{name}: only {len(found)} messages"
    return found


@functools.cache
def raw(path: Path) -> bytes:
    return path.read_bytes()


def mail(*headers: str, body: str | bytes = "Hello\n", defaults: bool = True) -> ParsedMail:
    """A parsed mail with the given header lines."""
    lines = list(headers)
    names = {line.partition(":")[0].strip().lower() for line in lines}
    if defaults:
        wanted = ("From: Ann <ann@example.org>", "To: support@example.com", "Subject: Question")
        lines.extend(line for line in wanted if line.partition(":")[0].lower() not in names)
    data = body if isinstance(body, bytes) else body.encode("utf-8")
    return parse_message("\n".join(lines).encode("utf-8") + b"\n\n" + data)


def multipart(
    *parts: str, kind: str = "mixed", boundary: str = "XX", headers: tuple[str, ...] = ()
) -> ParsedMail:
    """A mail of several parts; every part is given with its headers."""
    body = "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"
    return mail(*headers, f'Content-Type: multipart/{kind}; boundary="{boundary}"', body=body)


def part(content_type: str, body: str, *headers: str) -> str:
    return "\n".join([f"Content-Type: {content_type}", *headers, "", body])


def encoded_part(content_type: str, content: bytes, *headers: str) -> str:
    return part(
        content_type, base64.encodebytes(content).decode(), "Content-Transfer-Encoding: base64", *headers
    )
