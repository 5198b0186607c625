"""The kernel as a module: the ground floor that every other app depends on."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, Role
from apps.core.modules import ModuleConfig


class CoreConfig(ModuleConfig):
    name = "apps.core"
    label = "core"
    title = _("Kernel")
    summary = _("Modules, actions, rules, money, sequences, events, jobs and custom fields.")
    category = _("Platform")
    platform = True
    roles = (
        Role(
            code="core.technical",
            title=_("Technical settings"),
            category=_("Settings"),
            grants={
                "core.CustomField": "view add change delete",
                "core.Sequence": "view add change delete",
                "core.SequenceRange": "view add change delete",
                "core.ScheduledJob": "view change run",
                "core.JobRun": "view cancel retry",
                "core.OutboxEvent": "view retry",
                "core.Setting": "view change",
                "core.Currency": "view add change",
                "core.Country": "view add change",
                "core.CountryState": "view add change delete",
            },
            for_admins=True,
        ),
    )
    grants = {
        "access.internal": {
            "core.Currency": "view",
            "core.Country": "view",
            "core.CountryState": "view",
            "core.CustomField": "view",
            "core.JobRun": "view cancel retry",
        },
        "access.portal": {"core.Currency": "view", "core.Country": "view", "core.CountryState": "view"},
        "access.public": {"core.Country": "view"},
    }
    jobs = (
        JobSpec(
            code="core.housekeeping",
            title=_("Housekeeping"),
            task="apps.core.jobs.service.housekeeping",
            at="03:10",
            priority=9,
        ),
    )
    menu_title = _("Technical")
    menu_icon = "build"
    menu_sequence = 95
    menu = (
        MenuItem(_("Custom fields"), model="core.CustomField", icon="tune", sequence=10),
        MenuItem(_("Sequences"), model="core.Sequence", icon="format_list_numbered", sequence=20),
        MenuItem(_("Scheduled jobs"), model="core.ScheduledJob", icon="schedule", sequence=30),
        MenuItem(_("Job runs"), model="core.JobRun", icon="history", sequence=40),
        MenuItem(_("Outbox"), model="core.OutboxEvent", icon="outbox", sequence=50),
    )

    def ready(self) -> None:
        from apps.core import checks  # registers the system checks

        checks.register_all()
        super().ready()

        from django.db.models.signals import post_migrate

        from apps.core.jobs.service import sync_after_migrate as sync_jobs
        from apps.core.sequences.service import sync_after_migrate as sync_sequences

        post_migrate.connect(sync_jobs, sender=self, dispatch_uid="core.sync_jobs")
        post_migrate.connect(sync_sequences, sender=self, dispatch_uid="core.sync_sequences")
