"""Names of kinds and states. The values are part of the REST interface and of stored rows."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

ROLE_BILLING = "accounting.billing"
ROLE_AUDITOR = "accounting.auditor"
ROLE_ACCOUNTANT = "accounting.accountant"
ROLE_ADVISER = "accounting.adviser"

# Advisory lock classes (first key of pg_advisory_xact_lock); the second key is a company.
LOCK_DATES = 7301010
PAYMENT_KEYS = 7301011  # second key: hash of company and key of the outside


class AccountType(models.TextChoices):
    ASSET_RECEIVABLE = "asset_receivable", _("Receivable")
    ASSET_CASH = "asset_cash", _("Bank and cash")
    ASSET_CURRENT = "asset_current", _("Current assets")
    ASSET_NON_CURRENT = "asset_non_current", _("Non-current assets")
    ASSET_PREPAYMENTS = "asset_prepayments", _("Prepayments")
    ASSET_FIXED = "asset_fixed", _("Fixed assets")
    LIABILITY_PAYABLE = "liability_payable", _("Payable")
    LIABILITY_CREDIT_CARD = "liability_credit_card", _("Credit card")
    LIABILITY_CURRENT = "liability_current", _("Current liabilities")
    LIABILITY_NON_CURRENT = "liability_non_current", _("Non-current liabilities")
    EQUITY = "equity", _("Equity")
    EQUITY_UNAFFECTED = "equity_unaffected", _("Current year earnings")
    INCOME = "income", _("Income")
    INCOME_OTHER = "income_other", _("Other income")
    EXPENSE = "expense", _("Expenses")
    EXPENSE_DEPRECIATION = "expense_depreciation", _("Depreciation")
    EXPENSE_DIRECT_COST = "expense_direct_cost", _("Cost of revenue")
    OFF_BALANCE = "off_balance", _("Off balance")


PARTNER_TYPES = frozenset({AccountType.ASSET_RECEIVABLE, AccountType.LIABILITY_PAYABLE})
LIQUIDITY_TYPES = frozenset({AccountType.ASSET_CASH, AccountType.LIABILITY_CREDIT_CARD})
RESULT_TYPES = frozenset(
    {
        AccountType.INCOME,
        AccountType.INCOME_OTHER,
        AccountType.EXPENSE,
        AccountType.EXPENSE_DEPRECIATION,
        AccountType.EXPENSE_DIRECT_COST,
    }
)


class JournalType(models.TextChoices):
    SALE = "sale", _("Sales")
    PURCHASE = "purchase", _("Purchases")
    CASH = "cash", _("Cash")
    BANK = "bank", _("Bank")
    CREDIT = "credit", _("Credit card")
    GENERAL = "general", _("Miscellaneous")


BANK_LIKE = frozenset({JournalType.CASH, JournalType.BANK, JournalType.CREDIT})


class SeriesKind(models.TextChoices):
    ENTRY = "entry", _("Documents and entries")
    REFUND = "refund", _("Credit notes")
    PAYMENT = "payment", _("Payments")


class ReferenceType(models.TextChoices):
    NONE = "none", _("None")
    PARTNER = "partner", _("By customer")
    INVOICE = "invoice", _("By invoice")


class ReferenceModel(models.TextChoices):
    PLAIN = "plain", _("Number of the document")
    ISO11649 = "iso11649", _("ISO 11649 (RF…)")


class TaxUse(models.TextChoices):
    SALE = "sale", _("Sales")
    PURCHASE = "purchase", _("Purchases")
    NONE = "none", _("Part of others only")


class TaxScope(models.TextChoices):
    ANY = "any", _("Goods and services")
    GOODS = "goods", _("Goods")
    SERVICES = "services", _("Services")


class TaxAmountType(models.TextChoices):
    PERCENT = "percent", _("Percentage of the price")
    FIXED = "fixed", _("Amount a unit")
    DIVISION = "division", _("Percentage of the price with tax")
    GROUP = "group", _("Group of taxes")


class PriceInclusion(models.TextChoices):
    DEFAULT = "default", _("As the company's setting")
    INCLUDED = "included", _("Included in the price")
    EXCLUDED = "excluded", _("On top of the price")


class Exigibility(models.TextChoices):
    INVOICE = "invoice", _("With the invoice")
    PAYMENT = "payment", _("With the payment")


class TaxRounding(models.TextChoices):
    LINE = "line", _("By line")
    TOTAL = "total", _("By total")


class EntryState(models.TextChoices):
    DRAFT = "draft", _("Draft")
    POSTED = "posted", _("Posted")
    CANCELLED = "cancelled", _("Cancelled")


class EntryOrigin(models.TextChoices):
    """What made an entry; side effects of others cannot be reset on their own."""

    MANUAL = "manual", _("By hand")
    INVOICE = "invoice", _("Invoice")
    PAYMENT = "payment", _("Payment")
    STATEMENT = "statement", _("Bank statement")
    EXCHANGE = "exchange", _("Exchange difference")
    CASH_BASIS = "cash_basis", _("Cash basis tax")
    WRITE_OFF = "write_off", _("Write-off")
    REVERSAL = "reversal", _("Reversal")
    OPENING = "opening", _("Opening balance")
    REVALUATION = "revaluation", _("Currency revaluation")
    CLOSING = "closing", _("Closing")
    TRANSFER = "transfer", _("Transfer")


class ItemKind(models.TextChoices):
    PRODUCT = "product", _("Line")
    TAX = "tax", _("Tax")
    PAYMENT_TERM = "payment_term", _("Receivable or payable")
    ROUNDING = "rounding", _("Cash rounding")
    DISCOUNT = "discount", _("Discount")
    EARLY_DISCOUNT = "early_discount", _("Early payment discount")


class InvoiceType(models.TextChoices):
    CUSTOMER_INVOICE = "customer_invoice", _("Customer invoice")
    CUSTOMER_CREDIT_NOTE = "customer_credit_note", _("Customer credit note")
    CUSTOMER_RECEIPT = "customer_receipt", _("Sales receipt")
    VENDOR_BILL = "vendor_bill", _("Vendor bill")
    VENDOR_CREDIT_NOTE = "vendor_credit_note", _("Vendor credit note")
    VENDOR_RECEIPT = "vendor_receipt", _("Purchase receipt")


SALE_TYPES = frozenset(
    {InvoiceType.CUSTOMER_INVOICE, InvoiceType.CUSTOMER_CREDIT_NOTE, InvoiceType.CUSTOMER_RECEIPT}
)
PURCHASE_TYPES = frozenset(
    {InvoiceType.VENDOR_BILL, InvoiceType.VENDOR_CREDIT_NOTE, InvoiceType.VENDOR_RECEIPT}
)
CREDIT_NOTE_TYPES = frozenset({InvoiceType.CUSTOMER_CREDIT_NOTE, InvoiceType.VENDOR_CREDIT_NOTE})
RECEIPT_TYPES = frozenset({InvoiceType.CUSTOMER_RECEIPT, InvoiceType.VENDOR_RECEIPT})
# What a document does to its receivable or payable: +1 debits it (money comes in), -1 credits it.
RECEIVABLE_SIGN = {
    InvoiceType.CUSTOMER_INVOICE: 1,
    InvoiceType.CUSTOMER_RECEIPT: 1,
    InvoiceType.VENDOR_CREDIT_NOTE: 1,
    InvoiceType.CUSTOMER_CREDIT_NOTE: -1,
    InvoiceType.VENDOR_BILL: -1,
    InvoiceType.VENDOR_RECEIPT: -1,
}
CREDIT_NOTE_OF = {
    InvoiceType.CUSTOMER_INVOICE: InvoiceType.CUSTOMER_CREDIT_NOTE,
    InvoiceType.CUSTOMER_RECEIPT: InvoiceType.CUSTOMER_CREDIT_NOTE,
    InvoiceType.VENDOR_BILL: InvoiceType.VENDOR_CREDIT_NOTE,
    InvoiceType.VENDOR_RECEIPT: InvoiceType.VENDOR_CREDIT_NOTE,
    InvoiceType.CUSTOMER_CREDIT_NOTE: InvoiceType.CUSTOMER_INVOICE,
    InvoiceType.VENDOR_CREDIT_NOTE: InvoiceType.VENDOR_BILL,
}
MIRROR_OF = {
    InvoiceType.CUSTOMER_INVOICE: InvoiceType.VENDOR_BILL,
    InvoiceType.CUSTOMER_CREDIT_NOTE: InvoiceType.VENDOR_CREDIT_NOTE,
    InvoiceType.CUSTOMER_RECEIPT: InvoiceType.VENDOR_RECEIPT,
    InvoiceType.VENDOR_BILL: InvoiceType.CUSTOMER_INVOICE,
    InvoiceType.VENDOR_CREDIT_NOTE: InvoiceType.CUSTOMER_CREDIT_NOTE,
    InvoiceType.VENDOR_RECEIPT: InvoiceType.CUSTOMER_RECEIPT,
}


class LineKind(models.TextChoices):
    PRODUCT = "product", _("Line")
    SECTION = "section", _("Section")
    NOTE = "note", _("Note")


class PaymentState(models.TextChoices):
    NOT_PAID = "not_paid", _("Not paid")
    PARTIAL = "partial", _("Partly paid")
    IN_PAYMENT = "in_payment", _("In payment")
    PAID = "paid", _("Paid")
    REVERSED = "reversed", _("Reversed")
    BLOCKED = "blocked", _("Blocked")


class AutoPost(models.TextChoices):
    NO = "no", _("No")
    AT_DATE = "at_date", _("At its date")
    MONTHLY = "monthly", _("Monthly")
    QUARTERLY = "quarterly", _("Quarterly")
    YEARLY = "yearly", _("Yearly")


class Direction(models.TextChoices):
    INBOUND = "inbound", _("Received")
    OUTBOUND = "outbound", _("Sent")


class PartnerSide(models.TextChoices):
    CUSTOMER = "customer", _("Customer")
    SUPPLIER = "supplier", _("Vendor")


class PaymentStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    IN_PROCESS = "in_process", _("In process")
    PAID = "paid", _("Paid")
    CANCELLED = "cancelled", _("Cancelled")
    REJECTED = "rejected", _("Rejected")


class CheckLayout(models.TextChoices):
    """Where the check stands on its page; the rest of the page are stubs."""

    NONE = "", _("Not printed here")
    TOP = "top", _("Check at the top, two stubs below")
    MIDDLE = "middle", _("Check in the middle, a stub above and below")
    BOTTOM = "bottom", _("Check at the bottom, two stubs above")


class LockKind(models.TextChoices):
    FISCAL = "fiscal", _("Everything")
    TAX = "tax", _("Tax return")
    SALE = "sale", _("Sales")
    PURCHASE = "purchase", _("Purchases")
    HARD = "hard", _("For ever")
