"""Accounting: the ledger, taxes, invoices, payments and their reconciliation."""

from django.utils.translation import gettext_lazy as _

from apps.accounting.declared import CARDS, GRANTS, JOBS, MENU, REPORTS, ROLES, SEQUENCES, SETTINGS, SUBTYPES
from apps.core.modules import ModuleConfig


class AccountingConfig(ModuleConfig):
    name = "apps.accounting"
    label = "accounting"
    title = _("Accounting")
    summary = _("Invoices, bills, payments, bank statements, taxes and a ledger that PostgreSQL guards.")
    category = _("Finance")
    depends = ("core", "access", "contacts", "chatter", "mail", "reports", "portal")
    roles = ROLES
    sequences = SEQUENCES
    grants = GRANTS
    jobs = JOBS
    report_specs = REPORTS
    settings = SETTINGS
    subtypes = SUBTYPES
    portal_cards = CARDS
    demo = "apps.accounting.demo.load"
    menu_title = _("Accounting")
    menu_icon = "account_balance"
    menu_sequence = 20
    menu = MENU
