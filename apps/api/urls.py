"""REST URLs: everything that the running modules declare, the document, and 404 as JSON for the rest."""

from __future__ import annotations

from django.urls import path, re_path

from apps.api import documents
from apps.api.base import declared_endpoints
from apps.api.constants import PREFIX
from apps.api.registry import plans, urlpatterns_for
from apps.api.views import UnknownAddress

urlpatterns = [
    path(PREFIX, documents.IndexView.as_view(), name="api-index"),
    path(f"{PREFIX}schema/", documents.SchemaView.as_view(), name="api-schema"),
    path(f"{PREFIX}docs/", documents.docs, name="api-docs"),
    *urlpatterns_for(plans().values(), declared_endpoints()),
    re_path(r"^api/", UnknownAddress.as_view()),
]
