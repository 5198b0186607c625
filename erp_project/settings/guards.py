"""What production will not start with."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured

MINIMUM_SECRET = 40
_TRUE = {"1", "true", "yes", "on", "y", "t", "ok"}


def unsafe_settings(environment: Mapping[str, str]) -> list[str]:
    """Every reason, in words an operator can act on; empty when the environment is fit for production."""
    reasons = []
    secret = environment.get("SECRET_KEY", "")
    if not secret:
        reasons.append(
            "SECRET_KEY is not set; make one with `python -c 'import secrets; print(secrets.token_urlsafe(50))'`"
        )
    elif len(secret) < MINIMUM_SECRET:
        reasons.append(f"SECRET_KEY is shorter than {MINIMUM_SECRET} characters")
    hosts = [host.strip() for host in environment.get("ALLOWED_HOSTS", "").split(",") if host.strip()]
    if not hosts:
        reasons.append("ALLOWED_HOSTS is not set; list the names this site answers to, separated by commas")
    elif "*" in hosts:
        reasons.append("ALLOWED_HOSTS=* accepts any Host header; list the names instead")
    if environment.get("ERP_DEMO", "").strip().lower() in _TRUE:
        reasons.append("ERP_DEMO loads accounts whose password is their login; unset it")
    if environment.get("DEBUG", "").strip().lower() in _TRUE:
        reasons.append("DEBUG shows source code and settings to visitors; unset it")
    reasons += [
        f"{name} is not set; the embedded servers are for one machine only"
        for name in ("DATABASE_URL", "REDIS_URL")
        if not environment.get(name)
    ]
    return reasons


def refuse_unsafe(environment: Mapping[str, str]) -> None:
    """Raise with all reasons at once, so that an operator fixes them in one go."""
    reasons = unsafe_settings(environment)
    if reasons:
        raise ImproperlyConfigured("Production settings refuse to start:\n  - " + "\n  - ".join(reasons))
