"""Making, changing, inviting and archiving users.

A user and the contact of the same person come into being in one transaction (``collect_users_created``). Rights
follow from roles, and only an administrator makes or touches administrators.
"""

from __future__ import annotations

import secrets
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import ROLE_ACCESS_RIGHTS, AuditKind, UserKind
from apps.access.events import UserInvited, UsersArchived
from apps.access.hooks import before_user_archive, collect_users_created, collect_users_updated
from apps.access.models import Company, Role, User, UserRole, UserSession
from apps.access.services import audit
from apps.access.services.guards import (
    check_role_kinds,
    refuse_last_administrator,
    refuse_oneself,
    refuse_special,
    require_power_over,
    require_power_to_give,
)
from apps.access.services.passwords import check_password_policy
from apps.access.services.sessions import drop_stored_sessions
from apps.access.services.tokens import end_tokens
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, service, service_for
from apps.core.unit_of_work import unit_of_work

# What people may change about themselves without the right to manage users.
SELF_FIELDS = frozenset(
    {"name", "email", "language", "timezone", "signature", "notification", "theme", "home", "company"}
)
Values = dict[str, Any]


@service(User)
class UserService(RecordService[User]):
    """Besides the model's fields a new row may carry ``password`` and ``links`` (values for other apps' hooks)."""

    internal_fields: ClassVar[frozenset[str]] = frozenset({"preferences"})

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[User]:
        drafts = [dict(row) for row in rows]
        passwords = [draft.pop("password", None) for draft in drafts]
        links = [dict(draft.pop("links", None) or {}) for draft in drafts]
        with unit_of_work(actor):
            users = super().create(drafts, actor=actor)
            _set_first_passwords(users, passwords)
            collect_users_created.run(users=users, links=links, actor=actor)
            audit.record_many(
                AuditKind.USER,
                [
                    {"target": user, "after": {"login": user.login, "kind": user.kind}, "reason": "made"}
                    for user in users
                ],
                actor=actor,
            )
        return users

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            row["login"] = str(row.get("login") or "").strip()
            row.setdefault("name", row["login"])
            row.setdefault("company", actor.company_pk)
            company = pk_of(row["company"])
            pks = {pk_of(item) for item in row.get("companies") or ()} | {company}
            row["companies"] = sorted(pk for pk in pks if pk is not None)
            if not row.get("signature"):
                row["signature"] = f"--<br>{escape(row['name'])}"
            if not row.get("email") and "@" in row["login"]:
                row["email"] = row["login"]
            row["roles"] = sorted({pk_of(role) for role in row.get("roles") or ()})
            row["password"] = make_password(None)  # an unusable one, until one is set below or through a link
        check_role_kinds([(str(row.get("kind") or UserKind.INTERNAL), row["roles"]) for row in rows])
        require_power_to_give({pk for row in rows for pk in row["roles"]}, actor)

    def prepare_update(self, records: Sequence[User], values: Values, actor: Actor) -> None:
        refuse_special(records)
        if set(values) - SELF_FIELDS or any(user.pk != actor.user_pk for user in records):
            require_power_over(records, actor)
        if "login" in values:
            values["login"] = str(values["login"] or "").strip()
        if values.get("active") is False:
            _before_archive(records, actor)
        if "kind" in values and any(user.kind != values["kind"] for user in records):
            refuse_oneself(records, actor, _("You cannot change what kind of user you are."))
            if "roles" not in values:
                values["roles"] = []  # roles of the old kind do not fit any more
        if "roles" in values:
            self._before_roles(records, values, actor)
        if "company" in values or "companies" in values:
            self._before_companies(records, values, actor)

    def _before_roles(self, records: Sequence[User], values: Values, actor: Actor) -> None:
        wanted = {pk_of(role) for role in values["roles"] or ()}
        held: dict[int, set[int]] = {}
        for user_pk, role_pk in UserRole.objects.filter(user__in=records).values_list("user_id", "role_id"):
            held.setdefault(user_pk, set()).add(role_pk)
        check_role_kinds([(str(values.get("kind", user.kind)), wanted) for user in records])
        given_or_taken = {pk for user in records for pk in wanted ^ held.get(user.pk, set())}
        require_power_to_give(given_or_taken, actor)
        admin_pks = set(Role.objects.filter(code="access.administrator").values_list("pk", flat=True))
        losing = [user for user in records if admin_pks & held.get(user.pk, set()) - wanted]
        if losing:
            refuse_last_administrator(losing)
        values["roles"] = sorted(wanted)

    def _before_companies(self, records: Sequence[User], values: Values, actor: Actor) -> None:
        company = pk_of(values["company"]) if "company" in values else None
        if "companies" in values:
            pks = {pk_of(item) for item in values["companies"] or ()}
            missing = [user for user in records if (company or user.company_id) not in pks]
            if missing and company is None:
                raise ValidationFailed(
                    fields={
                        "companies": [
                            _("The default company of %(name)s must be among the companies.")
                            % {"name": missing[0].name}
                        ]
                    }
                )
            values["companies"] = sorted(pks | ({company} if company else set()))
        elif company is not None:
            members = set(
                User.companies.through.objects.filter(user__in=records, company_id=company).values_list(
                    "user_id", flat=True
                )
            )
            outside = [user for user in records if user.pk not in members]
            if outside and not actor.has_role(ROLE_ACCESS_RIGHTS):
                # Somebody's own choice of a company that is not his is ignored, as one would ignore a stale form.
                values.pop("company")
            elif outside:
                if len(records) > 1:
                    raise ValidationFailed(
                        fields={"company": [_("Add the company to the users' companies first.")]}
                    )
                held = set(records[0].companies.values_list("pk", flat=True))
                values["companies"] = sorted(held | {company})

    def validate(self, records: Sequence[User], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        languages = {code for code, _name in settings.LANGUAGES}
        companies = {user.company_id for user in records if user.active and user.company_id}
        active = set(Company.objects.filter(pk__in=companies, active=True).values_list("pk", flat=True))
        for user in records:
            if not user.login or any(character.isspace() for character in user.login):
                errors["login"] = [_("A login has no blanks.")]
            if user.language not in languages:
                errors["language"] = [
                    _("'%(code)s' is not a language of this installation.") % {"code": user.language}
                ]
            if not is_timezone(user.timezone):
                errors["timezone"] = [_("'%(name)s' is not a time zone.") % {"name": user.timezone}]
            if user.home and not is_local_path(user.home):
                errors["home"] = [_("Enter a path of this site, such as /admin/.")]
            if user.company_id is None:
                errors["company"] = [_("Choose the user's default company.")]
            elif user.active and user.company_id not in active:
                errors["company"] = [_("This company does not exist or is archived.")]
        if errors:
            raise ValidationFailed(fields=errors)

    def after_create(self, records: Sequence[User], rows: Sequence[Values], actor: Actor) -> None:
        given = {user.pk: list(row["roles"]) for user, row in zip(records, rows, strict=True) if row["roles"]}
        _audit_roles([user for user in records if user.pk in given], {}, given, actor)

    def after_update(
        self, records: Sequence[User], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        if "roles" in values:
            old = {pk: list(fields.get("roles", ())) for pk, fields in before.items()}
            _audit_roles(records, old, {user.pk: list(values["roles"]) for user in records}, actor)
        followed = {"login", "email", "kind", "active", "company", "companies"} & set(values)
        if followed:
            audit.record_many(
                AuditKind.USER,
                [
                    {
                        "target": user,
                        "before": {name: before[user.pk].get(name) for name in followed},
                        "after": {name: _plain(values[name]) for name in followed},
                    }
                    for user in records
                ],
                actor=actor,
            )
        if values.get("active") is False:
            end_access(records, actor=actor)
        collect_users_updated.run(users=list(records), before=before, values=values, actor=actor)

    def before_delete(self, records: Sequence[User], actor: Actor) -> None:
        refuse_special(records)
        refuse_oneself(records, actor, _("You cannot delete your own account."))
        require_power_over(records, actor)
        refuse_last_administrator(records)
        drop_stored_sessions(UserSession.objects.filter(user__in=records))
        audit.record_many(
            AuditKind.DELETION,
            [{"target": user, "before": {"login": user.login, "kind": user.kind}} for user in records],
            actor=actor,
        )

    def writable_fields(self, actor: Actor) -> set[str] | None:
        if actor.has_role(ROLE_ACCESS_RIGHTS):
            return None
        return set(SELF_FIELDS)


def _plain(value: Any) -> Any:
    return [pk_of(item) for item in value] if isinstance(value, list | tuple | set) else pk_of(value)


def _audit_roles(
    users: Sequence[User], before: Mapping[int, list[int]], after: Mapping[int, list[int]], actor: Actor
) -> None:
    pks = {pk for listed in (*before.values(), *after.values()) for pk in listed}
    codes = dict(Role.objects.filter(pk__in=pks).values_list("pk", "code")) if pks else {}
    rows = []
    for user in users:
        old = sorted(codes.get(pk, str(pk)) for pk in before.get(user.pk, ()))
        new = sorted(codes.get(pk, str(pk)) for pk in after.get(user.pk, ()))
        if old != new:
            rows.append({"target": user, "before": {"roles": old}, "after": {"roles": new}})
    audit.record_many(AuditKind.ROLES, rows, actor=actor)


def _set_first_passwords(users: Sequence[User], passwords: Sequence[str | None]) -> None:
    errors: dict[str, list[str]] = {}
    for number, (user, password) in enumerate(zip(users, passwords, strict=True)):
        if password is None:
            continue
        try:
            check_password_policy(password, user)
        except ValidationFailed as exc:
            prefix = f"{number}." if len(users) > 1 else ""
            errors |= {f"{prefix}{name}": texts for name, texts in exc.fields.items()}
        user.set_password(password)
        user.password_changed_at = timezone.now()
    if errors:
        raise ValidationFailed(fields=errors)
    changed = [user for user, password in zip(users, passwords, strict=True) if password is not None]
    if changed:
        User.objects.bulk_update(changed, ["password", "password_changed_at"])


def _before_archive(users: Sequence[User], actor: Actor) -> None:
    leaving = [user for user in users if user.active]
    refuse_oneself(leaving, actor, _("You cannot archive your own account."))
    refuse_last_administrator(leaving)
    before_user_archive.run(users=list(leaving), actor=actor)


def end_access(users: Sequence[User], *, actor: Actor) -> None:
    """Sessions, tokens and links of the users end at once."""
    with unit_of_work(actor) as work:
        drop_stored_sessions(UserSession.objects.filter(user__in=users))
        end_tokens(users, actor=actor)
        work.emit(UsersArchived(tuple(user.pk for user in users)))


def is_timezone(name: str) -> bool:
    return name in zoneinfo.available_timezones()


def is_local_path(path: str) -> bool:
    """A path of this site: no scheme, no host, no trick that a browser reads as one."""
    return (
        path.startswith("/") and not path.startswith(("//", "/\\")) and not any(c in path for c in "\r\n\t\\")
    )


# ------------------------------------------------------------------------------------------------------ public
def create_user(
    login: str,
    *,
    actor: Actor,
    name: str = "",
    kind: str = UserKind.INTERNAL,
    password: str | None = None,
    email: str = "",
    company: Company | int | None = None,
    companies: Sequence[Company | int] = (),
    roles: Sequence[str] = (),
    links: Mapping[str, Any] | None = None,
    **fields: Any,
) -> User:
    """One user, with roles given by code. ``links={"partner": 7}`` joins an existing contact. Without a password
    nobody can sign in until an invitation was used."""
    row = {
        "login": login,
        "name": name or login,
        "kind": str(kind),
        "email": email,
        "password": password,
        "companies": list(companies),
        "roles": role_pks(roles),
        "links": dict(links or {}),
        **fields,
    }
    if company is not None:
        row["company"] = company
    return service_for(User).create_one(row, actor=actor)


def role_pks(codes: Sequence[str]) -> list[int]:
    """Primary keys of roles by code; an unknown code is refused by name."""
    found = dict(Role.objects.filter(code__in=codes).values_list("code", "pk"))
    unknown = sorted(set(codes) - set(found))
    if unknown:
        raise ValidationFailed(fields={"roles": [_("There is no role '%(code)s'.") % {"code": unknown[0]}]})
    return sorted(found.values())


def assign_roles(user: User, codes: Sequence[str], *, actor: Actor) -> User:
    """Make these the user's explicit roles, no more and no less."""
    return service_for(User).update([user], {"roles": role_pks(codes)}, actor=actor)[0]


def add_roles(users: Sequence[User], codes: Sequence[str], *, actor: Actor) -> None:
    """Give further roles; those already held stay."""
    wanted = set(role_pks(codes))
    held: dict[int, set[int]] = {user.pk: set() for user in users}
    for user_pk, role_pk in UserRole.objects.filter(user__in=users).values_list("user_id", "role_id"):
        held[user_pk].add(role_pk)
    with unit_of_work(actor):
        for user in users:
            if wanted - held[user.pk]:
                service_for(User).update([user], {"roles": sorted(held[user.pk] | wanted)}, actor=actor)


def update_profile(user: User, values: Mapping[str, Any], *, actor: Actor) -> User:
    """Somebody changes his own account; fields that are not his to change are refused by name. Portal users too."""
    refused = sorted(set(values) - SELF_FIELDS)
    if refused or actor.user_pk != user.pk:
        raise ValidationFailed(
            fields={name: [_("This is not yours to change.")] for name in refused or ["user"]}
        )
    if actor.is_internal:
        return service_for(User).update([user], values, actor=actor)[0]
    from apps.core.actor import system_actor

    own = system_actor(
        company_pk=actor.company_pk, user_pk=user.pk, name=actor.name, channel=actor.channel, ip=actor.ip
    )
    allowed = {name: value for name, value in values.items() if name != "company"}
    return service_for(User).update([user], allowed, actor=own)[0]


def save_preference(user: User, key: str, value: Any) -> None:
    """Remember how a person likes a screen (columns, theme, last filter). Not versioned, not tracked."""
    user.preferences = {**user.preferences, key: value}
    User.objects.filter(pk=user.pk).update(preferences=user.preferences)


@action(
    User,
    permission="invite",
    name="invite",
    title=gettext_lazy("Send an invitation"),
    icon="forward_to_inbox",
)
def invite_users(users: Sequence[User], *, actor: Actor) -> None:
    """Send everybody a link to choose a password; it is valid for 144 hours."""
    refuse_special(users)
    without = [user.name for user in users if not user.email and "@" not in user.login]
    if without:
        raise ValidationFailed(
            fields={"email": [_("%(name)s has no e-mail address.") % {"name": without[0]}]}
        )
    if any(not user.active for user in users):
        raise Conflict(_("An archived user cannot be invited."))
    with unit_of_work(actor) as work:
        for user in users:
            work.emit(UserInvited(user.pk))


@action(
    User, permission="archive", name="archive", title=gettext_lazy("Archive"), dangerous=True, icon="archive"
)
def archive_users(users: Sequence[User], *, actor: Actor) -> None:
    """Nobody signs in with these accounts any more; what they did stays. Sessions and tokens end at once."""
    service_for(User).update(list(users), {"active": False}, actor=actor, operation="archive")
    _reload(users)


@action(User, permission="archive", name="unarchive", title=gettext_lazy("Restore"), icon="unarchive")
def unarchive_users(users: Sequence[User], *, actor: Actor) -> None:
    """The accounts can sign in again."""
    service_for(User).update(list(users), {"active": True}, actor=actor, operation="archive")
    _reload(users)


def _reload(users: Sequence[User]) -> None:
    """The action's own instances follow what the service wrote."""
    fresh = User.objects.in_bulk([user.pk for user in users])
    for user in users:
        user.active, user.version = fresh[user.pk].active, fresh[user.pk].version


def duplicate_user(user: User, *, actor: Actor) -> User:
    """A copy with "(copy)" behind name and login, the same roles and companies, and no password."""
    return service_for(User).create_one(
        {
            "login": f"{user.login}_copy",
            "name": _("%(name)s (copy)") % {"name": user.name},
            "kind": user.kind,
            "company": user.company_id,
            "companies": list(user.companies.values_list("pk", flat=True)),
            "roles": list(user.user_roles.values_list("role_id", flat=True)),
            "language": user.language,
            "timezone": user.timezone,
            "notification": user.notification,
        },
        actor=actor,
    )


def close_own_portal_account(user: User, *, password: str, login: str, actor: Actor) -> None:
    """A portal user leaves: proven by password and login, the account is blanked and archived for good.

    The login becomes free. Employees are refused: their accounts belong to the company.
    """
    from apps.core.actor import system_actor

    if user.kind != UserKind.PORTAL or actor.user_pk != user.pk:
        raise Conflict(_("Only portal users close their own account."))
    if login.strip().lower() != user.login.lower():
        raise ValidationFailed(fields={"login": [_("Type your login to confirm.")]})
    if not user.check_password(password):
        raise ValidationFailed(fields={"password": [_("This is not your password.")]})
    own = system_actor(company_pk=user.company_id, name=user.name, channel=actor.channel, ip=actor.ip)
    with unit_of_work(own):
        User.objects.filter(pk=user.pk).update(password="", session_nonce=secrets.token_hex(8))
        stamp = int(timezone.now().timestamp())
        service_for(User).update(
            [user], {"login": f"__deleted_user_{user.pk}_{stamp}", "email": "", "active": False}, actor=own
        )
