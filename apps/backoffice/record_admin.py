"""The admin of one model: rows, fields, forms and saving by the platform's rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers, options
from django.contrib.admin.options import IS_POPUP_VAR, ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.mixins.nested_inlines_model_admin import nested_all_valid

from apps.backoffice import display
from apps.backoffice.actions import ActionsMixin
from apps.backoffice.changelist import BoundedPaginator, RecordChangeList
from apps.backoffice.checks import RecordAdminChecks
from apps.backoffice.columns import custom_column, extension_column, extension_fields, resolve_columns
from apps.backoffice.export import ExportMixin
from apps.backoffice.fields import custom_form_field, link_field
from apps.backoffice.filters import ActiveFilter, custom_filter, filter_for
from apps.backoffice.form_fields import RecordFieldsMixin
from apps.backoffice.forms import (
    CUSTOM,
    EXT,
    VERSION_FIELD,
    FormRefused,
    RecordForm,
    stale_message,
    version_field,
)
from apps.backoffice.panels import PanelsMixin
from apps.backoffice.rights import actor_of, path_is_hidden, path_leaves_reach
from apps.core import custom_fields
from apps.core.actor import Actor
from apps.core.errors import BusinessError, NotVisible, StaleVersion
from apps.core.extensions import with_extensions
from apps.core.models.base import options_of
from apps.core.records import hidden_fields, service_for
from apps.core.rules import deny, visible
from apps.core.search import search, searchable
from apps.core.unit_of_work import unit_of_work

display.install()
options.all_valid = nested_all_valid  # what Unfold sets on every request


class RecordAdmin(PanelsMixin, ActionsMixin, ExportMixin, RecordFieldsMixin, ModelAdmin):
    """Base of all admins; see ``apps.backoffice.base`` for how to use it.

    List: ``list_display`` (fields, ``custom.<key>``, ``ext.<key>.<field>``, methods, callables with ``needs`` naming
    the links they read), ``list_filter`` (field paths get a fitting filter class), ``list_select_related``.
    Form: ``fieldsets`` (class ``tab`` makes a tab), ``readonly_fields``, ``select_fields``, ``inlines``.
    Custom fields and the fields of extension modules get fieldsets of their own unless they are named.
    """

    form = RecordForm
    checks_class = RecordAdminChecks
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    warn_unsaved_form = True
    compressed_fields = False
    search_fields = (
        "pk",
    )  # the search itself is ``get_search_results``; Django only asks whether there is any
    list_totals: Mapping[str, str] = MappingProxyType(
        {}
    )  # column -> field to add up for the foot of the list
    date_hierarchy = None
    view_on_site = False
    save_as = False
    change_form_template = "backoffice/change_form.html"
    change_list_template = "backoffice/change_list.html"
    delete_confirmation_template = "backoffice/delete.html"

    # -------------------------------------------------------------------- rows
    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return visible(self.model, actor_of(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The record with its extensions joined. Hidden and missing look the same."""
        rows = with_extensions(self.get_queryset(request))
        key = self.opts.pk.name if from_field is None else from_field
        try:
            value = self.opts.get_field(key).to_python(object_id)
        except forms.ValidationError:
            return None
        found: Any = rows.filter(**{key: value}).first()
        return found

    def list_sums(self, request: HttpRequest, rows: models.QuerySet[Any]) -> dict[str, Any]:
        """What the foot of the list shows, by column: the sums of ``list_totals`` over all rows that fit the filters."""
        if not self.list_totals:
            return {}
        sums = {f"sum_{name}": models.Sum(path) for name, path in self.list_totals.items()}
        return {
            key[4:]: value for key, value in rows.order_by().aggregate(**sums).items() if value is not None
        }

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Load what columns need for all rows of a page at once; override where a column would ask per row."""

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = (search_term or "").strip()
        if not term:
            return queryset, False
        fields = options_of(self.model).search
        names = [getattr(field, "name", field) for field in fields]
        hidden = hidden_fields(self.model, actor_of(request))
        if fields and not hidden & set(names):
            return search(queryset, term), False
        # The index covers fields this actor must not search, or there is none: look at allowed text fields alone.
        names = [name for name in names or self._text_names() if name not in hidden]
        condition = models.Q()
        for word in term.split()[:8]:
            part = models.Q()
            for name in names:
                part |= models.Q(**{f"{name}__icontains": word})
            if word.isdigit():
                part |= models.Q(pk=int(word)) if len(word) < 19 else models.Q()
            condition &= part if part else models.Q(pk__in=[])
        return queryset.filter(condition), False

    def _text_names(self) -> list[str]:
        kinds = (models.CharField, models.TextField)
        return [f.name for f in self.opts.concrete_fields if isinstance(f, kinds) and not f.choices][:6]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return self.search_fields if searchable(self.model) or self._text_names() else ()

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """No lookup may serve as an oracle on a field or kind of record that the actor may not see."""
        actor = actor_of(request) if request is not None else Actor()
        if path_is_hidden(self.model, lookup, actor) or path_leaves_reach(self.model, lookup, actor):
            return False
        head = lookup.partition("__")[0]
        if head in ("custom",) or head.startswith("ext_"):
            return False
        return super().lookup_allowed(lookup, value, request)

    # -------------------------------------------------------------------- list
    def get_list_display(self, request: HttpRequest) -> list[Any]:
        declared = super().get_list_display(request)
        return resolve_columns(self.model, self.chosen_columns(request, declared), actor_of(request))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        actor = actor_of(request)
        filters: list[Any] = []
        for entry in super().get_list_filter(request):
            path = entry if isinstance(entry, str) else entry[0] if isinstance(entry, list | tuple) else ""
            if isinstance(path, str) and path.startswith("custom."):
                continue
            if path and (
                path_is_hidden(self.model, path, actor) or path_leaves_reach(self.model, path, actor)
            ):
                continue
            filters.append(filter_for(self.model, entry) if isinstance(entry, str) else entry)
        definitions = custom_fields.definitions_for(self.model)
        filters += [custom_filter(definition) for definition in definitions if definition.filterable]
        if self.archivable() and not any(entry is ActiveFilter for entry in filters):
            filters.append(ActiveFilter)
        return filters

    def archivable(self) -> bool:
        return any(field.name == "active" for field in self.opts.concrete_fields)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RecordChangeList]:
        return RecordChangeList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """Without Unfold's ``self.request = request``, which would mix up requests of several threads."""
        try:
            context = {**self.list_context(request), **(extra_context or {})}
            return super(ModelAdmin, self).changelist_view(request, context)
        except DjangoPermissionDenied:
            self._refuse(request, None, "view")
            raise
        except FormRefused as refused:
            messages.error(request, _refusal_text(refused.error))
            return HttpResponseRedirect(request.get_full_path())

    @property
    def media(self) -> forms.Media:
        """The assets of all filter forms; which of them apply does not matter for caching."""
        media = super(ModelAdmin, self).media
        for entry in self.list_filter:
            cls = filter_for(self.model, entry) if isinstance(entry, str) else entry
            form = getattr(cls[1] if isinstance(cls, list | tuple) else cls, "form_class", None)
            if form is not None and hasattr(form, "Media"):
                media += forms.Media(form.Media)
        return media + LINK_MEDIA

    # -------------------------------------------------------------------- form
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        declared = self.add_fieldsets if obj is None and self.add_fieldsets else self.fieldsets
        if declared:
            fieldsets = self.filter_fieldsets(request, declared)
        else:
            names = list(self.fields) if self.fields else self.default_names(request)
            fieldsets = self.filter_fieldsets(request, [(None, {"fields": names})])
        readable_only = obj is not None and not self.has_change_permission(request, obj)
        return fieldsets + self._added_fieldsets(request, obj, readable_only, self.names_in(fieldsets))

    def _added_fieldsets(
        self, request: HttpRequest, obj: Any, readable_only: bool, named: set[str]
    ) -> list[tuple[Any, dict[str, Any]]]:
        added: list[tuple[Any, dict[str, Any]]] = []
        definitions = custom_fields.definitions_for(self.model)
        rest: list[Any] = [
            custom_column(d) if readable_only else f"{CUSTOM}{d.key}"
            for d in definitions
            if f"{CUSTOM}{d.key}" not in named
        ]
        if rest:
            added.append((_("Custom fields"), {"classes": ["tab"], "fields": rest}))
        groups: dict[Any, list[Any]] = {}
        for extension, field in extension_fields(self.model, actor_of(request)).values():
            name = f"{EXT}{extension.extension_key}__{field.name}"
            if name not in named and field.editable:
                column = extension_column(extension, field) if readable_only else name
                groups.setdefault(extension, []).append(column)
        for extension, names in groups.items():
            title = extension.extension_title or capfirst(extension.extension_key)
            added.append((str(title), {"classes": ["tab"], "fields": names}))
        return added

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        hidden = self.hidden_names(request)
        declared = [name for name in super().get_readonly_fields(request, obj) if name not in hidden]
        fieldsets = self.add_fieldsets if obj is None and self.add_fieldsets else self.fieldsets
        names = (
            self.names_in(self.filter_fieldsets(request, fieldsets)) if fieldsets else set(self.fields or ())
        )
        locked = self.locked_names(request, names)
        return [*declared, *sorted(locked - set(declared))]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        names = kwargs.pop("fields", None) or flatten_fieldsets(self.get_fieldsets(request, obj))
        actor = actor_of(request)
        attributes: dict[str, Any] = {"refusal": getattr(request, "form_refusal", None), "actor": actor}
        editable = not change or self.has_change_permission(request, obj)
        attributes.update(
            self._dynamic_fields(request, actor, {n for n in names if isinstance(n, str)}, editable)
        )
        if any(field.name == "version" for field in self.opts.concrete_fields):
            attributes[VERSION_FIELD] = version_field()
        readonly = set(self.get_readonly_fields(request, obj))
        attributes.update(dict.fromkeys(name for name in readonly if name in self.form.base_fields))
        form = type("RecordForm", (self.form,), attributes)
        fields = [
            name
            for name in names
            if isinstance(name, str) and name in self.model_field_names() | set(form.base_fields)
        ]
        return super().get_form(request, obj, change, fields=fields, form=form, **kwargs)

    def _dynamic_fields(
        self, request: HttpRequest, actor: Actor, names: set[str], editable: bool
    ) -> dict[str, Any]:
        """Form fields for custom fields and extension fields, and what the form needs to hand them on."""
        made: dict[str, Any] = {"custom_definitions": {}, "extension_fields": {}}
        if not editable:
            return made
        for definition in custom_fields.definitions_for(self.model):
            name = f"{CUSTOM}{definition.key}"
            if name in names:
                made["custom_definitions"][name] = definition
                made[name] = custom_form_field(definition, actor)
        for extension, field in extension_fields(self.model, actor).values():
            name = f"{EXT}{extension.extension_key}__{field.name}"
            if name in names:
                made["extension_fields"][name] = (extension, field.name)
                if field.many_to_one:
                    source = f"{extension._meta.label_lower}.{field.name}"
                    made[name] = link_field(
                        field.related_model,
                        actor,
                        source=source,
                        required=not field.blank,
                        label=capfirst(field.verbose_name),
                        help_text=field.help_text,
                    )
                else:
                    made[name] = self.formfield_for_dbfield(field, request)
        return made

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        attributes: dict[str, Any] = {"actor": actor_of(request), "in_table": True}
        kwargs.setdefault("form", type("ListRecordForm", (RecordForm,), attributes))
        return super().get_changelist_form(request, **kwargs)

    # ------------------------------------------------------------------ saving
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponseBase:
        """Show and save a record. What the service refuses comes back in the same form.

        Django would wrap all of it in one transaction; here the unit of work of ``save_related`` is the
        transaction, so that its refusals at commit are part of the form, too.
        """
        context = {**(extra_context or {})}
        try:
            return self._changeform_view(request, object_id, form_url, context)
        except DjangoPermissionDenied:
            op = "add" if object_id is None else "change" if request.method == "POST" else "view"
            self._refuse(request, object_id, op)
            raise
        except FormRefused as refused:
            request.form_refusal = self._explain_stale(request, object_id, refused)  # type: ignore[attr-defined]
            for upload in request.FILES.values():
                upload.seek(0)
            return self._changeform_view(request, object_id, form_url, context)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        return form.instance

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Nothing here: record and children are written together by ``save_related``."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        actor = actor_of(request)
        nested = {formset.nested_name: formset.nested_rows() for formset in formsets}
        form.nested_values = {name: rows for name, rows in nested.items() if rows is not None}
        try:
            with unit_of_work(actor):
                record = self.write_record(actor, form, change)
                for formset in formsets:
                    formset.write(record, actor)
        except BusinessError as error:
            raise FormRefused(error) from error
        form.instance.__dict__.update(
            {f.attname: getattr(record, f.attname) for f in self.opts.concrete_fields}
        )
        form.instance._state.adding = False

    def write_record(self, actor: Actor, form: Any, change: bool) -> Any:
        """Hand the form's values to the service of the model; answers the stored record."""
        service = service_for(self.model)
        values = form.record_values(adding=not change)
        if not change:
            return service.create_one(values, actor=actor)
        if not values:
            return form.instance
        expected = form.cleaned_data.get(VERSION_FIELD)
        return service.update([form.instance], values, actor=actor, expected_version=expected)[0]

    def _explain_stale(
        self, request: HttpRequest, object_id: str | None, refused: FormRefused
    ) -> FormRefused:
        """For a stale version: say who changed what, and let a second save through on purpose."""
        if not isinstance(refused.error, StaleVersion) or object_id is None or refused.prefix:
            return refused
        record = self.get_object(request, unquote(object_id))
        if record is None:
            return refused
        data = request.POST.copy()
        data[VERSION_FIELD] = str(record.version)
        form_class = self.get_form(request, record, change=True)
        form = form_class(request.POST, request.FILES, instance=record)
        form.is_valid()
        fresh = self.get_object(request, unquote(object_id))
        shown = {
            str(form.fields[name].label or name): _shown(fresh, name)
            for name in form.changed_data
            if name != VERSION_FIELD and name in self.model_field_names()
        }
        request.POST = data  # type: ignore[assignment]
        who = getattr(fresh, "updated_by", None)
        text = stale_message(form, fresh, str(who) if who else _("Somebody else"), shown)
        return FormRefused(StaleVersion(text), refused.prefix)

    def _refuse(self, request: HttpRequest, object_id: str | None, op: str) -> None:
        """Raise the platform's refusal, which names the rule to administrators and goes to the audit trail."""
        actor = actor_of(request)
        actor.require(self.model, op)
        if object_id is None:
            deny(self.model, [], actor, op)
        if self.get_object(request, unquote(object_id or "")) is None:
            raise NotVisible()
        deny(self.model, [unquote(object_id or "")], actor, op)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        raise NotVisible()

    # ------------------------------------------------------- what Django would log
    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        return []

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Tracked changes and the audit trail tell what happened; Django's own log stays empty."""

    log_change = log_addition

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """See ``log_addition``."""

    # ---------------------------------------------------------------- deleting
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseBase:
        """Ask, then delete through the service; what it refuses is shown on the same page."""
        actor = actor_of(request)
        record = self.get_object(request, unquote(object_id))
        if record is None:
            raise NotVisible()
        if not self.has_delete_permission(request, record):
            self._refuse(request, object_id, "delete")
        error: BusinessError | None = None
        if request.method == "POST":
            shown, pk = str(record), record.pk
            try:
                service_for(self.model).delete([record], actor=actor)
            except BusinessError as refused:
                error = refused
            else:
                return self.response_delete(request, shown, pk)
        return self.render_delete_form(
            request,
            {
                **self.admin_site.each_context(request),
                "title": _("Delete %(kind)s") % {"kind": self.opts.verbose_name},
                "object": record,
                "opts": self.opts,
                "refusal": _refusal_text(error) if error else "",
                "can_archive": self.archivable()
                and record.active
                and self.has_change_permission(request, record),
                "is_popup": IS_POPUP_VAR in request.POST or IS_POPUP_VAR in request.GET,
                "preserved_filters": self.get_preserved_filters(request),
                **(extra_context or {}),
            },
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseBase:
        """The thread is the history: tracked changes, notes and messages in one place."""
        record = self.get_object(request, unquote(object_id))
        if record is None:
            raise NotVisible()
        return HttpResponseRedirect(f"../change/{'#thread' if options_of(self.model).thread else ''}")


def _shown(record: Any, name: str) -> str:
    display_method = getattr(record, f"get_{name}_display", None)
    value = display_method() if callable(display_method) else getattr(record, name, "")
    if hasattr(value, "all"):
        value = ", ".join(str(item) for item in value.all())
    return "–" if value in (None, "") else str(value)


def _refusal_text(error: BusinessError | None) -> str:
    if error is None:
        return ""
    parts = [text for texts in error.fields.values() for text in texts]
    return " ".join([error.message, *parts]) if parts else error.message


LINK_MEDIA = forms.Media(
    js=[
        "admin/js/vendor/jquery/jquery.min.js",
        "admin/js/vendor/select2/select2.full.js",
        "admin/js/jquery.init.js",
        "unfold/js/select2.init.js",
    ],
    css={"screen": ["admin/css/vendor/select2/select2.css", "admin/css/autocomplete.css"]},
)
CHECKBOX_NAME = helpers.ACTION_CHECKBOX_NAME
