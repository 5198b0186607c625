"""Declared actions as buttons on the form and as bulk actions in the list.

A button appears when the action is available on the record. An action with inputs or marked dangerous asks on a page
of its own first. Over several records the set is tried at once, which is fastest; when that is refused each record is
tried by itself and the page says what became of which. Over many, a background run does the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold import widgets

from apps.backoffice.fields import link_field
from apps.backoffice.rights import actor_of
from apps.backoffice.services import start_bulk_action
from apps.backoffice.site import record_url
from apps.core.actions import Action, InputSpec, actions_of, get_action, reachable, run_each
from apps.core.actor import Actor
from apps.core.errors import BusinessError, Conflict, NotVisible, StaleVersion, ValidationFailed
from apps.core.records import service_for

AT_ONCE = 200  # records that a request deals with itself
BULK_LIMIT = 100_000
BUILTIN_LIMIT = 1_000  # archiving and deleting are one set each and do not go to the background
BUILTIN = {"delete": "delete", "archive": "change", "unarchive": "change"}
SHOWN = 20  # records named on a page that asks
LONG_TEXTS = frozenset({"note", "notes", "body", "message", "reason", "comment", "description", "text"})
SELECTION = "selection"  # primary keys with commas: one input, however many records


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record of a bulk action."""

    pk: Any
    title: str
    url: str
    error: str


class InputForm(forms.Form):
    """Asks for the inputs of an action."""

    @classmethod
    def build(cls, declared: Action, actor: Actor, data: Any = None, files: Any = None) -> InputForm:
        form = cls(data, files, prefix="in")
        for spec in declared.inputs:
            form.fields[spec.name] = input_field(spec, actor)
        return form

    def inputs(self, declared: Action) -> dict[str, Any]:
        """Values for the call; an empty optional input is left to its default."""
        values: dict[str, Any] = {}
        for spec in declared.inputs:
            value = self.cleaned_data.get(spec.name)
            if not spec.required and value in (None, "", []):
                continue
            if isinstance(value, models.QuerySet):
                value = list(value)
            values[spec.name] = value
        return values

    def take(self, error: BusinessError) -> None:
        named = {name: texts for name, texts in error.fields.items() if name in self.fields}
        for name, texts in named.items():
            self.add_error(name, list(texts))
        rest = [text for name, texts in error.fields.items() if name not in named for text in texts]
        if rest or not named:
            self.add_error(None, " ".join([error.message, *rest]))


def input_field(spec: InputSpec, actor: Actor) -> forms.Field:
    """The form field of one action input."""
    options: dict[str, Any] = {"required": spec.required, "label": capfirst(_(spec.name.replace("_", " ")))}
    if spec.default not in (None, ""):
        options["initial"] = spec.default
    if isinstance(spec.type, type) and issubclass(spec.type, models.Model):
        return link_field(spec.type, actor, many=spec.many, **options)
    if spec.many:
        options["help_text"] = _("One value a line.")
        return LinesField(spec.type, **options)
    if spec.type is bool:
        return forms.BooleanField(
            widget=widgets.UnfoldBooleanSwitchWidget(), **{**options, "required": False}
        )
    if spec.type is int:
        return forms.IntegerField(widget=widgets.UnfoldAdminIntegerFieldWidget(), **options)
    if spec.type is Decimal:
        return forms.DecimalField(widget=widgets.UnfoldAdminDecimalFieldWidget(), **options)
    if spec.type is datetime.date:
        return forms.DateField(widget=widgets.UnfoldAdminSingleDateWidget(), **options)
    if spec.type is datetime.datetime:
        return forms.SplitDateTimeField(widget=widgets.UnfoldAdminSplitDateTimeWidget(), **options)
    if spec.type is dict:
        return forms.JSONField(widget=widgets.UnfoldAdminTextareaWidget(), **options)
    if spec.name in LONG_TEXTS:
        return forms.CharField(widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 4}), **options)
    return forms.CharField(widget=widgets.UnfoldAdminTextInputWidget(), **options)


class LinesField(forms.CharField):
    """Several plain values, one a line."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__(widget=widgets.UnfoldAdminTextareaWidget(), **options)
        self.kind = kind

    def clean(self, value: Any) -> Any:
        lines = [line.strip() for line in (super().clean(value) or "").splitlines() if line.strip()]
        inner = {int: forms.IntegerField, Decimal: forms.DecimalField, datetime.date: forms.DateField}.get(
            self.kind
        )
        return [inner().clean(line) for line in lines] if inner else lines


class ActionsMixin:
    """Adds the declared actions of the model to its admin."""

    model: type[models.Model]
    opts: Any
    admin_site: Any
    hidden_actions: tuple[str, ...] = ()  # names of declared actions that this screen does not offer
    # What a dangerous action brings about, by its name; a general warning where nothing is said.
    action_warnings: Mapping[str, Any] = MappingProxyType({})
    # A hint for an input of an action, by (name of the action, name of the input).
    input_hints: Mapping[tuple[str, str], Any] = MappingProxyType({})
    input_labels: Mapping[tuple[str, str], Any] = MappingProxyType({})  # instead of the input's name

    # --------------------------------------------------------------------- urls
    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        own = [
            path("actions/<str:action>/", wrap(self.bulk_action_view), name=f"{name}_bulk"),
            path("<path:object_id>/actions/<str:action>/", wrap(self.action_view), name=f"{name}_do"),
            path("<path:object_id>/archive/", wrap(self.archive_view), name=f"{name}_archive"),
        ]
        return own + super().get_urls()  # type: ignore[misc, no-any-return]

    def offered_actions(self) -> list[Action]:
        return [declared for declared in actions_of(self.model) if declared.name not in self.hidden_actions]

    def _action_or_404(self, name: str) -> Action:
        declared = get_action(self.model, name)
        if declared is None or declared.name in self.hidden_actions:
            raise NotVisible(_("There is no such action."))
        return declared

    # --------------------------------------------------------------- on a form
    def record_actions(self, request: HttpRequest, record: Any) -> list[dict[str, Any]]:
        """What to draw above a record's form: available actions in order of declaration."""
        actor = actor_of(request)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_do"
        return [
            {
                "name": declared.name,
                "title": declared.title,
                "icon": declared.icon,
                "dangerous": declared.dangerous,
                "asks": bool(declared.inputs) or declared.dangerous,
                "url": reverse(name, args=[record.pk, declared.name]),
            }
            for declared in self.offered_actions()
            if declared.available(record, actor)
        ]

    def action_view(self, request: HttpRequest, object_id: str, action: str) -> HttpResponseBase:
        """GET asks for inputs or confirmation; POST runs the action on one record."""
        declared, actor = self._action_or_404(action), actor_of(request)
        record = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if record is None:
            raise NotVisible()
        actor.require(self.model, declared.permission)
        confirmed = request.method == "POST" and ("_confirmed" in request.POST or not _asks(declared))
        form = InputForm.build(declared, actor, request.POST if confirmed else None, request.FILES or None)
        back = record_url(record)
        if confirmed and (not declared.inputs or form.is_valid()):
            version = request.POST.get("version", "")
            try:
                result = declared(
                    [record],
                    actor=actor,
                    expected_version=int(version) if version.isdigit() else None,
                    **(form.inputs(declared) if declared.inputs else {}),
                )
            except BusinessError as error:
                if not declared.inputs or isinstance(error, NotVisible | Conflict | StaleVersion):
                    messages.error(request, _text(error))
                    return HttpResponseRedirect(back)
                form.take(error)
            else:
                messages.success(request, _("%(action)s: done.") % {"action": declared.title})
                return HttpResponseRedirect(self.address_after(declared, result) or back)
        version = getattr(record, "version", "")
        return self._ask(request, declared, form, [record], back, pks=[record.pk], version=version)

    def address_after(self, declared: Action, result: Any) -> str:
        """Where to go after an action on one record: to what it made, if that is one record. Actions answer with the record, or
        with ``{"created": [primary key, …]}`` of their model."""
        if isinstance(result, Mapping):
            made = result.get("created")
            if isinstance(made, list | tuple) and len(made) == 1 and not isinstance(made[0], models.Model):
                return record_url(self.model, made[0])
            result = made
        return _address_of(result)

    def _ask(
        self,
        request: HttpRequest,
        declared: Action,
        form: InputForm,
        records: list[Any],
        back: str,
        *,
        pks: list[Any],
        version: Any = "",
        post_to: str = "",
    ) -> TemplateResponse:
        for name, field in form.fields.items():
            field.help_text = self.input_hints.get((declared.name, name), field.help_text)
            field.label = self.input_labels.get((declared.name, name), field.label)
        warning = self.action_warnings.get(declared.name) or _("This cannot be undone. Are you sure?")
        context = {
            **self.admin_site.each_context(request),
            "title": declared.title,
            "opts": self.opts,
            "action": declared,
            "warning": warning if declared.dangerous else "",
            "form": form,
            "records": records[:SHOWN],
            "more": max(0, len(pks) - SHOWN),
            "selection": ",".join(str(pk) for pk in pks),
            "back": back,
            "version": version,
            "media": form.media,
            "post_to": post_to,
        }
        return TemplateResponse(request, "backoffice/action.html", context)

    # --------------------------------------------------------------- in a list
    def get_actions(self, request: HttpRequest) -> dict[str, tuple[Any, str, Any]]:
        """Bulk actions: the declared ones the actor could use at all, archiving, deleting, export."""
        actor = actor_of(request)
        found: dict[str, tuple[Any, str, Any]] = {}
        for declared in self.offered_actions():
            if declared.bulk and reachable(declared, actor):
                found[f"do:{declared.name}"] = (
                    partial(_bulk, declared),
                    f"do:{declared.name}",
                    str(declared.title).replace("%", "%%"),
                )
        if self.archivable() and actor.can(self.model, "change"):  # type: ignore[attr-defined]
            found["archive"] = (partial(_builtin, "archive"), "archive", gettext_lazy("Archive"))
            unarchive = partial(_builtin, "unarchive")
            found["unarchive"] = (unarchive, "unarchive", gettext_lazy("Take out of the archive"))
        if actor.can(self.model, "delete"):
            found["delete"] = (_delete, "delete", gettext_lazy("Delete"))
        if self.may_export(request):  # type: ignore[attr-defined]
            found["export"] = (_export, "export", gettext_lazy("Export"))
        return found

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        """Django's own, minus a ``KeyError`` for an action that is not offered."""
        chosen = request.POST.getlist("action")
        if chosen and not any(name in self.get_actions(request) for name in chosen if name):
            messages.warning(request, _("No action selected."))
            return None
        return super().response_action(request, queryset)  # type: ignore[misc]

    def picked(self, rows: models.QuerySet[Any]) -> list[Any]:
        """Primary keys of the selection, refused when there are more than even a background run should take on."""
        pks = list(rows.values_list("pk", flat=True)[: BULK_LIMIT + 1])
        if len(pks) > BULK_LIMIT:
            raise ValidationFailed(
                _("Select at most %(limit)s records at once; narrow the list with filters.")
                % {"limit": BULK_LIMIT}
            )
        return pks

    def records_of(self, request: HttpRequest, pks: list[Any], limit: int = AT_ONCE) -> list[Any]:
        """The selected records, in the order of their keys."""
        rows = self.get_queryset(request).filter(pk__in=pks).order_by("pk")  # type: ignore[attr-defined]
        return list(rows[:limit])

    def bulk_address(self, action: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_bulk", args=[action])

    def bulk_action_view(self, request: HttpRequest, action: str) -> HttpResponseBase:
        """The second step of a bulk action that asks: the page posts inputs and selection back."""
        back = record_url(self.model)
        if request.method != "POST":
            return HttpResponseRedirect(back)
        actor = actor_of(request)
        given = request.POST.get(SELECTION, "").split(",")
        wanted = {int(pk) for pk in given if pk.isdigit() and len(pk) < 19}
        pks = self.picked(self.get_queryset(request).filter(pk__in=wanted).order_by("pk"))  # type: ignore[attr-defined]
        if action in BUILTIN:
            actor.require(self.model, BUILTIN[action])
            return self.run_builtin(request, action, self.records_of(request, pks, BUILTIN_LIMIT))
        declared = self._action_or_404(action)
        actor.require(self.model, declared.permission)
        form = InputForm.build(declared, actor, request.POST, request.FILES or None)
        if declared.inputs and not form.is_valid():
            shown = self.records_of(request, pks, SHOWN)
            return self._ask(
                request, declared, form, shown, back, pks=pks, post_to=self.bulk_address(declared.name)
            )
        return self.run_bulk(request, declared, pks, form.inputs(declared) if declared.inputs else {})

    def run_bulk(
        self, request: HttpRequest, declared: Action, pks: list[Any], inputs: dict[str, Any]
    ) -> HttpResponseBase:
        """Run an action over records and tell the result of each; many records go to a background run."""
        actor = actor_of(request)
        if len(pks) > AT_ONCE:
            run = start_bulk_action(declared, pks, inputs, actor=actor)
            messages.info(
                request, _("%(count)s records are being dealt with in the background.") % {"count": len(pks)}
            )
            return HttpResponseRedirect(record_url(run))
        records = self.records_of(request, pks)
        try:
            declared(pks, actor=actor, **inputs)
        except BusinessError:
            results = run_each(declared, pks, actor=actor, **inputs)
        else:
            results = [(pk, None) for pk in pks]
        return self.report(request, str(declared.title), records, dict(results))

    def run_builtin(self, request: HttpRequest, what: str, records: list[Any]) -> HttpResponseBase:
        """Archive, unarchive or delete: all at once, else one by one."""
        actor, service = actor_of(request), service_for(self.model)
        call = getattr(service, what)
        names = {record.pk: str(record) for record in records}
        results: dict[Any, Exception | None] = {}
        try:
            call(records, actor=actor)
        except BusinessError:
            for record in records:
                try:
                    call([record], actor=actor)
                except BusinessError as error:
                    results[record.pk] = error
                else:
                    results[record.pk] = None
        else:
            results = dict.fromkeys(names)
        titles = {"delete": _("Delete"), "archive": _("Archive"), "unarchive": _("Take out of the archive")}
        return self.report(request, titles[what], records, results, names=names)

    def report(
        self,
        request: HttpRequest,
        title: str,
        records: list[Any],
        results: dict[Any, Exception | None],
        *,
        names: dict[Any, str] | None = None,
    ) -> HttpResponseBase:
        """Back to the list when all went well, else a page that says what became of which record."""
        done = sum(1 for error in results.values() if error is None)
        back = _list_address(request, self.model)
        if done == len(results):
            text = ngettext("%(title)s: %(done)s record.", "%(title)s: %(done)s records.", done)
            messages.success(request, text % {"title": title, "done": done})
            return HttpResponseRedirect(back)
        outcomes = [
            Outcome(
                pk=record.pk,
                title=(names or {}).get(record.pk) or str(record),
                url=record_url(type(record), pk) if (pk := record.pk) else "",
                error=_text(error) if (error := results.get(record.pk)) else "",
            )
            for record in records
        ]
        outcomes.sort(key=lambda outcome: not outcome.error)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "outcomes": outcomes,
            "done": done,
            "failed": len(outcomes) - done,
            "back": back,
        }
        return TemplateResponse(request, "backoffice/report.html", context)

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Archive or unarchive one record, from the button on its form."""
        record = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if record is None or not self.archivable():  # type: ignore[attr-defined]
            raise NotVisible()
        if request.method == "POST":
            service = service_for(self.model)
            try:
                (service.archive if record.active else service.unarchive)([record], actor=actor_of(request))
            except BusinessError as error:
                messages.error(request, _text(error))
            else:
                text = _("Archived.") if record.active else _("Taken out of the archive.")
                messages.success(request, text)
        return HttpResponseRedirect(record_url(record))


def _asks(declared: Action) -> bool:
    return bool(declared.inputs) or declared.dangerous


def _bulk(declared: Action, admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseBase:
    pks = admin.picked(rows)
    actor_of(request).require(admin.model, declared.permission)
    if not _asks(declared):
        result: HttpResponseBase = admin.run_bulk(request, declared, pks, {})
        return result
    form = InputForm.build(declared, actor_of(request))
    back, shown = _list_address(request, admin.model), admin.records_of(request, pks, SHOWN)
    answer: HttpResponseBase = admin._ask(
        request, declared, form, shown, back, pks=pks, post_to=admin.bulk_address(declared.name)
    )
    return answer


def _builtin(what: str, admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseBase:
    pks = admin.picked(rows[: BUILTIN_LIMIT + 1])
    if len(pks) > BUILTIN_LIMIT:
        raise ValidationFailed(_("Select at most %(limit)s records at once.") % {"limit": BUILTIN_LIMIT})
    result: HttpResponseBase = admin.run_builtin(request, what, admin.records_of(request, pks, BUILTIN_LIMIT))
    return result


def _delete(admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseBase:
    pks = admin.picked(rows[: BUILTIN_LIMIT + 1])
    if len(pks) > BUILTIN_LIMIT:
        raise ValidationFailed(_("Select at most %(limit)s records at once.") % {"limit": BUILTIN_LIMIT})
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Delete %(kinds)s") % {"kinds": admin.opts.verbose_name_plural},
        "opts": admin.opts,
        "records": admin.records_of(request, pks, SHOWN),
        "more": max(0, len(pks) - SHOWN),
        "selection": ",".join(str(pk) for pk in pks),
        "warning": _("This cannot be undone. Are you sure?"),
        "back": _list_address(request, admin.model),
        "post_to": admin.bulk_address("delete"),
    }
    return TemplateResponse(request, "backoffice/action.html", context)


def _export(admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseBase:
    answer: HttpResponseBase = admin.export_page(request, rows)
    return answer


def _list_address(request: HttpRequest, model: type[models.Model]) -> str:
    """The list with the filters it had, when the request came from it."""
    own = record_url(model)
    return request.get_full_path() if request.path == own else own


def _address_of(result: Any) -> str:
    """Where to go after an action that made something: the form of the one new record."""
    if isinstance(result, list | tuple) and len(result) == 1:
        result = result[0]
    return record_url(result) if isinstance(result, models.Model) and result.pk else ""


def _text(error: Any) -> str:
    if not isinstance(error, BusinessError):
        return str(error)
    parts = [text for texts in error.fields.values() for text in texts]
    return " ".join([error.message, *parts]) if parts else error.message
