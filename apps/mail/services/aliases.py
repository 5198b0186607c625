"""Making and keeping addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _

from apps.chatter.types import RecordRef
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.records import RecordService, Values, service, service_for
from apps.mail.constants import AliasStatus
from apps.mail.models import Alias, AliasDomain
from apps.mail.selectors.addresses import alias_of, domain_for

RESETTING = frozenset({"policy", "defaults", "target", "forced_pk"})


def clean_local_part(text: str) -> str:
    """Lower-case ASCII for a local part: accents go, everything else that does not belong becomes a hyphen."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._+-]+", "-", plain.partition("@")[0]).strip("-._+")[:64]


@service(AliasDomain)
class AliasDomainService(RecordService[AliasDomain]):
    """Domains; the parts they keep for themselves may not be aliases."""

    def validate(self, records: Sequence[AliasDomain], actor: Actor) -> None:
        for record in records:
            if record.pk is None:
                continue
            taken = Alias.objects.filter(
                domain=record, local_part__in=(record.bounce, record.catchall)
            ).first()
            if taken is not None:
                raise ValidationFailed(
                    fields={"catchall": [_("%(address)s is an alias already.") % {"address": taken.address}]}
                )


@service(Alias)
class AliasService(RecordService[Alias]):
    """Aliases; what decides about new records sets their status back to *not used yet*."""

    internal_fields = frozenset({"status", "status_reason"})

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            row["local_part"] = clean_local_part(str(row.get("local_part", "")))
            if row.get("domain") is None:
                row["domain"] = ensure_domain(actor.company_pk).pk

    def prepare_update(self, records: Sequence[Alias], values: Values, actor: Actor) -> None:
        if "local_part" in values:
            values["local_part"] = clean_local_part(str(values["local_part"]))
        if RESETTING & values.keys():
            for record in records:
                record.status, record.status_reason = AliasStatus.NOT_TESTED, ""
            Alias.objects.filter(pk__in=[r.pk for r in records]).update(
                status=AliasStatus.NOT_TESTED, status_reason=""
            )

    def validate(self, records: Sequence[Alias], actor: Actor) -> None:
        from apps.mail.targets import mail_targets

        domains = AliasDomain.objects.in_bulk({record.domain_id for record in records})
        for record in records:
            domain = domains[record.domain_id]
            if record.local_part in (domain.bounce, domain.catchall):
                raise ValidationFailed(
                    fields={"local_part": [_("The gateway keeps this address for itself. Choose another.")]}
                )
            if record.target not in mail_targets:
                known = ", ".join(mail_targets.codes()) or "-"
                raise ValidationFailed(fields={"target": [_("Choose one of: %(known)s.") % {"known": known}]})
            if not isinstance(record.defaults, dict):
                raise ValidationFailed(fields={"defaults": [_('Write an object, such as {"project": 3}.')]})


def ensure_domain(company_pk: int | None) -> AliasDomain:
    """The mail domain of a company. On a fresh system the first caller makes one of ``MAIL_DOMAIN``, for everybody, so
    that answers find their way from the first mail on."""
    found = domain_for(company_pk)
    if found is not None:
        return found
    name = settings.MAIL_DOMAIN.strip().lower().encode("idna").decode("ascii")
    domain, _made = AliasDomain.objects.get_or_create(name=name, defaults={"company": None})
    return domain


def ensure_alias(
    local_part: str,
    target: str,
    *,
    owner: models.Model,
    actor: Actor,
    defaults: Mapping[str, Any] | None = None,
    policy: str = "everyone",
) -> Alias | None:
    """Give ``owner`` the address ``local_part`` (or take it away with an empty one); answers the alias.

    Called by the service of the owner, whose right to change it was checked; hence it writes as the system.
    """
    ref = RecordRef(owner._meta.label_lower, owner.pk)
    known = alias_of(ref)
    from apps.core.actor import system_actor

    writer = system_actor(
        company_pk=getattr(owner, "company_id", None),
        user_pk=actor.user_pk,
        name=actor.name,
        channel=actor.channel,
    )
    wanted = clean_local_part(local_part)
    service = service_for(Alias)
    if not wanted:
        if local_part.strip():
            raise ValidationFailed(
                fields={"alias": [_("Use letters, digits, dot, plus, minus and underscore.")]}
            )
        if known is not None:
            service.delete([known], actor=writer)
        return None
    values = {
        "local_part": wanted,
        "target": target.lower(),
        "policy": policy,
        "defaults": dict(defaults or {}),
        "company": getattr(owner, "company_id", None),
    }
    if known is None:
        return service.create_one({**values, "owner_model": ref.model, "owner_pk": ref.pk}, actor=writer)
    changed = {n: v for n, v in values.items() if getattr(known, "company_id" if n == "company" else n) != v}
    return service.update([known], changed, actor=writer)[0] if changed else known


def owner_of(alias: Alias) -> models.Model | None:
    """The record an alias belongs to; ``None`` when it has none or it is gone."""
    if not alias.owner_model:
        return None
    try:
        model = apps.get_model(alias.owner_model)
    except LookupError:
        return None
    return model._base_manager.filter(pk=alias.owner_pk).first()
