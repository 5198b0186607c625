"""Opening balances: where a company's books begin, by account and, where they are known, by open item of a partner."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import Company
from apps.accounting.constants import PARTNER_TYPES, AccountType, EntryOrigin, JournalType
from apps.accounting.models import Account, AccountingSettings, Journal, JournalEntry, JournalItem
from apps.accounting.selectors.setup import default_journal, line_of, settings_of
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries, reverse_entries
from apps.contacts.models import Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models import Currency
from apps.core.money import exact, is_rounded
from apps.core.rules import visible

ZERO = Decimal(0)
#: What an open item of the opening may say.
KNOWN = {"account", "amount", "partner", "label", "date_maturity", "currency", "amount_currency"}


def unaffected_account(company_pk: int) -> Account:
    """The account that takes what opening balances leave."""
    found = Account.objects.filter(
        company__in=line_of([company_pk]), type=AccountType.EQUITY_UNAFFECTED
    ).first()
    if found is None:
        raise ValidationFailed(
            _(
                "Make an account of the type “current year earnings” first: what opening balances leave goes there."
            )
        )
    return found


def _amount(value: Any, currency: Currency, where: str) -> Decimal:
    try:
        amount = exact(Decimal(str(value)))
    except (ArithmeticError, ValueError, TypeError) as exc:
        raise ValidationFailed(fields={where: [_("Send an amount such as 1250.00.")]}) from exc
    if not is_rounded(amount, currency):
        raise ValidationFailed(
            fields={where: [_("The amount is finer than %(currency)s.") % {"currency": currency.code}]}
        )
    return amount


@action(AccountingSettings, permission="close", title=gettext_lazy("Set opening balances"), bulk=False)
def set_opening_balances(
    settings: Sequence[AccountingSettings],
    *,
    actor: Actor,
    date: datetime.date,
    balances: dict,  # type: ignore[type-arg]
    items: list[dict] | None = None,  # type: ignore[type-arg]
    journal: Journal | None = None,
) -> int:
    """The balances with which the books begin, as ``{account id: signed amount}`` (debit positive), in company currency.

    ``items`` are rows of their own beside them: {"account": id, "amount": "-250.00", "partner": id, "label": "Invoice 2025-17",
    "date_maturity": "2026-01-15", "currency": id, "amount_currency": "-300.00"}; open items of partners are matched later like
    any other. One opening entry holds all of them; what they leave goes to *current year earnings*. Setting them again
    reverses the earlier entry and posts a new one, as long as nothing locks its date or settled its items. Answers the
    entry's id, 0 when nothing is left of it.
    """
    row = settings[0]
    effective = settings_of(row.company_id)
    company = effective.company
    specs = [*_of_balances(balances, company), *_of_items(items or [], company, actor)]
    unaffected = unaffected_account(company.pk)
    currency = company.currency_id
    rest = -sum((spec.balance for spec in specs), ZERO)
    if rest:
        specs.append(ItemSpec(unaffected.pk, rest, currency, rest, name=_("Opening balance")))
    if row.opening_entry is not None:
        _check_unsettled(row.opening_entry)
        reverse_entries([row.opening_entry], actor=actor, dates=row.opening_entry.date, match=True)
    if not specs:
        row.opening_entry = None
        row.save(update_fields=["opening_entry"])
        return 0
    entry = post_entries(
        [
            EntrySpec(
                journal=journal or default_journal(effective, JournalType.GENERAL),
                date=date,
                items=specs,
                company_pk=company.pk,
                currency_pk=currency,
                origin=EntryOrigin.OPENING.value,
                reference=_("Opening balances"),
            )
        ],
        actor=actor,
    )[0]
    row.opening_entry = entry
    row.save(update_fields=["opening_entry"])
    return entry.pk


def _of_balances(balances: Mapping[str, Any], company: Company) -> list[ItemSpec]:
    wanted: dict[int, Decimal] = {}
    for key, value in balances.items():
        if not str(key).isdigit():
            raise ValidationFailed(fields={"balances": [_("Name accounts by their id.")]})
        amount = _amount(value, company.currency, f"balances.{key}")
        if amount:
            wanted[int(key)] = amount
    accounts = _accounts(wanted, company)
    unknown = sorted(set(wanted) - set(accounts))
    if unknown:
        raise ValidationFailed(fields={f"balances.{pk}": [_("There is no such account.")] for pk in unknown})
    currency = company.currency_id
    return [
        ItemSpec(pk, amount, currency, amount, name=_("Opening balance"))
        for pk, amount in sorted(wanted.items(), key=lambda item: accounts[item[0]].code)
    ]


def _accounts(pks: Any, company: Company) -> dict[int, Account]:
    return Account.objects.filter(company__in=line_of([company.pk])).in_bulk(pks) if pks else {}


def _of_items(rows: Sequence[Mapping[str, Any]], company: Company, actor: Actor) -> list[ItemSpec]:
    """Rows as items of the entry; three statements for any number of them. Errors are named ``items.<place>.<field>``."""
    accounts = _accounts(_keys(rows, "account"), company)
    partners = visible(Partner, actor).in_bulk(_keys(rows, "partner"))
    currencies = Currency.objects.filter(active=True).in_bulk(_keys(rows, "currency"))
    specs, errors = [], {}
    for place, row in enumerate(rows):
        try:
            spec = _item(row, accounts, partners, currencies, company)
        except ValidationFailed as exc:
            errors.update({f"items.{place}.{name}": texts for name, texts in exc.fields.items()})
            continue
        if spec.balance or spec.amount_currency:
            specs.append(spec)
    if errors:
        raise ValidationFailed(fields=errors)
    return specs


def _keys(rows: Sequence[Mapping[str, Any]], name: str) -> set[int]:
    return {row[name] for row in rows if isinstance(row.get(name), int) and 0 < row[name] < 2**63}


def _item(
    row: Mapping[str, Any],
    accounts: Mapping[int, Account],
    partners: Mapping[int, Partner],
    currencies: Mapping[int, Currency],
    company: Company,
) -> ItemSpec:
    if unknown := sorted(set(row) - KNOWN):
        raise ValidationFailed(fields={name: [_("There is no such field.")] for name in unknown})
    account = accounts.get(row.get("account", 0))
    if account is None:
        raise ValidationFailed(fields={"account": [_("There is no such account.")]})
    partner = partners.get(row.get("partner") or 0)
    if row.get("partner") and partner is None:
        raise ValidationFailed(fields={"partner": [_("There is no such partner, or you cannot see it.")]})
    if account.type in PARTNER_TYPES and row.get("date_maturity") and partner is None:
        raise ValidationFailed(fields={"partner": [_("Say whose item it is.")]})
    amount = _amount(row.get("amount"), company.currency, "amount")
    currency, own = company.currency, amount
    if row.get("currency") and row["currency"] != company.currency_id:
        found = currencies.get(row["currency"])
        if found is None:
            raise ValidationFailed(fields={"currency": [_("There is no such currency in use.")]})
        currency, own = found, _amount(row.get("amount_currency"), found, "amount_currency")
        if own * amount < 0:
            raise ValidationFailed(fields={"amount_currency": [_("Both amounts are of the same side.")]})
    return ItemSpec(
        account.pk,
        amount,
        currency.pk,
        own,
        partner_pk=(partner.commercial_entity_id or partner.pk) if partner is not None else None,
        name=str(row.get("label") or "")[:500] or _("Opening balance"),
        date_maturity=_day(row.get("date_maturity")),
    )


def _day(value: Any) -> datetime.date | None:
    if value in (None, ""):
        return None
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError as exc:
        raise ValidationFailed(fields={"date_maturity": [_("Send a day such as 2026-01-31.")]}) from exc


def _check_unsettled(entry: JournalEntry) -> None:
    """An opening entry of which something was settled stays: undo the matching first."""
    for item in JournalItem.objects.filter(entry=entry, account__reconcile=True).select_related("account"):
        if (item.residual, item.residual_currency) != (item.balance, item.amount_currency):
            raise Conflict(
                _(
                    "“%(item)s” on %(account)s of the opening entry was settled, at least in part; undo that first."
                )
                % {"item": item.name, "account": item.account},
                code="settled",
            )
