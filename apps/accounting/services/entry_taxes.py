"""Taxes of entries made by hand: the tax items that follow from items with taxes.

The amount of an item is its base without tax, whatever the tax says about prices. A sales tax counts as an invoice on the credit
side and as a credit note on the debit side, a purchase tax the other way round; that chooses shares and boxes. A tax that is due
on payment is due at once here, as no payment will ever settle the entry; where one might, on a receivable or payable, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes import TaxError, TaxLine, TaxRow, TaxSpec, compute_document, flatten
from apps.accounting.constants import PARTNER_TYPES
from apps.accounting.models import Account, Tax
from apps.accounting.selectors.setup import settings_of_many, tax_specs
from apps.accounting.services.entry_parts import EntryItem, Problems
from apps.core.models import Currency
from apps.core.money import round_money

ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(slots=True)
class EntryTaxes:
    """What the tax items of the entries of one call need: read once, three queries at most, none without taxes."""

    accounts: Mapping[int, Account]
    currencies: Mapping[int, Currency]
    specs: dict[int, TaxSpec] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    roundings: dict[int, str] = field(default_factory=dict)

    def read(self, tax_pks: Iterable[int], company_pks: Iterable[int]) -> None:
        self.specs = tax_specs(tax_pks)
        named = {tax.pk for tax in flatten(list(self.specs.values()))}
        rows = Tax.objects.filter(pk__in=named).values_list("pk", "label", "name")
        self.labels = {pk: label or name for pk, label, name in rows}
        settings = settings_of_many(set(company_pks)) if named else {}
        self.roundings = {pk: row.tax_rounding for pk, row in settings.items()}

    def complete(
        self,
        company_pk: int,
        items: list[EntryItem],
        own: Currency,
        place: int,
        problems: Problems,
        wanted: bool | None,
    ) -> None:
        """Add the tax items to an entry, in place. ``wanted`` takes the place of those that are there; ``None`` adds them where
        the entry has none and does not balance without."""
        if wanted is False or not any(item.tax_pks and item.tax_pk is None for item in items):
            return
        if wanted:
            items[:] = [item for item in items if item.tax_pk is None]
        elif any(item.tax_pk is not None for item in items) or not _difference(items):
            return
        specs = self._specs_for(items, place, problems)
        if problems.fields:
            return
        for (refund, sign, currency_pk), members in self._groups(items, specs, place, problems).items():
            currency = self.currencies[currency_pk]
            try:
                totals = compute_document(
                    [_line(n, item, specs) for n, item in members],
                    step=currency.rounding,
                    rounding=self.roundings[company_pk],  # type: ignore[arg-type]
                    is_refund=refund,
                )
            except TaxError as exc:
                problems.add(place, f"items.{members[0][0]}.taxes", str(exc))
                continue
            bases = [item for _n, item in members]
            items += [self._item(row, bases, sign, currency, own) for row in totals.rows if row.amount]

    def _specs_for(self, items: Sequence[EntryItem], place: int, problems: Problems) -> Mapping[int, TaxSpec]:
        """The taxes of an entry, all of them due at once."""
        settled_later = any(self.accounts[item.account_pk].type in PARTNER_TYPES for item in items)
        due: dict[int, TaxSpec] = {}
        for n, item in enumerate(items):
            for pk in item.tax_pks:
                tax = self.specs[pk]
                late = [part for part in flatten([tax]) if part.on_payment]
                if late and settled_later:
                    text = _("Tax %(name)s is due with the payment: make an invoice or a bill of it.")
                    problems.add(place, f"items.{n}.taxes", text % {"name": late[0].name})
                due[pk] = _due_at_once(tax) if late else tax
        return due

    def _groups(
        self, items: Sequence[EntryItem], specs: Mapping[int, TaxSpec], place: int, problems: Problems
    ) -> dict[tuple[bool, int, int], list[tuple[int, EntryItem]]]:
        """Items that are computed together: by the side of the return that they are on, their sign and currency."""
        groups: dict[tuple[bool, int, int], list[tuple[int, EntryItem]]] = {}
        for n, item in enumerate(items):
            if not item.tax_pks or not item.balance:
                continue
            uses = {tax.use for tax in flatten([specs[pk] for pk in item.tax_pks])} - {"none"}
            if len(uses) > 1:
                text = _("The taxes of an item are all for sales or all for purchases.")
                problems.add(place, f"items.{n}.taxes", text)
                continue
            debit = item.balance > 0
            refund = debit if "sale" in uses else not debit if "purchase" in uses else False
            assert item.currency_pk is not None
            groups.setdefault((refund, 1 if debit else -1, item.currency_pk), []).append((n, item))
            item.tag_pks = base_boxes(item, specs, refund)
            item.boxed = True
        return {} if problems.fields else groups

    def _item(
        self, row: TaxRow, bases: Sequence[EntryItem], sign: int, currency: Currency, own: Currency
    ) -> EntryItem:
        foreign = sum((abs(item.amount_currency or ZERO) for item in bases), ZERO)
        company = sum((abs(item.balance or ZERO) for item in bases), ZERO)
        same = currency.pk == own.pk or not foreign

        def booked(amount: Decimal) -> Decimal:
            return amount if same else round_money(amount * company / foreign, own)

        people = {item.partner_pk for item in bases}
        return EntryItem(
            account_pk=row.account_pk or bases[0].account_pk,
            name=self.labels.get(row.tax.pk, row.tax.name),
            partner_pk=people.pop() if len(people) == 1 else None,
            currency_pk=currency.pk,
            balance=sign * booked(row.amount),
            amount_currency=sign * row.amount,
            tax_pks=tuple(tax.pk for tax in row.base_of),
            tax_pk=row.tax.pk,
            repartition_pk=row.repartition.pk,
            tax_base_amount=sign * booked(row.base),
            tag_pks=tuple(sorted({*row.tag_pks, *row.base_tag_pks})),
            converted=not same,
            boxed=True,
        )


def _difference(items: Iterable[EntryItem]) -> Decimal:
    return sum((item.balance or ZERO for item in items), ZERO)


def _line(n: int, item: EntryItem, specs: Mapping[int, TaxSpec]) -> TaxLine:
    amount = abs(item.amount_currency or item.balance or ZERO)
    quantity = abs(item.quantity or ONE)
    price = amount / quantity
    if price * quantity != amount:
        quantity, price = ONE, amount
    taxes = tuple(specs[pk] for pk in item.tax_pks)
    return TaxLine(n, quantity, price, taxes=taxes, account_pk=item.account_pk, price_mode="excluded")


def _due_at_once(tax: TaxSpec) -> TaxSpec:
    return replace(tax, exigibility="invoice", children=tuple(_due_at_once(child) for child in tax.children))


def base_boxes(item: EntryItem, specs: Mapping[int, TaxSpec], refund: bool) -> tuple[int, ...]:
    """The boxes of an item as a base of its taxes."""
    tags: set[int] = set()
    for tax in flatten([specs[pk] for pk in item.tax_pks]):
        if not tax.on_payment:
            tags.update(tax.refund_base_tag_pks if refund else tax.invoice_base_tag_pks)
    return tuple(sorted(tags))
