"""Slowing down guessing: per source address and per account, in the shared cache.

An attempt is counted before it is checked, so that many at once do not slip through; success clears the counts.
After ``access.login_failures`` failures from an address every further attempt within ``access.login_pause``
seconds of the last failure is refused. An account pauses too, longer each time, whatever the address, and whether
or not it exists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.core.cache import cache
from django.utils.translation import gettext as _

from apps.core.config import get_setting
from apps.core.errors import Throttled

REMEMBERED = 24 * 3600
ACCOUNT_FAILURES = 10
ACCOUNT_LONGEST = 15 * 60


@dataclass(frozen=True, slots=True)
class _Counter:
    """Failures of one key and the pause after the last of them."""

    key: str
    limit: int
    pause: int

    @property
    def _count(self) -> str:
        return f"access:throttle:{self.key}:count"

    @property
    def _pause(self) -> str:
        return f"access:throttle:{self.key}:pause"

    def blocked(self) -> bool:
        return bool(self.limit and self.pause and cache.get(self._pause))

    def hit(self) -> None:
        cache.add(self._count, 0, REMEMBERED)
        count = cache.incr(self._count)
        if self.limit and count >= self.limit and self.pause:
            cache.set(self._pause, 1, self.length(count))

    def length(self, count: int) -> int:
        return self.pause

    def clear(self) -> None:
        cache.delete_many([self._count, self._pause])


class _Growing(_Counter):
    def length(self, count: int) -> int:
        return int(min(self.pause * 2 ** min(count - self.limit, 10), ACCOUNT_LONGEST))


def _counters(login: str, ip: str) -> list[_Counter]:
    failures = int(get_setting("access.login_failures"))
    pause = int(get_setting("access.login_pause"))
    name = hashlib.sha256(login.strip().lower().encode()).hexdigest()[:32]
    counters: list[_Counter] = [
        _Growing(f"account:{name}", max(failures, ACCOUNT_FAILURES) if failures else 0, pause)
    ]
    if ip:
        counters.append(_Counter(f"ip:{ip}", failures, pause))
    return counters


def count_attempt(login: str, ip: str) -> None:
    """Count an attempt to sign in; raises ``Throttled`` when there were too many. Call before checking."""
    counters = _counters(login, ip)
    if any(counter.blocked() for counter in counters):
        raise Throttled(
            _("Too many failed attempts. Wait a minute and try again."),
            retry_after=int(get_setting("access.login_pause")),
        )
    for counter in counters:
        counter.hit()


def clear_attempts(login: str, ip: str) -> None:
    """The person has proven who he is."""
    for counter in _counters(login, ip):
        counter.clear()


def allow(action: str, key: str, *, limit: int, seconds: int) -> bool:
    """Whether ``key`` may do ``action`` once more within a window of ``seconds``; counts it."""
    name = f"access:limit:{action}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    cache.add(name, 0, seconds)
    try:
        return int(cache.incr(name)) <= limit
    except ValueError:  # it expired between the two calls
        cache.set(name, 1, seconds)
        return limit >= 1
