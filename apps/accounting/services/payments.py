"""Payments: writing them, confirming, taking back, transfers between own accounts.

A draft may be changed; a confirmed payment keeps everything but its memo. ``idempotency_key`` names a payment of the outside: a
second one with the key answers the first and books nothing, also when both arrive at once (an advisory lock for each key).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import (
    BANK_LIKE,
    PARTNER_TYPES,
    PAYMENT_KEYS,
    Direction,
    PartnerSide,
    PaymentStatus,
)
from apps.accounting.events import PaymentPosted
from apps.accounting.models import Account, Journal, Payment, PaymentMethodLine
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.partners import terms_of
from apps.accounting.selectors.payment_setup import bank_journal
from apps.accounting.selectors.setup import methods_of, required, settings_of, settings_of_many
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.matching import reconcile_groups
from apps.accounting.services.payment_posting import confirm, take_back
from apps.contacts.models import BankAccount, Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed, WrongState
from apps.core.links import pk_of
from apps.core.models import Currency
from apps.core.money import round_money
from apps.core.records import RecordService, Values, service, service_for
from apps.core.unit_of_work import unit_of_work

ALWAYS_WRITABLE = frozenset({"memo", "custom"})
# What must be the same for a key to name the same payment.
IDENTITY = ("direction", "partner", "amount", "currency", "date")
OPPOSITE = {Direction.INBOUND: Direction.OUTBOUND, Direction.OUTBOUND: Direction.INBOUND}


def lock_keys(keys: Sequence[tuple[int, str]]) -> None:
    """Wait for everybody who books a payment with one of these (company, key); held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, k.key) FROM (SELECT DISTINCT hashtext(t) AS key "
            "FROM unnest(%s::text[]) AS t ORDER BY 1) AS k",
            [PAYMENT_KEYS, [f"{company}:{key}" for company, key in keys]],
        )


@service(Payment)
class PaymentService(RecordService[Payment]):
    """The writer of payments."""

    # ----------------------------------------------------------------- create
    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Payment]:
        """Create payments; a row whose ``idempotency_key`` was used answers the payment that has it.

        Errors: ``Conflict`` when that payment has another amount, currency, partner, date or direction.
        """
        keyed = {n: str(row["idempotency_key"]) for n, row in enumerate(rows) if row.get("idempotency_key")}
        if not keyed:
            return super().create(rows, actor=actor)
        actor.require(Payment, "add")
        companies = {n: pk_of(rows[n].get("company")) or actor.company_pk for n in keyed}
        pairs = [(int(companies[n] or 0), key) for n, key in keyed.items()]
        if len(set(pairs)) < len(pairs):
            raise ValidationFailed(
                fields={"idempotency_key": [_("Two of these payments have the same key.")]}
            )
        with unit_of_work(actor):
            lock_keys(pairs)
            known = {
                (row.company_id, row.idempotency_key): row
                for row in Payment.objects.filter(
                    company__in={company for company, _key in pairs}, idempotency_key__in=set(keyed.values())
                )
            }
            answer: list[Payment | None] = [None] * len(rows)
            for (n, key), (company, _key) in zip(keyed.items(), pairs, strict=True):
                found = known.get((company, key))
                if found is not None:
                    _require_same(found, rows[n])
                    answer[n] = found
            missing = [n for n, found in enumerate(answer) if found is None]
            for n, made in zip(missing, super().create([rows[n] for n in missing], actor=actor), strict=True):
                answer[n] = made
        return [payment for payment in answer if payment is not None]

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        companies = {pk_of(row.get("company")) for row in rows}
        settings = settings_of_many({pk for pk in companies if pk is not None})
        wanted = {pk_of(row.get("partner")) for row in rows} - {None}
        partners = Partner.objects.in_bulk(wanted) if wanted else {}
        terms = {
            company: terms_of(
                company, [partners[p] for p in {pk_of(row.get("partner")) for row in rows} if p in partners]
            )
            for company in settings
            if any(row.get("counterpart_account") is None for row in rows)
        }
        journals = Journal.objects.in_bulk({pk_of(row.get("journal")) for row in rows} - {None})
        methods = methods_of({pk_of(row["journal"]) for row in rows if row.get("journal") is not None})
        for row in rows:
            company = pk_of(row.get("company"))
            if company is None:
                raise ValidationFailed(fields={"company": [_("A payment belongs to a company.")]})
            own = settings[company]
            row.setdefault("date", today_of(actor))
            if row.get("journal") is None:
                row["journal"] = bank_journal(own)
                journals[row["journal"].pk] = row["journal"]
                methods |= methods_of([row["journal"].pk])
            journal = journals.get(pk_of(row["journal"]))
            if journal is None:
                continue  # refused as a link that leads nowhere
            if row.get("currency") is None:
                row["currency"] = journal.currency_id or own.company.currency_id
            if "method_line" not in row:
                fitting = [m for m in methods.get(journal.pk, ()) if m.direction == row.get("direction")]
                row["method_line"] = fitting[0] if fitting else None
            if row.get("counterpart_account") is None:
                side = row.get("partner_side") or PartnerSide.CUSTOMER
                name = "receivable_account" if side == PartnerSide.CUSTOMER else "payable_account"
                agreed = terms.get(company, {}).get(pk_of(row.get("partner")))
                row["counterpart_account"] = getattr(agreed, f"{name}_id", None) or getattr(own, f"{name}_id")

    # ----------------------------------------------------------------- update
    def prepare_update(self, records: Sequence[Payment], values: Values, actor: Actor) -> None:
        if set(values) <= ALWAYS_WRITABLE:
            return
        for record in records:
            if record.state != PaymentStatus.DRAFT:
                raise WrongState(
                    _("%(payment)s is confirmed: reset it to draft before changing it.") % {"payment": record}
                )

    # ------------------------------------------------------------------- both
    def validate(self, records: Sequence[Payment], actor: Actor) -> None:
        drafts = [record for record in records if record.state == PaymentStatus.DRAFT]
        journals = Journal.objects.in_bulk({r.journal_id for r in drafts})
        methods = PaymentMethodLine.objects.in_bulk({r.method_line_id for r in drafts} - {None})
        accounts = Account.objects.in_bulk({r.counterpart_account_id for r in drafts} - {None})
        currencies = Currency.objects.in_bulk({r.currency_id for r in drafts})
        banks = BankAccount.objects.select_related("partner").in_bulk(
            {r.bank_account_id for r in drafts} - {None}
        )
        for record in drafts:
            errors: dict[str, list[str]] = {}
            if journals[record.journal_id].type not in BANK_LIKE:
                errors["journal"] = [_("Payments go through a bank, cash or card journal.")]
            method = methods.get(record.method_line_id) if record.method_line_id else None
            if method is not None and (
                method.journal_id != record.journal_id or method.direction != record.direction
            ):
                errors["method_line"] = [_("This method is of another journal or direction.")]
            account = accounts.get(record.counterpart_account_id) if record.counterpart_account_id else None
            if account is not None and account.type not in PARTNER_TYPES and not account.reconcile:
                errors["counterpart_account"] = [
                    _("Choose a receivable, a payable or an account whose items are matched.")
                ]
            currency = currencies[record.currency_id]
            if not currency.active:
                errors["currency"] = [_("%(code)s is not in use; activate it first.") % {"code": currency}]
            if record.amount != round_money(record.amount, currency):
                errors["amount"] = [
                    _("The amount is finer than the smallest coin of %(c)s.") % {"c": currency}
                ]
            if record.check_number is not None and record.check_number < 1:
                errors["check_number"] = [_("A check number has digits only.")]
            bank = banks.get(record.bank_account_id) if record.bank_account_id else None
            if bank is not None and record.direction == Direction.INBOUND and record.partner_id is None:
                errors["partner"] = [_("Name the partner of the bank account.")]
            if errors:
                raise ValidationFailed(fields=errors)

    def before_delete(self, records: Sequence[Payment], actor: Actor) -> None:
        for record in records:
            if record.number or record.state != PaymentStatus.DRAFT:
                raise Conflict(
                    _("%(payment)s has a number and stays; cancel it instead.") % {"payment": record},
                    code="numbered",
                )


def _require_same(found: Payment, row: Mapping[str, Any]) -> None:
    """A key that comes again must come with the same payment."""
    currency = row.get("currency")
    for name in IDENTITY:
        if row.get(name) is None:
            continue
        held = getattr(found, Payment._meta.get_field(name).attname)  # type: ignore[union-attr]
        given = pk_of(row[name]) if name in ("partner", "currency") else row[name]
        if name == "currency" and not isinstance(currency, Currency | int):
            continue
        if held != given:
            raise Conflict(
                _("This key belongs to another payment, %(payment)s: %(field)s differs.")
                % {"payment": found, "field": Payment._meta.get_field(name).verbose_name},  # type: ignore[union-attr]
                code="key_used",
                fields={"idempotency_key": [_("This key was used for another payment.")]},
            )


# ----------------------------------------------------------------------------------------------------------- actions
@action(
    Payment,
    name="post",
    permission="post",
    source={PaymentStatus.DRAFT},
    event=PaymentPosted,
    title=gettext_lazy("Confirm"),
    icon="check",
)
def post_payments(payments: Sequence[Payment], *, actor: Actor) -> None:
    """Confirm payments: entry and number; what they name as documents is settled, oldest part first."""
    confirm(payments, actor=actor)


@action(
    Payment,
    permission="post",
    source={PaymentStatus.IN_PROCESS},
    title=gettext_lazy("Mark as paid"),
    icon="done_all",
    condition=lambda payment, _actor: payment.journal_entry_id is None,
)
def mark_paid(payments: Sequence[Payment], *, actor: Actor) -> None:
    """Say that a promise was kept. A payment with an entry is paid when the bank statement says so."""
    for payment in payments:
        if payment.journal_entry_id is not None:
            raise WrongState(
                _("%(payment)s has an entry: it is paid when its bank statement line is reconciled.")
                % {"payment": payment}
            )
        payment.state = PaymentStatus.PAID
    update_rows(Payment, payments, ("state",))


@action(
    Payment,
    permission="post",
    source={PaymentStatus.DRAFT, PaymentStatus.IN_PROCESS},
    title=gettext_lazy("Cancel"),
    icon="cancel",
    dangerous=True,
)
def cancel(payments: Sequence[Payment], *, actor: Actor) -> None:
    """Cancel payments: entries are reversed, documents open again. Numbers, those of checks too, stay used."""
    take_back(payments, state=PaymentStatus.CANCELLED, actor=actor)


@action(
    Payment,
    permission="post",
    source={PaymentStatus.IN_PROCESS},
    title=gettext_lazy("Reject"),
    icon="block",
    dangerous=True,
)
def reject(payments: Sequence[Payment], *, actor: Actor) -> None:
    """The bank did not carry them out: entries are reversed, documents open again."""
    take_back(payments, state=PaymentStatus.REJECTED, actor=actor)


@action(
    Payment,
    permission="post",
    source={
        PaymentStatus.IN_PROCESS,
        PaymentStatus.PAID,
        PaymentStatus.CANCELLED,
        PaymentStatus.REJECTED,
    },
    title=gettext_lazy("Reset to draft"),
    icon="undo",
)
def reset(payments: Sequence[Payment], *, actor: Actor) -> None:
    """Back to draft: entries are reversed, documents open again. The number is kept for confirming it again."""
    take_back(payments, state=PaymentStatus.DRAFT, actor=actor)


@action(
    Payment,
    permission="post",
    source={PaymentStatus.DRAFT},
    event=PaymentPosted,
    title=gettext_lazy("Transfer to own account"),
    icon="swap_horiz",
    bulk=False,
)
def transfer(
    payments: Sequence[Payment], *, actor: Actor, journal: Journal, amount: Decimal | None = None
) -> list[int]:
    """Make each draft a transfer between own accounts: its other half goes through ``journal``, both are confirmed, and what
    stands on the transfer account is matched. ``amount`` is what the other account gets, when its currency differs."""
    for payment in payments:
        if payment.journal_id == journal.pk:
            raise ValidationFailed(fields={"journal": [_("Choose another journal than the payment's own.")]})
        account_pk = required(settings_of(payment.company_id), "transfer_account")
        payment.counterpart_account_id = account_pk
        payment.partner = None
        payment.bank_account = None
    update_rows(Payment, payments, ("counterpart_account", "partner", "bank_account"))
    halves = service_for(Payment).create(
        [_other_half(payment, journal, amount) for payment in payments], actor=actor
    )
    for payment, half in zip(payments, halves, strict=True):
        payment.paired_payment, half.paired_payment = half, payment
    update_rows(Payment, [*payments, *halves], ("paired_payment",))
    confirm([*payments, *halves], actor=actor)
    _match_halves(payments, halves, actor)
    return [half.pk for half in halves]


def _other_half(payment: Payment, journal: Journal, amount: Decimal | None) -> Values:
    foreign = journal.currency_id is not None and journal.currency_id != payment.currency_id
    if foreign and amount is None:
        raise ValidationFailed(
            fields={"amount": [_("The other account has another currency: say what it gets.")]}
        )
    direction = OPPOSITE[Direction(payment.direction)]
    return {
        "company": payment.company_id,
        "direction": direction,
        "partner_side": payment.partner_side,
        "amount": amount if foreign else payment.amount,
        "currency": journal.currency_id if foreign else payment.currency_id,
        "date": payment.date,
        "journal": journal,
        "counterpart_account": payment.counterpart_account_id,
        "memo": payment.memo,
    }


def _match_halves(payments: Sequence[Payment], halves: Sequence[Payment], actor: Actor) -> None:
    groups = []
    for payment, half in zip(payments, halves, strict=True):
        if payment.journal_entry is None or half.journal_entry is None:
            continue
        rows = [
            *payment.journal_entry.items.filter(account=payment.counterpart_account_id).values_list(
                "pk", flat=True
            ),
            *half.journal_entry.items.filter(account=payment.counterpart_account_id).values_list(
                "pk", flat=True
            ),
        ]
        groups.append(rows)
    if groups:
        reconcile_groups(groups, actor=actor)
