"""Names and numbers that the whole of ``mail`` agrees on; no ORM here."""

from __future__ import annotations

import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

# Pauses before the second and later tries of a mail that the server would not take for now.
RETRY_PAUSES = tuple(datetime.timedelta(minutes=m) for m in (1, 5, 30, 120, 720))
MAX_MAIL_BYTES = 60 * 1024 * 1024
LOOP_WINDOW = datetime.timedelta(minutes=120)
LOOP_LIMIT = 20
STUCK_AFTER = datetime.timedelta(minutes=15)
SEND_BATCH = 50


class Policy(models.TextChoices):
    EVERYONE = "everyone", _("everyone")
    PARTNERS = "partners", _("known contacts")
    FOLLOWERS = "followers", _("followers only")


class AliasStatus(models.TextChoices):
    NOT_TESTED = "not_tested", _("not used yet")
    VALID = "valid", _("works")
    INVALID = "invalid", _("set up wrongly")


class IncomingState(models.TextChoices):
    ACCEPTED = "accepted", _("accepted")
    IGNORED = "ignored", _("ignored")
    BOUNCED = "bounced", _("sent back")
    REPORT = "report", _("delivery report")
    QUARANTINED = "quarantined", _("in quarantine")
    DISCARDED = "discarded", _("discarded by hand")


class OutgoingState(models.TextChoices):
    OUTGOING = "outgoing", _("waiting")
    SENDING = "sending", _("being sent")
    SENT = "sent", _("sent")
    EXCEPTION = "exception", _("failed")
    CANCELLED = "cancelled", _("cancelled")
