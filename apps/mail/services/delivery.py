"""Carrying out the routes of a mail: policy, contact, record, message in the thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.chatter.constants import COMMENT, NOTE, MessageType, NotificationKind, NotificationStatus
from apps.chatter.models import Follower, Message, Notification
from apps.chatter.services.posting import post_message
from apps.chatter.types import NewFile, RecordRef
from apps.contacts.models import Partner
from apps.contacts.services.partners import find_or_create_by_email
from apps.core.actor import Actor, system_actor
from apps.core.config import get_setting
from apps.core.errors import BusinessError
from apps.core.html import text_to_html
from apps.core.unit_of_work import current, unit_of_work
from apps.mail.constants import LOOP_WINDOW, AliasStatus, IncomingState, Policy
from apps.mail.events import MailAccepted
from apps.mail.models import AddressHealth, Alias, AliasDomain, IncomingMail
from apps.mail.parsing.sanitize import sanitize_html
from apps.mail.parsing.types import Address, Classification, MailKind, ParsedMail
from apps.mail.selectors.addresses import find_author, own_addresses
from apps.mail.services import refusals
from apps.mail.services.aliases import owner_of
from apps.mail.targets import MailTarget, MailView, mail_targets
from apps.mail.types import Route

_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)


@dataclass
class Outcome:
    """What delivering came to; without messages ``state`` and ``reason`` say why."""

    records: list[RecordRef] = field(default_factory=list)
    message_pks: list[int] = field(default_factory=list)
    created: bool = False
    state: str = IncomingState.IGNORED
    reason: str = ""
    ours: set[str] = field(default_factory=set)  # those of the mail's addresses that are our own


def is_known(message_id: str) -> bool:
    """Whether a message with this id is here: the same mail through another mailbox, or one of our own."""
    return (
        Message.objects.filter(message_id=message_id).exists()
        or IncomingMail.objects.filter(
            message_id=message_id, state=IncomingState.ACCEPTED, records__0__isnull=False
        ).exists()
    )


def authentication_result(parsed: ParsedMail) -> str:
    """What the receiving server found out about the sender, such as ``spf=pass dkim=fail``; empty when unknown.

    Only the topmost Authentication-Results header counts: it is the one our own server added.
    """
    header = parsed.header("Authentication-Results") or ""
    return " ".join(f"{name.lower()}={result.lower()}" for name, result in _RESULT.findall(header))


def is_authenticated(parsed: ParsedMail) -> bool:
    results = dict(item.split("=", 1) for item in authentication_result(parsed).split())
    return "pass" in (results.get("dmarc"), results.get("dkim"), results.get("spf"))


def deliver(
    parsed: ParsedMail,
    kind: Classification,
    routes: Sequence[Route],
    domains: Sequence[AliasDomain],
    *,
    log: IncomingMail,
    actor: Actor,
) -> Outcome:
    """Bring a mail to all its routes. A route that is refused (policy, wrong set-up) is answered to the sender; the
    others still happen."""
    people = [parsed.from_] if parsed.from_ is not None else []
    people += [*parsed.to, *parsed.cc, *parsed.delivered_to]
    outcome = Outcome(ours=own_addresses([a.normalised for a in people if a.normalised], domains=domains))
    aliases = {
        alias.pk: alias
        for alias in Alias.objects.select_related("domain").filter(
            pk__in=[r.alias_pk for r in routes if r.alias_pk]
        )
    }
    for route in routes:
        alias = aliases.get(route.alias_pk) if route.alias_pk else None
        _deliver_one(parsed, kind, route, alias, outcome, actor=actor, log=log)
    if outcome.message_pks:
        work = current()
        if work is not None:
            work.emit(MailAccepted(log.pk, tuple(outcome.message_pks)))
    return outcome


def _deliver_one(
    parsed: ParsedMail,
    kind: Classification,
    route: Route,
    alias: Alias | None,
    outcome: Outcome,
    *,
    actor: Actor,
    log: IncomingMail,
) -> None:
    owner = owner_of(alias) if alias is not None else None
    if alias is not None and alias.owner_model and owner is None:
        _wrong_setup(alias, _("The record that owns the address is gone."), parsed, outcome, actor=actor)
        return
    record = _load(route.reply_to)
    if route.reply_to is not None and record is None and alias is None:
        outcome.reason = _("The record that the mail answers is gone.")
        outcome.state = IncomingState.IGNORED
        return
    thread = route.reply_to if record is not None else None
    company_pk = getattr(
        record if record is not None else (owner if owner is not None else alias), "company_id", None
    )
    acting = system_actor(company_pk=company_pk, name=actor.name, channel="mail")
    owner_ref = RecordRef(owner._meta.label_lower, owner.pk) if owner is not None else None
    sender = parsed.from_
    author = (
        find_author(
            sender.normalised, thread=thread, owner=owner_ref, company_pk=company_pk, ours=outcome.ours
        )
        if sender
        else None
    )
    if alias is not None and (refusal := _policy_refusal(alias, author, thread, owner_ref)):
        _refuse(alias, refusal, parsed, outcome, actor=acting)
        return
    if record is None and _is_loop(parsed, alias, outcome, log=log, actor=acting):
        return
    view = _view(parsed, author, company_pk, outcome.ours)
    if record is not None:
        _answer(record, view, kind, route, outcome, actor=acting)
    elif alias is not None:
        _create(view, alias, owner, outcome, actor=acting)


def _load(ref: RecordRef | None) -> models.Model | None:
    if ref is None:
        return None
    return apps.get_model(ref.model)._base_manager.filter(pk=ref.pk).first()


def _policy_refusal(
    alias: Alias, author: Partner | None, thread: RecordRef | None, owner: RecordRef | None
) -> str:
    """Why the sender may not write here; empty when he may."""
    if alias.policy == Policy.EVERYONE:
        return ""
    if alias.policy == Policy.PARTNERS:
        return (
            "" if author is not None else _("Only known contacts may write to %(a)s.") % {"a": alias.address}
        )
    refs = [ref for ref in (thread, owner) if ref is not None]
    if author is not None and any(
        Follower.objects.filter(model=ref.model, object_id=ref.pk, partner=author).exists() for ref in refs
    ):
        return ""
    return _("Writing to %(address)s is restricted to followers.") % {"address": alias.address}


def _refuse(alias: Alias, reason: str, parsed: ParsedMail, outcome: Outcome, *, actor: Actor) -> None:
    refusals.send_refusal(parsed, reason, own_text=alias.bounce_text, actor=actor)
    outcome.state, outcome.reason = IncomingState.BOUNCED, reason


def _wrong_setup(alias: Alias, reason: str, parsed: ParsedMail, outcome: Outcome, *, actor: Actor) -> None:
    """Mark the alias, so that its owner sees it, and tell the sender that it is not his fault."""
    Alias.objects.filter(pk=alias.pk).update(status=AliasStatus.INVALID, status_reason=reason[:2000])
    told = _("The address %(address)s is not set up correctly.") % {"address": alias.address}
    refusals.send_refusal(parsed, told, actor=actor)
    outcome.state, outcome.reason = IncomingState.BOUNCED, f"{told} {reason}"


def _is_loop(
    parsed: ParsedMail, alias: Alias | None, outcome: Outcome, *, log: IncomingMail, actor: Actor
) -> bool:
    """Whether this sender made too many records of this kind lately; he is told once."""
    if alias is None or parsed.from_ is None:
        return False
    sender = (parsed.from_.normalised or parsed.from_.email)[:320]
    if AddressHealth.objects.filter(address=sender, allow_many=True).exists():
        return False
    since = timezone.now() - LOOP_WINDOW
    recent = IncomingMail.objects.filter(sender=sender, received_at__gte=since)
    limit = get_setting("mail.loop_limit")
    if recent.filter(created_record=True, target=alias.target).count() < limit:
        return False
    reason = _("More than %(limit)s messages within two hours.") % {"limit": limit}
    if not recent.filter(state=IncomingState.IGNORED, target=alias.target).exists():
        refusals.send_loop_notice(parsed, reason, actor=actor)
    log.target = alias.target
    outcome.state, outcome.reason = IncomingState.IGNORED, reason
    return True


def _view(parsed: ParsedMail, author: Partner | None, company_pk: int | None, ours: set[str]) -> MailView:
    """The mail for the domains: sanitised text, known and unknown people. One query, whatever the recipients."""
    others = {
        address.normalised: address
        for address in (*parsed.to, *parsed.cc, *parsed.delivered_to)
        if address.normalised
    }
    asked = [address for address in others if address not in ours]
    known: dict[str, Partner] = {}
    for partner in Partner.objects.filter(email_normalized__in=asked, active=True).order_by("-pk"):
        best = known.get(partner.email_normalized)
        if best is None or partner.company_id in (company_pk, None):
            known[partner.email_normalized] = partner
    if parsed.from_ is not None:
        known.pop(parsed.from_.normalised, None)
    unknown = tuple(
        a for a in parsed.cc if a.normalised and a.normalised not in known and a.normalised not in ours
    )
    return MailView(
        parsed=parsed,
        sender=parsed.from_ or Address("", "", ""),
        author=author,
        subject=parsed.subject.strip(),
        body_html=body_of(parsed),
        known=tuple(sorted(known.values(), key=lambda p: p.pk)),
        unknown_cc=unknown,
        authenticated=is_authenticated(parsed),
    )


def body_of(parsed: ParsedMail) -> str:
    """The mail's text as safe HTML with its quotes marked; plain text becomes paragraphs."""
    if parsed.html_body:
        return sanitize_html(parsed.html_body, fold_quotes=True)
    return text_to_html(parsed.text_body)


def _files(parsed: ParsedMail) -> list[NewFile]:
    return [
        NewFile(name=a.name, content=a.content, mimetype=a.content_type, content_id=a.content_id)
        for a in parsed.attachments
    ]


def _post(
    record: models.Model,
    view: MailView,
    outcome: Outcome,
    *,
    subtype: str,
    parent_pk: int | None,
    actor: Actor,
    notify: bool = True,
) -> Message:
    """The mail as a message. On several records it is one message each; only the first carries the id of the mail."""
    author = view.author
    message = post_message(
        record,
        actor=actor,
        body=view.body_html,
        subtype=subtype,
        subject=view.subject[:500],
        attachments=_files(view.parsed),
        parent=parent_pk,
        message_type=MessageType.EMAIL,
        author_partner=author,
        email_from="" if author is not None else (str(view.sender) or _("unknown sender"))[:500],
        message_id=None if outcome.message_pks else view.parsed.message_id,
        date=min(view.parsed.date, timezone.now()) if view.parsed.date else None,
        notify=notify,
        follow_author=author is not None and notify,
    )
    _skip_addressed(message, view)
    return message


def _skip_addressed(message: Message, view: MailView) -> None:
    """Who is among To and Cc has the mail already and is not sent it again; the message remembers that he got it."""
    if not view.known:
        return
    pks = [partner.pk for partner in view.known]
    through = Message.recipients.through
    through.objects.bulk_create(
        [through(message_id=message.pk, partner_id=pk) for pk in pks], ignore_conflicts=True
    )
    addresses = {partner.email_normalized for partner in view.known}
    Notification.objects.filter(
        message=message, kind=NotificationKind.EMAIL, partner__email_normalized__in=addresses
    ).update(status=NotificationStatus.SENT)


def _answer(
    record: models.Model,
    view: MailView,
    kind: Classification,
    route: Route,
    outcome: Outcome,
    *,
    actor: Actor,
) -> None:
    automatic = kind.kind is MailKind.AUTO_REPLY
    message = _post(
        record,
        view,
        outcome,
        subtype=NOTE if automatic else COMMENT,
        parent_pk=route.parent_pk,
        actor=actor,
        notify=not automatic,
    )
    outcome.records.append(RecordRef(record._meta.label_lower, record.pk))
    outcome.message_pks.append(message.pk)
    target = _target(record._meta.label_lower)
    if target is not None:
        target.after_message(record, view, is_new=False, actor=actor)


def _create(
    view: MailView, alias: Alias, owner: models.Model | None, outcome: Outcome, *, actor: Actor
) -> None:
    """A new record by way of an alias, its sender as contact where the kind of record wants that."""
    target = _target(alias.target)
    if target is None:
        _wrong_setup(
            alias,
            _("No running module takes mail as %(t)s.") % {"t": alias.target},
            view.parsed,
            outcome,
            actor=actor,
        )
        return
    try:
        with unit_of_work(actor):
            if view.author is None and target.makes_contact and view.sender.normalised:
                partner = find_or_create_by_email(
                    view.sender.email, view.sender.name, actor=actor, company_pk=actor.company_pk
                )
                view = _with_author(view, partner)
            record = target.create(view, defaults=alias.defaults, alias=alias, owner=owner, actor=actor)
    except BusinessError as exc:
        detail = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in exc.fields.items())
        _wrong_setup(alias, f"{exc.message} {detail}".strip(), view.parsed, outcome, actor=actor)
        return
    message = _post(record, view, outcome, subtype=COMMENT, parent_pk=None, actor=actor)
    target.after_message(record, view, is_new=True, actor=actor)
    Alias.objects.filter(pk=alias.pk).exclude(status=AliasStatus.VALID).update(
        status=AliasStatus.VALID, status_reason=""
    )
    outcome.records.append(RecordRef(record._meta.label_lower, record.pk))
    outcome.message_pks.append(message.pk)
    outcome.created = True


def _target(label: str) -> MailTarget | None:
    return mail_targets.get(label) if label in mail_targets else None


def _with_author(view: MailView, partner: Any) -> MailView:
    from dataclasses import replace

    return replace(view, author=partner)
