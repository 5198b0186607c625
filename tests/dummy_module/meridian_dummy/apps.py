"""The module's declaration, as any third party writes it."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, ReportSpec, Role, SequenceSpec, SettingSpec, SubtypeSpec
from apps.core.modules import ModuleConfig


class DummyConfig(ModuleConfig):
    name = "meridian_dummy"
    label = "dummy"
    title = _("Gadgets")
    summary = _("Proves every extension point.")
    depends = ("core", "access", "contacts", "chatter", "reports", "backoffice", "api", "projects")
    roles = (
        Role(
            code="dummy.user",
            title=_("Gadget user"),
            category=_("Gadgets"),
            implies=("access.internal",),
            grants={"dummy.Gadget": "view add change sell", "dummy.GadgetPart": "view add change delete"},
        ),
        Role(
            code="dummy.manager",
            title=_("Gadget manager"),
            category=_("Gadgets"),
            implies=("dummy.user",),
            grants={"dummy.Gadget": "delete scrap", "dummy.GadgetMaker": "view add change delete"},
            for_admins=True,
        ),
    )
    grants = {"access.internal": {"dummy.GadgetMaker": "view"}}
    sequences = (SequenceSpec("dummy.gadget", _("Gadgets"), prefix="GDG/", padding=4),)
    jobs = (
        JobSpec(
            "dummy.count", _("Count gadgets"), "meridian_dummy.services.count_gadgets", every=1, unit="hours"
        ),
    )
    report_specs = (
        ReportSpec(
            code="dummy.gadget",
            title=_("Gadget sheet"),
            model="dummy.Gadget",
            builder="meridian_dummy.reports.gadget_sheet",
            template="dummy/gadget.html",
            filename="gadget-{pk}",
        ),
    )
    settings = (
        SettingSpec(
            "dummy.warranty_years", _("Warranty in years"), kind="integer", default=2, scope="company"
        ),
    )
    subtypes = (SubtypeSpec("dummy.sold", _("Gadget sold"), model="dummy.Gadget", default=True),)
    menu_title = _("Gadgets")
    menu_sequence = 80
    menu = (
        MenuItem(_("Gadgets"), model="dummy.Gadget", icon="toys"),
        MenuItem(_("Makers"), model="dummy.GadgetMaker", icon="factory"),
    )
