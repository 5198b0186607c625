"""Screens of users, roles, companies, tokens, sessions and the audit trail.

``access`` is below the back office and cannot import its bases, so its screens are here.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.access.models import ApiToken, AuditEntry, Company, Role, User, UserSession
from apps.backoffice.base import RecordAdmin, backoffice


@backoffice(Company)
class CompanyAdmin(RecordAdmin):
    list_display = ("name", "parent", "currency", "country", "tax_id", "active")
    list_filter = ("active", "currency", "country")
    fieldsets = (
        (None, {"fields": (("name", "parent"), ("currency", "timezone"), ("tax_id", "registry"), "active")}),
        (
            _("Address"),
            {
                "fields": (
                    "street",
                    "street2",
                    ("zip", "city"),
                    ("state", "country"),
                    ("email", "phone"),
                    "website",
                )
            },
        ),
        (
            _("Documents"),
            {
                "classes": ["tab"],
                "fields": (("primary_color", "secondary_color"), "font", "report_header", "report_footer"),
            },
        ),
    )


@backoffice(User)
class UserAdmin(RecordAdmin):
    list_display = ("name", "login", "email", "kind", "company", "last_login", "active")
    list_filter = ("kind", "active", "company", "roles")
    fieldsets = (
        (None, {"fields": (("name", "login"), ("email", "kind"), ("company", "companies"), "active")}),
        (_("Rights"), {"fields": ("roles",)}),
        (
            _("Preferences"),
            {
                "classes": ["tab"],
                "fields": (("language", "timezone"), ("notification", "theme"), "home", "signature"),
            },
        ),
        (_("Security"), {"classes": ["tab"], "fields": ("must_change_password",)}),
    )


@backoffice(Role)
class RoleAdmin(RecordAdmin):
    list_display = ("name", "code", "category", "kind", "module", "active")
    list_filter = ("category", "kind", "module")
    fieldsets = (
        (None, {"fields": (("name", "code"), ("category", "kind"), "comment", "active")}),
        (_("Rights"), {"fields": ("implied", "api_token_days")}),
    )


@backoffice(ApiToken)
class ApiTokenAdmin(RecordAdmin):
    list_display = ("name", "user", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("user", "expires_at")


@backoffice(UserSession)
class UserSessionAdmin(RecordAdmin):
    list_display = ("user", "browser", "platform", "ip", "created_at", "last_seen_at")
    list_filter = ("user",)


@backoffice(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    list_display = ("at", "kind", "user_name", "object_name", "ip", "channel", "reason")
    list_filter = ("kind", "channel", "at")
