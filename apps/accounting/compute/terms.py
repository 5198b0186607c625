"""Payment terms: when which part of a document is due, and what paying early saves.

A term is a list of lines, each a percentage of the total or a fixed amount with a rule for its date. The percentages add
up to 100, and the last line, whatever it says, takes what is left in both units, so that the parts always add up to the
document exactly. No part is larger than what is left, so that none changes sides; parts of nothing are left out. The
total of a credit note (negative) is divided as the mirror image of its invoice.

Amounts come in two units: the document's currency and the company's. They are divided alike, and a part that has nothing
in the document's currency has nothing in the company's.

An early discount (single-line terms only) is ``percent`` when paid within ``days``. What it takes off depends on the
treatment of taxes, with 1000 + 21 % and 2 %:

| treatment | taken off | pays | of a document of |
|---|---|---|---|
| included | percent of untaxed and tax; the tax is corrected at payment | 1185.80 | 1210.00 |
| excluded | percent of untaxed only; the tax stays | 1190.00 | 1210.00 |
| mixed | percent of untaxed; the tax was computed on the discounted base already | 1185.80 | 1205.80 |
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounting.compute.recurrence import add_months
from apps.core.errors import ValidationFailed
from apps.core.money import WIDE, round_to, split_amount

Day = date  # under a name that fields called ``date`` do not hide
ZERO = Decimal(0)
HUNDRED = Decimal(100)


class TermKind(StrEnum):
    PERCENT = "percent"
    FIXED = "fixed"


class Delay(StrEnum):
    """How ``days`` counts from the document's date."""

    DAYS_AFTER = "days_after"
    END_OF_MONTH = "end_of_month"
    END_OF_NEXT_MONTH = "end_of_next_month"
    END_OF_MONTH_ON = "end_of_month_on"


class Treatment(StrEnum):
    """What an early discount does to taxes."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    MIXED = "mixed"


_KINDS, _DELAYS, _TREATMENTS = frozenset(TermKind), frozenset(Delay), frozenset(Treatment)


class InvalidTerms(ValidationFailed):
    """Payment terms that cannot be computed with; ``code`` names the reason, ``fields`` the lines at fault."""

    code = "invalid_terms"


@dataclass(frozen=True, slots=True)
class TermLine:
    """One part: ``value`` percent of the total or a fixed amount, due by ``delay`` with ``days`` (and ``day`` 0 … 31)."""

    kind: str
    value: Decimal
    days: int = 0
    delay: str = Delay.DAYS_AFTER
    day: int = 0


@dataclass(frozen=True, slots=True)
class EarlyDiscount:
    """``percent`` off when paid at most ``days`` days after the document's date."""

    percent: Decimal
    days: int
    treatment: str = Treatment.INCLUDED


@dataclass(frozen=True, slots=True)
class Instalment:
    """One part of a document with its due date.

    ``discount_amount`` is what settles it when paid on ``discount_date`` or before; both are None without a discount.
    """

    date: Day
    amount: Decimal
    amount_company: Decimal
    discount_date: Day | None = None
    discount_amount: Decimal | None = None
    discount_amount_company: Decimal | None = None


def check_terms(lines: Sequence[TermLine], discount: EarlyDiscount | None = None) -> None:
    """Refuse terms that do not divide a document into parts with dates.

    Errors: ``InvalidTerms`` with one of ``terms_empty``, ``terms_kind``, ``terms_value``, ``terms_delay``,
    ``terms_days``, ``terms_day``, ``terms_percent_sum``, ``discount_lines``, ``discount_percent``, ``discount_days``,
    ``discount_treatment``.
    """
    if not lines:
        raise _refusal("terms_empty", "lines", _("Payment terms need at least one line."))
    for place, line in enumerate(lines):
        _check_line(line, f"lines.{place}")
    shares = [line.value for line in lines if line.kind == TermKind.PERCENT]
    total = sum(shares, ZERO)
    if total != HUNDRED:
        raise _refusal(
            "terms_percent_sum",
            "lines",
            _("The percentages of the lines must add up to 100; they add up to %(sum)s.")
            % {"sum": plain_percent(total)},
        )
    if discount is not None:
        _check_discount(discount, len(lines))


def _refusal(code: str, field: str, text: str) -> InvalidTerms:
    return InvalidTerms(text, code=code, fields={field: [text]})


def _check_line(line: TermLine, field: str) -> None:
    if line.kind not in _KINDS:
        text = _("A line is a percentage or a fixed amount, not “%(kind)s”.") % {"kind": line.kind}
        raise _refusal("terms_kind", f"{field}.kind", text)
    most = HUNDRED if line.kind == TermKind.PERCENT else None
    if not line.value.is_finite() or line.value < 0 or (most is not None and line.value > most):
        text = _("A percentage lies between 0 and 100, a fixed amount is zero or more.")
        raise _refusal("terms_value", f"{field}.value", text)
    if line.delay not in _DELAYS:
        text = _("There is no rule “%(delay)s” for a due date.") % {"delay": line.delay}
        raise _refusal("terms_delay", f"{field}.delay", text)
    if not 0 <= line.days <= 36500:
        raise _refusal("terms_days", f"{field}.days", _("The number of days lies between 0 and 36500."))
    if not 0 <= line.day <= 31:
        raise _refusal("terms_day", f"{field}.day", _("The day of the month lies between 0 and 31."))


def _check_discount(discount: EarlyDiscount, lines: int) -> None:
    if lines != 1:
        text = _("An early discount is possible on terms with a single line only.")
        raise _refusal("discount_lines", "lines", text)
    if not (discount.percent.is_finite() and 0 < discount.percent <= HUNDRED):
        text = _("The discount must be more than 0 and at most 100 percent.")
        raise _refusal("discount_percent", "discount_percent", text)
    if not 0 < discount.days <= 36500:
        text = _("The discount needs a number of days greater than zero.")
        raise _refusal("discount_days", "discount_days", text)
    if discount.treatment not in _TREATMENTS:
        text = _("The discount treats taxes as included, excluded or mixed, not “%(name)s”.") % {
            "name": discount.treatment
        }
        raise _refusal("discount_treatment", "discount_treatment", text)


def due_date(line: TermLine, start: date) -> date:
    """When a line is due for a document dated ``start``.

    ``end_of_month_on``: ``days`` after the start, then day ``day`` of the month after the one reached, or its last day
    where it is shorter; with day 0 the last day of the month reached.
    """
    if line.delay == Delay.END_OF_MONTH:
        return _month_end(start) + timedelta(days=line.days)
    if line.delay == Delay.END_OF_NEXT_MONTH:
        return _month_end(add_months(start, 1)) + timedelta(days=line.days)
    reached = start + timedelta(days=line.days)
    if line.delay == Delay.END_OF_MONTH_ON:
        if line.day == 0:
            return _month_end(reached)
        following = add_months(reached.replace(day=1), 1)
        return following.replace(day=min(line.day, _month_end(following).day))
    return reached


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def instalments(
    total: Decimal,
    total_company: Decimal,
    lines: Sequence[TermLine],
    start: date,
    step: Decimal,
    step_company: Decimal,
    *,
    discount: EarlyDiscount | None = None,
    untaxed: Decimal | None = None,
    untaxed_company: Decimal | None = None,
) -> list[Instalment]:
    """``total`` divided by the terms of a document dated ``start``, in the order of the lines.

    ``step`` and ``step_company`` are the smallest amounts of the two currencies. A discount that leaves the tax alone
    needs the untaxed amounts. A document of nothing has one instalment of nothing, due by the last line.

    Errors: ``InvalidTerms`` as ``check_terms``, and ``terms_signs`` when the two totals are of different sign.
    """
    check_terms(lines, discount)
    if (total > 0 and total_company < 0) or (total < 0 and total_company > 0):
        text = _("The total must have the same sign in both currencies.")
        raise InvalidTerms(text, code="terms_signs")

    parts: list[Instalment] = []
    rest, rest_company = abs(total), abs(total_company)
    size, size_company = rest, rest_company
    negative = total < 0 or total_company < 0
    last = len(lines) - 1
    for place, line in enumerate(lines):
        if place == last:
            part, part_company = rest, rest_company
        else:
            part, part_company = _share(line, size, size_company, step, step_company)
            part = min(part, rest)
            if not part:
                continue
            # the one that takes the rest of one unit takes the rest of the other
            part_company = rest_company if part == rest else min(part_company, rest_company)
        rest -= part
        rest_company -= part_company
        if parts and not part and not part_company:
            continue
        if negative:
            part, part_company = -part, -part_company
        parts.append(Instalment(due_date(line, start), part, part_company))
    if discount is None:
        return parts
    (only,) = parts
    return [
        Instalment(
            only.date,
            only.amount,
            only.amount_company,
            start + timedelta(days=discount.days),
            discounted(total, untaxed, discount, step),
            discounted(total_company, untaxed_company, discount, step_company),
        )
    ]


def _share(
    line: TermLine, size: Decimal, size_company: Decimal, step: Decimal, step_company: Decimal
) -> tuple[Decimal, Decimal]:
    """(document, company) amounts of one line that is not the last, of a total of ``size`` (not negative)."""
    if line.kind == TermKind.PERCENT:
        share = WIDE.divide(line.value, HUNDRED)
        return (
            round_to(WIDE.multiply(size, share), step),
            round_to(WIDE.multiply(size_company, share), step_company),
        )
    part = round_to(line.value, step)
    if not size:
        return part, ZERO
    return part, round_to(WIDE.divide(WIDE.multiply(size_company, part), size), step_company)


def discounted(total: Decimal, untaxed: Decimal | None, discount: EarlyDiscount, step: Decimal) -> Decimal:
    """What settles a document of ``total`` when it is paid in time.

    Errors: ``InvalidTerms`` (``discount_untaxed``) when the treatment needs the untaxed amount and there is none.
    """
    if discount.treatment == Treatment.INCLUDED:
        base = total
    elif untaxed is None:
        text = _("This discount is taken of the untaxed amount, which is missing.")
        raise InvalidTerms(text, code="discount_untaxed")
    else:
        base = untaxed
    taken = WIDE.divide(WIDE.multiply(base, discount.percent), HUNDRED)
    return round_to(WIDE.subtract(total, taken), step)


def discount_parts(
    taken: Decimal, untaxed: Decimal, taxes: Sequence[Decimal], treatment: str, step: Decimal
) -> tuple[Decimal, list[Decimal]]:
    """A discount of ``taken`` (total minus what was paid) as (loss, correction of each tax), adding up to it exactly.

    Only the included treatment corrects taxes: 24.20 off 1000 + 210 is a loss of 20.00 and 4.20 less tax.
    """
    nothing = round_to(ZERO, step)
    if treatment != Treatment.INCLUDED or not any(taxes) or untaxed + sum(taxes, ZERO) == 0:
        return taken, [nothing for _tax in taxes]
    loss, *corrections = split_amount(taken, [untaxed, *taxes], step)
    return loss, corrections


def plain_percent(value: Decimal) -> str:
    """A percentage without needless zeros: 30.000000 → 30, 33.330000 → 33.33."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def describe(lines: Sequence[TermLine], discount: EarlyDiscount | None = None) -> list[str]:
    """The terms in words, one text a line, the discount last."""
    texts = []
    for place, line in enumerate(lines):
        texts.append(_("%(part)s %(when)s") % {"part": _part_text(lines, place), "when": _when_text(line)})
    if discount is not None:
        texts.append(_discount_text(discount))
    return texts


def _part_text(lines: Sequence[TermLine], place: int) -> str:
    line = lines[place]
    if len(lines) == 1:
        return _("The total")
    if line.kind == TermKind.PERCENT:
        return _("%(value)s%%") % {"value": plain_percent(line.value)}
    if place == len(lines) - 1:
        return _("The rest")
    return _("An amount of %(value)s") % {"value": plain_percent(line.value)}


def _when_text(line: TermLine) -> str:
    names = {"days": line.days, "day": line.day}
    if line.delay == Delay.DAYS_AFTER:
        if not line.days:
            return _("at once")
        return ngettext("%(days)d day after the date", "%(days)d days after the date", line.days) % names
    if line.delay == Delay.END_OF_MONTH:
        if not line.days:
            return _("at the end of the month")
        text = ngettext(
            "%(days)d day after the end of the month", "%(days)d days after the end of the month", line.days
        )
        return text % names
    if line.delay == Delay.END_OF_NEXT_MONTH:
        if not line.days:
            return _("at the end of the next month")
        text = ngettext(
            "%(days)d day after the end of the next month",
            "%(days)d days after the end of the next month",
            line.days,
        )
        return text % names
    if not line.day:
        text = ngettext(
            "at the end of the month in which %(days)d day is over",
            "at the end of the month in which %(days)d days are over",
            line.days,
        )
        return text % names
    text = ngettext(
        "on day %(day)d of the month after %(days)d day is over",
        "on day %(day)d of the month after %(days)d days are over",
        line.days,
    )
    return text % names


def _discount_text(discount: EarlyDiscount) -> str:
    treatment = {
        Treatment.INCLUDED: _("the tax is reduced with it"),
        Treatment.EXCLUDED: _("the tax is not reduced"),
        Treatment.MIXED: _("the tax is computed on the reduced price in any case"),
    }[Treatment(discount.treatment)]
    text = ngettext(
        "%(percent)s%% off when paid within %(days)d day; %(treatment)s",
        "%(percent)s%% off when paid within %(days)d days; %(treatment)s",
        discount.days,
    )
    return text % {
        "percent": plain_percent(discount.percent),
        "days": discount.days,
        "treatment": treatment,
    }


def preview(
    parts: Sequence[Instalment], amount_text: Callable[[Decimal], str], date_text: Callable[[date], str]
) -> list[str]:
    """The instalments of an example in words; the caller says how amounts and dates are written."""
    texts = []
    for part in parts:
        texts.append(
            _("%(amount)s due on %(date)s")
            % {"amount": amount_text(part.amount), "date": date_text(part.date)}
        )
        if part.discount_date is not None and part.discount_amount is not None:
            texts.append(
                _("%(amount)s if paid by %(date)s")
                % {"amount": amount_text(part.discount_amount), "date": date_text(part.discount_date)}
            )
    return texts
