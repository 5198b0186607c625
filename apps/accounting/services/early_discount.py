"""What an early payment discount books: the loss (or gain), and less tax where the terms say so.

*Included*: the discount is divided over base and taxes of the document; each base gives under its own boxes, each tax on its own
account. *Excluded* and *mixed*: all of it is a loss without tax; under mixed terms the invoice was taxed on the reduced base
at once. 1500 + 15 % with 10 %: bank 1552.50, discount 150.00, tax 22.50 against a receivable of 1725.00.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.compute.terms import Treatment, discount_parts
from apps.accounting.constants import SALE_TYPES, ItemKind
from apps.accounting.models import AccountingSettings, Invoice, PaymentTerm
from apps.accounting.selectors.setup import required, tax_specs
from apps.accounting.services.match_rows import Row
from apps.accounting.services.payment_entries import ExtraLine
from apps.core.money import split_amount

ZERO = Decimal(0)


@dataclass(slots=True)
class Discounted:
    """A due part that is settled by less. ``taken`` is positive, in the document's currency."""

    invoice: Invoice
    row: Row
    taken: Decimal


@dataclass(slots=True)
class _Facts:
    """Base and tax items of a document, in its currency, positive for an ordinary one."""

    bases: dict[tuple[tuple[int, ...], tuple[int, ...]], Decimal] = field(default_factory=dict)
    taxes: list[tuple[int, int, int, tuple[int, ...], Decimal]] = field(default_factory=list)


def discount_of(row: Row, date: datetime.date) -> Decimal:
    """What paying on ``date`` saves on an open part; nothing when it is late or something was paid before."""
    if row.discount_date is None or row.discount_amount_currency is None or date > row.discount_date:
        return ZERO
    if row.left_currency != row.amount_currency:
        return ZERO
    return abs(row.left_currency) - abs(row.discount_amount_currency)


def discount_lines(
    parts: Sequence[Discounted], settings: Mapping[int, AccountingSettings]
) -> dict[int, list[ExtraLine]]:
    """The lines of each discounted part by the key of its item, in the document's currency. Four statements at most."""
    modes = dict(
        PaymentTerm.objects.filter(
            pk__in={p.invoice.payment_term_id for p in parts if p.invoice.payment_term_id is not None}
        ).values_list("pk", "discount_mode")
    )
    included = [p for p in parts if modes.get(p.invoice.payment_term_id or 0) == Treatment.INCLUDED]
    facts = _facts([part.row.entry_pk for part in included]) if included else {}
    answer: dict[int, list[ExtraLine]] = {}
    for part in parts:
        sale = part.invoice.type in SALE_TYPES
        own = settings[part.row.company_pk]
        account = required(own, "discount_loss_account" if sale else "discount_gain_account")
        sign = 1 if part.row.left_currency > 0 else -1
        found = facts.get(part.row.entry_pk)
        if found is None:
            answer[part.row.pk] = [_line(account, sign * part.taken)]
        else:
            answer[part.row.pk] = _included(found, part, account, sign)
    return answer


def _line(account: int, amount: Decimal) -> ExtraLine:
    return ExtraLine(account, amount, _("Early payment discount"), ItemKind.EARLY_DISCOUNT.value)


def _included(facts: _Facts, part: Discounted, account: int, sign: int) -> list[ExtraLine]:
    amounts = [amount * sign for *_rest, amount in facts.taxes]
    untaxed = sum(facts.bases.values(), ZERO) * sign
    loss, corrections = discount_parts(part.taken, untaxed, amounts, Treatment.INCLUDED, part.row.step)
    keys = list(facts.bases)
    weights = [abs(amount) for amount in facts.bases.values()]
    losses = split_amount(loss, weights, part.row.step) if any(weights) else [loss]
    lines = []
    for key, share in zip(keys or [((), ())], losses, strict=True):
        line = _line(account, sign * share)
        line.tax_pks, line.tag_pks = key
        if share:
            lines.append(line)
    for (account_pk, tax, repartition, tags, _amount), correction in zip(
        facts.taxes, corrections, strict=True
    ):
        if correction:
            of_tax = sum(
                (share for (taxes, _t), share in zip(keys, losses, strict=False) if tax in taxes), ZERO
            )
            lines.append(
                ExtraLine(
                    account_pk,
                    sign * correction,
                    _("Early payment discount"),
                    ItemKind.TAX.value,
                    tax_pk=tax,
                    repartition_pk=repartition,
                    tax_base=sign * of_tax,
                    tag_pks=tags,
                )
            )
    return lines


def _facts(entry_pks: Sequence[int]) -> dict[int, _Facts]:
    """Bases and taxes of entries. Taxes due on payment are corrected where they end, not where they wait."""
    found: dict[int, _Facts] = {pk: _Facts() for pk in entry_pks}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.entry_id, i.account_id, i.tax_id, i.tax_repartition_id, i.tax_pks, i.tag_pks, -i.amount_currency,
                   t.exigibility = 'payment' AND t.transition_account_id = i.account_id, r.document
            FROM accounting_journalitem i
            LEFT JOIN accounting_tax t ON t.id = i.tax_id
            LEFT JOIN accounting_taxrepartition r ON r.id = i.tax_repartition_id
            WHERE i.entry_id = ANY(%s::bigint[]) AND i.kind IN ('product', 'tax', 'discount', 'rounding')
            ORDER BY i.entry_id, i.position
            """,
            [list(entry_pks)],
        )
        rows = cursor.fetchall()
    specs = tax_specs({tax for row in rows for tax in (*row[4], row[2]) if tax is not None})
    late = {pk for pk, spec in specs.items() if spec.exigibility == "payment"}
    documents = {row[0]: row[8] for row in rows if row[8]}
    for entry, account, tax, repartition, taxes, tags, amount, waiting, document in rows:
        facts = found[entry]
        if tax is not None:
            shares = specs[tax].refund_repartition if document == "refund" else specs[tax].invoice_repartition
            final = next((s for s in shares if s.pk == repartition), None) if waiting else None
            if final is not None:
                account, tags = final.account_pk or account, final.tag_pks
            facts.taxes.append((account, tax, repartition, tuple(tags), amount))
            continue
        boxes = set(tags)
        for pk in late & set(taxes):
            spec = specs[pk]
            refund = documents.get(entry) == "refund"
            boxes |= set(spec.refund_base_tag_pks if refund else spec.invoice_base_tag_pks)
        key = (tuple(taxes), tuple(sorted(boxes)))
        facts.bases[key] = facts.bases.get(key, ZERO) + amount
    return found
