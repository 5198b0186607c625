"""Roles: named sets of rights, the roles they imply, and who holds them.

What is stored are the explicit facts only. The rights of a user are the transitive closure over implied roles,
computed when they are read, so taking a fact away takes exactly its consequences away.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.access.constants import UserKind
from apps.core.declarations import ModelOptions
from apps.core.models import ArchivableMixin, BaseModel

RIGHTS = ModelOptions(exempt={"company": "rights hold for the whole database; companies narrow rows"})


class Role(ArchivableMixin, BaseModel):
    """A set of rights. ``declared`` ones come from a module; ``missing`` when no running module declares it."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("name", "kind", "active", "api_token_days"),
        exempt={"company": "rights hold for the whole database; companies narrow rows"},
    )

    code = models.CharField(_("code"), max_length=80, unique=True)
    name = models.CharField(_("name"), max_length=120)
    category = models.CharField(_("category"), max_length=80, blank=True)
    comment = models.TextField(_("comment"), blank=True)
    kind = models.CharField(
        _("for"),
        max_length=10,
        choices=UserKind.choices,
        default=UserKind.INTERNAL,
        help_text=_("Who may hold it."),
    )
    module = models.CharField(_("module"), max_length=60, blank=True, editable=False)
    declared = models.BooleanField(_("made by a module"), default=False, editable=False)
    missing = models.BooleanField(_("no longer declared"), default=False, editable=False)
    for_admins = models.BooleanField(_("part of Settings"), default=False, editable=False)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    api_token_days = models.PositiveIntegerField(
        _("longest life of an API token, in days"),
        default=0,
        help_text=_("0: this role says nothing; the longest of a user's roles counts."),
    )
    implied = models.ManyToManyField(
        "self",
        through="RoleImplication",
        through_fields=("role", "implied"),
        symmetrical=False,
        related_name="implied_by",
        verbose_name=_("implied roles"),
        blank=True,
    )

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        ordering = ("category", "sequence", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["category", "name"],
                name="access_role_name_once",
                violation_error_message=_("This category already has a role with that name."),
            ),
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"),
                name="access_role_code_form",
                violation_error_message=_("A role's code looks like sales.manager."),
            ),
            models.CheckConstraint(
                condition=~models.Q(name__startswith="-"),
                name="access_role_name_form",
                violation_error_message=_("A role's name cannot begin with a hyphen."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class RoleImplication(models.Model):
    """Who holds ``role`` also has the rights of ``implied``. No circles (trigger), and one kind of user (trigger)."""

    erp: ClassVar[ModelOptions] = RIGHTS

    id = models.BigAutoField(primary_key=True)
    role = models.ForeignKey(
        Role, on_delete=models.CASCADE, related_name="implications", verbose_name=_("role")
    )
    implied = models.ForeignKey(
        Role, on_delete=models.CASCADE, related_name="implications_of", verbose_name=_("implied role")
    )
    declared = models.BooleanField(_("made by a module"), default=False, editable=False)

    class Meta:
        verbose_name = _("implied role")
        verbose_name_plural = _("implied roles")
        ordering = ("role_id", "implied_id", "pk")
        constraints = (
            models.UniqueConstraint(fields=["role", "implied"], name="access_implication_once"),
            models.CheckConstraint(
                condition=~models.Q(role=models.F("implied")),
                name="access_implication_not_self",
                violation_error_message=_("A role cannot imply itself."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.role_id} → {self.implied_id}"


class RoleGrant(models.Model):
    """One operation on one kind of record: ``projects.task`` and ``view``; ``*`` stands for all."""

    erp: ClassVar[ModelOptions] = RIGHTS

    id = models.BigAutoField(primary_key=True)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="grants", verbose_name=_("role"))
    model = models.CharField(_("kind of record"), max_length=120)
    operation = models.CharField(_("operation"), max_length=60)
    declared = models.BooleanField(_("made by a module"), default=False, editable=False)

    class Meta:
        verbose_name = _("right")
        verbose_name_plural = _("rights")
        ordering = ("role_id", "model", "operation", "pk")
        constraints = (
            models.UniqueConstraint(fields=["role", "model", "operation"], name="access_grant_once"),
            models.CheckConstraint(
                condition=models.Q(model__regex=r"^(\*|[a-z][a-z0-9_]*\.[a-z0-9_]+)$")
                & models.Q(operation__regex=r"^(\*|[a-z][a-z0-9_]*)$"),
                name="access_grant_form",
                violation_error_message=_(
                    "A right is a kind of record such as projects.task and an operation such as view."
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.model}:{self.operation}"


class UserRole(models.Model):
    """A role that was given to a user. Role and user are of the same kind (trigger)."""

    erp: ClassVar[ModelOptions] = RIGHTS

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="user_roles")
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="user_roles")
    given_at = models.DateTimeField(_("given on"), auto_now_add=True)
    given_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        editable=False,
    )

    class Meta:
        verbose_name = _("role of a user")
        verbose_name_plural = _("roles of users")
        ordering = ("user_id", "role_id", "pk")
        constraints = (models.UniqueConstraint(fields=["user", "role"], name="access_user_role_once"),)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.role_id}"


class RightsStamp(models.Model):
    """One row whose value grows, by triggers, with every change to roles, implications and grants."""

    erp: ClassVar[ModelOptions] = RIGHTS

    id = models.SmallIntegerField(primary_key=True, default=1)
    value = models.BigIntegerField(default=1)

    class Meta:
        ordering = ("pk",)
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="access_rights_stamp_one_row"),)

    def __str__(self) -> str:
        return str(self.value)
