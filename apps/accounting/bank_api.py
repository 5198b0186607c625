"""REST: ``accounting/bank-statements``, ``statement-lines`` and ``reconcile-rules``. Imported by ``api``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from apps.accounting.models import (
    BankStatement,
    Journal,
    ReconcileRule,
    StatementLine,
)
from apps.accounting.selectors.bank_matching import proposals_for
from apps.accounting.selectors.statements import running_balances, statement_figures
from apps.accounting.services.bank_import import import_bank_file
from apps.api.base import (
    Computed,
    Input,
    NestedSpec,
    Resource,
    resource,
    route,
)
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.money import plain_number


def _figures(pks: Sequence[int], *, actor: Actor) -> dict[int, dict[str, Any]]:
    return {
        pk: {
            "computed_end": plain_number(figures.computed_end),
            "is_complete": figures.is_complete,
            "is_valid": figures.is_valid,
            "gap": plain_number(figures.gap),
            "previous": figures.previous_pk,
            "lines": figures.lines,
            "reconciled": figures.reconciled,
        }
        for pk, figures in statement_figures(pks).items()
    }


def _running_balances(pks: Sequence[int], *, actor: Actor) -> dict[int, Decimal]:
    return running_balances(pks)


@resource("accounting/bank-statements")
class BankStatementResource(Resource):
    """Statements of bank and cash journals. *Complete*: opening and lines make the closing balance; *valid*: it begins
    where the one before ended."""

    model = BankStatement
    nested: ClassVar[Mapping[str, NestedSpec]] = {
        "lines": NestedSpec(
            StatementLine,
            link="statement",
            fields=(
                "date",
                "sequence",
                "label",
                "amount",
                "foreign_currency",
                "foreign_amount",
                "partner",
                "partner_name",
                "account_number",
                "transaction_type",
                "reference",
                "reconciled",
                "entry",
            ),
            ordering=("date", "sequence", "pk"),
            writes="service",
            help="Lines are added to those that are there; with an id they are mended. Without a date they take the "
            "statement's. A line is removed by deleting it under statement-lines.",
        ),
    }
    computed: ClassVar[Mapping[str, Any]] = {
        "figures": Computed(
            type=dict,
            batch=_figures,
            help="computed_end, is_complete, is_valid, gap, previous, lines, reconciled",
        ),
    }

    @route(
        "import",
        methods=("POST",),
        detail=False,
        permission="add",
        upload=True,
        summary="Statements and lines from a bank file",
        inputs={
            "journal": Input(Journal, required=True),
            "mapping": Input(
                str,
                help="How to read the columns of CSV and XLSX: an object, as JSON text. Left out: as the journal has it.",
            ),
            "remember": Input(bool, default=False, help="Keep the mapping at the journal."),
        },
    )
    def import_file(
        self, request: Any, journal: Journal, mapping: str = "", remember: bool = False
    ) -> dict[str, Any]:
        """A bank file (CAMT, MT940, OFX, QIF, CODA, CSV, XLSX) as ``file``: all of it or nothing. What the journal has
        already is counted and left out."""
        file = request.FILES.get("file")
        if file is None:
            raise ValidationFailed(fields={"file": [_("Send a bank file.")]})
        try:
            columns = json.loads(mapping) if mapping else None
        except ValueError as exc:
            raise ValidationFailed(fields={"mapping": [_("Send an object, as JSON text.")]}) from exc
        result = import_bank_file(
            file.read(), file.name or "", journal, columns, actor=request.actor, remember=remember
        )
        return result.as_json()


@resource("accounting/statement-lines")
class StatementLineResource(Resource):
    """Movements of bank and cash. Each is booked against suspense at once and reconciled by an action."""

    model = StatementLine
    detail_only = ("details",)
    currency = "journal__currency"
    currencies: ClassVar[Mapping[str, str]] = {"foreign_amount": "foreign_currency"}
    computed: ClassVar[Mapping[str, Any]] = {
        "running_balance": Computed(
            type=Decimal, batch=_running_balances, help="of the account after this movement"
        ),
    }

    @route("proposals", summary="What the movement may be, with reasons")
    def proposals(self, request: Any, record: StatementLine) -> dict[str, Any]:
        """Ways to explain an open movement, strongest first; the names are those of the inputs of ``reconcile``."""
        found = proposals_for([record], actor=request.actor).get(record.pk, [])
        return {
            "results": [
                {
                    "reason": row.reason,
                    "rank": row.rank,
                    "items": list(row.items),
                    "payments": list(row.payments),
                    "partner": row.partner_pk,
                    "account": row.account_pk,
                    "amount": None if row.amount is None else plain_number(row.amount),
                    "label": row.label,
                    "rule": row.rule_pk,
                    "certain": row.certain or row.auto,
                }
                for row in found
            ]
        }


@resource("accounting/reconcile-rules")
class ReconcileRuleResource(Resource):
    """What to propose for statement lines."""

    model = ReconcileRule
