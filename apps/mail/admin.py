"""Back-office screens of the mail app."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.backoffice.base import RecordAdmin, backoffice
from apps.mail.models import AddressHealth, Alias, AliasDomain, IncomingMail, OutgoingMail


@backoffice(AliasDomain)
class AliasDomainAdmin(RecordAdmin):
    list_display = ("name", "bounce", "catchall", "notifications", "company", "active")
    list_filter = ("active",)


@backoffice(Alias)
class AliasAdmin(RecordAdmin):
    list_display = ("local_part", "domain", "target", "policy", "status", "active")
    list_filter = ("status", "policy", "domain", "active")
    readonly_fields = ("status", "status_reason", "owner_model", "owner_pk")
    fieldsets = (
        (None, {"fields": (("local_part", "domain"), "target", "policy", "company", "active")}),
        (_("Result"), {"fields": ("defaults", "forced_pk", "incoming_local", "bounce_text")}),
        (_("State"), {"fields": ("status", "status_reason", "owner_model", "owner_pk")}),
    )


@backoffice(IncomingMail)
class IncomingMailAdmin(RecordAdmin):
    list_display = ("received_at", "sender", "subject", "state", "reason", "records", "size")
    list_filter = ("state", "source", "received_at")
    fieldsets = (
        (None, {"fields": (("received_at", "source"), ("sender", "recipients"), "subject", "message_id")}),
        (
            _("What became of it"),
            {"fields": ("state", "reason", ("target", "records"), "attempts", "authentication")},
        ),
        (_("Source"), {"classes": ["tab"], "fields": ("digest", "size", "source_text")}),
    )
    readonly_fields = ("source_text",)

    def source_text(self, record: IncomingMail) -> str:
        """The raw mail of an entry in quarantine, as far as it can be read."""
        return bytes(record.raw or b"").decode("utf-8", "replace")[:100_000] or "–"

    source_text.short_description = _("source")  # type: ignore[attr-defined]


@backoffice(OutgoingMail)
class OutgoingMailAdmin(RecordAdmin):
    list_display = ("created_at", "to_address", "subject", "state", "attempts", "sent_at", "failure_reason")
    list_filter = ("state", "failure_type", "created_at")
    fieldsets = (
        (
            None,
            {"fields": (("to_address", "from_address"), ("reply_to", "return_path"), "subject", "body_text")},
        ),
        (
            _("Delivery"),
            {"fields": ("state", "scheduled_at", "attempts", "sent_at", "failure_type", "failure_reason")},
        ),
        (_("Headers"), {"classes": ["tab"], "fields": ("rfc_id", "headers")}),
    )


@backoffice(AddressHealth)
class AddressHealthAdmin(RecordAdmin):
    list_display = ("address", "bounces", "last_bounce_at", "last_reason", "blocked", "allow_many")
    list_filter = ("blocked", "allow_many")
