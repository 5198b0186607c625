"""Writing journals and the ways to pay through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.accounting.constants import (
    BANK_LIKE,
    PARTNER_TYPES,
    AccountType,
    Direction,
    EntryState,
    JournalType,
    PaymentStatus,
)
from apps.accounting.errors import AccountInUse
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Invoice,
    Journal,
    JournalChain,
    JournalEntry,
    LedgerGroup,
    NumberSeries,
    Payment,
    PaymentMethodLine,
    StatementLine,
)
from apps.accounting.selectors.setup import company_line_of, next_free_code, settings_of_many
from apps.accounting.services.setup.accounts import trees_of
from apps.accounting.services.setup.parts import OwnerService, PartList, PartService
from apps.contacts.models import BankAccount
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import check_company, pk_of
from apps.core.records import RecordService, Values, service

TRADE = frozenset({JournalType.SALE, JournalType.PURCHASE})
# What short codes of new journals begin with.
CODES = {
    JournalType.SALE: "INV",
    JournalType.PURCHASE: "BILL",
    JournalType.CASH: "CSH",
    JournalType.BANK: "BNK",
    JournalType.CREDIT: "CARD",
    JournalType.GENERAL: "MISC",
}
LIQUIDITY = {
    JournalType.CASH: AccountType.ASSET_CASH,
    JournalType.BANK: AccountType.ASSET_CASH,
    JournalType.CREDIT: AccountType.LIABILITY_CREDIT_CARD,
}


@service(Journal)
class JournalService(OwnerService[Journal]):
    """The one writer of journals. A bank-like journal that names no account gets one of its own, numbered by the prefix in
    the settings, and ways to receive and send money by hand through the outstanding accounts."""

    parts = {
        "payment_methods": PartList(
            PaymentMethodLine,
            "journal",
            (
                "direction",
                "code",
                "name",
                "outstanding_account",
                "sequence",
                "next_check_number",
                "check_layout",
                "check_preprinted",
                "check_overflow",
                "active",
            ),
        )
    }

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        types = set(JournalType.values)
        companies = {pk_of(row.get("company")) for row in rows} - {None}
        settings = settings_of_many(companies)
        codes = _codes(companies) if any(not row.get("code") for row in rows) else {}
        for row in rows:
            type_ = row.get("type")
            company = pk_of(row.get("company"))
            if type_ not in types or company is None:
                continue  # the fields' own validation refuses it
            row.setdefault("refund_series", type_ in TRADE)
            row.setdefault("payment_series", type_ in BANK_LIKE)
            if not row.get("code"):
                row["code"] = _free_code(CODES[JournalType(type_)], codes.setdefault(company, set()))
            if type_ in BANK_LIKE:
                self._bank_defaults(row, JournalType(type_), settings[company], actor)

    def _bank_defaults(
        self, row: Values, type_: JournalType, settings: AccountingSettings, actor: Actor
    ) -> None:
        row.setdefault("suspense_account", settings.suspense_account_id)
        if (
            type_ == JournalType.CASH
            and row.get("profit_account") is None
            and row.get("loss_account") is None
        ):
            sister = Journal.objects.filter(
                company__in=company_line_of(settings), type=type_, profit_account__isnull=False
            ).first()
            if sister is not None:
                row["profit_account"], row["loss_account"] = sister.profit_account_id, sister.loss_account_id
        if row.get("default_account") is None:
            row["default_account"] = _liquidity_account(row, type_, settings, actor)

    def prepare_update(self, records: Sequence[Journal], values: Values, actor: Actor) -> None:
        if "company" in values and any(r.company_id != pk_of(values["company"]) for r in records):
            raise ValidationFailed(fields={"company": [_("A journal stays in its company.")]})
        if "type" in values:
            moved = [r for r in records if r.type != values["type"]]
            used = JournalEntry.objects.filter(journal__in=moved).select_related("journal").first()
            if used is not None:
                text = _("Journal %(journal)s has entries: its type is fixed.") % {
                    "journal": used.journal.name
                }
                raise ValidationFailed(fields={"type": [text]})
        if values.get("active") is False:
            self._check_archive([r for r in records if r.active])

    def _check_archive(self, records: Sequence[Journal]) -> None:
        drafts: list[tuple[Any, Q, str]] = [
            (JournalEntry, Q(state=EntryState.DRAFT), _("draft entries")),
            (Invoice, Q(state=EntryState.DRAFT), _("draft documents")),
            (Payment, Q(state=PaymentStatus.DRAFT), _("draft payments")),
        ]
        for model, condition, words in drafts:
            held = (
                model._base_manager.filter(condition, journal__in=records).select_related("journal").first()
            )
            if held is not None:
                raise ValidationFailed(
                    fields={
                        "active": [
                            _("Journal %(journal)s has %(drafts)s; post or delete them first.")
                            % {"journal": held.journal.name, "drafts": words}
                        ]
                    }
                )
        settings = AccountingSettings.objects.filter(
            Q(exchange_journal__in=records) | Q(cash_basis_journal__in=records)
        ).first()
        if settings is not None:
            raise ValidationFailed(
                fields={"active": [_("The settings use the journal; choose another one there first.")]}
            )

    def validate(self, records: Sequence[Journal], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        pks = {r.default_account_id for r in records} - {None}
        accounts = Account.objects.in_bulk(pks)
        own_currency = {pk: row.company.currency_id for pk, row in _settings(records).items()}
        for journal in records:
            account = accounts.get(journal.default_account_id)
            if account is not None:
                _check_default_account(journal, account, own_currency[journal.company_id], errors)
            elif journal.type in BANK_LIKE:
                errors["default_account"] = [_("Name the account of the bank, card or cash box.")]
        _check_one_journal_an_account(records, accounts, errors)
        _check_bank_accounts(records, errors)
        if errors:
            raise ValidationFailed(fields=errors)

    def default_parts(self, record: Journal, name: str) -> list[Values]:
        if record.type not in BANK_LIKE:
            return []
        settings = settings_of_many([record.company_id])[record.company_id]
        return [
            {
                "direction": Direction.INBOUND,
                "name": _("Manual"),
                "outstanding_account": settings.outstanding_receipts_account_id,
                "sequence": 1,
            },
            {
                "direction": Direction.OUTBOUND,
                "name": _("Manual"),
                "outstanding_account": settings.outstanding_payments_account_id,
                "sequence": 2,
            },
        ]

    def check_parts(self, records: Sequence[Journal], actor: Actor) -> None:
        check_methods(
            PaymentMethodLine.objects.filter(journal__in=records).select_related(
                "journal", "outstanding_account"
            )
        )

    def after_create(self, records: Sequence[Journal], rows: Sequence[Values], actor: Actor) -> None:
        JournalChain.objects.bulk_create(JournalChain(journal=journal) for journal in records)

    def after_update(
        self,
        records: Sequence[Journal],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if "currency" in values or "default_account" in values:
            check_company(records, fields={"default_account"})

    def before_delete(self, records: Sequence[Journal], actor: Actor) -> None:
        for model, words in (
            (JournalEntry, _("entries")),
            (Invoice, _("documents")),
            (Payment, _("payments")),
            (StatementLine, _("statement lines")),
        ):
            held = model._base_manager.filter(journal__in=records).select_related("journal").first()
            if held is not None:
                raise AccountInUse(
                    _("Journal %(journal)s has %(what)s and stays. Archive it instead.")
                    % {"journal": held.journal.name, "what": words}
                )
        NumberSeries.objects.filter(journal__in=records).delete()


def _settings(records: Sequence[Journal]) -> dict[int, AccountingSettings]:
    return settings_of_many({journal.company_id for journal in records})


def _codes(company_pks: set[Any]) -> dict[int, set[str]]:
    held: dict[int, set[str]] = {}
    for company, code in Journal.objects.filter(company__in=company_pks).values_list("company_id", "code"):
        held.setdefault(company, set()).add(code)
    return held


def _free_code(stem: str, taken: set[str]) -> str:
    """The stem itself for the first, then with a number: BNK1, BNK2; five characters at most."""
    number = 1
    code = stem if stem not in ("BNK", "CSH") else f"{stem}1"
    while code in taken:
        number += 1
        code = f"{stem[: 5 - len(str(number))]}{number}"
    taken.add(code)
    return code


def _liquidity_account(
    row: Values, type_: JournalType, settings: AccountingSettings, actor: Actor
) -> int | None:
    """A new account for the journal, by the prefix of the settings. Nothing when there is no prefix."""
    prefix = settings.cash_prefix if type_ == JournalType.CASH else settings.bank_prefix
    if not prefix:
        raise ValidationFailed(
            fields={
                "default_account": [
                    _(
                        "Name the account, or set the prefix of bank and cash accounts under Accounting › Settings."
                    )
                ]
            }
        )
    company = pk_of(row["company"])
    tree = trees_of([company], lock=True)[company]
    code = next_free_code(tree, prefix, settings.code_digits)
    currency = pk_of(row.get("currency"))
    account = Account.objects.create(
        company_id=company,
        code=code,
        name=str(row.get("name") or code),
        type=LIQUIDITY[type_],
        currency_id=currency if currency != settings.company.currency_id else None,
        created_by_id=actor.user_pk,
        updated_by_id=actor.user_pk,
    )
    return account.pk


def _check_default_account(
    journal: Journal, account: Account, company_currency: int, errors: dict[str, list[str]]
) -> None:
    name = "default_account"
    wanted = LIQUIDITY.get(JournalType(journal.type))
    if wanted is not None and account.type != wanted:
        errors[name] = [
            _("A journal of this type needs an account of type “%(type)s”.") % {"type": wanted.label}
        ]
    elif journal.type in TRADE and account.type in (*PARTNER_TYPES, AccountType.OFF_BALANCE):
        errors[name] = [_("Choose an account of income or expenses.")]
    elif account.deprecated:
        errors[name] = [_("Account %(account)s is deprecated.") % {"account": account.code}]
    elif account.currency_id is not None and account.currency_id != (journal.currency_id or company_currency):
        errors[name] = [_("The account is kept in another currency than the journal.")]


def _check_one_journal_an_account(
    records: Sequence[Journal], accounts: Mapping[int, Account], errors: dict[str, list[str]]
) -> None:
    """A bank account's balance is that of one journal."""
    mine = {journal.default_account_id for journal in records if journal.type in BANK_LIKE} - {None}
    if not mine:
        return
    others = Journal.objects.filter(default_account__in=mine, type__in=BANK_LIKE).exclude(
        pk__in=[journal.pk for journal in records if journal.pk]
    )
    taken = {journal.default_account_id: journal for journal in others}
    seen: set[int] = set()
    for journal in records:
        pk = journal.default_account_id
        if journal.type not in BANK_LIKE or pk is None:
            continue
        if pk in taken or pk in seen:
            errors["default_account"] = [
                _("Account %(account)s belongs to another journal already.") % {"account": accounts[pk].code}
            ]
        seen.add(pk)


def _check_bank_accounts(records: Sequence[Journal], errors: dict[str, list[str]]) -> None:
    wanted = {pk for journal in records if (pk := journal.bank_account_id) is not None}
    owners = dict(BankAccount.objects.filter(pk__in=wanted).values_list("pk", "partner__represents_id"))
    for journal in records:
        if journal.bank_account_id is None:
            continue
        if journal.type not in (JournalType.BANK, JournalType.CREDIT):
            errors["bank_account"] = [_("Only journals of banks and cards have a bank account.")]
        elif owners.get(journal.bank_account_id) != journal.company_id:
            errors["bank_account"] = [_("Choose one of the company's own bank accounts.")]


# ------------------------------------------------------------------------------------------------------- ways to pay
@service(PaymentMethodLine)
class PaymentMethodLineService(RecordService[PaymentMethodLine]):
    """The one writer of ways to pay."""

    def prepare_update(self, records: Sequence[PaymentMethodLine], values: Values, actor: Actor) -> None:
        if "journal" in values and any(r.journal_id != pk_of(values["journal"]) for r in records):
            raise ValidationFailed(fields={"journal": [_("A payment method stays in its journal.")]})

    def validate(self, records: Sequence[PaymentMethodLine], actor: Actor) -> None:
        check_methods(records)


def check_methods(methods: Any) -> None:
    """Ways to pay belong to bank-like journals; what they hold until the bank says so can be matched."""
    for method in methods:
        if method.journal.type not in BANK_LIKE:
            raise ValidationFailed(
                fields={"journal": [_("Payments go through journals of banks, cards and cash only.")]}
            )
        account = method.outstanding_account
        if account is None:
            continue
        trees = trees_of([method.journal.company_id])
        if account.company_id not in trees[method.journal.company_id]:
            raise ValidationFailed(
                fields={"outstanding_account": [_("The account belongs to another company.")]},
                code="company_mismatch",
            )
        if account.pk != method.journal.default_account_id and not account.reconcile:
            raise ValidationFailed(
                fields={
                    "outstanding_account": [
                        _(
                            "Items of account %(account)s are not matched; switch that on at the account first."
                        )
                        % {"account": account.code}
                    ]
                }
            )


@service(LedgerGroup)
class LedgerGroupService(RecordService[LedgerGroup]):
    """The one writer of second views of the books."""

    def after_create(self, records: Sequence[LedgerGroup], rows: Sequence[Values], actor: Actor) -> None:
        _check_ledger_groups(records)

    def after_update(
        self,
        records: Sequence[LedgerGroup],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        _check_ledger_groups(records)


def _check_ledger_groups(records: Sequence[LedgerGroup]) -> None:
    trees = trees_of({group.company_id for group in records})
    through = LedgerGroup.excluded_journals.through
    links = through.objects.filter(ledgergroup__in=records).values_list(
        "ledgergroup__company_id", "journal__company_id"
    )
    if any(journal not in trees[group] for group, journal in links):
        raise ValidationFailed(
            fields={"excluded_journals": [_("A journal belongs to another company.")]},
            code="company_mismatch",
        )


@service(NumberSeries)
class NumberSeriesService(PartService[NumberSeries]):
    """Series are made and counted by postings; nobody writes them by hand."""
