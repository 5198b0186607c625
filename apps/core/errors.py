"""The one tree of business errors, raised by services and mapped once to HTTP, admin, portal and mail answers.

Every error carries a stable ``code``, a message that says what to do, and ``fields`` (field name -> messages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

FieldErrors = Mapping[str, Sequence[str]]


class BusinessError(Exception):
    """Base of all expected refusals. ``status`` is the HTTP status that interfaces answer with."""

    code = "error"
    status = 400

    def __init__(
        self, message: str = "", *, code: str | None = None, fields: FieldErrors | None = None
    ) -> None:
        self.message = str(message) or self.default_message()
        if code is not None:
            self.code = code
        self.fields: dict[str, list[str]] = {
            name: [str(text) for text in texts] for name, texts in (fields or {}).items()
        }
        super().__init__(self.message)

    def default_message(self) -> str:
        return _("The request was refused.")

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "fields": self.fields}


class ValidationFailed(BusinessError):
    """The input is wrong; ``fields`` says where and how to mend it."""

    code = "invalid"

    def default_message(self) -> str:
        return _("Please correct the marked fields.")


class NotAuthenticated(BusinessError):
    code = "not_authenticated"
    status = 401

    def default_message(self) -> str:
        return _("Sign in or send a valid token.")


class PermissionDenied(BusinessError):
    """The actor lacks a right. ``rule`` names the failing rule; only administrators are shown it."""

    code = "permission_denied"
    status = 403

    def __init__(self, message: str = "", *, rule: str = "", **kwargs: Any) -> None:
        self.rule = rule
        super().__init__(message, **kwargs)

    def default_message(self) -> str:
        return _("You do not have the right to do this.")


class NotVisible(BusinessError):
    """The record does not exist or is not the actor's to see; the two look the same on purpose."""

    code = "not_found"
    status = 404

    def default_message(self) -> str:
        return _("This record does not exist or you cannot see it.")


class Conflict(BusinessError):
    """The change collides with data that is already there."""

    code = "conflict"
    status = 409


class WrongState(Conflict):
    """The document is not in a state from which the action is allowed."""

    code = "wrong_state"


class StaleVersion(BusinessError):
    """Somebody else saved the record in the meantime; nothing was written."""

    code = "stale_version"
    status = 412

    def default_message(self) -> str:
        return _("Somebody else changed this record in the meantime. Reload it and repeat your change.")


class Throttled(BusinessError):
    code = "throttled"
    status = 429

    def __init__(self, message: str = "", *, retry_after: int = 60, **kwargs: Any) -> None:
        self.retry_after = retry_after
        super().__init__(message, **kwargs)

    def default_message(self) -> str:
        return _("Too many attempts. Try again later.")


class Unavailable(BusinessError):
    """A service that is needed (broker, renderer, mail server) does not answer; trying again may help."""

    code = "unavailable"
    status = 503
