"""Rules for bank lines: writing them, and carrying out what they propose without asking."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DataError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.models import Account, ReconcileRule, StatementLine
from apps.accounting.selectors.bank_matching import Proposal, proposals_for
from apps.accounting.services.bank_parts import Choice, WriteOff
from apps.accounting.services.bank_reconcile import reconcile_lines, show_written
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.records import RecordService, service


@service(ReconcileRule)
class ReconcileRuleService(RecordService[ReconcileRule]):
    """The writer of rules."""

    def validate(self, records: Sequence[ReconcileRule], actor: Actor) -> None:
        accounts = Account.objects.in_bulk({record.account_id for record in records} - {None})
        tests, kinds = ReconcileRule.LabelTest, ReconcileRule.Kind
        for record in records:
            errors: dict[str, list[str]] = {}
            if record.kind != kinds.MATCHING and record.account_id is None:
                errors["account"] = [_("Name the account that the money goes to.")]
            account = accounts.get(record.account_id) if record.account_id else None
            if account is not None and account.deprecated:
                errors["account"] = [_("Account %(code)s is deprecated.") % {"code": account.code}]
            if record.label_test != tests.NONE and not record.label_text.strip():
                errors["label_text"] = [_("Say which text the label is compared with.")]
            elif record.label_test == tests.REGEX and not _is_pattern(record.label_text):
                errors["label_text"] = [_("This is no pattern.")]
            low, high = record.amount_min, record.amount_max
            if low is not None and high is not None and low > high:
                errors["amount_max"] = [_("The upper amount is below the lower one.")]
            percent = record.amount_type == ReconcileRule.AmountType.PERCENT
            if record.amount_value <= 0 or (percent and record.amount_value > 100):
                errors["amount_value"] = [_("More than nothing, and at most 100 percent.")]
            if not 0 <= record.tolerance_percent <= 100:
                errors["tolerance_percent"] = [_("Between 0 and 100 percent.")]
            if record.auto_validate and record.kind == kinds.BUTTON:
                errors["auto_validate"] = [_("A button waits to be pressed; choose another kind.")]
            if errors:
                raise ValidationFailed(fields=errors)


def _is_pattern(text: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT '' ~* %s", [text])
    except DataError:
        return False
    return True


def choice_of(line: StatementLine, proposal: Proposal) -> Choice:
    """A proposal as the choice that carries it out."""
    write_offs = []
    if proposal.account_pk is not None:
        write_offs = [WriteOff(proposal.account_pk, proposal.amount, proposal.label)]
    return Choice(
        line,
        items=proposal.items,
        payments=proposal.payments,
        write_offs=write_offs,
        partner_pk=proposal.partner_pk,
    )


@action(
    StatementLine,
    name="apply_rules",
    permission="reconcile",
    title=gettext_lazy("Apply rules"),
    icon="rule",
    condition=lambda line, _actor: not line.reconciled,
    saves_state=True,
)
def apply_rules(lines: Sequence[StatementLine], *, actor: Actor) -> dict[str, object]:
    """Reconcile the lines for which a rule needs no asking; the first such proposal of each line counts. Set-based."""
    found = proposals_for(lines, actor=actor)
    taken: set[int] = set()
    choices = []
    for line in lines:
        chosen = next((p for p in found.get(line.pk, ()) if p.auto), None)
        if chosen is None or taken & set(chosen.items):
            continue  # two lines for one item: somebody has to look
        taken.update(chosen.items)
        choices.append(choice_of(line, chosen))
    reconcile_lines(choices, actor=actor)
    show_written(lines)
    return {"reconciled": [choice.line.pk for choice in choices]}
