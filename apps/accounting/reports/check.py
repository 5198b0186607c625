"""Checks as printed: the check itself in one third of the page, what it pays on the stubs in the others.

A stub names nine documents. More are named on further pages, whose check is void, when the way to pay asks for it; else the last
line says how many are left out. The number is printed unless the paper carries it. Whoever prints has confirmed the payment: a
draft has no number, a cancelled check is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounting.compute.words import amount_in_words, filled
from apps.accounting.constants import CheckLayout, PaymentStatus
from apps.accounting.models import Payment
from apps.accounting.reports.layout import Letterhead, Writer, language_of, letterhead_of
from apps.accounting.selectors.checks import ON_A_STUB, Settled, is_check, settled_by
from apps.accounting.selectors.parties import Party, party_of
from apps.core.actor import Actor
from apps.core.errors import Conflict, NotVisible
from apps.core.money import decimals_of

WORDS_WIDTH = 96
FIGURE_WIDTH = 16
ORDER = {
    CheckLayout.TOP: ("check", "stub", "stub"),
    CheckLayout.MIDDLE: ("stub", "check", "stub"),
    CheckLayout.BOTTOM: ("stub", "stub", "check"),
}


@dataclass(frozen=True, slots=True)
class StubRow:
    day: str
    number: str
    reference: str
    total: str
    left: str
    paid: str


@dataclass(frozen=True, slots=True)
class CheckPage:
    """One page: three panels in their order. On a further page of stubs the check is void."""

    panels: tuple[str, str, str]
    rows: tuple[StubRow, ...]
    more: str
    void: bool
    part: str


@dataclass
class CheckSheet:
    pk: int
    language: str
    letterhead: Letterhead
    number: str
    printed_number: str
    day: str
    payee: Party
    memo: str
    amount: str
    figure: str
    words: str
    currency: str
    bank: str
    pages: list[CheckPage] = field(default_factory=list)


def check_document(pks: Sequence[int], *, actor: Actor) -> dict[str, Any]:
    """Context of printed checks, in the order of their numbers. A constant number of queries for one company.

    Errors: ``Conflict`` for what is no check to print: another way to pay, a draft, a void one, one without number or layout.
    """
    payments = list(
        Payment._base_manager.filter(pk__in=pks)
        .select_related(
            "company__currency",
            "company__country",
            "currency",
            "partner__country",
            "partner__state",
            "method_line",
            "journal__bank_account",
        )
        .order_by("check_number", "pk")
    )
    if not payments:
        raise NotVisible()
    for payment in payments:
        _require_printable(payment)
    settled = settled_by(payments)
    language = language_of(actor.language)
    letterheads: dict[int, Letterhead] = {}
    sheets = []
    for payment in payments:
        if payment.company_id not in letterheads:
            letterheads[payment.company_id] = letterhead_of(payment.company)
        sheets.append(_sheet(payment, settled[payment.pk], letterheads[payment.company_id], language))
    return {"sheets": sheets, "language": language}


def _require_printable(payment: Payment) -> None:
    name = {"payment": payment}
    if not is_check(payment) or payment.method_line is None:
        raise Conflict(_("%(payment)s is not paid by check.") % name, code="no_check")
    if payment.state in (PaymentStatus.CANCELLED, PaymentStatus.REJECTED):
        raise Conflict(_("The check of %(payment)s is void.") % name, code="void_check")
    if payment.state == PaymentStatus.DRAFT:
        raise Conflict(
            _("%(payment)s is a draft; confirm it before its check is printed.") % name, code="draft"
        )
    if payment.check_number is None:
        raise Conflict(_("The check of %(payment)s has no number yet.") % name, code="no_number")
    if not payment.method_line.check_layout:
        raise Conflict(
            _("Say on the payment method “%(method)s” how checks are printed.")
            % {"method": payment.method_line},
            code="no_layout",
        )
    if payment.partner is None:
        raise Conflict(_("%(payment)s names nobody to pay to.") % name, code="no_payee")


def _sheet(payment: Payment, settled: Sequence[Settled], letterhead: Letterhead, language: str) -> CheckSheet:
    writer = Writer(language, payment.currency)
    method = payment.method_line
    assert method is not None
    assert payment.partner is not None
    account = payment.journal.bank_account
    with translation.override(language):
        return CheckSheet(
            pk=payment.pk,
            language=language,
            letterhead=letterhead,
            number=str(payment.check_number),
            printed_number="" if method.check_preprinted else str(payment.check_number),
            day=writer.day(payment.date),
            payee=party_of(payment.partner),
            memo=payment.memo,
            amount=writer.money(payment.amount),
            figure=filled(writer.figure(payment.amount), FIGURE_WIDTH, before=True).replace(" ", ""),
            words=filled(
                amount_in_words(
                    payment.amount,
                    currency_code=payment.currency.code,
                    decimals=decimals_of(payment.currency.rounding),
                    language=language,
                ),
                WORDS_WIDTH,
            ),
            currency=payment.currency.code,
            bank=" ".join(text for text in (account.bank_name, account.number) if text) if account else "",
            pages=_pages(settled, method.check_layout, overflow=method.check_overflow, writer=writer),
        )


def _pages(settled: Sequence[Settled], layout: str, *, overflow: bool, writer: Writer) -> list[CheckPage]:
    """The page of the check, and further ones for documents that found no room on its stubs."""
    panels = ORDER[CheckLayout(layout)]
    rows = [_row(one, writer) for one in settled]
    parts = [rows[start : start + ON_A_STUB] for start in range(0, len(rows), ON_A_STUB)] or [[]]
    if len(parts) == 1:
        return [CheckPage(panels, tuple(parts[0]), "", void=False, part="")]
    if not overflow:
        shown = tuple(rows[: ON_A_STUB - 1])
        hidden = len(rows) - len(shown)
        more = ngettext("and %(n)s more document", "and %(n)s more documents", hidden) % {"n": hidden}
        return [CheckPage(panels, shown, more, void=False, part="")]
    return [
        CheckPage(panels, tuple(part), "", void=place > 1, part=f"{place} / {len(parts)}")
        for place, part in enumerate(parts, start=1)
    ]


def _row(one: Settled, writer: Writer) -> StubRow:
    own = one.currency_pk == writer.currency.pk
    return StubRow(
        day=writer.day(one.date),
        number=one.number,
        reference=one.reference,
        total=writer.figure(one.total) if own else "",
        left=writer.figure(one.left) if own else "",
        paid=writer.figure(one.paid) if one.paid != Decimal(0) else "",
    )
