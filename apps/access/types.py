"""Plain values that ``access`` hands around."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, for throttling and the audit trail."""

    ip: str = ""
    user_agent: str = ""
    channel: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Rights:
    """What follows from a user's roles: computed once per stamp and kept in memory."""

    permissions: frozenset[str]
    roles: frozenset[str]
    company_pks: tuple[int, ...]
    context: dict[str, Any] = field(default_factory=dict)
    api_token_days: int = 0
