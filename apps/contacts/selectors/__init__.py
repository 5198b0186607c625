"""Reads about partners and exchange rates."""

from apps.contacts.selectors.partners import (
    Duplicate,
    address_get,
    duplicate_groups,
    duplicates_of,
    format_address,
    partner_of,
    partners_by_email,
    same_account_elsewhere,
)
from apps.contacts.selectors.rates import MissingRate, convert, jump_warning, rate_on, rates_on

__all__ = [
    "Duplicate",
    "MissingRate",
    "address_get",
    "convert",
    "duplicate_groups",
    "duplicates_of",
    "format_address",
    "jump_warning",
    "partner_of",
    "partners_by_email",
    "rate_on",
    "rates_on",
    "same_account_elsewhere",
]
