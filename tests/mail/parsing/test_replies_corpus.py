"""Folding of quotes and signatures in real plain-text replies."""

from __future__ import annotations

import json
import time

import pytest

from apps.mail.parsing import visible_reply
from tests.mail.parsing.support import folder


@pytest.mark.parametrize(("group", "count"), [("github", 22), ("zapier", 24)])
def test_real_replies(group: str, count: int) -> None:
    base = folder("replies")
    expected = json.loads((base / f"{group}.expected.json").read_text(encoding="utf-8"))
    files = sorted((base / group).glob("*.txt"))

    assert len(files) >= count
    assert {path.name for path in files} == set(expected)
    for path in files:
        text = path.read_bytes().decode("utf-8")
        wanted = expected[path.name]
        started = time.process_time()
        reply = visible_reply(text)
        assert time.process_time() - started < wanted.get("max_seconds", 1), path.name
        if "visible_text" in wanted:
            assert reply.visible == wanted["visible_text"], path.name
        for piece in wanted.get("contains", []):
            assert piece in reply.visible, path.name
        for piece in wanted.get("hides", []):
            assert piece not in reply.visible, path.name
            assert piece.strip() in (reply.quoted + reply.signature), path.name
        assert "".join(text[part.start : part.end] for part in reply.segments) == text
