"""What record forms and inlines share: rights of the actor, link fields, hidden and read-only fields."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import flatten_fieldsets
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from apps.backoffice.fields import HIDDEN_LABEL, link_field
from apps.backoffice.rights import actor_of, allows_row, sees_all_rows, writable_names
from apps.core.models import company_mode
from apps.core.records import editable_fields, hidden_fields
from apps.core.rules import visible


class RecordFieldsMixin:
    """For ``ModelAdmin`` and inline classes. Needs ``model``, ``opts`` and ``admin_site``."""

    model: type[models.Model]
    opts: Any
    admin_site: Any
    # Links shown as a plain select with all choices; anything else gets a search box.
    select_fields: tuple[str, ...] = ()

    # ------------------------------------------------------------------- rights
    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(self.model, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).can(self.model, "view")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return actor_of(request).can(self.model, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, obj, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, obj, "delete")

    def _allows(self, request: HttpRequest, obj: Any, op: str) -> bool:
        actor = actor_of(request)
        if not actor.can(self.model, op):
            return False
        return not isinstance(obj, self.model) or obj.pk is None or allows_row(obj, actor, op)

    # ------------------------------------------------------------------- fields
    def hidden_names(self, request: HttpRequest) -> frozenset[str]:
        """Fields that do not exist for this actor. ``company`` also goes while there is only one to choose."""
        return hidden_fields(self.model, actor_of(request))

    def model_field_names(self) -> set[str]:
        return {field.name for field in (*self.opts.concrete_fields, *self.opts.many_to_many)}

    def locked_names(self, request: HttpRequest, names: set[str]) -> set[str]:
        """Model fields among ``names`` that this actor sees but may not write."""
        own = names & self.model_field_names()
        locked = own - editable_fields(self.model)
        allowed = writable_names(self.model, actor_of(request))
        if allowed is not None:
            locked |= own - allowed
        return locked

    def filter_fieldsets(self, request: HttpRequest, fieldsets: Any) -> list[tuple[Any, dict[str, Any]]]:
        """Fieldsets without the fields that are hidden from the actor, and without those left empty."""
        hidden = self.hidden_names(request)
        kept = []
        for title, options in fieldsets:
            rows: list[Any] = []
            for row in options.get("fields", ()):
                if isinstance(row, list | tuple):
                    cells = [name for name in row if name not in hidden]
                    if cells:
                        rows.append(tuple(cells) if len(cells) > 1 else cells[0])
                elif row not in hidden:
                    rows.append(row)
            if rows:
                kept.append((title, {**options, "fields": rows}))
        return kept

    def default_names(self, request: HttpRequest) -> list[str]:
        """Every editable field in declared order, for admins that name none."""
        hidden, editable = self.hidden_names(request), editable_fields(self.model)
        return [
            field.name
            for field in (*self.opts.concrete_fields, *self.opts.many_to_many)
            if field.name in editable and field.name not in hidden and field.name != "active"
        ]

    def names_in(self, fieldsets: Any) -> set[str]:
        return {name for name in flatten_fieldsets(fieldsets) if isinstance(name, str)}

    # -------------------------------------------------------------------- links
    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        """Narrow what a link offers further; override per admin."""
        return rows

    def _link_options(self, db_field: Any, request: HttpRequest) -> dict[str, Any]:
        actor = actor_of(request)
        target = db_field.related_model
        rows = visible(target, actor)
        if any(field.name == "active" for field in target._meta.concrete_fields):
            rows = rows.filter(active=True)
        if db_field.name == "company" and company_mode(self.model) != "none":
            rows = rows.filter(pk__in=actor.company_pks)
        limit = db_field.get_limit_choices_to()
        if limit:
            rows = rows.complex_filter(limit)
        options = {
            "rows": self.limit_choices(request, db_field, rows),
            "plain": db_field.name in self.select_fields or db_field.name == "company",
            "source": f"{self.model._meta.label_lower}.{db_field.name}",
            "required": not db_field.blank,
            "label": str(db_field.verbose_name).capitalize(),
            "help_text": db_field.help_text,
        }
        if db_field.name == "company" and company_mode(self.model) in ("owned", "inherited"):
            # The service takes the actor's company where none is given; the form shows which that is.
            options |= {"required": False, "initial": actor.company_pk}
        return options

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        options = self._link_options(db_field, request)
        if "initial" in kwargs:
            options["initial"] = kwargs["initial"]
        return link_field(db_field.related_model, actor_of(request), **options)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        options = self._link_options(db_field, request)
        return link_field(db_field.related_model, actor_of(request), many=True, **options)

    def readonly_links(self, request: HttpRequest, obj: Any, names: list[str]) -> dict[str, Any]:
        """For read-only links: callables that show the name with its address, or that it is hidden."""
        actor = actor_of(request)
        made: dict[str, Any] = {}
        for name in names:
            field = next((f for f in self.opts.concrete_fields if f.name == name and f.related_model), None)
            if field is not None:
                made[name] = _link_display(field, actor)
        return made


def _link_display(field: Any, actor: Any) -> Any:
    from apps.backoffice.site import record_url

    target = field.related_model

    def show(record: models.Model) -> Any:
        pk = getattr(record, field.attname, None)
        if pk is None:
            return None
        if not sees_all_rows(target, actor) and not visible(target, actor).filter(pk=pk).exists():
            return HIDDEN_LABEL
        linked = getattr(record, field.name)
        url = record_url(linked)
        return format_html('<a href="{}" class="bo-link">{}</a>', url, linked) if url else str(linked)

    show.__name__ = field.name
    show.short_description = field.verbose_name  # type: ignore[attr-defined]
    return show


ARCHIVED_LABEL = _("archived")
