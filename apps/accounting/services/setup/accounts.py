"""Writing accounts and their groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.constants import PARTNER_TYPES, AccountType, JournalType
from apps.accounting.errors import AccountInUse
from apps.accounting.models import Account, AccountGroup, AccountingSettings, Journal, JournalItem
from apps.accounting.services.setup.settings import ACCOUNT_ROLES
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service


def forced_reconcile(type_: str) -> bool | None:
    """Whether items of accounts of a type are matched, where the type decides."""
    if type_ in PARTNER_TYPES:
        return True
    return False if type_ == AccountType.OFF_BALANCE else None


def trees_of(company_pks: Iterable[int], *, lock: bool = False) -> dict[int, frozenset[int]]:
    """Companies with all others of their tree: they share one chart. With ``lock``, whoever writes the same tree's chart
    waits; posting does not. One or two queries."""
    parents = dict(Company.objects.values_list("pk", "parent_id"))

    def root(pk: int) -> int:
        while (above := parents[pk]) is not None:
            pk = above
        return pk

    roots = {pk: root(pk) for pk in parents}
    wanted = {pk: roots[pk] for pk in company_pks}
    if lock:
        rows = Company.objects.filter(pk__in=set(wanted.values())).order_by("pk")
        list(rows.select_for_update(no_key=True, of=("self",)).values_list("pk"))
    return {pk: frozenset(p for p, r in roots.items() if r == top) for pk, top in wanted.items()}


@service(Account)
class AccountService(RecordService[Account]):
    """The one writer of accounts."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            if isinstance(row.get("code"), str):
                row["code"] = row["code"].strip()
            forced = forced_reconcile(row.get("type", ""))
            if forced is not None and row.get("reconcile") is None:
                row["reconcile"] = forced

    def prepare_update(self, records: Sequence[Account], values: Values, actor: Actor) -> None:
        if isinstance(values.get("code"), str):
            values["code"] = values["code"].strip()
        if "company" in values and any(r.company_id != pk_of(values["company"]) for r in records):
            raise ValidationFailed(fields={"company": [_("An account stays in its company.")]})
        if "type" in values:
            self._check_type_change(records, str(values["type"]))
            forced = forced_reconcile(str(values["type"]))
            if forced is not None:
                values["reconcile"] = forced
        if values.get("currency") is not None:
            self._check_currency_change(records, pk_of(values["currency"]))
        if values.get("deprecated"):
            self._check_not_needed(records)

    def _check_type_change(self, records: Sequence[Account], new: str) -> None:
        moved = [r for r in records if r.type != new]
        if not moved:
            return
        # Balances by partner are kept for receivables and payables, and off balance has a double entry of its own.
        kinds = (*PARTNER_TYPES, AccountType.OFF_BALANCE)
        crossing = [r for r in moved if r.type in kinds or new in kinds]
        used = _with_items([r.pk for r in crossing])
        for account in crossing:
            if account.pk in used:
                raise ValidationFailed(
                    fields={
                        "type": [
                            _("Account %(code)s has items; make a new account of the wanted type instead.")
                            % {"code": account.code}
                        ]
                    }
                )
        journals = Journal.objects.filter(default_account__in=moved).select_related("default_account")
        for journal in journals:
            trade = journal.type in (JournalType.SALE, JournalType.PURCHASE)
            if (trade and new in PARTNER_TYPES) or (not trade and journal.type != JournalType.GENERAL):
                raise ValidationFailed(
                    fields={
                        "type": [
                            _("Journal %(journal)s uses account %(code)s; give it another account first.")
                            % {"journal": journal.name, "code": journal.default_account.code}  # type: ignore[union-attr]
                        ]
                    }
                )

    def _check_currency_change(self, records: Sequence[Account], currency_pk: int) -> None:
        other = (
            JournalItem.objects.filter(account__in=records)
            .exclude(currency=currency_pk)
            .values_list("account__code", flat=True)
            .first()
        )
        if other is not None:
            raise ValidationFailed(
                fields={"currency": [_("Account %(code)s has items in other currencies.") % {"code": other}]}
            )

    def _check_not_needed(self, records: Sequence[Account]) -> None:
        pks = {r.pk for r in records}
        journal = Journal.objects.filter(
            Q(default_account__in=pks) | Q(suspense_account__in=pks), active=True
        ).first()
        if journal is not None:
            raise ValidationFailed(
                fields={
                    "deprecated": [
                        _("Journal %(journal)s uses the account; give it another one first.")
                        % {"journal": journal.name}
                    ]
                }
            )
        named = Q(pk__in=())
        for name in ACCOUNT_ROLES:
            named |= Q(**{f"{name}__in": pks})
        row = AccountingSettings.objects.filter(named).first()
        if row is not None:
            title = next(
                AccountingSettings._meta.get_field(name).verbose_name  # type: ignore[union-attr]
                for name in ACCOUNT_ROLES
                if getattr(row, f"{name}_id") in pks
            )
            raise ValidationFailed(
                fields={
                    "deprecated": [
                        _("The settings use the account as “%(setting)s”; choose another one there first.")
                        % {"setting": title}
                    ]
                }
            )

    def validate(self, records: Sequence[Account], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        for account in records:
            forced = forced_reconcile(account.type)
            if forced is not None and account.reconcile is not forced:
                errors["reconcile"] = [
                    _("Items of receivables and payables are always matched.")
                    if forced
                    else _("Items off balance are never matched.")
                ]
        if errors:
            raise ValidationFailed(fields=errors)
        self._check_tree(records)

    def _check_tree(self, records: Sequence[Account]) -> None:
        """Branches use the accounts of their parents, so a code names one account of the whole tree."""
        trees = trees_of({account.company_id for account in records})
        shared = [account for account in records if len(trees[account.company_id]) > 1]
        if not shared:
            return
        trees_of({account.company_id for account in shared}, lock=True)
        companies = frozenset().union(*(trees[account.company_id] for account in shared))
        held = Account.objects.filter(company__in=companies).filter(
            Q(code__in=[account.code for account in shared]) | Q(type=AccountType.EQUITY_UNAFFECTED)
        )
        for other in held:
            for account in shared:
                if other.pk == account.pk or other.company_id not in trees[account.company_id]:
                    continue
                if other.code == account.code:
                    raise ValidationFailed(
                        fields={"code": [_("There is an account with this code already.")]}, code="duplicate"
                    )
                if account.type == other.type == AccountType.EQUITY_UNAFFECTED:
                    text = _("A company has one account of type “current year earnings” only.")
                    raise ValidationFailed(fields={"type": [text]}, code="duplicate")

    def after_create(self, records: Sequence[Account], rows: Sequence[Values], actor: Actor) -> None:
        _check_default_taxes(records)

    def after_update(
        self,
        records: Sequence[Account],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if {"type", "taxes"} & set(values):
            _check_default_taxes(records)

    def before_delete(self, records: Sequence[Account], actor: Actor) -> None:
        used = _with_items([account.pk for account in records])
        for account in records:
            if account.pk in used:
                raise AccountInUse(
                    _("Account %(code)s has items and stays. Mark it as deprecated instead.")
                    % {"code": account.code}
                )


def _with_items(pks: Sequence[int]) -> set[int]:
    """Those of the accounts that have items, drafts included."""
    if not pks:
        return set()
    items = JournalItem.objects.filter(account=OuterRef("pk")).order_by()
    return set(Account.objects.filter(Exists(items), pk__in=pks).values_list("pk", flat=True))


def _check_default_taxes(records: Sequence[Account]) -> None:
    through = Account.taxes.through
    pks = [account.pk for account in records if account.type == AccountType.OFF_BALANCE]
    if pks and through.objects.filter(account__in=pks).exists():
        raise ValidationFailed(fields={"taxes": [_("Accounts off balance have no taxes.")]})
    homes = {account.pk: account.company_id for account in records}
    trees = trees_of(set(homes.values()))
    links = through.objects.filter(account__in=list(homes)).values_list("account_id", "tax__company_id")
    if any(tax_company not in trees[homes[account]] for account, tax_company in links):
        raise ValidationFailed(
            fields={"taxes": [_("A tax belongs to another company.")]}, code="company_mismatch"
        )


@service(AccountGroup)
class AccountGroupService(RecordService[AccountGroup]):
    """The one writer of the headings of a chart."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            if not row.get("code_prefix_end"):
                row["code_prefix_end"] = row.get("code_prefix_start", "")

    def validate(self, records: Sequence[AccountGroup], actor: Actor) -> None:
        for group in records:
            if len(group.code_prefix_start) != len(group.code_prefix_end):
                raise ValidationFailed(
                    fields={"code_prefix_end": [_("Both prefixes of a group have the same length.")]}
                )
        trees = trees_of({group.company_id for group in records}, lock=True)
        companies = frozenset().union(*trees.values()) if trees else frozenset()
        mine = {group.pk for group in records} - {None}
        held = list(AccountGroup.objects.filter(company__in=companies).exclude(pk__in=mine))
        for number, group in enumerate(records):
            for other in (*held, *records[:number]):
                if other.company_id in trees[group.company_id] and _overlap(group, other):
                    raise ValidationFailed(
                        fields={
                            "code_prefix_start": [
                                _("The range overlaps that of group %(other)s.") % {"other": other}
                            ]
                        }
                    )


def _overlap(one: AccountGroup, other: AccountGroup) -> bool:
    return (
        len(one.code_prefix_start) == len(other.code_prefix_start)
        and one.code_prefix_start <= other.code_prefix_end
        and other.code_prefix_start <= one.code_prefix_end
    )
