"""The quarantine: trying a mail again after its cause was mended, or throwing it away on purpose."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.config import get_setting
from apps.core.errors import Conflict, ValidationFailed
from apps.mail.constants import IncomingState
from apps.mail.models import IncomingMail
from apps.mail.parsing.message import parse_message
from apps.mail.parsing.types import UnreadableMail

QUARANTINED = IncomingState.QUARANTINED.value


@action(
    IncomingMail,
    name="replay",
    permission="replay",
    source={QUARANTINED},
    title=gettext_lazy("Try again"),
    icon="replay",
)
def replay_mails(mails: Sequence[IncomingMail], *, actor: Actor) -> None:
    """Deal with mails in quarantine again, as if they had just arrived; those that fail stay."""
    from apps.mail.services.intake import process

    for mail in mails:
        raw = bytes(mail.raw or b"")
        try:
            parsed = parse_message(raw)
        except UnreadableMail as exc:
            raise ValidationFailed(
                _("%(mail)s still cannot be read: %(reason)s") % {"mail": mail, "reason": exc.reason}
            ) from exc
        receipt = process(raw, parsed, source=mail.source, log=mail)
        if receipt.state == QUARANTINED:
            raise Conflict(_("%(mail)s: %(reason)s") % {"mail": mail, "reason": receipt.reason})
        mail.refresh_from_db()


@action(
    IncomingMail,
    name="discard",
    permission="discard",
    source={QUARANTINED},
    target=IncomingState.DISCARDED.value,
    dangerous=True,
    title=gettext_lazy("Throw away"),
    icon="delete",
)
def discard_mails(mails: Sequence[IncomingMail], *, actor: Actor) -> None:
    """Throw mails in quarantine away, source and all."""
    IncomingMail.objects.filter(pk__in=[mail.pk for mail in mails]).update(
        raw=None, state=IncomingState.DISCARDED
    )


def purge_job(run: Any) -> None:
    """Remove log entries older than the set number of days; the quarantine is never purged."""
    before = timezone.now() - datetime.timedelta(days=int(get_setting("mail.keep_log_days")))
    gone, _rows = (
        IncomingMail.objects.filter(received_at__lt=before).exclude(state=IncomingState.QUARANTINED).delete()
    )
    run.log(_("%(count)s log entries removed.") % {"count": gone})
