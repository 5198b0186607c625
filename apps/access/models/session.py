"""What stays signed in: browser sessions, API tokens, and the one-time links of invitations and resets."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.access.constants import TokenPurpose
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel

PERSONAL = {"company": "belongs to a user, who works for several companies"}


class ApiToken(BaseModel):
    """A key for programs. Only a SHA-256 of it is kept; ``prefix`` tells tokens apart in lists.

    ``scopes`` narrow the rights of the owner (see ``apps.core.actor.scope_allows``); none means all of them.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(secret=("digest",), exempt=PERSONAL)

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("begins with"), max_length=8, db_index=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(
        _("scopes"), null=True, blank=True, help_text=_("Empty: all rights of the user.")
    )
    expires_at = models.DateTimeField(_("valid until"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked on"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used on"), null=True, blank=True, editable=False)
    last_used_ip = models.CharField(_("last used from"), max_length=45, blank=True, editable=False)
    created_ip = models.CharField(_("made from"), max_length=45, blank=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class UserSession(models.Model):
    """A signed-in browser. Deleting the stored session behind it signs that browser out."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        secret=("session_key",), exempt={**PERSONAL, "version": "written by the sign-in machinery only"}
    )

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="user_sessions")
    session_key = models.CharField(max_length=64, unique=True, editable=False)
    ip = models.CharField(_("address"), max_length=45, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=300, blank=True)
    browser = models.CharField(_("browser"), max_length=40, blank=True)
    platform = models.CharField(_("system"), max_length=40, blank=True)
    second_factor = models.BooleanField(_("with a second factor"), default=False)
    created_at = models.DateTimeField(_("signed in on"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen on"), default=timezone.now)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        ordering = ("-last_seen_at", "-pk")
        indexes = (models.Index(fields=["user", "-last_seen_at"], name="access_session_of_user"),)

    def __str__(self) -> str:
        return f"{self.browser or _('Browser')} · {self.platform or '?'}"


class TrustedDevice(models.Model):
    """A browser that need not show the second factor again until ``expires_at``."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        secret=("digest",), exempt={**PERSONAL, "version": "written by the sign-in machinery only"}
    )

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="trusted_devices"
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("trusted on"), default=timezone.now)
    expires_at = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("trusted device")
        verbose_name_plural = _("trusted devices")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return self.name


class OneTimeToken(models.Model):
    """An invitation or reset link: the row makes a signed link usable once and void after a change of login."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        secret=("digest",), exempt={**PERSONAL, "version": "written once, used once"}
    )

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="one_time_tokens"
    )
    purpose = models.CharField(max_length=10, choices=TokenPurpose.choices)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    state = models.CharField(max_length=64, editable=False)  # of login and password when it was made
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("one-time link")
        verbose_name_plural = _("one-time links")
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=["user", "purpose"], name="access_onetime_of_user"),)

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.pk}"
