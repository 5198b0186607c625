"""Documents as PDF: built from data, rendered by a worker, stored once, served from the store."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, Role, SettingSpec
from apps.core.modules import ModuleConfig


class ReportsConfig(ModuleConfig):
    name = "apps.reports"
    label = "reports"
    title = _("Documents")
    summary = _("Printable documents, rendered by workers, cached by the versions of what they show.")
    category = _("Platform")
    depends = ("core", "access", "contacts", "chatter")
    platform = True
    urls = "apps.reports.urls"
    roles = (
        Role(
            code="reports.manager",
            title=_("Document administration"),
            category=_("Settings"),
            grants={"reports.RenderedDocument": "view retry"},
            for_admins=True,
        ),
    )
    settings = (
        SettingSpec(
            "reports.wait_seconds", _("Seconds a download waits for the renderer"), kind="integer", default=25
        ),
        SettingSpec(
            "reports.keep_days", _("Days that rendered documents are kept"), kind="integer", default=30
        ),
    )
    jobs = (
        JobSpec(
            "reports.purge",
            _("Remove old rendered documents"),
            "apps.reports.services.rendering.purge_job",
            at="04:10",
        ),
    )
    menu_title = _("Technical")
    menu_icon = "build"
    menu_sequence = 95
    menu = (
        MenuItem(
            _("Rendered documents"), model="reports.RenderedDocument", icon="picture_as_pdf", sequence=60
        ),
    )
