"""The one way in: bytes of a mail become messages and records, exactly once, or wait in quarantine.

``receive`` is what the pipe command, the HTTP door and the IMAP reader all call. The log row, keyed by the digest of
the bytes, is inserted in the same transaction as everything the mail causes: a second copy, even one that arrives at
the same moment through another worker, waits for the first and then does nothing. Whatever goes wrong while a mail
is dealt with rolls everything back and puts the mail into quarantine with its source.
"""

from __future__ import annotations

import hashlib
import logging

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.core.actor import system_actor
from apps.core.errors import BusinessError
from apps.core.unit_of_work import emit, unit_of_work
from apps.mail.constants import MAX_MAIL_BYTES, IncomingState
from apps.mail.events import MailQuarantined
from apps.mail.models import IncomingMail
from apps.mail.parsing.bounce import classify
from apps.mail.parsing.message import parse_message
from apps.mail.parsing.types import ParsedMail, UnreadableMail
from apps.mail.selectors.addresses import active_domains
from apps.mail.services import bounces, delivery, refusals
from apps.mail.services.routing import route
from apps.mail.types import EX_DATA, EX_NO_USER, EX_TRY_AGAIN, Receipt

logger = logging.getLogger("meridian.mail.intake")

DUPLICATE = "duplicate"
TRANSIENT = (OperationalError, InterfaceError)


def receive(raw: bytes, *, source: str = "") -> Receipt:
    """Deal with one mail. Never raises: what cannot be dealt with is kept, what cannot be kept is refused by the
    exit code of the receipt."""
    if not raw.strip():
        return Receipt("refused", _("The mail is empty."), exit_code=EX_DATA)
    if len(raw) > MAX_MAIL_BYTES:
        return Receipt("refused", _("The mail is larger than the gateway takes."), exit_code=EX_DATA)
    try:
        return _receive(raw, source=source)
    except TRANSIENT as exc:
        logger.warning("mail from %s is put off: %s", source, exc)
        return Receipt("deferred", str(exc), exit_code=EX_TRY_AGAIN)


def _receive(raw: bytes, *, source: str) -> Receipt:
    digest = hashlib.sha256(raw).hexdigest()
    known = IncomingMail.objects.filter(digest=digest).values_list("pk", flat=True).first()
    if known is not None:
        return Receipt(DUPLICATE, _("These very bytes were dealt with before."), log_pk=known)
    try:
        parsed = parse_message(raw)
    except UnreadableMail as exc:
        return _quarantine(raw, digest, None, source, exc.reason)
    except Exception as exc:
        logger.exception("the parser failed on mail %s", digest)
        return _quarantine(raw, digest, None, source, f"{type(exc).__name__}: {exc}")
    return process(raw, parsed, source=source)


def process(raw: bytes, parsed: ParsedMail, *, source: str, log: IncomingMail | None = None) -> Receipt:
    """Deal with a parsed mail; ``log`` is the quarantined row when it is replayed."""
    try:
        return _process(raw, parsed, source=source, log=log)
    except TRANSIENT:
        raise
    except _AlreadyHere as exc:
        return Receipt(DUPLICATE, _("These very bytes were dealt with before."), log_pk=exc.pk)
    except Exception as exc:
        if not isinstance(exc, BusinessError):
            logger.exception("mail %s could not be dealt with", parsed.digest)
        reason = exc.message if isinstance(exc, BusinessError) else f"{type(exc).__name__}: {exc}"
        return _quarantine(raw, parsed.digest, parsed, source, reason, log=log)


class _AlreadyHere(Exception):
    def __init__(self, pk: int | None) -> None:
        super().__init__()
        self.pk = pk


def _process(raw: bytes, parsed: ParsedMail, *, source: str, log: IncomingMail | None) -> Receipt:
    actor = system_actor(channel="mail", name="Mail gateway")
    with unit_of_work(actor) as work:
        log = _claim(parsed, source, log)
        if parsed.message_id and delivery.is_known(parsed.message_id):
            return _close(
                log, IncomingState.IGNORED, _("A message with this Message-ID is here already."), DUPLICATE
            )
        if parsed.is_loop_answer:
            return _close(log, IncomingState.IGNORED, _("An answer to one of our own notices."))
        kind = classify(parsed)
        domains = active_domains()
        if bounces.is_report(parsed, kind, domains):
            reason = bounces.record_report(parsed, kind, actor=actor)
            return _close(log, IncomingState.REPORT, reason)
        bounces.note_life_sign(parsed)
        plan = route(parsed, kind, domains)
        if plan.ignore:
            return _close(log, IncomingState.IGNORED, plan.ignore)
        if plan.bounce:
            refusals.send_refusal(parsed, plan.bounce, actor=actor)
            return _close(log, IncomingState.BOUNCED, plan.bounce)
        if not plan.routes:
            log.raw = raw
            receipt = _close(
                log,
                IncomingState.QUARANTINED,
                plan.lost or _("No possible route found."),
                exit_code=EX_NO_USER,
            )
            work.emit(MailQuarantined(log.pk, log.reason))
            return receipt
        outcome = delivery.deliver(parsed, kind, plan.routes, domains, log=log, actor=actor)
        if not outcome.message_pks:
            return _close(log, outcome.state, outcome.reason)
        log.records = [str(ref) for ref in outcome.records]
        log.target = outcome.records[0].model
        log.created_record = outcome.created
        _close(log, IncomingState.ACCEPTED, outcome.reason)
    return Receipt(
        IncomingState.ACCEPTED.value,
        outcome.reason,
        log.pk,
        tuple(outcome.records),
        tuple(outcome.message_pks),
    )


def _claim(parsed: ParsedMail, source: str, log: IncomingMail | None) -> IncomingMail:
    """The log row of this mail, ours alone until the transaction ends."""
    if log is not None:
        return IncomingMail.objects.select_for_update().get(pk=log.pk)
    row = _log_row(parsed.digest, parsed, source, parsed.size)
    row.state = IncomingState.ACCEPTED
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        known = IncomingMail.objects.filter(digest=parsed.digest).values_list("pk", flat=True).first()
        raise _AlreadyHere(known) from None
    return row


def _log_row(digest: str, parsed: ParsedMail | None, source: str, size: int) -> IncomingMail:
    row = IncomingMail(digest=digest, source=source[:60], size=size)
    if parsed is not None:
        row.message_id = parsed.message_id or ""
        row.sender = (parsed.from_.normalised or parsed.from_.email)[:320] if parsed.from_ else ""
        row.recipients = ", ".join(address.email for address in parsed.recipients)[:4000]
        row.subject = parsed.subject[:500]
        row.authentication = delivery.authentication_result(parsed)[:200]
    return row


def _close(
    log: IncomingMail, state: str, reason: str = "", answer: str = "", *, exit_code: int = 0
) -> Receipt:
    log.state, log.reason = state, reason
    if state not in (IncomingState.QUARANTINED,):
        log.raw = None
    log.save()
    return Receipt(answer or str(state), reason, log.pk, exit_code=exit_code)


def _quarantine(
    raw: bytes,
    digest: str,
    parsed: ParsedMail | None,
    source: str,
    reason: str,
    *,
    log: IncomingMail | None = None,
) -> Receipt:
    """Keep the mail with its source; a row that is there already only gets the newest reason."""
    actor = system_actor(channel="mail", name="Mail gateway")
    with unit_of_work(actor):
        if log is not None:
            IncomingMail.objects.filter(pk=log.pk).update(reason=reason, attempts=F("attempts") + 1)
            return Receipt(IncomingState.QUARANTINED.value, reason, log.pk)
        row = _log_row(digest, parsed, source, len(raw))
        row.state, row.reason, row.raw = IncomingState.QUARANTINED, reason, raw
        row, made = IncomingMail.objects.get_or_create(
            digest=digest,
            defaults={
                field.attname: getattr(row, field.attname)
                for field in IncomingMail._meta.concrete_fields
                if field.name not in ("id", "digest")
            },
        )
        if made:
            emit(MailQuarantined(row.pk, reason), actor=actor)
    return Receipt(IncomingState.QUARANTINED.value if made else DUPLICATE, reason, row.pk)
