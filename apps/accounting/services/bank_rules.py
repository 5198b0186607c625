"""Rules for bank lines: writing them, and carrying out proposals that need no asking, one journal at a time if need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import DataError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.models import Account, Journal, ReconcileRule, StatementLine
from apps.accounting.selectors.bank_matching import Proposal, certain_one, proposals_for
from apps.accounting.services.bank_parts import Choice, WriteOff
from apps.accounting.services.bank_reconcile import reconcile_lines, show_written
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import background
from apps.core.jobs.service import start_background
from apps.core.models import JobRun
from apps.core.records import RecordService, service
from apps.core.rules import require_visible, visible

TASK = "accounting.reconcile_bank_lines"
CHUNK = 100
KEPT = 1_000  # reasons in the result of a run


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
    return _carry_out(lines, lambda found: next((p for p in found if p.auto), None), actor)


@action(
    StatementLine,
    name="accept_proposals",
    permission="reconcile",
    title=gettext_lazy("Reconcile what is certain"),
    icon="done_all",
    condition=lambda line, _actor: not line.reconciled,
    saves_state=True,
)
def accept_proposals(lines: Sequence[StatementLine], *, actor: Actor) -> dict[str, object]:
    """Reconcile the lines of which one proposal is certain: a rule that asks nobody, all of the amount by a full reference,
    or the very amount of a partner who is known. The others stay as they are. Set-based."""
    return _carry_out(lines, certain_one, actor)


def _carry_out(
    lines: Sequence[StatementLine], choose: Callable[[Sequence[Proposal]], Proposal | None], actor: Actor
) -> dict[str, object]:
    found = proposals_for(lines, actor=actor)
    taken: set[tuple[str, int]] = set()
    choices = []
    for line in lines:
        chosen = choose(found.get(line.pk, ()))
        if chosen is None:
            continue
        used = {("item", pk) for pk in chosen.items} | {("payment", pk) for pk in chosen.payments}
        if taken & used:
            continue  # two lines for one item: somebody has to look
        taken |= used
        choices.append(choice_of(line, chosen))
    reconcile_lines(choices, actor=actor)
    show_written(lines)
    return {"reconciled": [choice.line.pk for choice in choices]}


# ------------------------------------------------------------------------------------------------------ the background
def start_matching(journal: Journal, *, actor: Actor) -> JobRun:
    """Queue the reconciliation of all open lines of a journal whose proposal is certain. Needs the right to reconcile."""
    actor.require(StatementLine, "reconcile")
    require_visible([journal], actor, "view")
    rows = visible(StatementLine, actor, "reconcile").filter(journal=journal, reconciled=False)
    pks = list(rows.order_by("date", "sequence", "pk").values_list("pk", flat=True))
    return start_background(
        TASK,
        inputs={"model": StatementLine._meta.label_lower, "journal": journal.pk, "pks": pks},
        actor=actor,
        title=_("Reconcile what is certain: %(journal)s, %(count)d movements")
        % {"journal": journal.name, "count": len(pks)},
    )


@background(TASK, title=gettext_lazy("Reconcile bank movements"))
def match_in_background(run: RunHandle) -> dict[str, Any]:
    """Reconcile the lines of the run, piece by piece; each piece is tried as one set and, when that is refused, line by line.

    The result is ``{"done": number, "refused": [[key of the line, reason], …], "refused_count": number}``.
    """
    pks = list(run.inputs["pks"])
    done, refused = 0, []
    run.progress(0, len(pks))
    for start in range(0, len(pks), CHUNK):
        chunk = pks[start : start + CHUNK]
        rows = visible(StatementLine, run.actor, "reconcile").filter(pk__in=chunk)
        still_open = set(rows.filter(reconciled=False).values_list("pk", flat=True))
        reasons: dict[int, str] = {pk: _("It is reconciled already.") for pk in chunk if pk not in still_open}
        pending = [pk for pk in chunk if pk in still_open]
        try:
            accepted = set(_accepted(pending, run.actor))
        except BusinessError:
            accepted = set()
            for pk in pending:
                try:
                    accepted |= set(_accepted([pk], run.actor))
                except BusinessError as error:
                    reasons[pk] = " ".join(
                        [error.message, *(t for texts in error.fields.values() for t in texts)]
                    )
        for pk in pending:
            if pk not in accepted:
                reasons.setdefault(pk, _("No proposal is certain; have a look at it."))
        done += len(accepted)
        refused += [[pk, reasons[pk]] for pk in chunk if pk in reasons]
        run.progress(min(start + CHUNK, len(pks)), len(pks))
    run.log(_("%(done)d movements reconciled, %(left)d left.") % {"done": done, "left": len(refused)})
    return {"done": done, "refused": refused[:KEPT], "refused_count": len(refused)}


def _accepted(pks: Sequence[int], actor: Actor) -> list[int]:
    if not pks:
        return []
    answer = accept_proposals(pks, actor=actor)
    return list(answer["reconciled"])
