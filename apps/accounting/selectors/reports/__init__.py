"""The reports that accountants start from: trial balance, general ledger, partner ledger, aged receivables and payables.

Figures come from the balances of months and the open edge: the items of partial months, and for the aged reports the
partial index of open items. No report reads all items. ``docs/accounting-reports.md`` tells what each figure means.
"""

from apps.accounting.selectors.reports.aged import Aged, AgedItem, AgedRow, aged, aged_items
from apps.accounting.selectors.reports.drill import Drill, drill
from apps.accounting.selectors.reports.ledger import LedgerPage, general_ledger
from apps.accounting.selectors.reports.paging import MOST, PAGE, Line, Page, Position
from apps.accounting.selectors.reports.partners import (
    PartnerLedger,
    PartnerPage,
    PartnerRow,
    partner_ledger,
    partner_lines,
)
from apps.accounting.selectors.reports.scope import Scope, scope_of
from apps.accounting.selectors.reports.trial import (
    BalanceSheet,
    Figures,
    Totals,
    TrialBalance,
    TrialRow,
    balance_sheet,
    previous_periods,
    same_period_last_years,
    trial_balance,
)

__all__ = [
    "MOST",
    "PAGE",
    "Aged",
    "AgedItem",
    "AgedRow",
    "BalanceSheet",
    "Drill",
    "Figures",
    "LedgerPage",
    "Line",
    "Page",
    "PartnerLedger",
    "PartnerPage",
    "PartnerRow",
    "Position",
    "Scope",
    "Totals",
    "TrialBalance",
    "TrialRow",
    "aged",
    "aged_items",
    "balance_sheet",
    "drill",
    "general_ledger",
    "partner_ledger",
    "partner_lines",
    "previous_periods",
    "same_period_last_years",
    "scope_of",
    "trial_balance",
]
