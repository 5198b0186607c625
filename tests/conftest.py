"""Root of the test suite: throw-away PostgreSQL and Valkey, one database and one cache a worker.

The servers start when this file is imported, before Django reads its settings, once a pytest run: the controlling
process starts them and the workers of pytest-xdist inherit their addresses. They end with the run, whatever ends it.
With MERIDIAN_TEST_DATABASE_URL (and MERIDIAN_TEST_REDIS_URL) given, those servers are used and none is started.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from apps.core.runtime.scratch import Scratch, start_scratch  # noqa: E402  (needs the path above)

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_scratch: Scratch | None = None


def _start_servers() -> None:
    global _scratch
    if os.environ.get("MERIDIAN_TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = os.environ["MERIDIAN_TEST_DATABASE_URL"]
        os.environ["REDIS_URL"] = os.environ.get("MERIDIAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
        return
    _scratch = start_scratch()
    atexit.register(_stop_servers)
    os.environ.update(_scratch.environment)


def _stop_servers() -> None:
    global _scratch
    if _scratch is not None:
        _scratch.stop()
        _scratch = None


if not _WORKER:
    _start_servers()

os.environ["DJANGO_SETTINGS_MODULE"] = "erp_project.settings.test"

import django  # noqa: E402  (the settings need the addresses above)

django.setup()


def _restore_instead_of_emptying(pristine: Any) -> None:
    """After a test with real transactions Django empties all tables; here what was there before the first test comes back."""
    from django.core.management.commands import flush

    def handle(self: Any, **options: Any) -> None:
        pristine.restore()

    flush.Command.handle = handle  # type: ignore[method-assign]


# The same examples in every run: a red build has a cause in the change, not in chance. HYPOTHESIS_SEARCH=1 looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, database=None)
hypothesis.settings.register_profile("search", derandomize=False)
hypothesis.settings.load_profile("search" if os.environ.get("HYPOTHESIS_SEARCH") else "suite")


def pytest_unconfigure(config: pytest.Config) -> None:
    _stop_servers()


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: Any,
) -> Iterator[None]:
    """A database of this process, copied from one that was migrated once; thrown away with the servers."""
    from django.test.utils import setup_databases, teardown_databases

    from tests.database import Pristine, prepare_test_database

    if not os.environ.get("MERIDIAN_TEST_DATABASE_URL"):
        with django_db_blocker.unblock():
            prepare_test_database()
            _restore_instead_of_emptying(Pristine())
        yield
        return
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        _restore_instead_of_emptying(Pristine())
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def told_story(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The demo story, told once for a file: its tests work in savepoints above it, each as if it were told for itself.

    Not for tests with real transactions, which empty all tables.
    """
    from django.db import connection, transaction

    from apps.core import story

    around = transaction.atomic()
    with django_db_blocker.unblock():
        around.__enter__()
        try:
            story.load()
            with (
                connection.cursor() as cursor
            ):  # what waits for a commit is looked at once, not in every test
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        except BaseException:
            around.__exit__(*sys.exc_info())
            raise
    yield
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _fresh_cache_and_mailbox() -> None:
    """Nothing that an earlier test cached or sent may be seen by the next one."""
    from django.core import mail
    from django.core.cache import cache

    cache.clear()
    if hasattr(mail, "outbox"):
        mail.outbox.clear()


@pytest.fixture
def data_dir() -> Path:
    """The data directory of this worker."""
    from django.conf import settings

    return Path(settings.ERP_DATA_DIR)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real input files that lie beside the checkout; tests that need them say so when they are absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"NOT TESTED: real input files are absent ({path.name} beside the checkout)")
    return path
