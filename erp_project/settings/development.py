"""One machine, everything local: what `make run` uses. DEBUG stays off unless asked for, so speed is real."""

from __future__ import annotations

from .base import *
from .base import env

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

# Files are served from where they lie; nothing has to be collected before the first page.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = env.bool("DEBUG", default=False)
STATIC_ROOT = None
