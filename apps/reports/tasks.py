"""Background tasks of the report engine."""

from __future__ import annotations

from celery import shared_task

from apps.reports.services.rendering import render


@shared_task(name="reports.render", ignore_result=True)
def render_document(pk: int) -> str:
    """Render one document; repeated deliveries do nothing."""
    return render(pk)
