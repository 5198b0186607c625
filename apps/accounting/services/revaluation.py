"""Unrealised exchange differences: open items in foreign currency at the rate of a day.

For every account, partner and currency the open foreign amounts are worth ``amount / rate`` on that day; the difference to what
the ledger carries is booked against the exchange accounts, and taken back the next day, so that the later payment finds
the items as they were. USD 700.00 carried at 636.36 is worth 666.67 at 1.05: 30.31 gained.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Q, Sum
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.constants import LIQUIDITY_TYPES, EntryOrigin, ItemKind
from apps.accounting.models import AccountingSettings, Journal, JournalItem, PartialMatch
from apps.accounting.selectors.setup import required, settings_of
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries, reverse_entries
from apps.contacts.selectors.rates import rates_on
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import Currency
from apps.core.money import decimals_of, round_money

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Revalued:
    """What one account holds of one partner in one currency: in it, as carried, and as it is worth."""

    account_pk: int
    partner_pk: int | None
    currency_pk: int
    amount_currency: Decimal
    carried: Decimal
    worth: Decimal

    @property
    def difference(self) -> Decimal:
        return self.worth - self.carried


def unrealised(company: Company, on: datetime.date) -> list[Revalued]:
    """Open foreign amounts as of a day with what they are worth, largest accounts first. Four statements.

    Matched accounts count what was open on the day: matchings of later dates are added back. Bank and cash accounts in a
    foreign currency count their whole balance. Errors: ``MissingRate``.
    """
    foreign = (
        JournalItem.objects.posted()
        .filter(company=company, date__lte=on)
        .exclude(currency=company.currency_id)
    )
    sums: dict[tuple[int, int | None, int], list[Decimal]] = {}
    keys = ("account_id", "partner_id", "currency_id")
    matched = foreign.filter(account__reconcile=True).values_list(*keys)
    for *key, carried, amount in matched.annotate(c=Sum("residual"), a=Sum("residual_currency")):
        sums[tuple(key)] = [carried, amount]  # type: ignore[index]
    cash = foreign.filter(account__reconcile=False, account__type__in=sorted(LIQUIDITY_TYPES))
    for account, currency, carried, amount in cash.values_list("account_id", "currency_id").annotate(
        c=Sum(F("debit") - F("credit")), a=Sum("amount_currency")
    ):
        sums[account, None, currency] = [carried, amount]
    later = PartialMatch.objects.filter(Q(date__gt=on), company=company)
    for side, sign, amount_name in (
        ("debit_item", 1, "debit_amount_currency"),
        ("credit_item", -1, "credit_amount_currency"),
    ):
        rows = (
            later.filter(**{f"{side}__date__lte": on})
            .exclude(**{f"{side}__currency": company.currency_id})
            .values_list(*(f"{side}__{key}" for key in keys))
            .annotate(c=Sum("amount"), a=Sum(amount_name))
        )
        for *key, carried, amount in rows:
            held = sums.setdefault(tuple(key), [ZERO, ZERO])  # type: ignore[arg-type]
            held[0] += sign * carried
            held[1] += sign * amount
    currencies = Currency.objects.in_bulk({currency for _a, _p, currency in sums})
    rates = rates_on(currencies.values(), on, company) if sums else {}
    found = [
        Revalued(
            account,
            partner,
            currency,
            amount,
            carried,
            round_money(amount / rates[currency], company.currency),
        )
        for (account, partner, currency), (carried, amount) in sums.items()
        if amount or carried
    ]
    return sorted(found, key=lambda row: (row.account_pk, row.partner_pk or 0, row.currency_pk))


@action(AccountingSettings, permission="close", title=_("Revalue foreign currency"), bulk=False)
def revalue(
    settings: Sequence[AccountingSettings],
    *,
    actor: Actor,
    date: datetime.date,
    journal: Journal | None = None,
) -> dict[str, object]:
    """Book the unrealised differences of a day and take them back the next.

    Answers the two entries and the net difference. Errors: a missing rate, exchange accounts that are not set, a locked date.
    """
    row = settings[0]
    effective = settings_of(row.company_id)
    company = effective.company
    differences = [found for found in unrealised(company, date) if found.difference]
    if not differences:
        raise ValidationFailed(
            _("Nothing in foreign currency is open on that day, or its value did not change.")
        )
    book = journal or Journal.objects.get(pk=required(effective, "exchange_journal"))
    gain, loss = required(effective, "exchange_gain_account"), required(effective, "exchange_loss_account")
    items: list[ItemSpec] = []
    for found in differences:
        label = _("Revaluation to %(rate_date)s") % {"rate_date": date.isoformat()}
        items.append(
            ItemSpec(
                found.account_pk,
                found.difference,
                found.currency_pk,
                ZERO,
                partner_pk=found.partner_pk,
                name=label,
                kind=ItemKind.PRODUCT.value,
            )
        )
        items.append(
            ItemSpec(
                gain if found.difference > 0 else loss,
                -found.difference,
                company.currency_id,
                -found.difference,
                name=label,
            )
        )
    entry = post_entries(
        [
            EntrySpec(
                journal=book,
                date=date,
                items=items,
                company_pk=company.pk,
                currency_pk=company.currency_id,
                origin=EntryOrigin.REVALUATION.value,
                reference=_("Unrealised exchange differences %(date)s") % {"date": date.isoformat()},
            )
        ],
        actor=actor,
    )[0]
    back = reverse_entries(
        [entry],
        actor=actor,
        dates=date + datetime.timedelta(days=1),
        origin=EntryOrigin.REVALUATION.value,
        match=True,
    )[0]
    places = decimals_of(company.currency.rounding)
    return {
        "entry": entry.pk,
        "reversal": back.pk,
        "difference": f"{sum((found.difference for found in differences), ZERO):.{places}f}",
        "accounts": len({found.account_pk for found in differences}),
    }
