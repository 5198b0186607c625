"""Settings that the modules declare, on one page with a section a module."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from unfold import widgets

from apps.backoffice.rights import actor_of
from apps.backoffice.site import site
from apps.core import config as module_settings
from apps.core import modules
from apps.core.actor import Actor
from apps.core.declarations import SettingSpec
from apps.core.errors import BusinessError
from apps.core.models.setting import Setting
from apps.core.unit_of_work import unit_of_work


def setting_field(spec: SettingSpec) -> forms.Field:
    """The typed form field of a declared setting."""
    options: dict[str, Any] = {"label": str(spec.title), "help_text": str(spec.help), "required": False}
    if spec.kind == "integer":
        return forms.IntegerField(widget=widgets.UnfoldAdminIntegerFieldWidget(), **options)
    if spec.kind == "decimal":
        return forms.DecimalField(widget=widgets.UnfoldAdminDecimalFieldWidget(), **options)
    if spec.kind == "boolean":
        return forms.BooleanField(widget=widgets.UnfoldBooleanSwitchWidget(), **options)
    if spec.kind == "choice":
        choices = [(key, str(label)) for key, label in spec.choices]
        return forms.ChoiceField(choices=choices, widget=widgets.UnfoldAdminSelectWidget(), **options)
    return forms.CharField(widget=widgets.UnfoldAdminTextInputWidget(), **options)


def _company_of(spec: SettingSpec, actor: Actor) -> int | None:
    return actor.company_pk if spec.scope == "company" else None


def settings_page(request: HttpRequest) -> HttpResponseBase:
    """Show all settings; saving writes those that differ, all or none. An emptied field goes back to its default."""
    actor = actor_of(request)
    actor.require(Setting, "view")
    may_change = actor.can(Setting, "change")
    specs = module_settings.specs()
    names = {key.replace(".", "__"): key for key in specs}
    initial = {
        name: module_settings.get_setting(key, company_pk=_company_of(specs[key], actor))
        for name, key in names.items()
    }
    form = forms.Form(request.POST if request.method == "POST" else None, initial=initial)
    for name, key in names.items():
        field = form.fields[name] = setting_field(specs[key])
        field.disabled = not may_change
    if request.method == "POST" and form.is_valid():
        actor.require(Setting, "change")
        try:
            with unit_of_work(actor):
                for name in form.changed_data:
                    spec, value = specs[names[name]], form.cleaned_data[name]
                    module_settings.set_setting(
                        spec.key,
                        None if value in ("", None) else value,
                        actor=actor,
                        company_pk=_company_of(spec, actor),
                    )
        except BusinessError as error:
            for key, texts in error.fields.items() or [("", [error.message])]:
                form.add_error(key.replace(".", "__") if key in specs else None, list(texts))
        else:
            messages.success(request, _("The settings were saved."))
            return HttpResponseRedirect(request.path)
    sections = []
    for config in modules.running():
        fields = [form[spec.key.replace(".", "__")] for spec in config.settings]
        if fields:
            sections.append({"title": str(config.title), "key": config.key, "fields": fields})
    context = {
        **site.each_context(request),
        "title": _("Settings"),
        "form": form,
        "sections": sections,
        "may_change": may_change,
    }
    return TemplateResponse(request, "backoffice/settings.html", context)
