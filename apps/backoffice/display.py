"""How read-only fields show links: by name and address, unless the record is not the reader's to see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import helpers
from django.utils.html import format_html
from unfold.fields import UnfoldAdminField, UnfoldAdminReadonlyField
from unfold.forms import AdminForm, Fieldset
from unfold.forms import Fieldline as UnfoldFieldline

from apps.backoffice.fields import HIDDEN_LABEL
from apps.backoffice.rights import sees_all_rows
from apps.backoffice.site import record_url
from apps.core.rules import visible


class ReadonlyField(UnfoldAdminReadonlyField):
    def get_admin_url(self, remote_field: Any, remote_obj: Any) -> Any:
        actor = getattr(self.form, "actor", None)
        target = type(remote_obj)
        if actor is not None and not sees_all_rows(target, actor):
            known = self.form.__class__.__dict__.get("seen_links")
            if known is None:
                known = {}
                self.form.__class__.seen_links = known
            key = (target, remote_obj.pk)
            if key not in known:
                known[key] = visible(target, actor).filter(pk=remote_obj.pk).exists()
            if not known[key]:
                return str(HIDDEN_LABEL)
        url = record_url(remote_obj)
        return format_html('<a href="{}" class="bo-link">{}</a>', url, remote_obj) if url else str(remote_obj)


class Fieldline(UnfoldFieldline):
    def __iter__(self) -> Iterator[Any]:
        for index, field in enumerate(self.fields):
            if field in self.readonly_fields:
                yield ReadonlyField(self.form, field, is_first=index == 0, model_admin=self.model_admin)
            else:
                yield UnfoldAdminField(self.form, field, is_first=index == 0)


class RecordFieldset(Fieldset):
    def __iter__(self) -> Iterator[Any]:
        for field in self.fields:
            yield Fieldline(self.form, field, self.readonly_fields, model_admin=self.model_admin)


class RecordAdminForm(AdminForm):
    def __iter__(self) -> Iterator[Any]:
        for name, options in self.fieldsets:
            yield RecordFieldset(
                self.form, name, readonly_fields=self.readonly_fields, model_admin=self.model_admin, **options
            )


def install() -> None:
    """Unfold puts its classes into Django's helpers on each request; ours are subclasses and go there once."""
    helpers.AdminForm = RecordAdminForm  # type: ignore[misc]
    helpers.Fieldline = Fieldline  # type: ignore[misc]
