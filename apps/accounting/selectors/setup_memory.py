"""The set-up that every document is made with, held by the process until somebody changes it.

Settings, journals, accounts, taxes, terms, fiscal positions and currencies change a few times a year and are read by every
document. What is held here is complete: rules that hide a record from somebody are applied by whoever hands it on. Nobody may
change what he gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.db.models import Model

from apps.accounting.compute.taxes import TaxSpec
from apps.accounting.models import AccountingSettings, Journal, PaymentTermLine, Tax
from apps.accounting.selectors.partners import PositionChooser, PositionMap, position_maps
from apps.accounting.selectors.setup import company_line_of, settings_of_many, specs_of, tax_rows
from apps.core.memory import Memory
from apps.core.rows import read_by_key, read_rows

M = TypeVar("M", bound=Model)
K = TypeVar("K")
V = TypeVar("V")
_ALLOWED = {
    "allowed_pks": "ARRAY(SELECT x.account_id FROM accounting_journal_allowed_accounts x WHERE x.journal_id = t.id)"
}


class SetupMemory:
    """One state of the set-up, read as it is asked for. Records that do not exist are not remembered, and left out."""

    def __init__(self) -> None:
        self._rows: dict[type[Model], dict[int, Any]] = {}
        self._settings: dict[int, AccountingSettings] = {}
        self._journals: dict[int, list[Journal]] = {}
        self._taxes: dict[int, Tax] = {}
        self._specs: dict[str, dict[int, TaxSpec]] = {}
        self._term_lines: dict[int, list[PaymentTermLine]] = {}
        self._maps: dict[int, PositionMap] = {}
        self._choosers: dict[int, PositionChooser] = {}

    def by_key(self, model: type[M], pks: Iterable[int | None]) -> dict[int, M]:
        """Rows of a model of the set-up by primary key. At most one statement."""
        return _answer(self._rows.setdefault(model, {}), pks, lambda missing: read_by_key(model, missing))

    def settings(self, company_pks: Iterable[int]) -> dict[int, AccountingSettings]:
        """``settings_of_many``. At most one statement."""
        return _answer(self._settings, company_pks, settings_of_many)

    def journals(self, company_pks: Iterable[int]) -> list[Journal]:
        """The journals for sales and purchases that belong to the companies, with ``allowed_pks``. At most one statement."""

        def read(owners: list[int]) -> dict[int, list[Journal]]:
            found: dict[int, list[Journal]] = {pk: [] for pk in owners}
            condition = "t.company_id = ANY (%s) AND t.type IN ('sale', 'purchase') ORDER BY t.id"
            for row in read_rows(Journal, condition, [owners], extra=_ALLOWED):
                found[row.company_id].append(row)
            return found

        return [row for rows in _answer(self._journals, company_pks, read).values() for row in rows]

    def taxes(self, pks: Iterable[int | None]) -> dict[int, Tax]:
        """Taxes, and the children of groups among them. At most one statement."""
        wanted = set(pks)
        found = _answer(self._taxes, wanted, tax_rows)
        children = {pk for tax in found.values() for pk in tax.child_pks}  # type: ignore[attr-defined]
        return found | {pk: self._taxes[pk] for pk in children if pk in self._taxes}

    def tax_specs(self, pks: Iterable[int], inclusion: str) -> dict[int, TaxSpec]:
        """Taxes as the computation takes them, under a company's setting of prices. At most two statements."""

        def read(missing: list[int]) -> dict[int, TaxSpec]:
            rows = self.taxes(missing)
            return specs_of(rows, rows, inclusion=inclusion)

        return _answer(self._specs.setdefault(inclusion, {}), pks, read)

    def term_lines(self, pks: Iterable[int]) -> dict[int, list[PaymentTermLine]]:
        """The parts of payment terms in their order. At most one statement."""

        def read(terms: list[int]) -> dict[int, list[PaymentTermLine]]:
            found: dict[int, list[PaymentTermLine]] = {pk: [] for pk in terms}
            condition = "t.term_id = ANY (%s) ORDER BY t.term_id, t.sequence, t.id"
            for row in read_rows(PaymentTermLine, condition, [terms]):
                found[row.term_id].append(row)
            return found

        return _answer(self._term_lines, pks, read)

    def position_maps(self, pks: Iterable[int]) -> dict[int, PositionMap]:
        """What fiscal positions replace. At most two statements."""
        return _answer(self._maps, pks, position_maps)

    def chooser(self, company_pk: int) -> PositionChooser:
        """Chooses fiscal positions for documents of a company. At most one statement."""

        def read(missing: list[int]) -> dict[int, PositionChooser]:
            settings = self.settings(missing)
            return {
                pk: PositionChooser(row.company, line=company_line_of(row), home=row.fiscal_country_id)
                for pk, row in settings.items()
            }

        return _answer(self._choosers, [company_pk], read)[company_pk]


def _answer(
    held: dict[int, V], keys: Iterable[int | None], read: Callable[[list[int]], Mapping[int, V]]
) -> dict[int, V]:
    wanted = {key for key in keys if key is not None}
    missing = [key for key in wanted if key not in held]
    if missing:
        held.update(read(missing))
    return {key: held[key] for key in wanted if key in held}


_memory = Memory("accounting.setup", SetupMemory)


def setup_memory() -> SetupMemory:
    """The set-up as the open transaction sees it. One statement."""
    return _memory.now()
