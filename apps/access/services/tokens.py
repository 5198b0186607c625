"""API tokens: 160 random bits shown once, kept as a SHA-256, narrowed by scopes, expiring, revocable."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import ROLE_ADMINISTRATOR, AuditKind, UserKind
from apps.access.models import ApiToken, User
from apps.access.selectors.actors import rights_of
from apps.access.services import audit
from apps.access.services.login import check_login
from apps.access.services.second_factor import check_code, has_second_factor
from apps.access.types import Client
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.config import get_setting
from apps.core.errors import NotAuthenticated, PermissionDenied, ValidationFailed
from apps.core.records import RecordService, service
from apps.core.rows import read_joined, set_link
from apps.core.unit_of_work import unit_of_work

PREFIX_LENGTH = 8
USED_EVERY = timedelta(minutes=1)  # how often "last used" is written
# Every request of a program begins with this: written once, as the ORM would take longer over it than PostgreSQL.
_HELD_BY = "FROM access_apitoken t JOIN access_user u ON u.id = t.user_id WHERE t.digest = %s"
_ROLES_STAMP = {"roles_stamp": "(SELECT s.value FROM access_rightsstamp s LIMIT 1)"}
_SCOPE = re.compile(r"(\*|read|\*:[a-z_]+|[a-z][a-z0-9_]*(\.[a-z0-9_]+)?(:[a-z][a-z0-9_]*)?)")


def digest_of(secret: str) -> str:
    """What is stored of a random secret. A plain hash is enough for 160 bits that nobody chose."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(
    login: str,
    password: str,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_in: int | None = None,
    ip: str = "",
    *,
    code: str = "",
    client: Client | None = None,
) -> tuple[str, ApiToken]:
    """Sign in by password and make a token; answers the secret, shown once, and its row.

    ``expires_in`` is in seconds. A user with a second factor also sends a ``code`` of it. Raises
    ``NotAuthenticated``, ``Throttled``, ``ValidationFailed`` (name, scopes, life).
    """
    client = client or Client(ip=ip, channel="rest")
    user = check_login(login, password, client=client)
    if has_second_factor(user) and not check_code(user, code, client=client):
        raise NotAuthenticated(
            _(
                "This account has a second factor: send a code of it, or make the token in your security settings."
            ),
            code="second_factor_required",
        )
    return make_token(user, name=name, scopes=scopes, expires_in=expires_in, client=client)


def make_token(
    user: User,
    *,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_in: int | None = None,
    client: Client | None = None,
) -> tuple[str, ApiToken]:
    """Make a token for a user who has proven who he is. Without ``expires_in`` it lives as long as is allowed."""
    client = client or Client()
    if user.kind != UserKind.INTERNAL:
        raise PermissionDenied(_("API tokens are for employees."), rule="access.tokens.internal_only")
    name = (name or "").strip()
    errors: dict[str, list[str]] = {}
    if not name or len(name) > 100:
        errors["name"] = [_("Give the token a name of at most 100 characters.")]
    wrong = [scope for scope in scopes or () if not _SCOPE.fullmatch(str(scope))]
    if wrong:
        errors["scopes"] = [
            _("'%(scope)s' is not a scope. Examples: read, projects, projects.task:read, *.")
            % {"scope": wrong[0]}
        ]
    expires_at = None
    try:
        life = _life(user, expires_in)
        expires_at = timezone.now() + life if life is not None else None
    except ValidationFailed as exc:
        errors.update(exc.fields)
    if errors:
        raise ValidationFailed(fields=errors)
    secret = secrets.token_hex(20)
    token = ApiToken(
        user=user,
        name=name,
        prefix=secret[:PREFIX_LENGTH],
        digest=digest_of(secret),
        scopes=sorted({str(scope) for scope in scopes}) if scopes else None,
        expires_at=expires_at,
        created_ip=client.ip[:45],
        created_by=user,
        updated_by=user,
    )
    token.save()
    audit.record(
        AuditKind.TOKEN,
        client=client,
        user_pk=user.pk,
        user_name=user.name,
        target=token,
        after={"name": name, "scopes": token.scopes, "expires_at": expires_at},
        reason="made",
    )
    return secret, token


def _life(user: User, expires_in: int | None) -> timedelta | None:
    """How long the token may live. Administrators may have ones that never expire (``expires_in=0``)."""
    rights = rights_of(user)
    days = max(int(get_setting("access.api_token_days")), rights.api_token_days)
    longest = timedelta(days=days)
    if expires_in is None:
        return longest
    try:
        seconds = int(expires_in)
    except (TypeError, ValueError):
        raise ValidationFailed(fields={"expires_in": [_("Give the life in seconds.")]}) from None
    if seconds == 0 and ROLE_ADMINISTRATOR in rights.roles:
        return None
    if seconds <= 0 or seconds > longest.total_seconds():
        raise ValidationFailed(
            fields={
                "expires_in": [
                    _("A token lives between 1 and %(seconds)d seconds (%(days)d days).")
                    % {"seconds": int(longest.total_seconds()), "days": days}
                ]
            }
        )
    return timedelta(seconds=seconds)


def authenticate_token(raw: str, *, ip: str = "") -> tuple[User, ApiToken]:
    """The user and row of a token. One query (and a write once a minute). Raises ``NotAuthenticated`` for one that
    is unknown, revoked, expired, or of an archived user, with one message."""
    token = None
    if raw and len(raw) <= 200:
        rows = read_joined(((ApiToken, "t"), (User, "u")), _HELD_BY, [digest_of(raw)], extra=_ROLES_STAMP)
        for token, holder in rows:
            set_link(token, "user", holder)
    if token is None or not token.is_usable or not token.user.active or token.user.kind != UserKind.INTERNAL:
        raise NotAuthenticated(_("The token is not valid."), code="invalid_token")
    user = token.user
    user.roles_stamp = token.roles_stamp  # type: ignore[attr-defined]
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now, last_used_ip=ip[:45])
        token.last_used_at, token.last_used_ip = now, ip[:45]
    return user, token


@action(
    ApiToken, permission="revoke", name="revoke", title=gettext_lazy("Revoke"), dangerous=True, icon="block"
)
def revoke_tokens(tokens: Sequence[ApiToken], *, actor: Actor) -> None:
    """Make the tokens unusable at once; their rows stay for the record."""
    now = timezone.now()
    for token in tokens:
        token.revoked_at = token.revoked_at or now
    ApiToken.objects.bulk_update(tokens, ["revoked_at"])
    audit.record_many(
        AuditKind.TOKEN, [{"target": token, "reason": "revoked"} for token in tokens], actor=actor
    )


@service(ApiToken)
class ApiTokenService(RecordService[ApiToken]):
    """Tokens are made by ``make_token`` only; through the interfaces they can be listed, revoked and deleted."""

    def prepare_create(self, rows: list[dict[str, object]], actor: Actor) -> None:
        raise PermissionDenied(_("A token is made by signing in: POST /api/v1/auth/tokens/."))

    def prepare_update(self, records: Sequence[ApiToken], values: dict[str, object], actor: Actor) -> None:
        if set(values) - {"name"}:
            raise PermissionDenied(_("Only the name of a token can be changed."))

    def before_delete(self, records: Sequence[ApiToken], actor: Actor) -> None:
        audit.record_many(
            AuditKind.TOKEN, [{"target": token, "reason": "deleted"} for token in records], actor=actor
        )


def purge_expired_tokens() -> int:
    """Delete tokens that expired or were revoked more than 30 days ago."""
    limit = timezone.now() - timedelta(days=30)
    old = ApiToken.objects.filter(expires_at__lt=limit) | ApiToken.objects.filter(revoked_at__lt=limit)
    return old.delete()[0]


def end_tokens(users: Sequence[User], *, actor: Actor) -> int:
    """Revoke every token of the users."""
    with unit_of_work(actor):
        return ApiToken.objects.filter(user__in=users, revoked_at__isnull=True).update(
            revoked_at=timezone.now()
        )
