"""Screens for the kernel's own records: reference data, custom fields, numbering, jobs, outbox."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets
from unfold.decorators import display

from apps.backoffice.base import Button, RecordAdmin, RecordInline, Tab, backoffice, record_url
from apps.backoffice.forms import RecordForm
from apps.backoffice.rights import actor_of
from apps.core.actor import Actor
from apps.core.custom_fields import models_with_custom_fields
from apps.core.models import (
    Country,
    CountryState,
    Currency,
    CustomField,
    JobRun,
    OutboxEvent,
    ScheduledJob,
    Sequence,
    SequenceRange,
)
from apps.core.rules import visible


@backoffice(Currency)
class CurrencyAdmin(RecordAdmin):
    list_display = ("code", "name", "symbol", "decimals", "rounding", "active")
    list_filter = ("symbol_before",)
    fieldsets = (
        (
            None,
            {"fields": (("code", "name"), ("symbol", "symbol_before"), ("decimals", "rounding"), "active")},
        ),
        (gettext_lazy("In words"), {"fields": (("unit_name", "subunit_name"),)}),
    )


class StateInline(RecordInline):
    model = CountryState
    fields = ("code", "name")
    tab = True


@backoffice(Country)
class CountryAdmin(RecordAdmin):
    list_display = ("name", "code", "currency", "phone_code", "is_eu")
    list_filter = ("is_eu", "currency")
    fieldsets = (
        (None, {"fields": (("name", "code"), ("currency", "phone_code"), ("tax_id_label", "is_eu"))}),
        (gettext_lazy("Addresses"), {"fields": ("address_format", ("state_required", "zip_required"))}),
    )
    inlines = (StateInline,)


@backoffice(CountryState)
class CountryStateAdmin(RecordAdmin):
    list_display = ("name", "code", "country")
    list_filter = ("country",)
    fieldsets = ((None, {"fields": ("country", ("code", "name"))}),)


class ChoicesField(forms.CharField):
    """Choices of a custom field as lines: ``key = Label``; a line without a key gets one made from the label."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return "\n".join(f"{key} = {label}" for key, label in value)
        return value

    def clean(self, value: Any) -> list[list[str]]:
        text = super().clean(value) or ""
        choices: list[list[str]] = []
        for line in text.splitlines():
            if not line.strip():
                continue
            key, mark, label = (part.strip() for part in line.partition("="))
            if not mark:
                key, label = slugify(line).replace("-", "_"), line.strip()
            if not key or not label:
                raise ValidationError(_("'%(line)s' is not of the form key = Label."), params={"line": line})
            if any(known[0] == key for known in choices):
                raise ValidationError(_("The key '%(key)s' is there twice."), params={"key": key})
            choices.append([key, label])
        return choices

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial or []).split() != (data or "").split())


def _kinds(models_: list[type[models.Model]]) -> list[tuple[str, str]]:
    return sorted((m._meta.label_lower, f"{m._meta.verbose_name} ({m._meta.label_lower})") for m in models_)


class CustomFieldForm(RecordForm):
    model = forms.ChoiceField(label=gettext_lazy("Kind of record"), widget=widgets.UnfoldAdminSelectWidget())
    target = forms.ChoiceField(
        label=gettext_lazy("Linked kind of record"), required=False, widget=widgets.UnfoldAdminSelectWidget()
    )
    choices = ChoicesField(
        label=gettext_lazy("Choices"),
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text=gettext_lazy("One choice a line, as key = Label. The key is stored and must not change."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "model" in self.fields:
            self.fields["model"].choices = [("", "–"), *_kinds(models_with_custom_fields())]  # type: ignore[attr-defined]
        if "target" in self.fields:
            linked = [m for m in apps.get_models() if hasattr(m, "erp") and record_url(m)]
            self.fields["target"].choices = [("", "–"), *_kinds(linked)]  # type: ignore[attr-defined]


@backoffice(CustomField)
class CustomFieldAdmin(RecordAdmin):
    """The database index of a filterable field is made and dropped by the service."""

    form = CustomFieldForm
    list_display = ("label", "model", "key", "type", "required", "filterable", "sequence")
    list_filter = ("type", "required", "filterable")
    fieldsets = (
        (None, {"fields": ("model", ("label", "key"), "type", "help")}),
        (gettext_lazy("Values"), {"fields": ("choices", "target", ("required", "filterable"), "sequence")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Stored values depend on these three."""
        return [*super().get_readonly_fields(request, obj), *(("model", "key", "type") if obj else ())]


class ReadOnlyAdmin(RecordAdmin):
    """Records that only the system writes. Actions still work, where the role grants them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RangeInline(RecordInline):
    model = SequenceRange
    fields = ("date_from", "date_to", "next_number")
    readonly_fields = ("next_number",)
    tab = True


@backoffice(Sequence)
class SequenceAdmin(RecordAdmin):
    list_display = ("title", "code", "prefix", "suffix", "padding", "implementation", "company")
    list_filter = ("implementation", "company", "use_date_ranges")
    fieldsets = (
        (None, {"fields": (("title", "code"), "company")}),
        (gettext_lazy("Number"), {"fields": (("prefix", "suffix"), ("padding", "step"), "next_number")}),
        (gettext_lazy("Counting"), {"fields": ("implementation", "use_date_ranges")}),
    )
    inlines = (RangeInline,)


STATE_TONES = {
    JobRun.State.QUEUED: "info",
    JobRun.State.RUNNING: "info",
    JobRun.State.DONE: "success",
    JobRun.State.PARTIAL: "warning",
    JobRun.State.FAILED: "danger",
    JobRun.State.CANCELLED: "",
}


def chip(text: Any, tone: str = "") -> SafeString:
    """A small coloured label."""
    return format_html('<span class="bo-chip{}">{}</span>', f" bo-chip-{tone}" if tone else "", text)


@backoffice(ScheduledJob)
class ScheduledJobAdmin(RecordAdmin):
    list_display = ("title", "module", "schedule", "next_call", "last_call", "health")
    list_filter = ("module", "unit")
    fieldsets = (
        (None, {"fields": (("title", "module"), ("code", "task"))}),
        (
            gettext_lazy("Schedule"),
            {"fields": (("every", "unit"), ("next_call", "timezone"), ("priority", "user"), "active")},
        ),
        (
            gettext_lazy("State"),
            {"fields": (("last_call", "failure_count"), ("first_failure_at", "lost_in_a_row"))},
        ),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=gettext_lazy("Schedule"))
    def schedule(self, job: ScheduledJob) -> str:
        return _("every %(every)s %(unit)s") % {"every": job.every, "unit": job.get_unit_display()}

    @display(description=gettext_lazy("Health"), ordering="failure_count")
    def health(self, job: ScheduledJob) -> SafeString:
        if job.failure_count:
            return chip(_("%(times)s failures in a row") % {"times": job.failure_count}, "danger")
        return chip(_("fine"), "success") if job.last_call else chip(_("not run yet"))

    def get_buttons(self, request: HttpRequest, record: ScheduledJob) -> list[Button]:
        runs = visible(JobRun, actor_of(request)).filter(job=record)
        url = f"{record_url(JobRun)}?job__id__exact={record.pk}"
        return [Button(key="runs", title=_("Runs"), url=url, icon="history", count=runs.count())]


@backoffice(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    list_display = ("title", "state_chip", "progress", "user", "created_at", "started_at", "duration")
    list_filter = ("state", "kind", "job", "user", "created_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("title", "state_chip"),
                    ("progress", "duration"),
                    ("kind", "job"),
                    ("user", "attempts"),
                )
            },
        ),
        (
            gettext_lazy("Times"),
            {"fields": (("created_at", "started_at"), ("finished_at", "heartbeat_at"))},
        ),
        (gettext_lazy("Log"), {"classes": ["tab"], "fields": ("log_text",)}),
        (gettext_lazy("Error"), {"classes": ["tab"], "fields": ("error_text",)}),
        (gettext_lazy("Inputs and result"), {"classes": ["tab"], "fields": ("inputs_text", "result_text")}),
    )
    readonly_fields = (
        "state_chip",
        "progress",
        "duration",
        "log_text",
        "error_text",
        "inputs_text",
        "result_text",
    )

    def form_context(self, request: HttpRequest, record: JobRun) -> dict[str, Any]:
        live = record.state in (JobRun.State.QUEUED, JobRun.State.RUNNING)
        return {**super().form_context(request, record), "follow_live": live}

    def get_tabs(self, request: HttpRequest, record: JobRun) -> list[Tab]:
        """For an action on many records: what became of each, refusals first."""
        context = outcomes_of(record, actor_of(request))
        if context is None:
            return []
        return [
            Tab(
                key="outcomes",
                title=_("Results"),
                template="backoffice/includes/outcomes.html",
                context=context,
                count=context["done"] + context["failed"],
            )
        ]

    @display(description=gettext_lazy("State"), ordering="state")
    def state_chip(self, run: JobRun) -> SafeString:
        return chip(run.get_state_display(), STATE_TONES.get(JobRun.State(run.state), ""))

    @display(description=gettext_lazy("Progress"))
    def progress(self, run: JobRun) -> str:
        return f"{run.done} / {run.total}" if run.total is not None else str(run.done or "–")

    @display(description=gettext_lazy("Duration"))
    def duration(self, run: JobRun) -> str:
        if run.started_at is None:
            return "–"
        return str((run.finished_at or timezone.now()) - run.started_at).partition(".")[0]

    @display(description=gettext_lazy("Log"))
    def log_text(self, run: JobRun) -> SafeString:
        return monospace(run.log)

    @display(description=gettext_lazy("Error"))
    def error_text(self, run: JobRun) -> SafeString:
        return monospace(run.error)

    @display(description=gettext_lazy("Inputs"))
    def inputs_text(self, run: JobRun) -> SafeString:
        return monospace(pretty(run.inputs))

    @display(description=gettext_lazy("Result"))
    def result_text(self, run: JobRun) -> SafeString:
        return monospace(pretty(run.result))


OUTCOMES = 500  # records that are named; the log names every refusal


def outcomes_of(run: JobRun, actor: Actor) -> dict[str, Any] | None:
    """What became of the records of work on many, as far as the reader sees them. One query. The inputs of such a run have
    ``model`` and ``pks``, its result ``done``, ``refused`` (pairs of key and reason) and ``refused_count``."""
    if not isinstance(run.result, dict) or "refused" not in run.result or "model" not in run.inputs:
        return None
    model = apps.get_model(run.inputs["model"])
    refused = dict(run.result["refused"])
    pks = list(refused)[:OUTCOMES]
    pks += [pk for pk in run.inputs["pks"] if pk not in refused][: max(0, OUTCOMES - len(pks))]
    names = {record.pk: str(record) for record in visible(model, actor).filter(pk__in=pks)}
    outcomes = [
        {
            "title": names.get(pk) or f"{model._meta.verbose_name} {pk}",
            "url": record_url(model, pk) if pk in names else "",
            "error": refused.get(pk, ""),
        }
        for pk in pks
    ]
    failed = int(run.result.get("refused_count", len(refused)))
    done = int(run.result["done"])
    return {"outcomes": outcomes, "done": done, "failed": failed, "more": done + failed - len(outcomes)}


def monospace(text: str) -> SafeString:
    return format_html('<pre class="bo-log" tabindex="0">{}</pre>', text or "–")


def pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) if value is not None else ""


@backoffice(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("name", "state_chip", "attempts", "created_at", "next_attempt_at", "done_at")
    list_filter = ("dead", "name", "created_at", "done_at")
    fieldsets = (
        (
            None,
            {"fields": (("name", "state_chip"), ("created_at", "done_at"), ("attempts", "next_attempt_at"))},
        ),
        (gettext_lazy("Error"), {"fields": ("error_text",)}),
        (gettext_lazy("Content"), {"fields": ("payload_text", "actor_text", "handlers")}),
    )
    readonly_fields = ("state_chip", "error_text", "payload_text", "actor_text", "handlers")

    @display(description=gettext_lazy("State"))
    def state_chip(self, event: OutboxEvent) -> SafeString:
        if event.done_at:
            return chip(_("delivered"), "success")
        if event.dead:
            return chip(_("given up"), "danger")
        return chip(_("trying again"), "warning") if event.attempts else chip(_("waiting"), "info")

    @display(description=gettext_lazy("Error"))
    def error_text(self, event: OutboxEvent) -> SafeString:
        return monospace(event.error)

    @display(description=gettext_lazy("Payload"))
    def payload_text(self, event: OutboxEvent) -> SafeString:
        return monospace(pretty(event.payload))

    @display(description=gettext_lazy("On behalf of"))
    def actor_text(self, event: OutboxEvent) -> SafeString:
        return monospace(pretty(event.actor))

    @display(description=gettext_lazy("Delivered to"))
    def handlers(self, event: OutboxEvent) -> str:
        return ", ".join(event.deliveries.order_by("pk").values_list("handler", flat=True)) or "–"
