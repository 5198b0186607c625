"""Partners, their bank accounts, exchange rates."""

from apps.contacts.models.bank import BankAccount
from apps.contacts.models.merge import PartnerMerge
from apps.contacts.models.partner import Industry, Partner, PartnerTag
from apps.contacts.models.rate import CurrencyRate

__all__ = ["BankAccount", "CurrencyRate", "Industry", "Partner", "PartnerMerge", "PartnerTag"]
