"""Companies, users, roles, what stays signed in, and the audit trail."""

from apps.access.models.audit import AuditEntry, AuditSeal
from apps.access.models.company import Company
from apps.access.models.role import RightsStamp, Role, RoleGrant, RoleImplication, UserRole
from apps.access.models.session import ApiToken, OneTimeToken, TrustedDevice, UserSession
from apps.access.models.user import User

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditSeal",
    "Company",
    "OneTimeToken",
    "RightsStamp",
    "Role",
    "RoleGrant",
    "RoleImplication",
    "TrustedDevice",
    "User",
    "UserRole",
    "UserSession",
]
