"""Where a mail goes: the order of the gateway's decisions, without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.apps import apps
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.chatter.models import Message
from apps.chatter.types import RecordRef
from apps.mail.ids import read_thread_mark
from apps.mail.models import Alias, AliasDomain
from apps.mail.parsing.types import Classification, MailKind, ParsedMail
from apps.mail.types import Route, Routing


@dataclass(frozen=True)
class _Answered:
    ref: RecordRef
    parent_pk: int | None


def route(parsed: ParsedMail, kind: Classification, domains: Sequence[AliasDomain]) -> Routing:
    """Decide; ``domains`` are the active ones. Bounces, reports and answers to loop notices are dealt with before."""
    plan = Routing()
    to = {address.normalised for address in (*parsed.delivered_to, *parsed.to) if address.normalised}
    everybody = {address.normalised for address in parsed.recipients if address.normalised} | to
    catchalls = {domain.catchall_address for domain in domains}
    aliases = _aliases(everybody)
    answered = _answered(parsed)

    if kind.kind is MailKind.AUTO_REPLY:
        if answered is not None:
            plan.routes = [Route(reply_to=answered.ref, parent_pk=answered.parent_pk)]
        else:
            plan.ignore = _("An automatic answer does not open a record.")
        return plan

    if answered is not None:
        elsewhere = [
            alias for alias in aliases if _addressed(alias, to) and alias.target != answered.ref.model
        ]
        if elsewhere:
            aliases = elsewhere  # forwarded to another kind of record: not an answer
        else:
            same = next((alias for alias in aliases if alias.target == answered.ref.model), None)
            plan.routes = [
                Route(alias_pk=same.pk if same else None, reply_to=answered.ref, parent_pk=answered.parent_pk)
            ]
            return plan

    if parsed.automation.is_auto_reply:
        plan.ignore = _("An automatic answer does not open a record.")
        return plan
    if to and to <= catchalls:
        plan.bounce = _("Nobody reads mail to this address. Write to a person or a department instead.")
        return plan
    for alias in aliases:
        forced = RecordRef(alias.target, alias.forced_pk) if alias.forced_pk else None
        plan.routes.append(Route(alias_pk=alias.pk, reply_to=forced))
    if plan.routes:
        return plan
    if to & catchalls:
        plan.bounce = _("None of the addresses of this message leads anywhere.")
        return plan
    plan.lost = _("No possible route found: none of %(addresses)s is an address of ours.") % {
        "addresses": ", ".join(sorted(everybody)) or _("its recipients")
    }
    return plan


def _addressed(alias: Alias, addresses: set[str]) -> bool:
    if alias.address in addresses:
        return True
    return alias.incoming_local and any(a.partition("@")[0] == alias.local_part for a in addresses)


def _aliases(addresses: set[str]) -> list[Alias]:
    """Active aliases that any of the addresses names; one query."""
    locals_ = {address.rpartition("@")[0] for address in addresses}
    if not locals_:
        return []
    rows = (
        Alias.objects.select_related("domain")
        .filter(Q(active=True) & Q(local_part__in=locals_) & Q(domain__active=True))
        .order_by("pk")
    )
    return [alias for alias in rows if _addressed(alias, addresses)]


def _answered(parsed: ParsedMail) -> _Answered | None:
    """The record and message a mail answers: by a known Message-ID, else by our signed thread mark."""
    wanted = parsed.thread_ids
    if not wanted:
        return None
    known = {
        row.message_id: row
        for row in Message.objects.filter(message_id__in=wanted).only(
            "pk", "message_id", "model", "object_id"
        )
    }
    for message_id in wanted:
        row = known.get(message_id)
        if row is not None and row.model and row.object_id:
            ref = RecordRef(row.model, row.object_id)
            if exists(ref):
                return _Answered(ref, row.pk)
    for message_id in wanted:
        mark = read_thread_mark(message_id)
        if mark is not None and exists(mark):
            return _Answered(mark, None)
    return None


def exists(ref: RecordRef) -> bool:
    """Whether the record is (still) there; records of modules that do not run are not."""
    try:
        model = apps.get_model(ref.model)
    except LookupError:
        return False
    return model._base_manager.filter(pk=ref.pk).exists()
