"""REST of the REST interface itself: tokens, webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.access.models import ApiToken
from apps.access.services.tokens import revoke_tokens
from apps.api import access_api  # noqa: F401 - registers the resources of the app below
from apps.api.base import DELETE, DETAIL, LIST, READ_ONLY, Resource, resource
from apps.api.models import WebhookDelivery, WebhookEndpoint
from apps.api.tokens import TokenCollectionView
from apps.core.actor import Actor


@resource("auth/tokens")
class TokenResource(Resource):
    """API tokens of the caller. The secret is shown once, when the token is made by signing in."""

    model = ApiToken
    fields = (
        "name",
        "prefix",
        "user",
        "scopes",
        "expires_at",
        "last_used_at",
        "last_used_ip",
        "created_ip",
        "created_at",
    )
    ordering = ("-created_at",)
    operations = (LIST, DETAIL, DELETE)
    collection_view = TokenCollectionView
    summary = _("API tokens")

    def queryset(self, actor: Actor, op: str = "view") -> QuerySet[Any]:
        return super().queryset(actor, op).filter(user_id=actor.user_pk, revoked_at__isnull=True)

    def delete(self, record: ApiToken, *, actor: Actor) -> None:
        """Revoked for good; the row stays for the audit trail."""
        revoke_tokens([record], actor=actor)


@resource("api/webhooks")
class WebhookResource(Resource):
    """Addresses that are told about events. The secret for checking signatures is in the answer that makes one."""

    model = WebhookEndpoint
    summary = _("Webhooks")

    def reveal(self, record: WebhookEndpoint) -> Mapping[str, Any]:
        return {"secret": record.secret}


@resource("api/webhook-deliveries")
class WebhookDeliveryResource(Resource):
    """What was sent to webhooks and what they answered."""

    model = WebhookDelivery
    operations = READ_ONLY
    detail_only = ("payload", "response")
    summary = _("Webhook deliveries")
