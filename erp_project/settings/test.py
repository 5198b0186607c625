"""Tests: throw-away servers whose addresses tests/conftest.py puts into the environment; no network, cheap hashing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["ERP_IGNORE_DOTENV"] = "1"  # a developer's .env must not change what tests prove
_SCRATCH = Path(os.environ.get("ERP_TEST_DIR") or Path(__file__).resolve().parents[2] / "var" / "test")
os.environ["ERP_DATA_DIR"] = str(_SCRATCH / "data" / os.environ.get("PYTEST_XDIST_WORKER", "main"))
os.environ.setdefault("SECRET_KEY", "tests-only-" + "0" * 40)
for _name in ("ERP_MODULES", "ERP_DEMO", "DEBUG", "EMAIL_URL", "IMAP_URL", "PUBLIC_URL", "ERP_STORAGE"):
    os.environ.pop(_name, None)
# Every worker of pytest-xdist gets numbered databases of its own, two in a row: broker and cache. It happens here and
# not in conftest.py because pytest-django reads the settings before that in a worker.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if _WORKER and os.environ.get("REDIS_URL") and os.environ.get("ERP_TEST_REDIS_OF") != _WORKER:
    _base, _, _number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_base}/{int(_number) + 2 * (int(_WORKER.removeprefix('gw')) + 1)}"
    os.environ["ERP_TEST_REDIS_OF"] = _WORKER  # processes that a test starts inherit it and must not count on
if os.environ.get("ERP_TEST_MODULES"):
    os.environ["ERP_MODULES"] = os.environ["ERP_TEST_MODULES"]

# A third-party module, found by its entry point like any installed package.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "dummy_module"))

from .base import *
from .base import DATABASES, ERP_DATA_DIR

ERP_DATA_DIR.mkdir(parents=True, exist_ok=True)
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True  # no scan of every static file at each client
DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
STATIC_ROOT = None
