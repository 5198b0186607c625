"""Registering payments on documents: one or a thousand at once, grouped or not, with what is left decided.

``register_payment`` divides the open parts of the chosen documents into batches (commercial partner, account, currency, bank
account, direction), makes one payment a document, or one a batch when grouped, confirms them and matches them with what they
pay. The number of statements does not depend on the number of documents. A difference stays open, is written off, or is the
early payment discount that the terms promise.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import (
    BANK_LIKE,
    AccountType,
    Direction,
    EntryState,
    ItemKind,
    PartnerSide,
    PaymentState,
)
from apps.accounting.events import PaymentPosted
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Invoice,
    Journal,
    JournalItem,
    PartialMatch,
    Payment,
    PaymentMethodLine,
)
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.payment_setup import bank_journal
from apps.accounting.selectors.setup import company_line_of
from apps.accounting.selectors.setup_memory import SetupMemory, setup_memory
from apps.accounting.services.early_discount import Discounted, discount_lines, discount_of
from apps.accounting.services.joining import joined
from apps.accounting.services.match_rows import Row, lock_open_items_of
from apps.accounting.services.matching import reconcile
from apps.accounting.services.payment_entries import ExtraLine, PaymentSetup
from apps.accounting.services.payment_posting import Targets, confirm
from apps.accounting.services.payment_state import refresh_invoices
from apps.accounting.services.payments import lock_keys
from apps.accounting.services.unmatching import unmatch_partials
from apps.contacts.models import BankAccount
from apps.contacts.selectors.rates import rates_on_days
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.copying import draw_keys
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models import Currency
from apps.core.money import convert, round_money

ZERO = Decimal(0)
FULL, NEXT, OVERDUE, BEFORE_DATE = "full", "next", "overdue", "before_date"
INSTALMENTS = (FULL, NEXT, OVERDUE, BEFORE_DATE)


@dataclass(slots=True)
class Part:
    """An open part of a document. ``discount`` is what paying now saves, in the document's currency."""

    row: Row
    invoice: Invoice
    discount: Decimal = ZERO


@dataclass(slots=True)
class Plan:
    """One payment to be made. Amounts are positive, in the payment's currency."""

    direction: str
    partner_pk: int
    account_pk: int
    account_type: str
    document_currency_pk: int
    bank_account_pk: int | None
    currency: Currency
    method: PaymentMethodLine | None = None
    parts: list[Part] = field(default_factory=list)
    full: Decimal = ZERO
    discounted: Decimal = ZERO
    amount: Decimal = ZERO
    takes_discount: bool = False
    extras: list[ExtraLine] = field(default_factory=list)

    @property
    def sign(self) -> int:
        return 1 if self.direction == Direction.INBOUND else -1

    @property
    def invoices(self) -> list[Invoice]:
        return list({part.invoice.pk: part.invoice for part in self.parts}.values())


@dataclass(slots=True)
class Choice:
    """What the user decided."""

    date: datetime.date
    journal: Journal
    amount: Decimal | None
    currency: Currency | None
    group: bool
    instalments: str
    before_date: datetime.date | None
    write_off_account: Account | None
    write_off_label: str
    early_discount: bool
    bank_account: BankAccount | None


def plan_payments(
    invoices: Sequence[Invoice], rows: Sequence[Row], choice: Choice, settings: AccountingSettings
) -> list[Plan]:
    """The payments that a choice makes of the open parts; also what the wizard shows before it is confirmed.

    Errors: ``ValidationFailed`` when nothing is open, or one amount is given for several payments.
    """
    by_pk = {invoice.pk: invoice for invoice in invoices}
    currencies = _currencies(invoices, choice, settings)
    plans: dict[tuple[object, ...], Plan] = {}
    for row in _chosen_rows(rows, choice):
        invoice = by_pk[row.invoice_pk]  # type: ignore[index]
        direction = Direction.INBOUND if row.left_currency > 0 else Direction.OUTBOUND
        bank = choice.bank_account.pk if choice.bank_account else None
        if bank is None and direction == Direction.OUTBOUND:
            bank = invoice.bank_account_id
        key = (
            invoice.commercial_partner_id,
            row.account_pk,
            row.currency_pk,
            bank,
            direction,
            None if choice.group else invoice.pk,
        )
        if key not in plans:
            own = choice.journal.currency_id or row.currency_pk
            money = choice.currency or currencies[own]
            plans[key] = Plan(
                direction,
                invoice.commercial_partner_id or 0,
                row.account_pk,
                row.account_type,
                row.currency_pk,
                bank,
                money,
            )
        saves = discount_of(row, choice.date) if choice.early_discount else ZERO
        plans[key].parts.append(Part(row, invoice, saves))
    if not plans:
        raise ValidationFailed(_("Nothing is left to pay on these documents."), code="nothing_open")
    if choice.amount is not None and len(plans) > 1:
        text = _("These are %(count)s payments; group them, or leave the amount empty.") % {
            "count": len(plans)
        }
        raise ValidationFailed(fields={"amount": [text]})
    ordered = list(plans.values())
    _set_amounts(ordered, choice, settings)
    return ordered


def _currencies(
    invoices: Sequence[Invoice], choice: Choice, settings: AccountingSettings
) -> dict[int, Currency]:
    known = {settings.company.currency_id: settings.company.currency}
    wanted = {invoice.currency_id for invoice in invoices} | {choice.journal.currency_id}
    missing = wanted - known.keys() - {None}
    return known | (Currency.objects.in_bulk(missing) if missing else {})


def _chosen_rows(rows: Sequence[Row], choice: Choice) -> list[Row]:
    """The open parts that the choice of instalments takes, by document and due date."""
    ordered = sorted(rows, key=lambda row: (row.invoice_pk or 0, row.date_maturity or row.date, row.pk))
    if choice.instalments == FULL:
        return ordered
    if choice.instalments == NEXT:
        first: dict[int | None, Row] = {}
        for row in ordered:
            first.setdefault(row.invoice_pk, row)
        return list(first.values())
    if choice.instalments == OVERDUE:
        return [row for row in ordered if (row.date_maturity or row.date) < choice.date]
    if choice.before_date is None:
        raise ValidationFailed(fields={"before_date": [_("Give the date up to which parts are paid.")]})
    return [row for row in ordered if (row.date_maturity or row.date) <= choice.before_date]


def _set_amounts(plans: Sequence[Plan], choice: Choice, settings: AccountingSettings) -> None:
    """Amounts in the payments' currencies, with what the difference to the given amount becomes."""
    rates = _rates(plans, choice.date, settings)
    for plan in plans:
        full = sum((abs(part.row.left_currency) for part in plan.parts), ZERO)
        saved = sum((part.discount for part in plan.parts), ZERO)
        plan.full = _in_currency(full, plan, rates)
        plan.discounted = _in_currency(full - saved, plan, rates)
        if choice.amount is None:
            plan.amount = plan.discounted
        else:
            plan.amount = choice.amount
            if plan.amount <= 0 or plan.amount != round_money(plan.amount, plan.currency):
                text = _("Give an amount of more than nothing, in whole coins.")
                raise ValidationFailed(fields={"amount": [text]})
        plan.takes_discount = bool(saved) and plan.amount == plan.discounted
        difference = plan.full - plan.amount
        if difference and not plan.takes_discount and choice.write_off_account is not None:
            label = choice.write_off_label or _("Write-off")
            plan.extras.append(ExtraLine(choice.write_off_account.pk, plan.sign * difference, label))


def _rates(plans: Sequence[Plan], date: datetime.date, settings: AccountingSettings) -> dict[int, Decimal]:
    """Rates of the currencies that are converted."""
    wanted: dict[int, Currency] = {}
    crossing = [plan for plan in plans if plan.currency.pk != plan.document_currency_pk]
    if crossing:
        wanted = Currency.objects.in_bulk(
            {pk for plan in crossing for pk in (plan.currency.pk, plan.document_currency_pk)}
        )
    found = rates_on_days({(currency, date) for currency in wanted.values()}, settings.company)
    return {pk: rate for (pk, _day), rate in found.items()}


def _in_currency(amount: Decimal, plan: Plan, rates: dict[int, Decimal]) -> Decimal:
    if plan.currency.pk == plan.document_currency_pk:
        return amount
    return convert(
        amount,
        rate_from=rates[plan.document_currency_pk],
        rate_to=rates[plan.currency.pk],
        target_currency=plan.currency,
    )


def _add_discounts(plans: Sequence[Plan], settings: AccountingSettings) -> None:
    """Add the lines of early payment discounts; in another currency they share what was saved there."""
    parts = [
        Discounted(part.invoice, part.row, part.discount)
        for plan in plans
        if plan.takes_discount
        for part in plan.parts
        if part.discount
    ]
    if not parts:
        return
    companies = {part.row.company_pk for part in parts}
    lines = discount_lines(parts, dict.fromkeys(companies, settings))
    for plan in plans:
        if not plan.takes_discount:
            continue
        own = [line for part in plan.parts for line in lines.get(part.row.pk, ())]
        if plan.currency.pk != plan.document_currency_pk:
            whole = sum((line.amount for line in own), ZERO)
            rest = plan.sign * (plan.full - plan.discounted)
            for line in own[:-1]:
                share = round_money(line.amount * rest / whole, plan.currency)
                line.tax_base = round_money(line.tax_base * rest / whole, plan.currency)
                line.amount = share
            own[-1].amount = rest - sum((line.amount for line in own[:-1]), ZERO)
        plan.extras += own


# ------------------------------------------------------------------------------------------------------------ action
@action(
    Invoice,
    permission="pay",
    source={EntryState.POSTED},
    title=gettext_lazy("Register payment"),
    icon="payments",
    saves_state=True,
    condition=lambda invoice, _actor: bool(invoice.residual_amount),
)
def register_payment(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    amount: Decimal | None = None,
    date: datetime.date | None = None,
    journal: Journal | None = None,
    currency: Currency | None = None,
    write_off_account: Account | None = None,
    write_off_label: str = "",
    method_line: PaymentMethodLine | None = None,
    bank_account: BankAccount | None = None,
    memo: str = "",
    group: bool = False,
    instalments: str = FULL,
    before_date: datetime.date | None = None,
    early_discount: bool = True,
    idempotency_key: str = "",
) -> list[int]:
    """Register payments of documents; answers the keys of the payments.

    ``amount`` (for one payment) defaults to what is open, less the early payment discount if it is in time, at the rate of
    ``date``. What differs stays open, or is written off to ``write_off_account``. ``instalments``: full, next, overdue or
    before_date. The same ``idempotency_key`` again answers the payments made the first time.
    """
    memory = setup_memory()
    settings = _company_settings(invoices, memory)
    if instalments not in INSTALMENTS:
        text = _("Choose one of: %(choices)s.") % {"choices": ", ".join(INSTALMENTS)}
        raise ValidationFailed(fields={"instalments": [text]})
    if idempotency_key and (known := _known(settings.company_id, idempotency_key, invoices)):
        return known
    _check_payable(invoices)
    journal = journal or bank_journal(settings)
    choice = Choice(
        date or today_of(actor),
        journal,
        amount,
        currency,
        group,
        instalments,
        before_date,
        write_off_account,
        write_off_label,
        early_discount,
        bank_account,
    )
    current = {invoice.journal_entry_id for invoice in invoices}
    # connected items of others are locked with them, but not paid
    locked = lock_open_items_of([invoice.pk for invoice in invoices], memory=memory)
    rows = [
        row
        for row in locked.rows.values()
        if row.is_open and row.entry_pk in current and row.kind == ItemKind.PAYMENT_TERM
    ]
    plans = plan_payments(invoices, rows, choice, settings)
    _add_discounts(plans, settings)
    setup = _setup(plans, choice, method_line, settings)
    setup.memory = memory
    payments = _payments(plans, choice, setup, memo, idempotency_key, actor)
    pairs = list(zip(payments, plans, strict=True))
    confirm(
        payments,
        actor=actor,
        extras={payment.pk: plan.extras for payment, plan in pairs if plan.extras},
        targets=Targets(
            items={payment.pk: [part.row.pk for part in plan.parts] for payment, plan in pairs},
            invoices={payment.pk: [invoice.pk for invoice in plan.invoices] for payment, plan in pairs},
            locked=locked,
            records=invoices,
        ),
        setup=setup,
        fresh=True,
    )
    with joined(actor) as work:
        work.emit(
            PaymentPosted(pks=tuple(payment.pk for payment in payments), company_pk=settings.company_id)
        )
    return [payment.pk for payment in payments]


def _setup(
    plans: Sequence[Plan],
    choice: Choice,
    method_line: PaymentMethodLine | None,
    settings: AccountingSettings,
) -> PaymentSetup:
    """What the entries are made with; checks journal, method and account of the choice."""
    journal, company_pk = choice.journal, settings.company_id
    errors: dict[str, list[str]] = {}
    line = company_line_of(settings)
    if journal.type not in BANK_LIKE:
        errors["journal"] = [_("Payments go through a bank, cash or card journal.")]
    for name, record in (("journal", journal), ("write_off_account", choice.write_off_account)):
        if record is not None and record.company_id not in line:
            errors[name] = [_("This belongs to another company.")]
    rows = PaymentMethodLine.objects.filter(journal=journal).select_related("outstanding_account")
    methods = {row.pk: row for row in rows.order_by("sequence", "pk")}
    directions = {plan.direction for plan in plans}
    if method_line is not None and (
        method_line.pk not in methods or directions != {methods[method_line.pk].direction}
    ):
        errors["method_line"] = [_("This method is of another journal or direction.")]
    for plan in plans:
        if not plan.currency.active:
            errors["currency"] = [_("%(code)s is not in use; activate it first.") % {"code": plan.currency}]
        fitting = [row for row in methods.values() if row.direction == plan.direction and row.active]
        plan.method = method_line or (fitting[0] if fitting else None)
    if errors:
        raise ValidationFailed(fields=errors)
    currencies = {plan.currency.pk: plan.currency for plan in plans}
    setup = PaymentSetup(
        {company_pk: settings},
        {journal.pk: journal},
        methods,
        currencies,
        {plan.partner_pk: plan.partner_pk for plan in plans},  # plans name commercial entities
    )
    foreign = [money for pk, money in currencies.items() if pk != settings.company.currency_id]
    found = rates_on_days({(money, choice.date) for money in foreign}, settings.company)
    setup.rates = {(company_pk, pk, day): rate for (pk, day), rate in found.items()}
    return setup


def _payments(
    plans: Sequence[Plan], choice: Choice, setup: PaymentSetup, memo: str, key: str, actor: Actor
) -> list[Payment]:
    """The payments of the plans, with keys but no rows yet."""
    actor.require(Payment, "add")
    (company_pk,) = setup.settings
    made = []
    for place, (plan, pk) in enumerate(
        zip(plans, draw_keys("accounting_payment_id_seq", len(plans)), strict=True)
    ):
        of_customer = plan.account_type == AccountType.ASSET_RECEIVABLE
        made.append(
            Payment(
                id=pk,
                company_id=company_pk,
                direction=plan.direction,
                partner_side=PartnerSide.CUSTOMER if of_customer else PartnerSide.SUPPLIER,
                partner_id=plan.partner_pk,
                amount=plan.amount,
                currency_id=plan.currency.pk,
                date=choice.date,
                journal_id=choice.journal.pk,
                method_line_id=plan.method.pk if plan.method is not None else None,
                counterpart_account_id=plan.account_pk,
                bank_account_id=plan.bank_account_pk,
                memo=(memo or _memo(plan))[:200],
                idempotency_key=_key(key, place),
                created_by_id=actor.user_pk,
                updated_by_id=actor.user_pk,
            )
        )
    return made


def _company_settings(invoices: Sequence[Invoice], memory: SetupMemory) -> AccountingSettings:
    companies = {invoice.company_id for invoice in invoices}
    if len(companies) != 1:
        raise ValidationFailed(_("Register payments of one company at a time."), code="two_companies")
    return memory.settings(companies)[companies.pop()]


def _check_payable(invoices: Sequence[Invoice]) -> None:
    """Blocked documents wait for the person who blocked them; receivables and payables are paid apart."""
    for invoice in invoices:
        if invoice.payment_state == PaymentState.BLOCKED:
            raise Conflict(
                _("The payment of %(number)s is blocked; unblock it first.") % {"number": invoice},
                code="blocked",
            )
    sides = {invoice.type.startswith("customer") for invoice in invoices}
    if len(sides) > 1:
        raise ValidationFailed(_("Register payments of customers and of vendors apart."), code="two_sides")


def _known(company_pk: int, key: str, invoices: Sequence[Invoice]) -> list[int]:
    """The payments booked with this key, when it was used."""
    lock_keys([(company_pk, key)])
    rows = list(
        Payment.objects.filter(company=company_pk, idempotency_key=key)
        .union(Payment.objects.filter(company=company_pk, idempotency_key__startswith=f"{key}#"))
        .values_list("pk", flat=True)
    )
    if rows and not Payment.objects.filter(pk__in=rows, invoices__in=invoices).exists():
        raise Conflict(
            _("This key belongs to the payment of other documents."),
            code="key_used",
            fields={"idempotency_key": [_("This key was used for another payment.")]},
        )
    return sorted(rows)


def _key(key: str, place: int) -> str:
    return key if not key or not place else f"{key}#{place + 1}"


def _memo(plan: Plan) -> str:
    """The payment references of what is paid, or the numbers."""
    texts = [invoice.payment_reference or invoice.reference or invoice.number for invoice in plan.invoices]
    return ", ".join(dict.fromkeys(texts[:8])) + (" …" if len(texts) > 8 else "")


def _take_over(invoices: Sequence[Invoice]) -> None:
    """Read again what changed on the caller's documents, so that version and state are those of the database."""
    names = ("residual_amount", "residual_company", "payment_state", "version")
    rows = Invoice.objects.filter(pk__in=[invoice.pk for invoice in invoices]).values_list("pk", *names)
    found = {pk: values for pk, *values in rows}
    for invoice in invoices:
        for name, value in zip(names, found[invoice.pk], strict=True):
            setattr(invoice, name, value)


# ------------------------------------------------------------------------------------------- credits that are there
@action(
    Invoice,
    permission="pay",
    source={EntryState.POSTED},
    title=gettext_lazy("Use credit"),
    icon="redeem",
    saves_state=True,
    bulk=False,
    condition=lambda invoice, _actor: bool(invoice.residual_amount),
)
def assign_credit(invoices: Sequence[Invoice], *, actor: Actor, items: list[JournalItem]) -> list[int]:
    """Settle the document with open items of the same partner and account: payments in advance, credit notes, entries."""
    (invoice,) = invoices
    _check_payable(invoices)
    own = JournalItem.objects.filter(entry=invoice.journal_entry_id, kind="payment_term")
    mine = [item for item in own if item.residual or item.residual_currency]
    if not mine:
        raise Conflict(_("Nothing is left to pay on %(number)s.") % {"number": invoice}, code="nothing_open")
    for item in items:
        if item.partner_id != invoice.commercial_partner_id or item.account_id != mine[0].account_id:
            raise ValidationFailed(
                fields={"items": [_("Choose open items of the same partner and account.")]}
            )
    result = reconcile([*mine, *items], actor=actor)
    _take_over(invoices)
    return result.match_pks


@action(
    Invoice,
    permission="pay",
    source={EntryState.POSTED},
    title=gettext_lazy("Undo matching"),
    icon="link_off",
    bulk=False,
    saves_state=True,
)
def remove_match(invoices: Sequence[Invoice], *, actor: Actor, matches: list[PartialMatch]) -> int:
    """Undo chosen matchings of the document, with the exchange differences and taxes that they made."""
    (invoice,) = invoices
    own = set(JournalItem.objects.filter(entry=invoice.journal_entry_id).values_list("pk", flat=True))
    for match in matches:
        if not own & {match.debit_item_id, match.credit_item_id}:
            raise ValidationFailed(fields={"matches": [_("Choose matchings of this document.")]})
    undone = unmatch_partials(matches, actor=actor)
    refresh_invoices([invoice.pk], actor=actor)
    _take_over(invoices)
    return undone.removed
