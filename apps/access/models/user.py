"""People and programs that sign in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import auth
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from apps.access.constants import (
    PUBLIC_LOGIN,
    ROLE_ADMINISTRATOR,
    SYSTEM_LOGIN,
    Notify,
    Special,
    Theme,
    UserKind,
)
from apps.access.hooks import collect_users_created
from apps.access.models.company import Company
from apps.access.models.role import RightsStamp, Role, UserRole
from apps.core.actor import system_actor
from apps.core.declarations import ModelOptions
from apps.core.models import ArchivableMixin, BaseModel, Currency


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> UserQuerySet:
        return self.filter(active=True)

    def people(self) -> UserQuerySet:
        """Without the accounts of the platform itself."""
        return self.filter(special=Special.NONE)

    def internal(self) -> UserQuerySet:
        return self.filter(kind=UserKind.INTERNAL)

    def with_rights_key(self) -> UserQuerySet:
        """Adds ``roles_stamp``; with ``rights_stamp`` it says whether rights kept in memory are still true."""
        return self.annotate(roles_stamp=models.Subquery(RightsStamp.objects.values("value")[:1]))


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Users made outside a request: ``createsuperuser`` and tests. Everything else goes through the services."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(login__iexact=(username or "").strip())

    @transaction.atomic
    def create_user(self, login: str, password: str | None = None, **fields: Any) -> User:
        companies = fields.pop("companies", None)
        fields.setdefault("name", login)
        if fields.get("company") is None and not fields.get("special"):
            fields["company"] = self.first_company()
        user = self.model(login=login.strip(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        if user.company_id:
            user.companies.set(companies or [user.company_id])
        collect_users_created.run(users=[user], links=[{}], actor=system_actor(channel="command"))
        return user

    @transaction.atomic
    def create_superuser(self, login: str, password: str | None = None, **fields: Any) -> User:
        user = self.create_user(login, password, **{**fields, "kind": UserKind.INTERNAL})
        role, _made = Role.objects.get_or_create(
            code=ROLE_ADMINISTRATOR,
            defaults={"name": "Settings", "kind": UserKind.INTERNAL, "declared": True},
        )
        UserRole.objects.get_or_create(user=user, role=role)
        return user

    def first_company(self) -> Company:
        """The company of a first user: an installation without any gets one in euro, to be renamed."""
        company = Company.objects.active().order_by("sequence", "pk").first()
        if company is None:
            euro, _made = Currency.objects.get_or_create(
                code="EUR", defaults={"name": "Euro", "symbol": "€", "active": True}
            )
            if not euro.active:
                Currency.objects.filter(pk=euro.pk).update(active=True)
            company = Company.objects.create(name="My company", currency=euro)
        return company


class User(ArchivableMixin, BaseModel, AbstractBaseUser):
    """An account of exactly one ``kind``: employee, portal user or visitor.

    ``company`` is the default one and always among ``companies`` (deferred trigger). ``rights_stamp`` grows by
    trigger whenever anything that the rights of this user follow from changes. The e-mail address belongs to
    the account: changing a contact's address never changes where password mails go.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("login", "name", "email", "kind", "company", "active"),
        secret=("password", "session_nonce"),
        exempt={"company": "a user works for several companies; rows are narrowed by a rule on them"},
    )

    login = models.CharField(_("login"), max_length=150, help_text=_("Usually the e-mail address."))
    name = models.CharField(_("name"), max_length=150)
    email = models.EmailField(_("e-mail"), blank=True, db_index=True)
    kind = models.CharField(_("kind"), max_length=10, choices=UserKind.choices, default=UserKind.INTERNAL)
    special = models.CharField(
        _("used by the platform"),
        max_length=10,
        choices=Special.choices,
        default=Special.NONE,
        editable=False,
        blank=True,
    )
    company = models.ForeignKey(
        Company,
        verbose_name=_("default company"),
        null=True,
        on_delete=models.PROTECT,
        related_name="default_users",
    )
    companies = models.ManyToManyField(Company, verbose_name=_("companies"), related_name="users", blank=True)
    roles = models.ManyToManyField(
        Role,
        through=UserRole,
        through_fields=("user", "role"),
        verbose_name=_("roles"),
        related_name="users",
        blank=True,
    )

    language = models.CharField(_("language"), max_length=10, default="en")
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")
    signature = models.TextField(_("signature"), blank=True)
    notification = models.CharField(
        _("notifications"), max_length=10, choices=Notify.choices, default=Notify.EMAIL
    )
    theme = models.CharField(_("theme"), max_length=10, choices=Theme.choices, default=Theme.AUTO)
    home = models.CharField(
        _("first page"), max_length=200, blank=True, help_text=_("Path opened after signing in.")
    )
    preferences = models.JSONField(_("preferences of the screens"), default=dict, blank=True, editable=False)

    must_change_password = models.BooleanField(_("must choose a new password"), default=False)
    password_changed_at = models.DateTimeField(
        _("password changed on"), null=True, blank=True, editable=False
    )
    session_nonce = models.CharField(max_length=32, default="", blank=True, editable=False)
    rights_stamp = models.BigIntegerField(default=0, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "login"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name", "email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                Lower("login"),
                name="access_user_login_once",
                violation_error_message=_("Another user has this login already."),
            ),
            models.CheckConstraint(condition=~models.Q(login=""), name="access_user_has_login"),
            models.CheckConstraint(
                condition=models.Q(kind__in=UserKind.values), name="access_user_kind_is_one"
            ),
            models.CheckConstraint(
                condition=models.Q(company__isnull=False) | ~models.Q(special=""),
                name="access_user_has_company",
                violation_error_message=_("Choose the user's default company."),
            ),
            models.CheckConstraint(
                condition=models.Q(special="") | models.Q(active=False),
                name="access_user_special_inactive",
                violation_error_message=_("An account of the platform itself cannot be activated."),
            ),
            models.UniqueConstraint(
                fields=["special"], condition=~models.Q(special=""), name="access_user_special_once"
            ),
        )

    def __str__(self) -> str:
        return self.name

    # -- what Django and the admin ask of a user ----------------------------------------------------------------
    @property
    def is_active(self) -> bool:  # type: ignore[override]
        return self.active

    @property
    def is_staff(self) -> bool:
        return self.active and self.kind == UserKind.INTERNAL

    @property
    def is_superuser(self) -> bool:
        """Never: administrators have the role that grants everything, and record rules still hold."""
        return False

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.partition(" ")[0]

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return any(
            backend.has_perm(self, perm, obj)
            for backend in auth.get_backends()
            if hasattr(backend, "has_perm")
        )

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return any(
            backend.has_module_perms(self, app_label)
            for backend in auth.get_backends()
            if hasattr(backend, "has_module_perms")
        )

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Whatever decides about signing in is part of it, so a change of any ends the user's sessions."""
        parts = (
            str(self.pk),
            self.login.lower(),
            self.password,
            str(self.active),
            self.kind,
            self.session_nonce,
        )
        return salted_hmac(
            "apps.access.session", "\x1f".join(parts), secret=secret, algorithm="sha256"
        ).hexdigest()

    @property
    def is_placeholder(self) -> bool:
        return self.login in (SYSTEM_LOGIN, PUBLIC_LOGIN)
