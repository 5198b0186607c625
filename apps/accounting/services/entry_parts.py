"""Items of draft entries on their way, and what is wrong with them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal

from apps.core.errors import ValidationFailed

ZERO = Decimal(0)


@dataclass(slots=True)
class EntryItem:
    """One item of a draft. ``converted`` tells that its company amount follows from the rate, ``boxed`` that
    its boxes are known already."""

    account_pk: int = 0
    name: str = ""
    partner_pk: int | None = None
    currency_pk: int | None = None
    balance: Decimal | None = None
    amount_currency: Decimal | None = None
    quantity: Decimal | None = None
    date_maturity: datetime.date | None = None
    tax_pks: tuple[int, ...] = ()
    tax_pk: int | None = None
    repartition_pk: int | None = None
    tax_base_amount: Decimal = ZERO
    tag_pks: tuple[int, ...] = ()
    matching_number: str = ""
    pk: int | None = None
    converted: bool = False
    boxed: bool = False


@dataclass(slots=True)
class Problems:
    """What is wrong with the items of one call, by field; raised together."""

    many: bool
    fields: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: int, name: str, text: str) -> None:
        self.fields.setdefault(f"{place}.{name}" if self.many else name, []).append(text)

    def raise_any(self) -> None:
        if self.fields:
            raise ValidationFailed(fields=self.fields)
