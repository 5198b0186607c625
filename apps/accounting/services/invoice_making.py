"""New documents: what callers leave out is filled in, what they hand in is checked, totals follow.

Everything is read once for all documents of a call (``DocumentSetup``). Defaults, in this order: company (the actor's),
journal (the first active one of the side), currency (journal's, then company's), commercial entity, fiscal position, payment
terms, accounting date, exchange rate of the day, salesperson, bank account of the recipient, the company's terms as note; and
for lines the account (journal, then settings, mapped by the position) and the taxes (account, then settings, mapped).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from apps.accounting.compute.taxes import TaxError, solve_unit_price
from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    PARTNER_TYPES,
    RECEIPT_TYPES,
    RECEIVABLE_SIGN,
    SALE_TYPES,
    AccountType,
    AutoPost,
    JournalType,
    LineKind,
    TaxUse,
)
from apps.accounting.models import AccountingSettings, Invoice, Journal
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.selectors.partners import map_account, map_taxes
from apps.accounting.selectors.setup import default_taxes
from apps.accounting.services.invoice_lines import NUMBERS, Errors, Line, _number, parse_lines
from apps.accounting.services.invoice_totals import compute, store
from apps.contacts.selectors.rates import MissingRate
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.links import check_targets, pk_of
from apps.core.records import SPECIAL, Values

FIELDS: dict[str, models.Field[Any, Any]] = {f.name: f for f in Invoice._meta.concrete_fields}
LINKS = frozenset(name for name, f in FIELDS.items() if isinstance(f, models.ForeignKey))
ATTRIBUTE = {name: f.attname for name, f in FIELDS.items()}
#: What a new record has in the order of its fields, and which of it no two records may share.
DEFAULTS = {f.attname: f.get_default() for f in FIELDS.values()}
FRESH: dict[str, type] = {
    name: type(value) for name, value in DEFAULTS.items() if isinstance(value, dict | list)
}
#: Links that are read with everything else; the others are looked up on their own when given.
READ_LINKS = frozenset(
    {
        "company",
        "journal",
        "partner",
        "shipping_partner",
        "bank_account",
        "payment_term",
        "fiscal_position",
        "cash_rounding",
        "currency",
    }
)


@dataclass(slots=True)
class Making:
    """One document on its way: values by field name (links as primary keys), its lines with the names given for each."""

    place: int
    values: Values
    lines: list[tuple[Line, frozenset[str]]]
    quick_total: Decimal | None = None
    #: Set by the system after the defaults: links to originals, rounding of the original.
    fixed: Mapping[str, Any] = field(default_factory=dict)
    record: Invoice | None = None

    @property
    def side(self) -> str:
        return JournalType.SALE if self.values.get("type") in SALE_TYPES else JournalType.PURCHASE


def read_values(values: Mapping[str, Any], place: int, errors: Errors) -> Values:
    """Values as the model takes them: texts become dates and decimals, links primary keys."""
    clean: Values = {}
    for name, value in values.items():
        if name in SPECIAL:
            clean[name] = value
            continue
        known = FIELDS[name]
        if name in LINKS:
            clean[name] = pk_of(value)
        elif value is None and not known.null:
            clean[name] = known.get_default()
        elif known.blank and value in known.empty_values:
            clean[name] = value
        else:
            try:
                clean[name] = known.clean(value, None)
            except ValidationError as exc:
                for text in exc.messages:
                    errors.add(place, name, text)
            except (TypeError, ValueError) as exc:
                errors.add(place, name, str(exc))
    return clean


def read_document(
    row: Mapping[str, Any], place: int, errors: Errors, fixed: Mapping[str, Any] | None = None
) -> Making:
    """One row of a caller without its company's defaults."""
    values = dict(row)
    lines = values.pop("lines", None)
    quick = values.pop("quick_total", None)
    total = None
    if quick is not None:
        number = _number(quick, NUMBERS["unit_price"][0], 4)
        if isinstance(number, str):
            errors.add(place, "quick_total", number)
        else:
            total = number
    parsed = parse_lines(lines, place, errors) if lines is not None else []
    making = Making(place, read_values(values, place, errors), parsed, total, fixed or {})
    if not making.values.get("type"):
        errors.add(place, "type", _("Choose what it is: an invoice, a bill, a credit note or a receipt."))
    return making


# ------------------------------------------------------------------------------------------------------------ reading
def load(makings: Sequence[Making], setup: DocumentSetup, errors: Errors) -> None:
    """Read all that the documents name and need. The number of statements does not depend on theirs."""
    companies = {making.values["company"] for making in makings}
    setup.load_companies(companies)
    setup.load_journals(companies)
    setup.load_partners(
        pk
        for making in makings
        for pk in (making.values.get("partner"), making.values.get("shipping_partner"))
    )
    for company in companies:
        setup.load_agreed(
            company,
            [
                pk
                for making in makings
                if making.values["company"] == company
                for pk in (making.values.get("partner"), making.values.get("shipping_partner"))
            ],
        )
    others: dict[str, set[int]] = {}
    for making in makings:
        for name, value in making.values.items():
            if value is not None and name in LINKS and name not in READ_LINKS:
                others.setdefault(name, set()).add(value)
    if others:
        try:
            check_targets(Invoice, others, setup.actor)
        except ValidationFailed as exc:
            errors.fields.update(exc.fields)


def load_chosen(makings: Sequence[Making], setup: DocumentSetup) -> None:
    """Second round, when defaults are known: what they and the callers have chosen."""
    values = [making.values for making in makings]
    setup.load_currencies(
        [*(v.get("currency") for v in values), *(journal.currency_id for journal in setup.journals.values())]
    )
    setup.load_positions(v.get("fiscal_position") for v in values)
    setup.load_terms(v.get("payment_term") for v in values)
    setup.load_roundings(v.get("cash_rounding") for v in values)
    named = [v["bank_account"] for v in values if v.get("bank_account") is not None]
    asking = [v for v in values if "bank_account" not in v]
    setup.load_bank_accounts(
        named,
        [
            setup.partners[v["partner"]].commercial_entity_id
            for v in asking
            if v.get("partner") in setup.partners and RECEIVABLE_SIGN[v["type"]] < 0
        ],
        {v["company"] for v in asking if RECEIVABLE_SIGN[v["type"]] > 0},
    )


# ----------------------------------------------------------------------------------------------------------- documents
def complete(
    makings: Sequence[Making],
    setup: DocumentSetup,
    actor: Actor,
    errors: Errors,
    *,
    with_lines: bool = True,
) -> None:
    """Fill in what was left out, in place. Raises what is wrong so far: the rest could not be worked out."""
    errors.raise_any()
    load(makings, setup, errors)
    for making in makings:
        _choose_journal(making, setup, errors)
        _choose_partner(making, setup, errors)
    errors.raise_any()
    load_chosen(makings, setup)
    for making in makings:
        _check_links(making, setup, errors)
    errors.raise_any()
    for making in makings:
        _fill(making, setup, actor, errors)
    errors.raise_any()
    _choose_rates(makings, setup, errors)
    errors.raise_any()
    if with_lines:
        complete_lines(makings, setup, errors)
        errors.raise_any()


def _choose_journal(making: Making, setup: DocumentSetup, errors: Errors) -> None:
    values, company_pk = making.values, making.values["company"]
    if values.get("journal") is None:
        journal = setup.default_journal(company_pk, making.side)
        if journal is None:
            errors.add(
                making.place,
                "journal",
                _("%(company)s has no journal of type “%(type)s”. Make one under Accounting › Journals.")
                % {
                    "company": setup.companies[company_pk].name,
                    "type": JournalType(making.side).label,
                },
            )
            return
        values["journal"] = journal.pk
    else:
        found = setup.journals.get(values["journal"])
        if found is None or not setup.usable(found, company_pk):
            text = _("Choose a journal of type “%(type)s” of the company.") % {
                "type": JournalType(making.side).label
            }
            errors.add(making.place, "journal", text)
            return
        journal = found
        problem = journal_problem(journal, making.side)
        if problem:
            errors.add(making.place, "journal", problem)
    if values.get("currency") is None:
        values["currency"] = journal.currency_id or setup.companies[company_pk].currency_id


def journal_problem(journal: Journal, side: str) -> str:
    """Why a document of a side cannot stand in a journal, or nothing."""
    if journal.type != side:
        return _("Journal %(journal)s is for “%(type)s”; this document needs one for “%(needed)s”.") % {
            "journal": journal.code,
            "type": journal.get_type_display(),
            "needed": JournalType(side).label,
        }
    if not journal.active:
        return _("Journal %(journal)s is archived; choose another.") % {"journal": journal.code}
    return ""


def _choose_partner(making: Making, setup: DocumentSetup, errors: Errors) -> None:
    values, company_pk = making.values, making.values["company"]
    for name in ("partner", "shipping_partner"):
        pk = values.get(name)
        if pk is None:
            continue
        partner = setup.partners.get(pk)
        if partner is None:
            errors.add(
                making.place, name, _("There is no contact %(pk)s, or you cannot see it.") % {"pk": pk}
            )
        elif not setup.usable(partner, company_pk):
            text = _("The contact belongs to another company than this document.")
            errors.add(making.place, name, text)
    if errors.fields:
        return
    partner = setup.partners.get(values.get("partner") or 0)
    shipping = setup.partners.get(values.get("shipping_partner") or 0)
    if "fiscal_position" not in values:
        values["fiscal_position"] = setup.choose_position(company_pk, partner, shipping)
    if "payment_term" not in values:
        values["payment_term"] = default_term(values, setup)


def default_term(values: Mapping[str, Any], setup: DocumentSetup) -> int | None:
    """The terms agreed with the partner; none for credit notes and receipts, nor when a due date is given."""
    kind = values["type"]
    agreed = setup.terms_with(values.get("partner"), values["company"])
    if agreed is None or kind in CREDIT_NOTE_TYPES or kind in RECEIPT_TYPES or values.get("due_date"):
        return None
    return agreed.sale_term_id if kind in SALE_TYPES else agreed.purchase_term_id


def _check_links(making: Making, setup: DocumentSetup, errors: Errors) -> None:
    values, company_pk = making.values, making.values["company"]
    held: dict[str, Mapping[int, Any]] = {
        "fiscal_position": setup.positions,
        "cash_rounding": setup.roundings,
        "bank_account": setup.bank_accounts,
        "currency": setup.currencies,
        "payment_term": {pk: term.row for pk, term in setup.terms.items()},
    }
    for name, rows in held.items():
        pk = values.get(name)
        if pk is None:
            continue
        row = rows.get(pk)
        if row is None:
            kind = FIELDS[name].related_model._meta.verbose_name  # type: ignore[union-attr]
            text = _("There is no %(kind)s %(pks)s, or you cannot see it.") % {"kind": kind, "pks": pk}
            errors.add(making.place, name, text)
        elif name != "currency" and not setup.usable(row, company_pk):
            text = _("The %(kind)s belongs to another company than this document.") % {
                "kind": FIELDS[name].verbose_name
            }
            errors.add(making.place, name, text)
    if values["type"] in RECEIPT_TYPES and values.get("payment_term") is not None:
        errors.add(making.place, "payment_term", _("A receipt is paid at once: it has no payment terms."))


def _fill(making: Making, setup: DocumentSetup, actor: Actor, errors: Errors) -> None:
    values = making.values
    settings, kind = setup.settings[values["company"]], values["type"]
    partner = setup.partners.get(values.get("partner") or 0)
    values["commercial_partner"] = partner.commercial_entity_id if partner is not None else None
    if values.get("accounting_date") is None:
        values["accounting_date"] = values.get("date")
    values.setdefault("tax_rounding", settings.tax_rounding)
    if kind in SALE_TYPES:
        if "narration" not in values and kind not in CREDIT_NOTE_TYPES:
            values["narration"] = settings.invoice_terms
        if "salesperson" not in values:
            own = actor.user_pk if actor.is_internal else None
            values["salesperson"] = (partner.salesperson_id if partner is not None else None) or own
    if "bank_account" not in values:
        values["bank_account"] = default_bank_account(values, setup)
    if making.quick_total is not None:
        values["expected_total"] = making.quick_total
    values.update(making.fixed)
    for name, text in document_problems(values):
        errors.add(making.place, name, text)


def default_bank_account(values: Mapping[str, Any], setup: DocumentSetup) -> int | None:
    """Where the money is to go: our account on what we are owed, else the partner's."""
    if RECEIVABLE_SIGN[values["type"]] > 0:
        accounts = setup.own_bank_accounts.get(values["company"], [])
    else:
        partner = setup.partners.get(values.get("partner") or 0)
        accounts = (
            setup.bank_accounts_of.get(partner.commercial_entity_id or 0, []) if partner is not None else []
        )
    fitting = [account for account in accounts if setup.usable(account, values["company"])]
    in_currency = [account for account in fitting if account.currency_id in (None, values["currency"])]
    return next((account.pk for account in in_currency or fitting), None)


def document_problems(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a document's own fields, as (field, text)."""
    problems = []
    if values.get("auto_post", AutoPost.NO) != AutoPost.NO and values.get("date") is None:
        problems.append(("date", _("A document that posts itself needs its date.")))
    until, day = values.get("auto_post_until"), values.get("date")
    if until is not None and day is not None and until < day:
        problems.append(("auto_post_until", _("Repetition cannot end before the document's date.")))
    typed = values.get("manual_taxes")
    if typed not in (None, {}):
        problems += manual_tax_problems(typed, values["type"])
    return problems


def manual_tax_problems(typed: Any, kind: str) -> list[tuple[str, str]]:
    if kind in SALE_TYPES:
        return [("manual_taxes", _("Taxes are entered by hand on bills only."))]
    if not isinstance(typed, dict):
        return [("manual_taxes", _('Give the amounts by tax group: {"7": "21.00"}.'))]
    for key, amount in typed.items():
        if not str(key).isdigit() or isinstance(_number(amount, NUMBERS["unit_price"][0], 4), str):
            return [("manual_taxes", _('Give the amounts by tax group: {"7": "21.00"}.'))]
    return []


def _choose_rates(makings: Sequence[Making], setup: DocumentSetup, errors: Errors) -> None:
    wanted = []
    for making in makings:
        values = making.values
        company = setup.companies[values["company"]]
        if values["currency"] == company.currency_id:
            if values.get("rate") not in (None, 1):
                text = _("The document is in the company's own currency: its rate is 1.")
                errors.add(making.place, "rate", text)
            values["rate"], values["rate_is_manual"] = Decimal(1), False
        elif values.get("rate") is not None:
            values.setdefault("rate_is_manual", True)
            if not values["rate"] > 0:
                errors.add(making.place, "rate", _("An exchange rate is more than nothing."))
        if values.get("rate") is None or not (values.get("rate_is_manual") or values["rate"] == 1):
            day = values.get("date") or setup.today(company.pk)
            wanted.append((making, (company.pk, values["currency"], day)))
    if not wanted:
        return
    try:
        setup.load_rates(key for _making, key in wanted)
    except MissingRate as exc:
        errors.take(wanted[0][0].place, ValidationFailed(fields={"currency": [exc.message]}))
        return
    for making, key in wanted:
        making.values["rate"] = setup.rates[key]


# --------------------------------------------------------------------------------------------------------------- lines
def default_account(
    journal: Journal, settings: AccountingSettings, side: str, position_pk: int | None, setup: DocumentSetup
) -> int | None:
    """The account of a line that names none."""
    own = settings.income_account_id if side == JournalType.SALE else settings.expense_account_id
    account = journal.default_account_id or own
    return account if account is None else map_account(setup.maps.get(position_pk or 0), account)


def complete_lines(makings: Sequence[Making], setup: DocumentSetup, errors: Errors) -> None:
    """Accounts and taxes of lines that name none, prices of quick totals; then everything named is checked."""
    asking: dict[tuple[int, str], set[int]] = {}
    plain: list[tuple[Making, Line]] = []
    for making in makings:
        values = making.values
        if making.quick_total is not None:
            _quick_line(making, errors)
        position = values.get("fiscal_position")
        account: int | None = None
        for line, given in making.lines:
            if line.kind != LineKind.PRODUCT:
                continue
            if line.account_pk is None:
                if account is None:
                    journal, settings = setup.journals[values["journal"]], setup.settings[values["company"]]
                    account = default_account(journal, settings, making.side, position, setup)
                line.account_pk = account
            if "taxes" not in given and line.pk is None:
                plain.append((making, line))
                asking.setdefault((values["company"], making.side), set()).add(line.account_pk or 0)
    found = {
        key: default_taxes(setup.settings[key[0]], TaxUse(key[1]), accounts)
        for key, accounts in asking.items()
    }
    for making, line in plain:
        taxes = found[making.values["company"], making.side][line.account_pk or 0]
        line.tax_pks = tuple(
            sorted(map_taxes(setup.maps.get(making.values.get("fiscal_position") or 0), taxes))
        )
    setup.load_taxes({pk for making in makings for line, _given in making.lines for pk in line.tax_pks})
    setup.load_accounts({line.account_pk for making in makings for line, _given in making.lines})
    checker = LineChecker(setup)
    for making in makings:
        checker.check(making, errors)


def _quick_line(making: Making, errors: Errors) -> None:
    """A document entered by its total has one line that counts; it is made when there is none."""
    products = [line for line, _given in making.lines if line.kind == LineKind.PRODUCT]
    if not products:
        text = making.values.get("reference") or ""
        making.lines.append((Line(description=text), frozenset()))
    elif len(products) > 1:
        errors.add(making.place, "quick_total", _("Entering by total works with one line only."))


class LineChecker:
    """What lines may name, each tax and account looked at once."""

    def __init__(self, setup: DocumentSetup) -> None:
        self.setup = setup
        self._taxes: dict[tuple[int, str, int], str] = {}
        self._accounts: dict[tuple[int, int, int, int], str] = {}

    def check(self, making: Making, errors: Errors) -> None:
        """Adds what is wrong with the taxes and accounts of a document's lines."""
        values = making.values
        company, currency, journal = values["company"], values["currency"], values["journal"]
        countries: dict[int, str] = {}
        for n, (line, _given) in enumerate(making.lines):
            if line.kind != LineKind.PRODUCT:
                continue
            for pk in line.tax_pks:
                problem = self._tax(company, making.side, pk)
                if problem:
                    errors.add(making.place, f"lines.{n}.taxes", problem)
                    continue
                tax = self.setup.taxes[pk]
                if tax.country_id is not None:
                    countries.setdefault(tax.country_id, f"lines.{n}.taxes")
            if line.account_pk is None:
                text = _("There is no default account: choose one, or set one on the journal.")
                errors.add(making.place, f"lines.{n}.account", text)
                continue
            problem = self._account(company, currency, journal, line.account_pk)
            if problem:
                errors.add(making.place, f"lines.{n}.account", problem)
        self._check_countries(making, countries, errors)

    def _check_countries(self, making: Making, countries: Mapping[int, str], errors: Errors) -> None:
        """All taxes of a document are those of one country: the fiscal one, or the position's where we are registered."""
        if not countries:
            return
        settings = self.setup.settings[making.values["company"]]
        position = self.setup.positions.get(making.values.get("fiscal_position") or 0)
        home = settings.fiscal_country_id
        if position is not None and position.foreign_tax_id and position.country_id is not None:
            home = position.country_id
        for country, where in countries.items():
            if home is not None and country != home:
                text = _(
                    "This tax is another country's. Use taxes of the company's country, or a fiscal position"
                )
                errors.add(making.place, where, text + " " + _("with our tax id there."))

    def _tax(self, company: int, side: str, pk: int) -> str:
        key = (company, side, pk)
        if key not in self._taxes:
            self._taxes[key] = self._tax_problem(company, side, pk)
        return self._taxes[key]

    def _tax_problem(self, company: int, side: str, pk: int) -> str:
        tax = self.setup.taxes.get(pk)
        if tax is None or not self.setup.usable(tax, company):
            return _("There is no tax %(pk)s in this company, or you cannot see it.") % {"pk": pk}
        if tax.use != side:
            return _("Tax %(name)s is used for “%(use)s”; choose one for “%(needed)s”.") % {
                "name": tax.name,
                "use": tax.get_use_display(),
                "needed": TaxUse(side).label,
            }
        if not tax.active:
            return _("Tax %(name)s is archived; choose another.") % {"name": tax.name}
        return ""

    def _account(self, company: int, currency: int, journal: int, pk: int) -> str:
        key = (company, currency, journal, pk)
        if key not in self._accounts:
            self._accounts[key] = self._account_problem(company, currency, journal, pk)
        return self._accounts[key]

    def _account_problem(self, company: int, currency: int, journal: int, pk: int) -> str:
        account = self.setup.accounts.get(pk)
        if account is None or not self.setup.usable(account, company):
            return _("There is no account %(pk)s in this company, or you cannot see it.") % {"pk": pk}
        if account.type in PARTNER_TYPES:
            return _("Account %(code)s is for what is owed; a line needs income, expense or an asset.") % {
                "code": account.code
            }
        if account.type == AccountType.OFF_BALANCE:
            return _("Account %(code)s is off balance: documents cannot use it.") % {"code": account.code}
        if account.deprecated:
            return _("Account %(code)s is deprecated; choose another.") % {"code": account.code}
        if account.currency_id is not None and account.currency_id != currency:
            return _("Account %(code)s takes another currency only.") % {"code": account.code}
        allowed = self.setup.journals[journal].allowed_pks  # type: ignore[attr-defined]
        if allowed and pk not in allowed:
            return _("Journal %(journal)s does not allow account %(code)s.") % {
                "journal": self.setup.journals[journal].code,
                "code": account.code,
            }
        return ""


# ------------------------------------------------------------------------------------------------------------- records
def build(making: Making, actor: Actor, custom: Values) -> Invoice:
    """The unsaved record of completed values."""
    plain = {**DEFAULTS, **{name: kind() for name, kind in FRESH.items()}}
    for name, value in making.values.items():
        if name not in SPECIAL:
            plain[ATTRIBUTE[name]] = value
    # In the order of the fields, which spares the model looking each of them up.
    record = Invoice(*plain.values())  # type: ignore[misc]
    record.created_by_id = record.updated_by_id = actor.user_pk
    record.custom = custom
    making.record = record
    return record


def total_up(making: Making, setup: DocumentSetup, errors: Errors) -> None:
    """Compute a document and store the result on its record and lines, in memory."""
    record = making.record
    assert record is not None
    lines = [line for line, _given in making.lines]
    try:
        if making.quick_total is not None:
            solve_price(record, lines, making.quick_total, setup)
        store(record, compute(record, lines, setup), setup)
    except BusinessError as exc:
        fields = exc.fields or {"lines": [exc.message]}
        errors.take(making.place, ValidationFailed(fields=fields))


def solve_price(record: Invoice, lines: Sequence[Line], total: Decimal, setup: DocumentSetup) -> None:
    """The price of the one line that counts, so that the document comes to ``total`` to the cent."""
    (line,) = [line for line in lines if line.kind == LineKind.PRODUCT]
    inclusion = setup.settings[record.company_id].price_inclusion
    try:
        price = solve_unit_price(
            total,
            setup.combination(line.tax_pks, inclusion),
            step=setup.currencies[record.currency_id].rounding,
            rounding=record.tax_rounding,  # type: ignore[arg-type]
            is_refund=record.type in CREDIT_NOTE_TYPES,
        )
    except TaxError as exc:
        raise ValidationFailed(fields={"quick_total": [str(exc)]}) from exc
    line.quantity, line.discount, line.unit_price = Decimal(1), Decimal(0), price
