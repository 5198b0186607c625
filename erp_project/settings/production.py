"""Servers. Refuses to start rather than run with a guessed secret, any host, demo logins or debug pages."""

from __future__ import annotations

import os

from .guards import refuse_unsafe

refuse_unsafe(os.environ)

from .base import *
from .base import STORAGES, env
from .logs import LOGGING

DEBUG = False
ERP_DEMO = False

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=60 * 60 * 24 * 365)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LOGGING["handlers"]["console"]["formatter"] = env.str("LOG_FORMAT", default="json")  # type: ignore[index]
LOGGING["loggers"]["celery.app.trace"]["level"] = env.str("TASK_LOG_LEVEL", default="INFO").upper()  # type: ignore[index]
