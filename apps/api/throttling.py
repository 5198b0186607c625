"""How many requests a token may make: one counter a minute in the shared cache."""

from __future__ import annotations

import time
from typing import Any

from rest_framework.throttling import BaseThrottle

from apps.core.config import get_setting
from apps.core.live import client

SETTING = "api.requests_per_minute"


class TokenRateThrottle(BaseThrottle):
    """``api.requests_per_minute`` for each token (each user, for browsers); 0 is no limit."""

    def allow_request(self, request: Any, view: Any) -> bool:
        user_pk = getattr(request.user, "pk", None)
        limit = int(get_setting(SETTING) or 0)
        if not limit or user_pk is None:
            return True
        minute = int(time.time()) // 60
        who = f"token:{request.auth.pk}" if request.auth is not None else f"user:{user_pk}"
        key = f"meridian:api.rate:{who}:{minute}"
        with client().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 120)
            count, _set = pipe.execute()
        return int(count) <= limit

    def wait(self) -> float:
        return 60 - time.time() % 60
