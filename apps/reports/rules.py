"""Rendered documents are served through the records that they show; the list itself is for administrators."""

from __future__ import annotations

from django.db.models import Q

from apps.core.actor import Actor
from apps.core.rules import rule
from apps.reports.models import RenderedDocument


@rule(RenderedDocument, roles=("reports.manager",))
def document_administration(actor: Actor, op: str) -> Q:
    return Q()
