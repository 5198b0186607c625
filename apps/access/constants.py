"""Names that the whole of ``access`` agrees on; no ORM here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

# Roles that nobody assigns: each user has exactly the one of its kind.
ROLE_INTERNAL = "access.internal"
ROLE_PORTAL = "access.portal"
ROLE_PUBLIC = "access.public"

ROLE_ACCESS_RIGHTS = "access.access_rights"
ROLE_ADMINISTRATOR = "access.administrator"
ROLE_EXPORT = "access.export"

SYSTEM_LOGIN = "__system__"
PUBLIC_LOGIN = "__public__"

# Session keys.
SESSION_COMPANY = "company"
SESSION_COMPANIES = "companies"
SESSION_SEEN_AT = "seen_at"
SESSION_CONFIRMED_AT = "confirmed_at"
SESSION_PENDING_LOGIN = "pending_login"

COMPANY_HEADER = "X-Company"


class UserKind(models.TextChoices):
    INTERNAL = "internal", _("employee")
    PORTAL = "portal", _("portal user")
    PUBLIC = "public", _("visitor")


IMPLICIT_ROLES = {
    UserKind.INTERNAL.value: ROLE_INTERNAL,
    UserKind.PORTAL.value: ROLE_PORTAL,
    UserKind.PUBLIC.value: ROLE_PUBLIC,
}


class Special(models.TextChoices):
    """Accounts that the platform itself needs; nobody signs in with them."""

    NONE = "", _("no")
    SYSTEM = "system", _("the system")
    PUBLIC = "public", _("visitors")


class Notify(models.TextChoices):
    INBOX = "inbox", _("in the inbox")
    EMAIL = "email", _("by e-mail")


class Theme(models.TextChoices):
    AUTO = "auto", _("as the device")
    LIGHT = "light", _("light")
    DARK = "dark", _("dark")


class AuditKind(models.TextChoices):
    LOGIN = "login", _("signed in")
    LOGIN_FAILED = "login_failed", _("sign-in refused")
    LOGOUT = "logout", _("signed out")
    SECOND_FACTOR = "second_factor", _("second factor")
    PASSWORD = "password", _("password")
    USER = "user", _("user changed")
    ROLES = "roles", _("roles changed")
    COMPANIES = "companies", _("companies changed")
    DENIAL = "denial", _("refused")
    TOKEN = "token", _("API token")
    SESSION = "session", _("session")
    IMPERSONATION = "impersonation", _("acted as somebody else")
    EXPORT = "export", _("data exported")
    DELETION = "deletion", _("data deleted")
    MERGE = "merge", _("records merged")


class TokenPurpose(models.TextChoices):
    INVITE = "invite", _("invitation")
    RESET = "reset", _("password reset")
