"""What documents are computed and posted with: companies, settings, journals, taxes, terms, accounts, partners, rates.

A ``DocumentSetup`` is made for one call of a service and thrown away with it. It reads each kind of record once for all
documents of the call, so that the number of statements does not grow with them, and hands out plain values from then on. What
seldom changes comes from the memory of the process (``setup_memory``), which costs a statement when something did.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.db.models import Model, Q
from django.utils import timezone

from apps.access.models import Company
from apps.accounting.compute.taxes import TaxSpec
from apps.accounting.compute.terms import EarlyDiscount, TermLine
from apps.accounting.models import (
    Account,
    AccountingSettings,
    CashRounding,
    FiscalPosition,
    Journal,
    PartnerTerms,
    PaymentTerm,
    Tax,
)
from apps.accounting.selectors.partners import PositionMap, terms_of
from apps.accounting.selectors.setup import company_line_of
from apps.accounting.selectors.setup_memory import setup_memory
from apps.contacts.models import BankAccount, Partner
from apps.contacts.selectors.rates import rates_on_days
from apps.core.actor import Actor
from apps.core.models import Country, CountryState, Currency
from apps.core.rows import read_joined, read_rows, set_link
from apps.core.rules import company_filter, record_filter, rules_of

M = TypeVar("M", bound=Model)
_PARTNERS = ((Partner, "p"), (Country, "c"), (CountryState, "s"))
_PARTNERS_FROM = """
FROM contacts_partner p LEFT JOIN core_country c ON c.id = p.country_id LEFT JOIN core_countrystate s ON s.id = p.state_id
WHERE p.id = ANY (%s)
"""


@dataclass(slots=True)
class TermSpec:
    """Payment terms as the computation takes them."""

    row: PaymentTerm
    lines: list[TermLine]
    discount: EarlyDiscount | None

    @property
    def is_mixed(self) -> bool:
        return self.discount is not None and self.discount.treatment == PaymentTerm.DiscountMode.MIXED


class DocumentSetup:
    """Records by primary key, read on demand. ``load_…`` reads what is missing; attributes hold what was read.

    Records that the actor's own rules hide are left out, as if they did not exist. That a record's company fits a
    document's is for whoever checks the document: ``usable`` says so.
    """

    def __init__(self, actor: Actor, *, everything: bool = False) -> None:
        """``everything``: also what the actor may not see, for documents that name it already."""
        self.actor = actor
        self.memory = setup_memory()
        self._filtered = not (everything or actor.is_system)
        self.companies: dict[int, Company] = {}
        #: A company and its parents, nearest first.
        self.lines: dict[int, tuple[int, ...]] = {}
        self.settings: dict[int, AccountingSettings] = {}
        self.journals: dict[int, Journal] = {}
        self.currencies: dict[int, Currency] = {}
        self.partners: dict[int, Partner] = {}
        self.agreed: dict[int, dict[int, PartnerTerms]] = {}
        self.accounts: dict[int, Account] = {}
        self.taxes: dict[int, Tax] = {}
        self.terms: dict[int, TermSpec] = {}
        self.positions: dict[int, FiscalPosition] = {}
        self.maps: dict[int, PositionMap] = {}
        self.roundings: dict[int, CashRounding] = {}
        self.bank_accounts: dict[int, BankAccount] = {}
        self.bank_accounts_of: dict[int, list[BankAccount]] = {}
        self.own_bank_accounts: dict[int, list[BankAccount]] = {}
        self.rates: dict[tuple[int, int, datetime.date], Decimal] = {}
        self._specs: dict[tuple[str, int], TaxSpec] = {}
        self._combinations: dict[tuple[str, tuple[int, ...]], tuple[TaxSpec, ...]] = {}
        self._today: dict[int, datetime.date] = {}

    # ------------------------------------------------------------------------------------------------------- company
    def load_companies(self, pks: Iterable[int]) -> None:
        """Companies with their currency and the settings in force for them."""
        missing = set(pks) - set(self.companies)
        for pk, settings in self.memory.settings(missing).items():
            company = settings.company
            self.companies[pk] = company
            self.settings[pk] = settings
            self.lines[pk] = company_line_of(settings)
            self.currencies[company.currency_id] = company.currency

    def today(self, company_pk: int) -> datetime.date:
        """The day it is where the company is."""
        if company_pk not in self._today:
            zone = ZoneInfo(self.companies[company_pk].timezone or "UTC")
            self._today[company_pk] = timezone.localdate(timezone=zone)
        return self._today[company_pk]

    def usable(self, record: Any, company_pk: int) -> bool:
        """Whether a record may be linked from a document of the company: its own, a parent's, or nobody's."""
        return record.company_id is None or record.company_id in self.lines[company_pk]

    def load_journals(self, company_pks: Iterable[int]) -> None:
        """All journals for sales and purchases that the companies may use, with what they allow."""
        owners = {owner for pk in company_pks for owner in self.lines[pk]}
        for journal in self._allowed(self.memory.journals(owners)):
            self.journals[journal.pk] = journal

    def default_journal(self, company_pk: int, type_: str) -> Journal | None:
        """The first active journal of a type, the company's own before those of its parents."""
        line = self.lines[company_pk]
        fitting = [
            journal
            for journal in self.journals.values()
            if journal.type == type_ and journal.active and journal.company_id in line
        ]
        return min(fitting, key=lambda row: (line.index(row.company_id), row.sequence, row.pk), default=None)

    # -------------------------------------------------------------------------------------------------- plain records
    def _allowed(self, rows: Sequence[M]) -> Sequence[M]:
        """Without what a rule hides: a statement only for models that have rules of their own. The rule of companies needs
        none, ``usable`` compares instead."""
        if not rows or not self._filtered or not rules_of(type(rows[0])):
            return rows
        model = type(rows[0])
        condition = record_filter(model, self.actor, "view")
        if condition is None:
            return []
        if condition == (company_filter(model, self.actor) or Q()):
            return rows  # no rule says more than that of companies
        seen = model._base_manager.filter(condition, pk__in=[row.pk for row in rows]).order_by()
        shown = set(seen.values_list("pk", flat=True))
        return [row for row in rows if row.pk in shown]

    def _read(self, held: dict[int, Any], model: type[Model], pks: Iterable[int | None]) -> None:
        missing = {pk for pk in pks if pk is not None and pk not in held}
        if missing:
            rows = list(self.memory.by_key(model, missing).values())
            held.update({row.pk: row for row in self._allowed(rows)})

    def load_currencies(self, pks: Iterable[int | None]) -> None:
        self._read(self.currencies, Currency, pks)

    def load_accounts(self, pks: Iterable[int | None]) -> None:
        self._read(self.accounts, Account, pks)

    def load_roundings(self, pks: Iterable[int | None]) -> None:
        self._read(self.roundings, CashRounding, pks)

    def load_partners(self, pks: Iterable[int | None]) -> None:
        """Partners with their state and country: one statement, one more for the actor's rules."""
        missing = {pk for pk in pks if pk is not None and pk not in self.partners}
        if not missing:
            return
        partners = []
        for partner, country, state in read_joined(_PARTNERS, _PARTNERS_FROM, [list(missing)]):
            set_link(partner, "country", country)
            set_link(partner, "state", state)
            partners.append(partner)
        for partner in self._allowed(partners):
            self.partners[partner.pk] = partner

    def load_agreed(self, company_pk: int, partner_pks: Iterable[int | None]) -> None:
        """What the company agreed with partners that are loaded: one statement."""
        held = self.agreed.setdefault(company_pk, {})
        missing = [
            self.partners[pk] for pk in set(partner_pks) - set(held) if pk is not None and pk in self.partners
        ]
        if missing:
            held.update(terms_of(company_pk, missing, line=self.lines[company_pk]))

    def terms_with(self, partner_pk: int | None, company_pk: int) -> PartnerTerms | None:
        return self.agreed.get(company_pk, {}).get(partner_pk or 0)

    def load_bank_accounts(
        self, pks: Iterable[int | None], partner_pks: Iterable[int | None], company_pks: Iterable[int]
    ) -> None:
        """Bank accounts by key, the active ones of partners, and those of the companies themselves, the trusted first: one
        statement."""
        named = {pk for pk in pks if pk is not None and pk not in self.bank_accounts}
        partners = {pk for pk in partner_pks if pk is not None and pk not in self.bank_accounts_of}
        companies = {pk for pk in company_pks if pk not in self.own_bank_accounts}
        if not (named or partners or companies):
            return
        self.bank_accounts_of |= {pk: [] for pk in partners}
        self.own_bank_accounts |= {pk: [] for pk in companies}
        rows = read_rows(
            BankAccount,
            """t.id = ANY (%s) OR t.active AND (t.partner_id = ANY (%s) OR t.partner_id IN (
                   SELECT p.id FROM contacts_partner p WHERE p.represents_id = ANY (%s)
               )) ORDER BY t.trusted DESC, t.sequence, t.id""",
            [list(named), list(partners), list(companies)],
            extra={
                "represented": "(SELECT p.represents_id FROM contacts_partner p WHERE p.id = t.partner_id)"
            },
        )
        for account in self._allowed(rows):
            represented = account.represented  # type: ignore[attr-defined]
            self.bank_accounts[account.pk] = account
            if account.active and account.partner_id in partners:
                self.bank_accounts_of[account.partner_id].append(account)
            if account.active and represented in companies:
                self.own_bank_accounts[represented].append(account)

    # ------------------------------------------------------------------------------------------------ taxes and terms
    def load_taxes(self, pks: Iterable[int | None]) -> None:
        """Taxes with their groups, and as the computation takes them."""
        missing = {pk for pk in pks if pk is not None and pk not in self.taxes}
        if not missing:
            return
        rows = {tax.pk: tax for tax in self._allowed(list(self.memory.taxes(missing).values()))}
        self.taxes |= rows
        for inclusion in {settings.price_inclusion for settings in self.settings.values()}:
            for pk, spec in self.memory.tax_specs(missing & set(rows), inclusion).items():
                self._specs[inclusion, pk] = spec

    def combination(self, tax_pks: tuple[int, ...], inclusion: str) -> tuple[TaxSpec, ...]:
        """The taxes of a line; the same tuple for the same taxes, so that plans are found by identity."""
        key = (inclusion, tax_pks)
        found = self._combinations.get(key)
        if found is None:
            found = self._combinations[key] = tuple(self._specs[inclusion, pk] for pk in tax_pks)
        return found

    def tax_label(self, tax_pk: int) -> str:
        """How documents call a tax."""
        tax = self.taxes[tax_pk]
        return tax.label or tax.name

    def load_terms(self, pks: Iterable[int | None]) -> None:
        """Payment terms with their parts."""
        missing = {pk for pk in pks if pk is not None and pk not in self.terms}
        if not missing:
            return
        rows: dict[int, PaymentTerm] = {}
        self._read(rows, PaymentTerm, missing)
        lines = {
            pk: [TermLine(part.value, part.amount, part.days, part.delay, part.day) for part in parts]
            for pk, parts in self.memory.term_lines(rows).items()
        }
        for pk, row in rows.items():
            discount = None
            if row.early_discount and len(lines[pk]) == 1:
                discount = EarlyDiscount(row.discount_percent, row.discount_days, row.discount_mode)
            self.terms[pk] = TermSpec(row, lines[pk], discount)

    def load_positions(self, pks: Iterable[int | None]) -> None:
        """Fiscal positions with what they replace."""
        missing = {pk for pk in pks if pk is not None and pk not in self.positions}
        if not missing:
            return
        self._read(self.positions, FiscalPosition, missing)
        found = [pk for pk in missing if pk in self.positions]
        if found:
            self.maps.update(self.memory.position_maps(found))

    def choose_position(
        self, company_pk: int, partner: Partner | None, shipping: Partner | None
    ) -> int | None:
        """The fiscal position a document gets by itself."""
        if partner is None:
            return None
        return self.memory.chooser(company_pk).choose(partner, shipping, agreed=self.agreed.get(company_pk))

    # --------------------------------------------------------------------------------------------------------- rates
    def load_rates(self, wanted: Iterable[tuple[int, int, datetime.date]]) -> None:
        """Rates of (company, currency, day), one statement a company that has foreign documents.

        Errors: ``MissingRate``, naming currency and day.
        """
        missing: dict[int, list[tuple[Currency, datetime.date]]] = {}
        for company_pk, currency_pk, day in wanted:
            if (company_pk, currency_pk, day) not in self.rates:
                missing.setdefault(company_pk, []).append((self.currencies[currency_pk], day))
        for company_pk, pairs in missing.items():
            for (currency_pk, day), rate in rates_on_days(pairs, self.companies[company_pk]).items():
                self.rates[company_pk, currency_pk, day] = rate
