"""What keeps a document from being posted. Each answer names the field and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.accounting.constants import PURCHASE_TYPES, RECEIVABLE_SIGN, SALE_TYPES, LineKind
from apps.accounting.models import Invoice
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.selectors.partners import map_account
from apps.accounting.services.invoice_making import journal_problem
from apps.accounting.services.invoice_totals import Line

Problem = tuple[str, str]


def plain(amount: Decimal) -> str:
    """An amount as people write it, without needless zeros after the cents."""
    places = -min(amount.normalize().as_tuple().exponent, -2)  # type: ignore[type-var, operator]
    return f"{amount:.{places}f}"


def check_document(record: Invoice, lines: Sequence[Line], setup: DocumentSetup) -> list[Problem]:
    """The problems of one document; none when it may be computed and booked. Asks the database nothing."""
    problems: list[Problem] = []
    if record.partner_id is None or record.partner_id not in setup.partners:
        who = _("Choose the customer.") if record.type in SALE_TYPES else _("Choose the vendor.")
        problems.append(("partner", who))
    if record.date is None and record.type in PURCHASE_TYPES:
        problems.append(("date", _("Enter the date of the bill.")))
    journal = setup.journals.get(record.journal_id)
    side = "sale" if record.type in SALE_TYPES else "purchase"
    if journal is None:
        problems.append(("journal", _("Choose a journal of the company.")))
    elif text := journal_problem(journal, side):
        problems.append(("journal", text))
    currency = setup.currencies[record.currency_id]
    if not currency.active:
        text = _("Currency %(code)s is not in use; activate it or choose another.") % {"code": currency.code}
        problems.append(("currency", text))
    if receivable_of(record, setup) is None:
        text = _("There is no account for what is owed. Set it under Accounting › Settings.")
        problems.append(("partner", text))
    return problems + _bank_problems(record, setup) + _line_problems(lines, setup)


def _bank_problems(record: Invoice, setup: DocumentSetup) -> list[Problem]:
    account = setup.bank_accounts.get(record.bank_account_id or 0)
    settings = setup.settings[record.company_id]
    if account is not None and not account.active:
        text = _("Bank account %(number)s is archived; choose another.") % {"number": account.number}
        return [("bank_account", text)]
    inbound = RECEIVABLE_SIGN[record.type] > 0  # type: ignore[index]
    if inbound or not settings.require_trusted_bank:
        return []
    if account is None:
        return [("bank_account", _("Choose the bank account that the money is to go to."))]
    if not account.trusted:
        text = _("Nobody has confirmed bank account %(number)s yet; have it confirmed first.") % {
            "number": account.number
        }
        return [("bank_account", text)]
    return []


def _line_problems(lines: Sequence[Line], setup: DocumentSetup) -> list[Problem]:
    problems: list[Problem] = []
    some = False
    for n, line in enumerate(lines):
        if line.kind != LineKind.PRODUCT:
            continue
        some = True
        account = setup.accounts.get(line.account_pk or 0)
        if account is None:
            problems.append((f"lines.{n}.account", _("Choose an account.")))
        elif account.deprecated:
            text = _("Account %(code)s is deprecated; choose another.") % {"code": account.code}
            problems.append((f"lines.{n}.account", text))
    if not some:
        problems.append(("lines", _("Add at least one line with an amount.")))
    return problems


def receivable_of(record: Invoice, setup: DocumentSetup) -> int | None:
    """The receivable or payable a document stands on: agreed with the partner, else the company's, mapped."""
    settings = setup.settings[record.company_id]
    agreed = setup.terms_with(record.partner_id, record.company_id)
    if record.type in SALE_TYPES:
        account = (agreed.receivable_account_id if agreed else None) or settings.receivable_account_id
    else:
        account = (agreed.payable_account_id if agreed else None) or settings.payable_account_id
    if account is None:
        return None
    return map_account(setup.maps.get(record.fiscal_position_id or 0), account)
