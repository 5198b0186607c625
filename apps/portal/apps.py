"""The portal: what customers and vendors see under ``/my``."""

from django.utils.translation import gettext_lazy as _

from apps.core.modules import ModuleConfig


class PortalConfig(ModuleConfig):
    name = "apps.portal"
    label = "portal"
    title = _("Portal")
    summary = _("Sign-in, home, lists and document pages for customers and vendors; links with a token.")
    category = _("Platform")
    depends = ("core", "access", "backoffice", "contacts", "chatter", "reports")
    platform = True
    urls = "apps.portal.urls"
