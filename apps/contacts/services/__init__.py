"""Writes about partners, their accounts and exchange rates."""

from apps.contacts.services.banking import BankAccountService, distrust_accounts, trust_accounts
from apps.contacts.services.exchange import Imported, export_vcards, import_vcards
from apps.contacts.services.merge import count_references, merge_groups, merge_partners, undo_merges
from apps.contacts.services.money import CountryService, CurrencyRateService, CurrencyService, set_rates
from apps.contacts.services.partners import (
    PartnerService,
    PartnerTagService,
    add_ranks,
    create_company,
    create_from_text,
    find_or_create_by_email,
)
from apps.contacts.services.reference import sync_reference_data

__all__ = [
    "BankAccountService",
    "CountryService",
    "CurrencyRateService",
    "CurrencyService",
    "Imported",
    "PartnerService",
    "PartnerTagService",
    "add_ranks",
    "count_references",
    "create_company",
    "create_from_text",
    "distrust_accounts",
    "export_vcards",
    "find_or_create_by_email",
    "import_vcards",
    "merge_groups",
    "merge_partners",
    "set_rates",
    "sync_reference_data",
    "trust_accounts",
    "undo_merges",
]
