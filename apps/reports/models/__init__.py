"""Models of the report engine."""

from apps.reports.models.document import RenderedDocument

__all__ = ["RenderedDocument"]
