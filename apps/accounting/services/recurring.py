"""Documents that post themselves on their day, and posting of thousands in the background.

The daily job posts every draft whose day has come, company by company; one that is refused is named with the reason in the
run's log and by an activity on the document, and tried again the next day. A batch is one transaction; when it is refused its
documents go one by one, so that a wrong one stops no other.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import AutoPost, EntryState
from apps.accounting.models import Invoice
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.posting_failures import tell_failures
from apps.core.actions import run_each
from apps.core.actor import Actor, system_actor
from apps.core.errors import BusinessError
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import background, own_transactions
from apps.core.jobs.service import start_background
from apps.core.models.job import JobRun

BATCH = 200
KEPT_REFUSALS = 1000
TASK = "accounting.post_invoices"


@own_transactions
def post_due_documents(run: RunHandle) -> None:
    """Job: post the drafts whose day has come, and make the next ones of those that repeat."""
    by_company: dict[int, list[int]] = {}
    # A day ahead of the server's: where the company is it may be tomorrow already; ``_today`` decides.
    horizon = timezone.localdate() + datetime.timedelta(days=1)
    waiting = Invoice.objects.filter(state=EntryState.DRAFT, date__lte=horizon).exclude(auto_post=AutoPost.NO)
    for pk, company, day, zone in waiting.order_by("company_id", "date", "pk").values_list(
        "pk", "company_id", "date", "company__timezone"
    ):
        if day is not None and day <= _today(zone):
            by_company.setdefault(company, []).append(pk)
    done, total = 0, sum(len(pks) for pks in by_company.values())
    run.progress(0, total)
    for company, pks in by_company.items():
        actor = system_actor(company_pk=company, channel="job")
        for start in range(0, len(pks), BATCH):
            batch = pks[start : start + BATCH]
            _posted, refused = post_batch(batch, actor=actor)
            for pk, reason in refused:
                run.log(f"{pk}: {reason}")
            tell_failures(refused, actor=actor)
            done += len(batch)
            run.progress(done, total)


def _today(zone: str) -> datetime.date:
    return timezone.localdate(timezone=ZoneInfo(zone or "UTC"))


def post_batch(pks: Sequence[int], *, actor: Actor, soft: bool = False) -> tuple[int, list[tuple[int, str]]]:
    """Post documents in one transaction, or one by one when that is refused. Answers how many were posted or scheduled, and
    the others with the reason."""
    try:
        post_invoices(list(pks), actor=actor, soft=soft)
    except BusinessError:
        results = run_each(post_invoices, pks, actor=actor, soft=soft)
        refused = [(pk, reason_of(error)) for pk, error in results if error is not None]
        return len(pks) - len(refused), refused
    return len(pks), []


def reason_of(error: Exception) -> str:
    """A refusal in one line."""
    if isinstance(error, BusinessError) and error.fields:
        return "; ".join(text for texts in error.fields.values() for text in texts)
    return str(error)


@background(TASK, title=gettext_lazy("Post documents"))
def post_in_background(run: RunHandle) -> dict[str, Any]:
    """Post the documents of the run; its result is ``{"done": number, "refused": [[pk, reason], …], "refused_count": n}``.

    Bears running twice: documents that are posted already are passed over.
    """
    asked = [int(pk) for pk in run.inputs["pks"]]
    posted = set(Invoice.objects.filter(pk__in=asked, state=EntryState.POSTED).values_list("pk", flat=True))
    pks = [pk for pk in asked if pk not in posted] if run.attempt > 1 else asked
    done, refused = len(asked) - len(pks), []
    run.progress(done, len(asked))
    for start in range(0, len(pks), BATCH):
        batch = pks[start : start + BATCH]
        count, failed = post_batch(batch, actor=run.actor, soft=bool(run.inputs.get("soft")))
        done += count
        for pk, reason in failed:
            run.log(f"{pk}: {reason}")
        refused += [[pk, reason] for pk, reason in failed]
        run.progress(start + len(batch) + len(asked) - len(pks), len(asked))
    return {"done": done, "refused": refused[:KEPT_REFUSALS], "refused_count": len(refused)}


def start_posting(pks: Sequence[int], *, actor: Actor, soft: bool = False) -> JobRun:
    """Post many documents in the background, each with its own result; one that is refused stops no other."""
    actor.require(Invoice, "post")
    return start_background(
        TASK,
        inputs={"pks": sorted(set(pks)), "soft": soft},
        actor=actor,
        title=_("Post %(count)d documents") % {"count": len(set(pks))},
    )
