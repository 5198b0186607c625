"""What happened in the books. Handlers run on a worker after commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from apps.core.events import Event


@dataclass(frozen=True)
class InvoicePosted(Event):
    """Documents were posted."""

    name: ClassVar[str] = "accounting.InvoicePosted"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class InvoiceReset(Event):
    """Posted documents went back to draft; their entries were reversed."""

    name: ClassVar[str] = "accounting.InvoiceReset"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class InvoiceCancelled(Event):
    """Draft documents were cancelled."""

    name: ClassVar[str] = "accounting.InvoiceCancelled"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class InvoicePaid(Event):
    """Nothing is left to pay on these documents."""

    name: ClassVar[str] = "accounting.InvoicePaid"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class EntryPosted(Event):
    """Entries made by hand were posted."""

    name: ClassVar[str] = "accounting.EntryPosted"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class PaymentPosted(Event):
    """Payments were confirmed."""

    name: ClassVar[str] = "accounting.PaymentPosted"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class LockDatesChanged(Event):
    """Lock dates of a company were changed, or an exception was made or revoked."""

    name: ClassVar[str] = "accounting.LockDatesChanged"
    pks: tuple[int, ...]
    company_pk: int | None = None
