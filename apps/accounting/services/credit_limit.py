"""Credit limits: what a customer owes and would owe, against what was agreed.

The limit is the partner's, else the company's. Going over it is told (``selectors.invoices``); companies that want it so
refuse to post.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.accounting.constants import InvoiceType
from apps.accounting.models import Invoice
from apps.accounting.selectors.credit import owed_by
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.core.errors import Conflict

ZERO = Decimal(0)


class CreditLimitExceeded(Conflict):
    """Posting would take a customer over the credit limit of a company that blocks this."""

    code = "credit_limit"


def check_credit(invoices: Sequence[Invoice], setup: DocumentSetup) -> None:
    """Refuse invoices that take customers over their limits, where the company blocks them. One statement, or none."""
    asked: dict[tuple[int, int], list[Invoice]] = {}
    limits: dict[tuple[int, int], Decimal] = {}
    for invoice in invoices:
        settings = setup.settings[invoice.company_id]
        if not settings.block_over_limit or invoice.type != InvoiceType.CUSTOMER_INVOICE:
            continue
        agreed = setup.terms_with(invoice.partner_id, invoice.company_id)
        limit = agreed.credit_limit if agreed is not None else None
        limit = settings.credit_limit if limit is None else limit
        if limit is None or invoice.commercial_partner_id is None:
            continue
        key = (invoice.company_id, invoice.commercial_partner_id)
        asked.setdefault(key, []).append(invoice)
        limits[key] = limit
    if not asked:
        return
    owed = owed_by(asked)
    for key, own in asked.items():
        total = owed.get(key, ZERO) + sum((invoice.total_company for invoice in own), ZERO)
        if total > limits[key]:
            raise CreditLimitExceeded(
                _("%(document)s: the customer would owe %(total)s, more than the limit of %(limit)s.")
                % {
                    "document": ", ".join(str(invoice) for invoice in own[:5]),
                    "total": f"{total:.2f}",
                    "limit": f"{limits[key]:.2f}",
                }
            )
