"""The back office as a module: the admin site that other modules' ``admin.py`` register on."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import MenuItem
from apps.core.modules import ModuleConfig


class BackofficeConfig(ModuleConfig):
    name = "apps.backoffice"
    label = "backoffice"
    title = _("Back office")
    summary = _("Lists, forms, actions, search, export and the dashboard for employees.")
    category = _("Platform")
    depends = ("core", "access")
    platform = True
    urls = "apps.backoffice.urls"
    menu_title = _("Technical")
    menu_icon = "build"
    menu_sequence = 95
    menu = (
        MenuItem(
            _("Settings"), url_name="admin:settings", icon="settings", sequence=1, role="core.technical"
        ),
        MenuItem(_("Modules"), url_name="admin:modules", icon="extension", sequence=5, role="core.technical"),
    )
