"""Writes about people, rights and companies."""

from apps.access.services.audit import broken_seals, record, record_denial, record_many, seal_audit
from apps.access.services.companies import CompanyService
from apps.access.services.links import (
    make_link,
    read_link,
    request_password_reset,
    send_letter,
    send_link,
    use_link,
)
from apps.access.services.login import check_login, login_needs_second_factor, public_url
from apps.access.services.passwords import (
    change_own_password,
    check_password_policy,
    set_password,
    write_password,
)
from apps.access.services.roles import RoleService, set_grants
from apps.access.services.second_factor import (
    check_code,
    enable_totp,
    has_second_factor,
    new_recovery_codes,
    new_totp_secret,
    remove_factor,
    reset_second_factor,
)
from apps.access.services.sessions import (
    confirm,
    end_other_sessions,
    is_confirmed,
    keep_session,
    require_confirmed,
    revoke_sessions,
    select_companies,
    sessions_of,
)
from apps.access.services.sync import RoleDeclarationError, declared_roles, sync_roles
from apps.access.services.throttle import allow
from apps.access.services.tokens import authenticate_token, issue_token, make_token, revoke_tokens
from apps.access.services.users import (
    UserService,
    add_roles,
    archive_users,
    assign_roles,
    close_own_portal_account,
    create_user,
    duplicate_user,
    invite_users,
    save_preference,
    unarchive_users,
    update_profile,
)

__all__ = [
    "CompanyService",
    "RoleDeclarationError",
    "RoleService",
    "UserService",
    "add_roles",
    "allow",
    "archive_users",
    "assign_roles",
    "authenticate_token",
    "broken_seals",
    "change_own_password",
    "check_code",
    "check_login",
    "check_password_policy",
    "close_own_portal_account",
    "confirm",
    "create_user",
    "declared_roles",
    "duplicate_user",
    "enable_totp",
    "end_other_sessions",
    "has_second_factor",
    "invite_users",
    "is_confirmed",
    "issue_token",
    "keep_session",
    "login_needs_second_factor",
    "make_link",
    "make_token",
    "new_recovery_codes",
    "new_totp_secret",
    "public_url",
    "read_link",
    "record",
    "record_denial",
    "record_many",
    "remove_factor",
    "request_password_reset",
    "require_confirmed",
    "reset_second_factor",
    "revoke_sessions",
    "revoke_tokens",
    "save_preference",
    "seal_audit",
    "select_companies",
    "send_letter",
    "send_link",
    "sessions_of",
    "set_grants",
    "set_password",
    "sync_roles",
    "unarchive_users",
    "update_profile",
    "use_link",
    "write_password",
]
