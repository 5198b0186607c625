"""Who may do what: users, roles, companies, tokens, sessions, second factors and the audit trail."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, Role, SettingSpec
from apps.core.modules import ModuleConfig


class AccessConfig(ModuleConfig):
    name = "apps.access"
    label = "access"
    title = _("Access")
    summary = _("Users, roles, companies, API tokens, sessions, two-factor sign-in and the audit trail.")
    category = _("Platform")
    depends = ("core",)
    platform = True
    urls = "apps.access.urls"
    demo = "apps.access.demo.load"
    roles = (
        Role(
            code="access.internal",
            title=_("Employee"),
            category=_("Kind of user"),
            comment=_("What every employee may do. Nobody gives it: it comes with the kind of user."),
            grants={
                "access.User": "view change",  # a rule and UserService narrow it to oneself
                "access.Company": "view",
                "access.Role": "view",
                "access.ApiToken": "view delete revoke",
                "access.UserSession": "view revoke",
                "access.TrustedDevice": "view delete",
            },
            sequence=1,
        ),
        Role(
            code="access.portal",
            title=_("Portal user"),
            category=_("Kind of user"),
            comment=_("What every customer or vendor with a portal login may do."),
            kind="portal",
            grants={
                "access.User": "view",
                "access.Company": "view",
                "access.UserSession": "view revoke",
                "access.TrustedDevice": "view delete",
            },
            sequence=2,
        ),
        Role(
            code="access.public",
            title=_("Visitor"),
            category=_("Kind of user"),
            comment=_("What anybody may do without signing in."),
            kind="public",
            grants={"access.Company": "view"},
            sequence=3,
        ),
        Role(
            code="access.access_rights",
            title=_("Access rights"),
            category=_("Administration"),
            comment=_("Users, roles and companies."),
            grants={
                "access.User": "view add change delete invite archive set_password reset_second_factor",
                "access.Role": "view add change delete",
                "access.RoleGrant": "view",
                "access.RoleImplication": "view",
                "access.UserRole": "view",
                "access.Company": "view add change delete",
                "access.ApiToken": "view delete revoke",
                "access.UserSession": "view revoke",
                "access.TrustedDevice": "view delete",
                "access.AuditEntry": "view",
            },
            for_admins=True,
            sequence=10,
        ),
        Role(
            code="access.administrator",
            title=_("Settings"),
            category=_("Administration"),
            comment=_("Everything, the technical parts included. Record rules still hold."),
            implies=("access.access_rights",),
            grants={"*": "*"},
            sequence=20,
        ),
        Role(
            code="access.export",
            title=_("Export of data"),
            category=_("Administration"),
            comment=_("Lists can be downloaded as files."),
            grants={"*": "export"},
            for_admins=True,
            sequence=30,
        ),
    )
    settings = (
        SettingSpec("access.password_min_length", _("Shortest password"), kind="integer", default=8),
        SettingSpec("access.login_failures", _("Wrong passwords before a pause"), kind="integer", default=5),
        SettingSpec(
            "access.login_pause", _("Pause after wrong passwords, in seconds"), kind="integer", default=60
        ),
        SettingSpec(
            "access.api_token_days", _("Longest life of an API token, in days"), kind="integer", default=90
        ),
        SettingSpec(
            "access.second_factor",
            _("Second factor required"),
            kind="choice",
            default="none",
            choices=(("none", _("of nobody")), ("employees", _("of employees")), ("all", _("of everybody"))),
        ),
    )
    jobs = (
        JobSpec(
            "access.seal_audit",
            _("Seal the audit trail"),
            "apps.access.tasks.seal_audit",
            every=1,
            unit="hours",
        ),
        JobSpec(
            "access.purge_expired",
            _("Remove expired sessions, links and tokens"),
            "apps.access.tasks.purge_expired",
            at="03:10",
        ),
    )
    menu_title = _("Administration")
    menu_icon = "admin_panel_settings"
    menu_sequence = 90
    menu = (
        MenuItem(_("Users"), model="access.User", icon="group", sequence=10),
        MenuItem(_("Roles"), model="access.Role", icon="badge", sequence=20, role="access.access_rights"),
        MenuItem(_("Companies"), model="access.Company", icon="domain", sequence=30),
        MenuItem(_("API tokens"), model="access.ApiToken", icon="key", sequence=40),
        MenuItem(_("Sessions"), model="access.UserSession", icon="devices", sequence=50),
        MenuItem(_("Audit trail"), model="access.AuditEntry", icon="policy", sequence=60),
    )

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from apps.access.services.sync import sync_after_migrate

        super().ready()
        # The rows that modules declare are brought in line once the tables stand; nothing else uses signals here.
        post_migrate.connect(sync_after_migrate, sender=self, dispatch_uid="access.sync_roles")
