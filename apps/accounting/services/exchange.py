"""Exchange differences: what a matching in a foreign currency leaves in the company's, booked as gain or loss.

An item whose foreign amount is settled at another rate than it was booked at keeps something in company currency. An entry
in the exchange journal takes it off the item's account, with nothing in the foreign currency, against the account of gains or
of losses; it is matched with the item at once. One entry a partial matching, so that undoing one takes back its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.accounting.compute.matching import ExchangeDifference
from apps.accounting.constants import EntryOrigin
from apps.accounting.models import AccountingSettings
from apps.accounting.selectors.payment_setup import Journals
from apps.accounting.selectors.setup import required
from apps.accounting.services.ledger import EntrySpec, ItemSpec
from apps.accounting.services.match_rows import Draft, Row


@dataclass(slots=True)
class SideEffects:
    """What is posted and matched together with the partial matchings of one call."""

    drafts: list[Draft] = field(default_factory=list)
    specs: list[EntrySpec] = field(default_factory=list)
    journals: Journals = field(default_factory=Journals)

    def add(self, spec: EntrySpec) -> int:
        self.specs.append(spec)
        return len(self.specs) - 1


def settle_differences(
    drafts: Sequence[Draft],
    differences: Sequence[ExchangeDifference],
    rows: Mapping[int, Row],
    settings: AccountingSettings,
    effects: SideEffects,
) -> None:
    """Add an entry and its matching for every difference; ``drafts`` are the partials they name by place."""
    for difference in differences:
        row = rows[difference.item_pk]
        place = effects.add(_entry(difference, row, settings, effects.journals))
        drafts[difference.partial].exchange = place
        counterpart = effects.specs[place].items[0]
        loss = difference.is_loss
        amount = abs(difference.amount)
        own = abs(difference.amount_currency)
        effects.drafts.append(
            Draft(
                debit=row if loss else counterpart,
                credit=counterpart if loss else row,
                company_pk=row.company_pk,
                amount=amount,
                debit_currency=own,
                credit_currency=own,
                date=difference.date,
            )
        )


def _entry(
    difference: ExchangeDifference, row: Row, settings: AccountingSettings, journals: Journals
) -> EntrySpec:
    account = required(settings, "exchange_loss_account" if difference.is_loss else "exchange_gain_account")
    label = _("Exchange difference of %(number)s") % {"number": row.entry_number}
    return EntrySpec(
        journal=journals.get(required(settings, "exchange_journal")),
        date=difference.date,
        company_pk=row.company_pk,
        currency_pk=row.currency_pk,
        origin=EntryOrigin.EXCHANGE.value,
        reference=label,
        partner_pk=row.partner_pk,
        caused_by_pk=row.entry_pk,
        items=[
            ItemSpec(
                row.account_pk,
                difference.amount,
                difference.currency_pk,
                difference.amount_currency,
                partner_pk=row.partner_pk,
                name=label,
            ),
            ItemSpec(
                account,
                -difference.amount,
                difference.currency_pk,
                -difference.amount_currency,
                partner_pk=row.partner_pk,
                name=label,
            ),
        ],
    )
