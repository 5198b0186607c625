"""System checks for record admins: Unfold's, minus what names of custom and extension fields would trip."""

from __future__ import annotations

from typing import Any

from unfold.checks import UnfoldModelAdminChecks

DYNAMIC = ("custom.", "ext.")


class RecordAdminChecks(UnfoldModelAdminChecks):
    def _check_list_display_item(self, obj: Any, item: Any, label: str) -> list[Any]:
        if isinstance(item, str) and item.startswith(DYNAMIC):
            return []
        return super()._check_list_display_item(obj, item, label)

    def _check_list_filter_item(self, obj: Any, item: Any, label: str) -> list[Any]:
        if isinstance(item, str) and item.startswith(DYNAMIC):
            return []
        return super()._check_list_filter_item(obj, item, label)

    def _check_field_spec_item(self, obj: Any, field_name: str, label: str) -> list[Any]:
        """Links through a model of their own may be on a form: the record's service writes them, not the form."""
        found = super()._check_field_spec_item(obj, field_name, label)
        return [message for message in found if message.id != "admin.E013"]
