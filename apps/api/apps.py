"""REST for programs."""

from django.utils.translation import gettext_lazy as _

from apps.core.modules import ModuleConfig


class ApiConfig(ModuleConfig):
    name = "apps.api"
    label = "api"
    title = _("REST interface")
    summary = _("Resources, OpenAPI, API tokens, idempotency keys and webhooks.")
    category = _("Platform")
    depends = ("core", "access")
    platform = True
    urls = "apps.api.urls"
