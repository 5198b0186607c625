"""Threads on any record: messages, notes, followers, activities, files and tracked changes."""

from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import ACTIVITY, COMMENT, NOTE
from apps.core.declarations import JobSpec, MenuItem, Role, SettingSpec, SubtypeSpec
from apps.core.modules import ModuleConfig


class ChatterConfig(ModuleConfig):
    name = "apps.chatter"
    label = "chatter"
    title = _("Threads")
    summary = _("Messages, internal notes, followers, activities, files and tracked changes on any record.")
    category = _("Platform")
    depends = ("core", "access", "contacts")
    platform = True
    urls = "apps.chatter.urls"
    roles = (
        Role(
            code="chatter.manager",
            title=_("Set-up of activities"),
            category=_("Settings"),
            comment=_("Types and plans of activities."),
            grants={
                "chatter.ActivityType": "view add change delete",
                "chatter.ActivityPlan": "view add change delete",
                "chatter.ActivityPlanLine": "view add change delete",
            },
            for_admins=True,
        ),
    )
    grants = {
        "access.internal": {
            "chatter.Message": "view add change delete",
            "chatter.TrackedValue": "view",
            "chatter.Notification": "view change mark_read",
            "chatter.Follower": "view",
            "chatter.Subtype": "view",
            "chatter.Attachment": "view add change delete",
            "chatter.Activity": "view add change delete finish snooze cancel",
            "chatter.ActivityType": "view",
            "chatter.ActivityPlan": "view",
            "chatter.ActivityPlanLine": "view",
        },
        "access.portal": {
            "chatter.Message": "view add change delete",
            "chatter.TrackedValue": "view",
            "chatter.Notification": "view",
            "chatter.Subtype": "view",
            "chatter.Attachment": "view add delete",
        },
        "access.public": {"chatter.Attachment": "view"},
    }
    subtypes = (
        SubtypeSpec(COMMENT, _("Discussions"), sequence=0),
        SubtypeSpec(ACTIVITY, _("Activities"), internal=True, default=False, sequence=90),
        SubtypeSpec(NOTE, _("Note"), internal=True, default=False, sequence=100),
    )
    settings = (
        SettingSpec(
            "chatter.max_upload_megabytes",
            _("Largest file that may be uploaded, in megabytes"),
            kind="integer",
            default=128,
        ),
        SettingSpec(
            "chatter.file_grace_hours",
            _("Hours until the content of a deleted file is removed"),
            kind="integer",
            default=24,
        ),
    )
    jobs = (
        JobSpec(
            "chatter.collect_files",
            _("Remove contents that no file uses"),
            "apps.chatter.services.maintenance.collect_files",
            at="03:40",
        ),
        JobSpec(
            "chatter.purge_notifications",
            _("Remove old notifications"),
            "apps.chatter.services.maintenance.purge_notifications",
            at="03:50",
        ),
    )
    menu_title = _("Messages")
    menu_icon = "forum"
    menu_sequence = 10
    menu = (
        MenuItem(_("Messages"), model="chatter.Message", icon="forum", sequence=20),
        MenuItem(_("Activities"), model="chatter.Activity", icon="task_alt", sequence=30),
        MenuItem(_("Files"), model="chatter.Attachment", icon="attach_file", sequence=40),
        MenuItem(
            _("Types of activities"),
            model="chatter.ActivityType",
            icon="category",
            group=_("Configuration"),
            role="chatter.manager",
            sequence=50,
        ),
        MenuItem(
            _("Plans of activities"),
            model="chatter.ActivityPlan",
            icon="checklist",
            group=_("Configuration"),
            role="chatter.manager",
            sequence=60,
        ),
    )

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from apps.chatter.services.sync import sync_after_migrate

        super().ready()
        # The rows that modules declare are brought in line once the tables stand; nothing else uses signals here.
        post_migrate.connect(sync_after_migrate, sender=self, dispatch_uid="chatter.sync_declared")
