"""E-mail in and out: addresses that become records, threading, the outgoing queue, the quarantine."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, Role, SettingSpec
from apps.core.modules import ModuleConfig


class MailConfig(ModuleConfig):
    name = "apps.mail"
    label = "mail"
    title = _("E-mail")
    summary = _("Addresses whose mail becomes records, answers that find their thread, the outgoing queue.")
    category = _("Platform")
    depends = ("core", "access", "contacts", "chatter")
    platform = True
    urls = "apps.mail.urls"
    roles = (
        Role(
            code="mail.manager",
            title=_("Mail administration"),
            category=_("Settings"),
            comment=_("Addresses, queue and quarantine."),
            grants={
                "mail.Alias": "view add change delete",
                "mail.AliasDomain": "view add change delete",
                "mail.IncomingMail": "view replay discard",
                "mail.OutgoingMail": "view retry cancel",
                "mail.AddressHealth": "view change unblock",
            },
            for_admins=True,
        ),
    )
    grants = {"access.internal": {"mail.Alias": "view", "mail.AliasDomain": "view"}}
    settings = (
        SettingSpec(
            "mail.loop_limit",
            _("Records that one sender may create in two hours"),
            kind="integer",
            default=20,
        ),
        SettingSpec(
            "mail.max_files_megabytes",
            _("Files sent along with a mail, in megabytes; larger ones become links"),
            kind="integer",
            default=15,
        ),
        SettingSpec(
            "mail.keep_log_days", _("Days that the log of incoming mail is kept"), kind="integer", default=180
        ),
        SettingSpec(
            "mail.sending", _("Send mail"), kind="boolean", default=True, help=_("Off on copies for testing.")
        ),
    )
    jobs = (
        JobSpec(
            "mail.fetch", _("Fetch mail"), "apps.mail.services.fetching.fetch_mail", every=5, unit="minutes"
        ),
        JobSpec(
            "mail.send",
            _("Send waiting mail"),
            "apps.mail.services.sending.send_job",
            every=1,
            unit="minutes",
        ),
        JobSpec(
            "mail.purge",
            _("Remove old mail log entries"),
            "apps.mail.services.quarantine.purge_job",
            at="03:20",
        ),
    )
    menu_title = _("E-mail")
    menu_icon = "mail"
    menu_sequence = 90
    menu = (
        MenuItem(
            _("Quarantine"),
            model="mail.IncomingMail",
            icon="report",
            query="state__exact=quarantined",
            sequence=10,
            role="mail.manager",
        ),
        MenuItem(
            _("Incoming mail"),
            model="mail.IncomingMail",
            icon="move_to_inbox",
            sequence=20,
            role="mail.manager",
        ),
        MenuItem(
            _("Outgoing mail"),
            model="mail.OutgoingMail",
            icon="outgoing_mail",
            sequence=30,
            role="mail.manager",
        ),
        MenuItem(_("Aliases"), model="mail.Alias", icon="alternate_email", sequence=40, role="mail.manager"),
        MenuItem(_("Domains"), model="mail.AliasDomain", icon="dns", sequence=50, role="mail.manager"),
        MenuItem(
            _("Addresses"), model="mail.AddressHealth", icon="contact_mail", sequence=60, role="mail.manager"
        ),
    )
