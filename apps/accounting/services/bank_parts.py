"""What a bank line is divided into: how much of it every open item, write-off and rest takes, in both currencies.

A line is explained in the currency of its suspense item: the foreign currency of the line when it has one, else the journal's.
Amounts are signed like the line: on money received, an invoice takes a positive part and a fee a negative one; together they
make the line. An item in another currency takes what it is worth on the day: the rate of the money prevails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes import TaxLine, TaxSpec, compute_document
from apps.accounting.constants import ItemKind
from apps.accounting.models import StatementLine
from apps.accounting.services.ledger import ItemSpec
from apps.accounting.services.match_rows import Row
from apps.core.errors import Conflict, ValidationFailed
from apps.core.money import round_to

ZERO = Decimal(0)
NO_AMOUNTS: Mapping[int, Decimal] = {}


@dataclass(slots=True)
class WriteOff:
    """A part of a line on an account of its own. ``amount`` is signed like the line and holds the taxes; ``None`` is all that
    the other parts leave."""

    account_pk: int
    amount: Decimal | None = None
    label: str = ""
    tax_pks: Sequence[int] = ()
    partner_pk: int | None = None


@dataclass(slots=True)
class Choice:
    """How a line is explained. ``amounts`` limits items (by key, without sign, in the currency of the line); the others
    take what they need, in their order, while something is left. What stays goes to ``rest_account_pk``, else to suspense."""

    line: StatementLine
    items: Sequence[int] = ()
    amounts: Mapping[int, Decimal] = field(default_factory=dict)
    payments: Sequence[int] = ()
    write_offs: Sequence[WriteOff] = ()
    partner_pk: int | None = None
    rest_to_partner: bool = False


@dataclass(slots=True)
class Part:
    """One counterpart: signed like the line. ``item_pk`` is the open item that it settles."""

    account_pk: int
    own: Decimal
    company: Decimal
    partner_pk: int | None = None
    name: str = ""
    item_pk: int | None = None
    spec: ItemSpec | None = None
    taxes: Sequence[ItemSpec] = ()
    write_off: WriteOff | None = None


@dataclass(slots=True)
class Bundle:
    """The parts that go into one entry; ``payment_pk`` is the promise that it keeps."""

    parts: list[Part] = field(default_factory=list)
    payment_pk: int | None = None

    @property
    def own(self) -> Decimal:
        return sum((part.own for part in self.parts), ZERO)

    @property
    def company(self) -> Decimal:
        return sum((part.company for part in self.parts), ZERO)


class Division:
    """One line being divided. ``suspense`` is its locked suspense item; ``rates`` are units of other currencies for one of
    the company's on the day."""

    def __init__(self, line: StatementLine, suspense: Row, rates: Mapping[int, Decimal]) -> None:
        self.line, self.suspense, self.rates = line, suspense, rates
        self.own, self.company = -suspense.left_currency, -suspense.left
        self.left = self.own
        self.bundles: list[Bundle] = []
        if not self.own or not self.company:
            raise Conflict(_("“%(line)s” is reconciled already.") % {"line": line}, code="settled")

    def company_of(self, own: Decimal) -> Decimal:
        """An amount of the line's currency in the company's, at the rate that the line was booked at."""
        if own == self.own:
            return self.company
        return round_to(own * self.company / self.own, self.suspense.company_step)

    def own_of(self, company: Decimal) -> Decimal:
        if company == self.company:
            return self.own
        return round_to(company * self.own / self.company, self.suspense.step)

    def need(self, row: Row) -> tuple[Decimal, Decimal]:
        """What settles an item whole: (currency of the line, company)."""
        if row.currency_pk == self.suspense.currency_pk and row.left_currency:
            return row.left_currency, self.company_of(row.left_currency)
        company = row.left
        rate = self.rates.get(row.currency_pk)
        if rate and row.left_currency and row.currency_pk != row.company_currency_pk:
            company = round_to(row.left_currency / rate, self.suspense.company_step)
        return self.own_of(company), company

    def add(self, bundle: Bundle, part: Part) -> None:
        bundle.parts.append(part)
        self.left -= part.own

    # -------------------------------------------------------------- the parts
    def take_items(
        self, bundle: Bundle, rows: Sequence[Row], amounts: Mapping[int, Decimal] = NO_AMOUNTS
    ) -> None:
        """Parts for open items: those with an amount, those against the line's direction whole, then the others in their
        order while something is left."""
        sign = 1 if self.own > 0 else -1
        given = [row for row in rows if row.pk in amounts]
        others = [row for row in rows if row.pk not in amounts]
        for row in given:
            self._take_given(bundle, row, amounts[row.pk])
        for row in [row for row in others if (row.left or row.left_currency) * sign < 0]:
            self._take(bundle, row, *self.need(row))
        for row in [row for row in others if (row.left or row.left_currency) * sign > 0]:
            own, company = self.need(row)
            if self.left * sign <= 0:
                raise ValidationFailed(
                    _("Nothing of “%(line)s” is left for %(item)s.")
                    % {"line": self.line, "item": row.entry_number},
                    code="nothing_left",
                )
            if abs(own) > abs(self.left):
                own = self.left
                company = self.company_of(own)
            self._take(bundle, row, own, company)

    def _take_given(self, bundle: Bundle, row: Row, amount: Decimal) -> None:
        own, company = self.need(row)
        if amount <= 0 or amount > abs(own):
            raise ValidationFailed(
                fields={
                    "amounts": [
                        _("%(item)s takes more than nothing and at most %(most)s.")
                        % {"item": row.entry_number, "most": abs(own)}
                    ]
                }
            )
        if amount != abs(own):
            own = amount if own > 0 else -amount
            company = self.company_of(own)
        self._take(bundle, row, own, company)

    def _take(self, bundle: Bundle, row: Row, own: Decimal, company: Decimal) -> None:
        self.add(bundle, Part(row.account_pk, own, company, row.partner_pk, item_pk=row.pk))

    def take_write_off(self, bundle: Bundle, wanted: WriteOff) -> None:
        own = self.left if wanted.amount is None else wanted.amount
        if not own:
            raise ValidationFailed(
                fields={"write_offs": [_("Nothing of the line is left for this account.")]}
            )
        if own != round_to(own, self.suspense.step):
            raise ValidationFailed(
                fields={"write_offs": [_("The amount is finer than the smallest coin of its currency.")]}
            )
        self.add(
            bundle,
            Part(
                wanted.account_pk,
                own,
                self.company_of(own),
                wanted.partner_pk,
                wanted.label,
                write_off=wanted,
            ),
        )

    # -------------------------------------------------------------- the entry
    def close(self, taxes: Mapping[int, TaxSpec]) -> None:
        """Check the whole and give the rounding of conversions to a part that may bear it."""
        self.bundles = [bundle for bundle in self.bundles if bundle.parts]
        if not self.bundles:
            raise ValidationFailed(_("Say what explains the line."), code="nothing_chosen")
        taken = self.own - self.left
        if not taken or (taken > 0) != (self.own > 0) or abs(taken) > abs(self.own):
            raise ValidationFailed(
                _("“%(line)s” is about %(line_amount)s; what was chosen makes %(amount)s.")
                % {"line": self.line, "line_amount": self.own, "amount": taken},
                code="more_than_line",
            )
        if not self.left:
            parts = [part for bundle in self.bundles for part in bundle.parts]
            bearer = next((part for part in reversed(parts) if part.item_pk is None), parts[-1])
            bearer.company += self.company - sum((part.company for part in parts), ZERO)
        for bundle in self.bundles:
            for part in bundle.parts:
                if part.write_off is not None and part.write_off.tax_pks:
                    self._split_taxes(part, [taxes[pk] for pk in part.write_off.tax_pks if pk in taxes])

    def items_of(self, bundle: Bundle, label: str) -> list[ItemSpec]:
        """The items of a bundle's entry: the suspense cleared, then the counterparts."""
        currency = self.suspense.currency_pk
        items = [ItemSpec(self.suspense.account_pk, bundle.company, currency, bundle.own, name=label)]
        for part in bundle.parts:
            taxed = sum((item.amount_currency for item in part.taxes), ZERO)
            taxed_company = sum((item.balance for item in part.taxes), ZERO)
            base = part.spec or ItemSpec(part.account_pk, ZERO, currency, ZERO)
            base.balance, base.amount_currency = -part.company - taxed_company, -part.own - taxed
            base.partner_pk, base.name = part.partner_pk, part.name or label
            part.spec = base
            items += [base, *part.taxes]
        return items

    def _split_taxes(self, part: Part, specs: Sequence[TaxSpec]) -> None:
        """Divide a write-off into its base and the taxes that it holds; both are due at once."""
        specs = [replace(spec, exigibility="invoice") for spec in specs]
        sale = specs[0].use == "sale"
        credited = part.own > 0
        totals = compute_document(
            [
                TaxLine(
                    "write_off",
                    Decimal(1),
                    abs(part.own),
                    taxes=tuple(specs),
                    account_pk=part.account_pk,
                    price_mode="included",
                )
            ],
            step=self.suspense.step,
            rounding="line",
            is_refund=sale != credited,
        )
        sign = -1 if credited else 1
        currency = self.suspense.currency_pk
        line = totals.lines[0]
        part.spec = ItemSpec(
            part.account_pk,
            ZERO,
            currency,
            ZERO,
            tax_pks=tuple(tax.tax.pk for tax in line.taxes),
            tag_pks=line.base_tag_pks,
        )
        part.taxes = [
            ItemSpec(
                row.account_pk or part.account_pk,
                self.company_of(sign * row.amount),
                currency,
                sign * row.amount,
                partner_pk=part.partner_pk,
                name=row.tax.name,
                kind=ItemKind.TAX.value,
                tax_pk=row.tax.pk,
                repartition_pk=row.repartition.pk,
                tax_base_amount=self.company_of(sign * row.base),
                tax_pks=tuple(tax.pk for tax in row.base_of),
                tag_pks=(*row.tag_pks, *row.base_tag_pks),
            )
            for row in totals.rows
            if row.amount
        ]
