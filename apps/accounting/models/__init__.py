"""The ledger, the documents that write it, and how a company keeps its books."""

from apps.accounting.models.balance import PartnerBalance, PeriodBalance
from apps.accounting.models.invoice import Invoice, InvoiceLine
from apps.accounting.models.ledger import (
    FullMatch,
    JournalEntry,
    JournalItem,
    PartialMatch,
)
from apps.accounting.models.partner import PartnerTerms
from apps.accounting.models.payment import (
    BankStatement,
    Payment,
    ReconcileRule,
    StatementLine,
)
from apps.accounting.models.settings import AccountingSettings, FiscalYear, LockException
from apps.accounting.models.setup import (
    Account,
    AccountGroup,
    Incoterm,
    Journal,
    JournalChain,
    LedgerGroup,
    NumberSeries,
    PaymentMethodLine,
)
from apps.accounting.models.tax import (
    CashRounding,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxGroup,
    TaxRepartition,
    TaxTag,
)

__all__ = [
    "Account",
    "AccountGroup",
    "AccountingSettings",
    "BankStatement",
    "CashRounding",
    "FiscalPosition",
    "FiscalPositionAccount",
    "FiscalPositionTax",
    "FiscalYear",
    "FullMatch",
    "Incoterm",
    "Invoice",
    "InvoiceLine",
    "Journal",
    "JournalChain",
    "JournalEntry",
    "JournalItem",
    "LedgerGroup",
    "LockException",
    "NumberSeries",
    "PartialMatch",
    "PartnerBalance",
    "PartnerTerms",
    "Payment",
    "PaymentMethodLine",
    "PaymentTerm",
    "PaymentTermLine",
    "PeriodBalance",
    "ReconcileRule",
    "StatementLine",
    "Tax",
    "TaxGroup",
    "TaxRepartition",
    "TaxTag",
]
