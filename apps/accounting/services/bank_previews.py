"""What reconciling a bank line would make of it, worked out by the code that does it. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.accounting.models import Account, JournalItem, Payment, StatementLine
from apps.accounting.selectors.statements import open_amounts
from apps.accounting.services.bank_parts import Choice, Division, Part
from apps.accounting.services.bank_reconcile import LineWork, amounts_of, write_offs_of
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.models import Currency
from apps.core.rules import require_visible
from apps.core.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A part of a line: signed like it, in its currency. ``item`` is what it settles, ``write_off`` its place among those that
    were chosen, ``payment_pk`` the promise that it keeps."""

    account: Account
    amount: Decimal
    partner: Partner | None
    label: str
    item: JournalItem | None = None
    write_off: int | None = None
    payment_pk: int | None = None
    taxes: Decimal = Decimal(0)  # held by the amount


@dataclass(frozen=True, slots=True)
class LinePreview:
    """A line divided: ``amount`` is what was open of it, ``left`` what the parts leave in suspense."""

    currency: Currency
    amount: Decimal
    left: Decimal
    parts: tuple[PreviewPart, ...] = ()


def preview_reconcile(
    line: StatementLine,
    *,
    actor: Actor,
    items: Sequence[JournalItem] = (),
    amounts: Mapping[str, Any] | None = None,
    payments: Sequence[Payment] = (),
    write_offs: Sequence[Mapping[str, Any]] = (),
    partner: Partner | None = None,
    rest_to_partner: bool = False,
) -> LinePreview:
    """The inputs are those of the action ``reconcile``, the errors, too. A constant number of statements; rows are locked for
    as long as this takes."""
    actor.require(StatementLine, "reconcile")
    require_visible([line], actor, "reconcile")
    wanted = write_offs_of(write_offs, actor)
    if not (items or payments or wanted or rest_to_partner):
        left = open_amounts([line.pk])[line.pk]
        return LinePreview(Currency.objects.get(pk=left.currency_pk), left.amount, left.amount)
    choice = Choice(
        line,
        items=[item.pk for item in items],
        amounts=amounts_of(amounts or {}),
        payments=[payment.pk for payment in payments],
        write_offs=wanted,
        partner_pk=partner.pk if partner is not None else None,
        rest_to_partner=rest_to_partner,
    )
    with unit_of_work(actor):
        work = LineWork([choice], actor)
        work.lock()
        work.divide()
    division = work.targets[0].division
    assert division is not None
    return _shown(division, choice)


def _shown(division: Division, choice: Choice) -> LinePreview:
    parts = [(bundle.payment_pk, part) for bundle in division.bundles for part in bundle.parts]
    accounts = Account.objects.in_bulk({part.account_pk for _payment, part in parts})
    partners = Partner.objects.in_bulk({part.partner_pk for _payment, part in parts} - {None})
    items = JournalItem.objects.select_related("entry").in_bulk(
        {part.item_pk for _payment, part in parts} - {None}
    )
    places = {id(wanted): place for place, wanted in enumerate(choice.write_offs)}
    return LinePreview(
        Currency.objects.get(pk=division.suspense.currency_pk),
        division.own,
        division.left,
        tuple(
            PreviewPart(
                accounts[part.account_pk],
                part.own,
                partners.get(part.partner_pk) if part.partner_pk else None,
                part.name,
                items.get(part.item_pk) if part.item_pk else None,
                places.get(id(part.write_off)) if part.write_off is not None else None,
                payment_pk,
                _taxes(part),
            )
            for payment_pk, part in parts
        ),
    )


def _taxes(part: Part) -> Decimal:
    return sum((-item.amount_currency for item in part.taxes), Decimal(0))
