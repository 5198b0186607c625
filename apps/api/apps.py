"""REST for programs."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import JobSpec, MenuItem, Role, SettingSpec
from apps.core.modules import ModuleConfig


class ApiConfig(ModuleConfig):
    name = "apps.api"
    label = "api"
    title = _("REST interface")
    summary = _("Resources, OpenAPI, API tokens, idempotency keys and webhooks.")
    category = _("Platform")
    depends = ("core", "access", "backoffice")
    platform = True
    urls = "apps.api.urls"
    roles = (
        Role(
            code="api.webhooks",
            title=_("Webhooks"),
            category=_("Administration"),
            comment=_("Send events to other systems, and see what was sent."),
            grants={
                "api.WebhookEndpoint": "view add change delete",
                "api.WebhookDelivery": "view replay",
            },
            for_admins=True,
            sequence=40,
        ),
    )
    settings = (
        SettingSpec(
            "api.requests_per_minute",
            _("REST requests a minute for each token"),
            kind="integer",
            default=0,
            help=_("0: no limit."),
        ),
    )
    jobs = (
        JobSpec(
            "api.webhooks",
            _("Send waiting webhooks"),
            "apps.api.tasks.send_due_webhooks",
            every=1,
            unit="minutes",
        ),
        JobSpec(
            "api.purge", _("Remove old idempotency keys and deliveries"), "apps.api.tasks.purge", at="03:40"
        ),
    )
    menu_title = _("Integrations")
    menu_icon = "api"
    menu_sequence = 92
    menu = (
        MenuItem(_("Webhooks"), model="api.WebhookEndpoint", icon="webhook", sequence=10),
        MenuItem(_("Webhook deliveries"), model="api.WebhookDelivery", icon="outbound", sequence=20),
    )
