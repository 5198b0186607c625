"""Refusals of the books that callers tell apart."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import Conflict
from apps.core.integrity import explains

_LOCKED = re.compile(r"entry (.*) is dated (\S+), but the books are locked up to (\S+)")


class SettingMissing(Conflict):
    """The company's settings do not name what is needed; the message says which setting and where."""

    code = "setting_missing"


class AccountInUse(Conflict):
    """An account, journal or tax that the books refer to cannot be deleted or changed this way."""

    code = "in_use"


class ChartRefused(Conflict):
    """A chart of accounts cannot be installed or switched; the message says why."""

    code = "chart_refused"


@explains("accounting_entry_not_locked")
def locked(diag: Any) -> Conflict:
    """The last word of PostgreSQL on lock dates, as services say it."""
    found = _LOCKED.match(diag.message_primary or "")
    if found is None:
        return Conflict(
            str(diag.message_primary), code="locked", fields={"date": [str(diag.message_primary)]}
        )
    _number, day, lock = found.groups()
    text = _(
        "You cannot add or modify entries up to %(lock)s: this one is dated %(date)s, the books are locked up to %(lock)s."
    ) % {"lock": lock, "date": day}
    return Conflict(text, code="locked", fields={"date": [text]})
