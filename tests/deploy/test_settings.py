"""Settings of every way of running, read as a fresh process reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from erp_project.settings.environment import kept_secret, neighbour_redis
from erp_project.settings.guards import unsafe_settings

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "SECRET_KEY": "s" * 50,
    "ALLOWED_HOSTS": "erp.example.com",
    "DATABASE_URL": "postgresql://meridian:secret@db.example.com:5433/erp",
    "REDIS_URL": "redis://:secret@redis.example.com:6379/2",
}


def run(code: str, module: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {"ERP_IGNORE_DOTENV": "1", "ERP_DATA_DIR": str(tmp_path / "data")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**kept, **given, "DJANGO_SETTINGS_MODULE": f"erp_project.settings.{module}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def read(names: list[str], module: str, tmp_path: Path, **environment: str) -> dict[str, object]:
    code = (
        "import json; from django.conf import settings; "
        f"print(json.dumps({{name: getattr(settings, name) for name in {names!r}}}, default=str))"
    )
    done = run(code, module, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 40 characters"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is not set"),
        ({"ALLOWED_HOSTS": " , "}, "ALLOWED_HOSTS is not set"),
        ({"ALLOWED_HOSTS": "a.example.com,*"}, "ALLOWED_HOSTS=* accepts any Host header"),
        ({"ERP_DEMO": "1"}, "ERP_DEMO loads accounts"),
        ({"ERP_DEMO": "True"}, "ERP_DEMO loads accounts"),
        ({"DEBUG": "yes"}, "DEBUG shows source code"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"REDIS_URL": ""}, "REDIS_URL is not set"),
    ],
)
def test_production_names_what_is_unsafe(change: dict[str, str], words: str) -> None:
    reasons = unsafe_settings({**SAFE, **change})

    assert len(reasons) == 1
    assert reasons[0].startswith(words)


def test_production_accepts_a_safe_environment() -> None:
    assert unsafe_settings(SAFE) == []
    assert unsafe_settings({**SAFE, "ERP_DEMO": "0", "DEBUG": "false"}) == []


def test_production_refuses_to_start_with_all_reasons_at_once(tmp_path: Path) -> None:
    done = run(
        "import sys; sys.argv = ['manage.py', 'check']; import manage; sys.exit(manage.main())",
        "production",
        tmp_path,
        ERP_DEMO="1",
        DEBUG="1",
    )

    assert done.returncode != 0
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "ERP_DEMO", "DEBUG", "DATABASE_URL", "REDIS_URL"):
        assert name in done.stderr
    assert not (tmp_path / "data").exists()


def test_production_is_closed(tmp_path: Path) -> None:
    names = ["DEBUG", "ERP_DEMO", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"]
    names += ["SECURE_HSTS_SECONDS", "ALLOWED_HOSTS"]

    found = read(names, "production", tmp_path, **SAFE)

    assert found == {
        "DEBUG": False,
        "ERP_DEMO": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31536000,
        "ALLOWED_HOSTS": ["erp.example.com"],
    }


def test_addresses_come_from_the_environment(tmp_path: Path) -> None:
    found = read(["DATABASES", "CACHES", "CELERY_BROKER_URL", "REDIS_URL"], "production", tmp_path, **SAFE)

    database = found["DATABASES"]["default"]  # type: ignore[index]
    assert (database["HOST"], database["PORT"], database["NAME"], database["USER"]) == (
        "db.example.com",
        5433,
        "erp",
        "meridian",
    )
    assert found["REDIS_URL"] == found["CELERY_BROKER_URL"] == SAFE["REDIS_URL"]
    assert found["CACHES"]["default"]["LOCATION"] == "redis://:secret@redis.example.com:6379/3"  # type: ignore[index]


def test_a_pool_and_persistent_connections_exclude_each_other(tmp_path: Path) -> None:
    def database(**environment: str) -> dict[str, Any]:
        found: Any = read(["DATABASES"], "production", tmp_path, **SAFE, **environment)["DATABASES"]
        return dict(found["default"])

    web, live = database(ERP_PROCESS="web"), database(ERP_PROCESS="live")
    passing = database(ERP_PROCESS="web", LIVE_UPSTREAM="127.0.0.1:1")

    assert (web["CONN_MAX_AGE"], "pool" in web.get("OPTIONS", {})) == (60, False)
    assert ("CONN_MAX_AGE" in live, "pool" in live["OPTIONS"]) == (False, True)
    assert ("CONN_MAX_AGE" in passing, "pool" in passing["OPTIONS"]) == (False, True)


def test_mail_stays_on_the_machine_unless_told_otherwise(tmp_path: Path) -> None:
    kept = read(["EMAIL_BACKEND", "EMAIL_FILE_PATH"], "development", tmp_path)
    sent = read(
        ["EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_USE_TLS"],
        "development",
        tmp_path,
        EMAIL_URL="smtp+tls://u@mx:587",
    )

    assert kept == {
        "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "EMAIL_FILE_PATH": str(tmp_path / "data" / "outbox"),
    }
    assert sent["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert (sent["EMAIL_HOST"], sent["EMAIL_USE_TLS"]) == ("mx", True)


def test_files_go_to_a_bucket_by_setting(tmp_path: Path) -> None:
    local = read(["STORAGES"], "development", tmp_path)["STORAGES"]["default"]  # type: ignore[index]
    bucket = read(["STORAGES"], "development", tmp_path, ERP_STORAGE="s3", S3_BUCKET="files")["STORAGES"][
        "default"
    ]  # type: ignore[index]

    assert local["OPTIONS"]["location"] == str(tmp_path / "data" / "files")
    assert bucket["BACKEND"] == "storages.backends.s3.S3Storage"
    assert (bucket["OPTIONS"]["bucket_name"], bucket["OPTIONS"]["querystring_auth"]) == ("files", True)


def test_development_secret_is_random_kept_and_private(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"

    assert kept_secret(first) == kept_secret(first)
    assert kept_secret(first) != kept_secret(second)
    assert len(kept_secret(first)) >= 50
    assert (first / "secret_key").stat().st_mode & 0o077 == 0


def test_the_cache_is_not_the_brokers_database() -> None:
    assert neighbour_redis("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/1"
    assert neighbour_redis("rediss://u:p@host:1/5") == "rediss://u:p@host:1/6"
    assert neighbour_redis("redis://host") == "redis://host/1"


def test_commands_find_the_embedded_servers_without_being_told(tmp_path: Path) -> None:
    state = {
        "database_url": "postgresql://meridian:pw@127.0.0.1:4711/meridian",
        "redis_url": "redis://:pw@127.0.0.1:4712/0",
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "services.json").write_text(json.dumps(state))

    found = read(["DATABASES", "REDIS_URL"], "development", tmp_path)

    assert found["DATABASES"]["default"]["PORT"] == 4711  # type: ignore[index]
    assert found["REDIS_URL"] == state["redis_url"]
