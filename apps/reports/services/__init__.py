"""Services of the report engine."""

from apps.reports.services import rendering

__all__ = ["rendering"]
