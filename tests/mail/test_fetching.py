"""Fetching mail from a real IMAP server (Dovecot, as a throw-away process with one mailbox)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from imap_tools import AND
from meridian_dummy.models import Gadget

from apps.mail.services import fetching
from apps.mail.types import EX_TRY_AGAIN, Receipt

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_login_user = {login}
default_internal_user = {internal}
default_internal_group = {group}
mail_location = maildir:{folder}/mail
first_valid_uid = 1
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
"""


@pytest.fixture(scope="module")
def imap() -> Iterator[str]:
    """URL of the mailbox of ``desk``."""
    program = shutil.which("dovecot") or "/usr/sbin/dovecot"
    if not Path(program).exists():
        pytest.skip("NOT TESTED: fetching mail from an IMAP server (install dovecot-imapd)")
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: fetching mail from an IMAP server (Dovecot needs to be started as root)")
    owner = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="meridian-imap-"))
    folder.chmod(0o755)
    for name in ("mail", "home"):
        (folder / name).mkdir()
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            login="dovenull",
            internal="dovecot",
            group="dovecot",
            uid=owner.pw_uid,
            gid=owner.pw_gid,
        )
    )
    server = subprocess.Popen([program, "-F", "-c", str(config)])
    try:
        _wait_for(port, server, folder)
        yield f"imap://desk:secret@127.0.0.1:{port}/INBOX?timeout=10"
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    for _attempt in range(100):
        assert server.poll() is None, (folder / "log").read_text() if (folder / "log").exists() else "no log"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Dovecot does not answer")


def deliver(url: str, *numbers: int, folder: str = "INBOX", empty: bool = False) -> None:
    with fetching.open_mailbox(url) as box:
        if empty:
            box.delete(box.uids())
        for number in numbers:
            box.append(
                f"From: a@x.com\r\nTo: support@example.com\r\nSubject: Mail {number}\r\n"
                f"Message-ID: <imap{number}@x>\r\n\r\nHello\r\n".encode(),
                folder,
            )


def unseen(url: str) -> int:
    with fetching.open_mailbox(url) as box:
        return len(box.uids(AND(seen=False)))


def test_unseen_mail_is_taken_once_and_marked(world: SimpleNamespace, imap: str) -> None:
    deliver(imap, 1, 2, 2, empty=True)

    first = fetching.fetch(imap)
    second = fetching.fetch(imap)

    assert first == {"accepted": 2, "duplicate": 1}
    assert second == {}
    assert sorted(Gadget.objects.values_list("name", flat=True)) == ["Mail 1", "Mail 2"]
    assert unseen(imap) == 0


def test_mail_that_is_put_off_stays_unseen(
    world: SimpleNamespace, imap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(imap, 3, empty=True)
    monkeypatch.setattr(
        fetching, "receive", lambda raw, source: Receipt("deferred", "no database", exit_code=EX_TRY_AGAIN)
    )

    assert fetching.fetch(imap) == {"deferred": 1}
    assert unseen(imap) == 1

    monkeypatch.undo()
    assert fetching.fetch(imap) == {"accepted": 1}
    assert unseen(imap) == 0
