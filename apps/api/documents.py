"""The OpenAPI document and the pages that show it. Both are public: they say what exists, not what is in it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.request import Request

from apps.api.constants import PREFIX
from apps.api.encoding import json_response
from apps.api.openapi import document
from apps.api.registry import plans
from apps.api.views import ApiView


class SchemaView(ApiView):
    """``/api/v1/schema/``."""

    public = True
    authentication_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> HttpResponse:
        return json_response(document(), 200, {"Cache-Control": "public, max-age=300"})


class IndexView(ApiView):
    """``/api/v1/``: where the resources are."""

    public = True
    authentication_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> HttpResponse:
        found = {path: request.build_absolute_uri(f"/{PREFIX}{path}/") for path in sorted(plans())}
        return json_response({"schema": request.build_absolute_uri(f"/{PREFIX}schema/"), "resources": found})


def docs(request: HttpRequest) -> HttpResponse:
    """``/api/v1/docs/``: the document for people, from files of this server alone."""
    return render(request, "api/docs.html")
