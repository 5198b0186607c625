"""Background tasks of the report engine."""

from __future__ import annotations

from celery import shared_task

from apps.reports.services.rendering import render


# A document that takes ten minutes will never be ready for who waits for it; it fails with a reason instead.
@shared_task(name="reports.render", ignore_result=True, soft_time_limit=540, time_limit=600)
def render_document(pk: int) -> str:
    """Render one document; repeated deliveries do nothing."""
    return render(pk)
