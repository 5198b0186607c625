"""Items of entries made by hand: what a caller may say about them, and what is worked out from it.

An amount is given as debit, credit or signed balance in company currency, as an amount in the item's own currency, or both.
What is missing follows from the rate of the day; the cent that rounding leaves goes to the largest item that was converted.
Boxes of the tax return follow from the taxes: a sales tax counts as an invoice on the credit side and as a credit note on the
debit side, a purchase tax the other way round.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.compute.taxes import TaxSpec, flatten
from apps.accounting.constants import AccountType, ItemKind
from apps.accounting.models import Account, Journal, JournalEntry, JournalItem, Tax
from apps.accounting.services.entry_parts import EntryItem, Problems
from apps.accounting.services.entry_taxes import EntryTaxes
from apps.accounting.services.ledger import ITEM_COLUMNS
from apps.contacts.models import Partner
from apps.contacts.selectors.rates import rates_on_days
from apps.core.actor import Actor
from apps.core.copying import copy_rows, draw_keys
from apps.core.errors import ValidationFailed
from apps.core.links import check_company, check_targets, pk_of
from apps.core.models import Currency
from apps.core.money import convert, is_rounded
from apps.core.rules import visible

ZERO = Decimal(0)
NAME_LENGTH = 500
LARGEST = Decimal(10) ** 15
AMOUNTS = ("debit", "credit", "balance", "amount_currency", "tax_base_amount")
LINKS = ("account", "partner", "currency", "tax", "tax_repartition")
FIELDS = frozenset({"id", "name", "quantity", "date_maturity", "taxes", "matching_number", *AMOUNTS, *LINKS})
IMPORTED = "I"
MATCHING_LENGTH = 24


# ---------------------------------------------------------------------------------------------------------- reading
def parse_items(
    rows: Any, place: int, problems: Problems, held: Mapping[int, EntryItem] | None = None
) -> list[EntryItem]:
    """Items from the dicts of a caller. ``held`` are those that ``id`` may name: what a row leaves out stays as it is there."""
    if not isinstance(rows, list | tuple):
        problems.add(place, "items", _("Items are a list."))
        return []
    items = []
    for n, row in enumerate(rows):
        if not isinstance(row, Mapping):
            problems.add(place, f"items.{n}", _("An item is an object with fields."))
            continue
        for name in sorted(set(row) - FIELDS):
            problems.add(place, f"items.{n}.{name}", _("Items have no field of this name."))
        known = (held or {}).get(row.get("id") or 0)
        items.append(_item(row if known is None else {**_stored(known, row), **row}, place, n, problems))
    return items


def _stored(item: EntryItem, row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored item as a caller would send it; its amounts only where none is sent, as they belong together."""
    values: dict[str, Any] = {
        "account": item.account_pk,
        "name": item.name,
        "partner": item.partner_pk,
        "currency": item.currency_pk,
        "quantity": item.quantity,
        "date_maturity": item.date_maturity,
        "taxes": list(item.tax_pks),
        "tax": item.tax_pk,
        "tax_repartition": item.repartition_pk,
        "tax_base_amount": item.tax_base_amount,
        "matching_number": item.matching_number,
    }
    if not {"debit", "credit", "balance", "amount_currency", "currency"} & set(row):
        values |= {"balance": item.balance, "amount_currency": item.amount_currency}
    return values


def _item(row: Mapping[str, Any], place: int, n: int, problems: Problems) -> EntryItem:
    where = f"items.{n}"
    values = {name: _amount(row.get(name), place, f"{where}.{name}", problems) for name in AMOUNTS}
    debit, credit = values["debit"], values["credit"]
    balance = values["balance"]
    if debit is not None and credit is not None and debit and credit:
        problems.add(place, f"{where}.credit", _("An item has a debit or a credit, not both."))
    if (debit or ZERO) < 0 or (credit or ZERO) < 0:
        problems.add(place, f"{where}.debit", _("Debit and credit are never negative."))
    if debit is not None or credit is not None:
        if balance is not None:
            problems.add(place, f"{where}.balance", _("Give debit and credit, or the balance, not both."))
        balance = (debit or ZERO) - (credit or ZERO)
    if row.get("account") is None:
        problems.add(place, f"{where}.account", _("This field is required."))
    day = row.get("date_maturity")
    if day is not None and not isinstance(day, datetime.date):
        problems.add(place, f"{where}.date_maturity", _("Enter a date."))
        day = None
    name = str(row.get("name") or "")
    if len(name) > NAME_LENGTH:
        problems.add(place, f"{where}.name", _("At most %(length)d characters.") % {"length": NAME_LENGTH})
    return EntryItem(
        account_pk=pk_of(row.get("account")) or 0,
        name=name,
        partner_pk=pk_of(row.get("partner")),
        currency_pk=pk_of(row.get("currency")),
        balance=balance,
        amount_currency=values["amount_currency"],
        quantity=_amount(row.get("quantity"), place, f"{where}.quantity", problems, 6),
        date_maturity=day,
        tax_pks=tuple(sorted({pk_of(tax) for tax in row.get("taxes") or ()})),
        matching_number=_imported_number(
            row.get("matching_number"), place, f"{where}.matching_number", problems
        ),
        tax_pk=pk_of(row.get("tax")),
        repartition_pk=pk_of(row.get("tax_repartition")),
        tax_base_amount=values["tax_base_amount"] or ZERO,
        pk=row.get("id"),
    )


def _imported_number(value: Any, place: int, name: str, problems: Problems) -> str:
    """A matching number that another program gave: I and a text. Those of our own come from matching and are passed over."""
    text = str(value or "").strip()
    if not text.startswith(IMPORTED):
        return ""
    if not 1 < len(text) <= MATCHING_LENGTH:
        problems.add(place, name, _("An imported matching number is I and a text of at most 23 characters."))
    return text


def _amount(value: Any, place: int, name: str, problems: Problems, places: int = 4) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool | float):
        problems.add(place, name, _("Send an exact number, as text."))
        return None
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        problems.add(place, name, _("Enter a number."))
        return None
    if not number.is_finite() or abs(number) >= LARGEST:
        problems.add(place, name, _("Enter a number."))
        return None
    if number != round(number, places):
        problems.add(place, name, _("At most %(places)d decimals.") % {"places": places})
        return None
    return number


# ------------------------------------------------------------------------------------------------------ working out
def complete_items(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]],
    actor: Actor,
    *,
    many: bool,
    compute_taxes: Sequence[bool | None] = (),
    balanced: bool = True,
) -> None:
    """Check the links of all items and fill in currencies, partners, amounts, tax items (``EntryTaxes.complete``) and boxes.
    The number of statements does not depend on the number of items. ``balanced`` off: what is being typed need not balance yet.

    Errors: ``ValidationFailed`` by ``items.<n>.<field>``; ``MissingRate``.
    """
    problems = Problems(many)
    items = [item for _entry, rows in drafts for item in rows]
    if not items:
        return
    _check_links(drafts, actor, problems)
    accounts = Account.objects.in_bulk({item.account_pk for item in items})
    companies = Company.objects.select_related("currency").in_bulk({e.company_id for e, _rows in drafts})
    people = {item.partner_pk for item in items} | {entry.partner_id for entry, _rows in drafts}
    entities = dict(
        Partner.objects.filter(pk__in=[pk for pk in people if pk is not None]).values_list(
            "pk", "commercial_entity_id"
        )
    )
    for entry, rows in drafts:
        for item in rows:
            item.currency_pk = item.currency_pk or _currency_of(item, accounts, entry)
            if item.partner_pk is None and accounts[item.account_pk].type in (
                AccountType.ASSET_RECEIVABLE,
                AccountType.LIABILITY_PAYABLE,
            ):
                item.partner_pk = entry.partner_id
            if item.partner_pk is not None:
                item.partner_pk = entities[item.partner_pk]
    currencies = Currency.objects.in_bulk({item.currency_pk for item in items})
    rates = _rates(drafts, companies, currencies)
    taxes = EntryTaxes(accounts, currencies)  # type: ignore[arg-type]
    named = {pk for item in items for pk in (*item.tax_pks, item.tax_pk) if pk is not None}
    if named:
        taxes.read(named, companies)
    for place, (entry, rows) in enumerate(drafts):
        own = companies[entry.company_id].currency
        for n, item in enumerate(rows):
            _fill_amounts(item, own, currencies[item.currency_pk], rates, entry, place, n, problems)  # type: ignore[index]
        if not problems.fields and named:
            wanted = compute_taxes[place] if compute_taxes else None
            taxes.complete(entry.company_id, rows, own, place, problems, wanted)
        if not problems.fields:
            _share_rounding(rows, own)
            difference = sum((item.balance or ZERO for item in rows), ZERO)
            if difference and balanced:
                problems.add(
                    place, "items", _("Debit and credit differ by %(amount)s.") % {"amount": difference}
                )
    booked = {item.account_pk for _entry, rows in drafts for item in rows}
    accounts |= Account.objects.in_bulk(booked - set(accounts)) if booked - set(accounts) else {}
    _check_accounts(drafts, accounts, problems)
    problems.raise_any()
    _set_boxes(drafts, taxes.specs, problems)
    problems.raise_any()


ATTRIBUTES = {
    "account": "account_pk",
    "partner": "partner_pk",
    "currency": "currency_pk",
    "tax": "tax_pk",
    "tax_repartition": "repartition_pk",
}


def _check_links(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]], actor: Actor, problems: Problems
) -> None:
    items = [item for _entry, rows in drafts for item in rows]
    wanted: dict[str, set[Any]] = {
        name: {getattr(item, attribute) for item in items} for name, attribute in ATTRIBUTES.items()
    }
    try:
        check_targets(JournalItem, wanted, actor)
    except ValidationFailed as exc:
        _name_links(drafts, exc, actor, problems)
        problems.raise_any()
        raise
    taxes = {pk for item in items for pk in item.tax_pks}
    rows = Tax.objects.all() if actor.is_system else visible(Tax, actor)
    missing = taxes - set(rows.filter(pk__in=taxes).values_list("pk", flat=True)) if taxes else set()
    if missing:
        raise ValidationFailed(
            fields={
                "items": [
                    _("There is no tax %(pks)s, or you cannot see it.")
                    % {"pks": ", ".join(str(pk) for pk in sorted(missing))}
                ]
            }
        )


def _name_links(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]],
    refusal: ValidationFailed,
    actor: Actor,
    problems: Problems,
) -> None:
    """Which items lead nowhere. A question a link, as this is said once a mistake."""
    known: dict[tuple[str, int], list[str]] = {}
    for name in refusal.fields.keys() & ATTRIBUTES.keys():
        for place, (_entry, rows) in enumerate(drafts):
            for n, item in enumerate(rows):
                pk = getattr(item, ATTRIBUTES[name])
                if pk is None:
                    continue
                if (name, pk) not in known:
                    try:
                        check_targets(JournalItem, {name: {pk}}, actor)
                        known[name, pk] = []
                    except ValidationFailed as exc:
                        known[name, pk] = exc.fields.get(name, [])
                for text in known[name, pk]:
                    problems.add(place, f"items.{n}.{name}", text)


def _currency_of(item: EntryItem, accounts: Mapping[int, Account], entry: JournalEntry) -> int:
    return accounts[item.account_pk].currency_id or entry.currency_id


def _rates(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]],
    companies: Mapping[int, Company],
    currencies: Mapping[int, Currency],
) -> dict[tuple[int, int, datetime.date], Decimal]:
    """Units of a currency for one of the company's, where an amount must be converted: by company, currency and day."""
    wanted: dict[int, set[tuple[int, datetime.date]]] = {}
    for entry, rows in drafts:
        own = companies[entry.company_id].currency_id
        for item in rows:
            if item.currency_pk != own and (item.balance is None or item.amount_currency is None):
                wanted.setdefault(entry.company_id, set()).add((item.currency_pk, entry.date))  # type: ignore[arg-type]
    found = {}
    for company_pk, pairs in wanted.items():
        asked = [(currencies[pk], day) for pk, day in sorted(pairs)]
        for (pk, day), rate in rates_on_days(asked, companies[company_pk]).items():
            found[company_pk, pk, day] = rate
    return found


def _fill_amounts(
    item: EntryItem,
    own: Currency,
    currency: Currency,
    rates: Mapping[tuple[int, int, datetime.date], Decimal],
    entry: JournalEntry,
    place: int,
    n: int,
    problems: Problems,
) -> None:
    where = f"items.{n}"
    if item.balance is None and item.amount_currency is None:
        problems.add(place, f"{where}.debit", _("Give an amount."))
        return
    if currency.pk == own.pk:
        if item.balance is None:
            item.balance = item.amount_currency
        if item.amount_currency is None:
            item.amount_currency = item.balance
        if item.balance != item.amount_currency:
            text = _("In company currency both amounts are the same.")
            problems.add(place, f"{where}.amount_currency", text)
    elif item.balance is None:
        rate = rates[entry.company_id, currency.pk, entry.date]
        item.balance = convert(item.amount_currency or ZERO, rate_from=rate, rate_to=1, target_currency=own)
        item.converted = True
    elif item.amount_currency is None:
        rate = rates[entry.company_id, currency.pk, entry.date]
        item.amount_currency = convert(item.balance, rate_from=1, rate_to=rate, target_currency=currency)
    assert item.balance is not None
    assert item.amount_currency is not None
    if item.balance * item.amount_currency < 0:
        text = _("The amount in currency has the sign of the balance.")
        problems.add(place, f"{where}.amount_currency", text)
    for name, amount, of in (
        ("debit" if item.balance > 0 else "credit", abs(item.balance), own),
        ("amount_currency", item.amount_currency, currency),
    ):
        if not is_rounded(amount, of):
            text = _("%(amount)s is finer than the smallest step of %(currency)s.")
            problems.add(place, f"{where}.{name}", text % {"amount": amount, "currency": of.code})


def _share_rounding(items: Sequence[EntryItem], own: Currency) -> None:
    """When an entry balances in its foreign currency, the cents that converting left go to its largest converted item."""
    converted = [item for item in items if item.converted]
    if not converted:
        return
    sums: dict[int | None, Decimal] = {}
    for item in items:
        sums[item.currency_pk] = sums.get(item.currency_pk, ZERO) + (item.amount_currency or ZERO)
    difference = sum((item.balance or ZERO for item in items), ZERO)
    if not difference or abs(difference) > own.rounding * len(converted):
        return
    if len(sums) == 1 and any(sums.values()):
        return  # it does not balance in its own currency: no matter of rounding
    largest = max(converted, key=lambda item: abs(item.balance or ZERO))
    largest.balance = (largest.balance or ZERO) - difference


def _check_accounts(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]],
    accounts: Mapping[int, Account],
    problems: Problems,
) -> None:
    allowed: dict[int, set[int]] = {}
    links = Journal.allowed_accounts.through.objects.filter(
        journal__in={entry.journal_id for entry, _rows in drafts}
    )
    for journal_pk, account_pk in links.values_list("journal_id", "account_id"):
        allowed.setdefault(journal_pk, set()).add(account_pk)
    for place, (entry, rows) in enumerate(drafts):
        off = [accounts[item.account_pk].type == AccountType.OFF_BALANCE for item in rows]
        if any(off) and not all(off):
            text = _("Accounts off balance stand in entries of their own.")
            problems.add(place, f"items.{off.index(True)}.account", text)
        for n, item in enumerate(rows):
            account = accounts[item.account_pk]
            text = ""
            if account.deprecated:
                text = _("Account %(code)s is deprecated; choose another.")
            elif entry.journal_id in allowed and account.pk not in allowed[entry.journal_id]:
                text = _("The journal does not take account %(code)s.")
            elif account.currency_id is not None and account.currency_id != item.currency_pk:
                text = _("Account %(code)s takes another currency only.")
            elif account.type == AccountType.OFF_BALANCE and (item.tax_pks or item.tax_pk):
                text = _("Account %(code)s is off balance and has no taxes.")
            if text:
                problems.add(place, f"items.{n}.account", text % {"code": account.code})


# ------------------------------------------------------------------------------------------------------------ taxes
def _set_boxes(
    drafts: Sequence[tuple[JournalEntry, list[EntryItem]]], specs: Mapping[int, TaxSpec], problems: Problems
) -> None:
    if not specs:
        return
    countries = dict(Tax.objects.filter(pk__in=specs).values_list("pk", "country_id"))
    for place, (_entry, rows) in enumerate(drafts):
        named = {pk for item in rows for pk in (*item.tax_pks, item.tax_pk) if pk is not None}
        if len({countries[pk] for pk in named if countries.get(pk) is not None}) > 1:
            problems.add(place, "items", _("The taxes of an entry are those of one country."))
        for n, item in enumerate(rows):
            if item.boxed:
                continue
            item.tag_pks = _boxes(item, specs)
            if item.repartition_pk is not None and not _share_of(item, specs):
                text = _("This is no share of the item's tax.")
                problems.add(place, f"items.{n}.tax_repartition", text)


def _boxes(item: EntryItem, specs: Mapping[int, TaxSpec]) -> tuple[int, ...]:
    tags: set[int] = set()
    for tax in flatten([specs[pk] for pk in item.tax_pks]):
        if not tax.on_payment:
            tags.update(tax.refund_base_tag_pks if _is_refund(tax, item) else tax.invoice_base_tag_pks)
    share = _share_of(item, specs)
    if share is not None and not specs[item.tax_pk].on_payment:  # type: ignore[index]
        tags.update(share.tag_pks)
    return tuple(sorted(tags))


def _share_of(item: EntryItem, specs: Mapping[int, TaxSpec]) -> Any:
    if item.tax_pk is None or item.repartition_pk is None:
        return None
    tax = specs[item.tax_pk]
    shares = (*tax.invoice_repartition, *tax.refund_repartition)
    return next((share for share in shares if share.pk == item.repartition_pk), None)


def _is_refund(tax: TaxSpec, item: EntryItem) -> bool:
    balance = item.balance or ZERO
    return balance > 0 if tax.use == "sale" else balance < 0 if tax.use == "purchase" else False


# ----------------------------------------------------------------------------------------------------------- writing
def _check_companies(pairs: Sequence[tuple[JournalEntry, int, EntryItem]]) -> None:
    """Accounts, journal and partners belong to the company or one above it; the refusal names the item."""
    rows = [
        JournalItem(
            company_id=e.company_id,
            journal_id=e.journal_id,
            account_id=i.account_pk,
            partner_id=i.partner_pk,
        )
        for e, _n, i in pairs
    ]
    try:
        check_company(rows)
    except ValidationFailed as refusal:
        for row, (_entry, n, _item) in zip(rows, pairs, strict=True):
            try:
                check_company([row])
            except ValidationFailed as exc:
                fields = {f"items.{n}.{name}": texts for name, texts in exc.fields.items()}
                raise ValidationFailed(fields=fields, code=refusal.code) from exc
        raise


def write_items(drafts: Iterable[tuple[JournalEntry, list[EntryItem]]]) -> None:
    """Insert the items of draft entries, in their order. Two statements."""
    pairs = [(entry, n, item) for entry, rows in drafts for n, item in enumerate(rows)]
    _check_companies(pairs)
    keys = iter(draw_keys("accounting_journalitem_id_seq", sum(item.pk is None for _e, _n, item in pairs)))
    rows = []
    for entry, position, item in pairs:
        item.pk = item.pk or next(keys)
        balance = item.balance or ZERO
        values: dict[str, Any] = {
            "id": item.pk,
            "entry_id": entry.pk,
            "company_id": entry.company_id,
            "journal_id": entry.journal_id,
            "date": entry.date,
            "posted": False,
            "position": position,
            "kind": ItemKind.TAX if item.tax_pk else ItemKind.PRODUCT,
            "account_id": item.account_pk,
            "partner_id": item.partner_pk,
            "name": item.name,
            "debit": max(balance, ZERO),
            "credit": max(-balance, ZERO),
            "currency_id": item.currency_pk,
            "amount_currency": item.amount_currency or ZERO,
            "quantity": item.quantity,
            "date_maturity": item.date_maturity,
            "discount_date": None,
            "discount_amount_currency": None,
            "tax_id": item.tax_pk,
            "tax_repartition_id": item.repartition_pk,
            "tax_base_amount": item.tax_base_amount,
            "tax_pks": item.tax_pks,
            "tag_pks": item.tag_pks,
            "residual": ZERO,
            "residual_currency": ZERO,
            "matching_number": item.matching_number,
        }
        rows.append([values[name] for name in ITEM_COLUMNS])
    copy_rows("accounting_journalitem", ITEM_COLUMNS, rows)


def items_of(entry_pks: Iterable[int]) -> dict[int, list[EntryItem]]:
    """The stored items of entries, as they would be written again."""
    found: dict[int, list[EntryItem]] = {pk: [] for pk in entry_pks}
    for row in JournalItem.objects.filter(entry__in=found).order_by("entry_id", "position", "pk"):
        found[row.entry_id].append(
            EntryItem(
                account_pk=row.account_id,
                name=row.name,
                partner_pk=row.partner_id,
                currency_pk=row.currency_id,
                balance=row.debit - row.credit,
                amount_currency=row.amount_currency,
                quantity=row.quantity,
                date_maturity=row.date_maturity,
                tax_pks=tuple(row.tax_pks),
                tax_pk=row.tax_id,
                repartition_pk=row.tax_repartition_id,
                tax_base_amount=row.tax_base_amount,
                tag_pks=tuple(row.tag_pks),
                matching_number=row.matching_number if row.matching_number.startswith(IMPORTED) else "",
                pk=row.pk,
            )
        )
    return found
