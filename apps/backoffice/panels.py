"""What surrounds a form and a list: tabs, buttons, the thread, and the choice of columns."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import mark_safe
from django.utils.text import slugify

from apps.backoffice.columns import extension_fields
from apps.backoffice.hooks import collect_buttons, collect_opened, collect_tabs, ordered
from apps.backoffice.rights import actor_of
from apps.backoffice.site import record_url
from apps.backoffice.types import Button, Tab
from apps.core import custom_fields
from apps.core.actor import Actor
from apps.core.models.base import options_of
from apps.core.records import hidden_fields

COLUMNS_KEY = "backoffice.columns"


class PanelsMixin:
    """Tabs and buttons of this admin and of other modules; the chatter panel; optional columns."""

    model: type[models.Model]
    opts: Any
    admin_site: Any
    list_optional: tuple[str, ...] = ()  # columns that users may add to the list

    # -------------------------------------------------------------- override me
    def get_tabs(self, request: HttpRequest, record: Any) -> list[Tab]:
        """More tabs on the form; other modules use ``collect_tabs``."""
        return []

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        """Links above the form, such as "Tasks 12"; other modules use ``collect_buttons``."""
        return []

    # --------------------------------------------------------------------- form
    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        popup = bool(context.get("is_popup"))
        if obj is not None and change and not popup:
            context.update(self.form_context(request, obj))
        form = context["adminform"].form
        context["title"] = str(obj) if obj is not None and change else context["title"]
        context["subtitle"] = None
        context["version_input"] = form["erp_version"] if "erp_version" in form.fields else ""
        return super().render_change_form(request, context, add, change, form_url, obj)  # type: ignore[misc]

    def form_context(self, request: HttpRequest, record: Any) -> dict[str, Any]:
        """What the form of an existing record shows besides its fields."""
        actor = actor_of(request)
        tabs = ordered(
            [*self.get_tabs(request, record), *collect_tabs.run(model=self.model, record=record, actor=actor)]
        )
        buttons = ordered(
            [
                *self.get_buttons(request, record),
                *collect_buttons.run(model=self.model, record=record, actor=actor),
            ]
        )
        may_change = self.has_change_permission(request, record)  # type: ignore[attr-defined]
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        archivable = self.archivable()  # type: ignore[attr-defined]
        return {
            "record": record,
            "record_label": self.opts.label_lower,
            "record_tabs": [(tab, self._tab_html(request, record, tab)) for tab in tabs],
            "record_buttons": buttons,
            "record_actions": self.record_actions(request, record),  # type: ignore[attr-defined]
            "archive_url": reverse(f"{name}_archive", args=[record.pk]) if archivable and may_change else "",
            "has_thread": self._open_thread(request, record, actor),
            "list_url": record_url(self.model),
            "archived": archivable and not record.active,
        }

    def _open_thread(self, request: HttpRequest, record: Any, actor: Actor) -> bool:
        """Whether the form shows a thread; who opens it has read it."""
        if not options_of(self.model).thread:
            return False
        if request.method == "GET":
            collect_opened.run(record=record, actor=actor)
        return True

    def _tab_html(self, request: HttpRequest, record: Any, tab: Tab) -> str:
        if not tab.template:
            return mark_safe(tab.html)  # noqa: S308 - the contract of Tab says that it is safe
        context = {**tab.context, "record": record, "actor": actor_of(request), "tab": tab}
        return render_to_string(tab.template, context, request=request)

    # --------------------------------------------------------------------- list
    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_columns"
        own = [path("columns/", self.admin_site.admin_view(self.columns_view), name=name)]
        return own + super().get_urls()  # type: ignore[misc, no-any-return]

    def optional_columns(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Columns that may be added to the list: (name, title)."""
        actor = actor_of(request)
        hidden = hidden_fields(self.model, actor)
        titles = {f.name: str(f.verbose_name) for f in self.opts.concrete_fields}
        found = [(name, titles.get(name, name)) for name in self.list_optional if name not in hidden]
        found += [(f"custom.{d.key}", d.label) for d in custom_fields.definitions_for(self.model)]
        added = extension_fields(self.model, actor)
        found += [(name, str(field.verbose_name)) for name, (_extension, field) in added.items()]
        shown = set(self.list_display)  # type: ignore[attr-defined]
        return [(name, title.capitalize()) for name, title in found if name not in shown]

    def chosen_columns(self, request: HttpRequest, declared: Any) -> list[Any]:
        """The declared columns and those that this user added."""
        chosen = request.session.get(COLUMNS_KEY, {}).get(self.opts.label_lower, ())
        if not chosen:
            return list(declared)
        known = {name for name, _title in self.optional_columns(request)}
        return [*declared, *(name for name in chosen if name in known)]

    def columns_view(self, request: HttpRequest) -> HttpResponseBase:
        """Remember which optional columns this user wants."""
        if request.method == "POST":
            known = {name for name, _title in self.optional_columns(request)}
            chosen = [name for name in request.POST.getlist("column") if name in known]
            kept = dict(request.session.get(COLUMNS_KEY, {}))
            kept[self.opts.label_lower] = chosen
            request.session[COLUMNS_KEY] = kept
        query = request.POST.get("query", "")
        return HttpResponseRedirect(record_url(self.model) + (f"?{query}" if query else ""))

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the list page shows besides the list."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        optional = self.optional_columns(request)
        chosen = set(self.chosen_columns(request, ()))
        query = request.GET.urlencode()
        return {
            "optional_columns": [(column, title, column in chosen) for column, title in optional],
            "columns_url": reverse(f"{name}_columns"),
            "export_url": self._export_url(request, name, query),
            "list_query": query,
        }

    def _export_url(self, request: HttpRequest, name: str, query: str) -> str:
        if not self.may_export(request):  # type: ignore[attr-defined]
            return ""
        return reverse(f"{name}_export") + (f"?{query}" if query else "")


def tab_key(tab: Tab) -> str:
    """A tab's key as it stands in the address."""
    return slugify(f"tab-{tab.key}")
