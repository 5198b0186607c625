"""Back-office screens of the report engine, and the print buttons on every record that has a document."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from apps.backoffice.base import Button, RecordAdmin, backoffice, collect_buttons
from apps.core.actor import Actor
from apps.reports.models import RenderedDocument
from apps.reports.services.rendering import reports_for


@backoffice(RenderedDocument)
class RenderedDocumentAdmin(RecordAdmin):
    list_display = ("created_at", "report", "filename", "state", "seconds", "error")
    list_filter = ("state", "report", "created_at")


@collect_buttons.register
def print_buttons(*, model: Any, record: Any, actor: Actor) -> list[Button]:
    """One button a declared document of this kind of record."""
    return [
        Button(
            key=f"print-{spec.code}",
            title=spec.title,
            url=reverse("report-download", args=[spec.code, str(record.pk)]),
            icon="picture_as_pdf",
            new_window=True,
            sequence=80,
        )
        for spec in reports_for(model)
    ]
