"""REST resources of users, roles and companies.

``access`` is below the REST interface and cannot import its bases, so its resources are here.
"""

from __future__ import annotations

from apps.access.models import AuditEntry, Company, Role, User, UserSession
from apps.api.base import READ_ONLY, Resource, resource


@resource("access/users")
class UserResource(Resource):
    """People who sign in. Passwords are never shown; they are set by invitation."""

    model = User
    exclude = ("password", "session_nonce", "rights_stamp", "preferences")
    detail_only = ("signature",)
    portal_fields = ("id", "name")


@resource("access/roles")
class RoleResource(Resource):
    """Named sets of rights."""

    model = Role


@resource("access/companies")
class CompanyResource(Resource):
    """Companies and their branches."""

    model = Company
    portal_fields = (
        "id",
        "name",
        "currency",
        "country",
        "street",
        "zip",
        "city",
        "email",
        "phone",
        "website",
    )


@resource("access/sessions")
class UserSessionResource(Resource):
    """Where people are signed in."""

    model = UserSession
    exclude = ("session_key",)
    operations = READ_ONLY


@resource("access/audit")
class AuditEntryResource(Resource):
    """Sign-ins, changes of rights, refusals: append-only."""

    model = AuditEntry
    operations = READ_ONLY
