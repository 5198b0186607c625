"""Refusals of the books that callers tell apart."""

from __future__ import annotations

from apps.core.errors import Conflict


class SettingMissing(Conflict):
    """The company's settings do not name what is needed; the message says which setting and where."""

    code = "setting_missing"


class AccountInUse(Conflict):
    """An account, journal or tax that the books refer to cannot be deleted or changed this way."""

    code = "in_use"


class ChartRefused(Conflict):
    """A chart of accounts cannot be installed or switched; the message says why."""

    code = "chart_refused"
