"""Choices for link fields: visible, not archived records of a kind, in pages of twenty.

Two ways to ask: ``target=contacts.partner`` (our own widgets; ``source`` names the field for its limits) and Django's
``app_label``, ``model_name``, ``field_name`` of the field that links. Either way the answer is made of ``visible()``.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from apps.backoffice.rights import actor_of, choices_for
from apps.core.actor import Actor
from apps.core.errors import NotVisible, PermissionDenied
from apps.core.models import company_mode
from apps.core.records import hidden_fields
from apps.core.search import search, searchable

PAGE = 20


def autocomplete(site: Any, request: HttpRequest) -> JsonResponse:
    actor = actor_of(request)
    source = _source(request, actor)
    target = source.related_model if source is not None else _model(request.GET.get("target", ""))
    if not actor.can(target, "view"):
        raise PermissionDenied(
            _("You may not choose from these records."), rule=f"{target._meta.label_lower}:view"
        )
    rows = choices_for(target, actor)
    admin = site._registry.get(source.model) if source is not None else None
    if source is not None:
        limit = source.get_limit_choices_to()
        rows = rows.complex_filter(limit) if limit else rows
        if source.name == "company" and company_mode(source.model) != "none":
            rows = rows.filter(pk__in=actor.company_pks)
    if admin is not None and hasattr(admin, "limit_choices"):
        rows = admin.limit_choices(request, source, rows)
    rows = _matching(site, request, rows, request.GET.get("term", "").strip(), actor)
    page = _page(request)
    found = list(rows[(page - 1) * PAGE : page * PAGE + 1])
    key = _key_of(source, target)
    return JsonResponse(
        {
            "results": [{"id": str(getattr(row, key)), "text": str(row)} for row in found[:PAGE]],
            "pagination": {"more": len(found) > PAGE},
        }
    )


def _page(request: HttpRequest) -> int:
    given = request.GET.get("page", "1")
    return min(max(1, int(given)), 500) if given.isdigit() and len(given) < 6 else 1


def _model(label: str) -> Any:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        raise NotVisible(_("There is no such kind of record.")) from None


def _source(request: HttpRequest, actor: Actor) -> Any:
    """The linking field, refused when it is hidden from the actor."""
    label = request.GET.get("source", "")
    if label:
        model_label, _dot, name = label.rpartition(".")
    elif "field_name" in request.GET:
        model_label = f"{request.GET.get('app_label', '')}.{request.GET.get('model_name', '')}"
        name = request.GET["field_name"]
    else:
        return None
    model = _model(model_label)
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise NotVisible(_("There is no such field.")) from None
    if (
        name in hidden_fields(model, actor)
        or not field.is_relation
        or not isinstance(field.related_model, type)
    ):
        raise NotVisible(_("There is no such field."))
    return field


def _key_of(source: Any, target: type[models.Model]) -> str:
    name = getattr(getattr(source, "remote_field", None), "field_name", None) or target._meta.pk.name  # type: ignore[union-attr]
    return str(target._meta.get_field(name).attname)


def _matching(
    site: Any, request: HttpRequest, rows: models.QuerySet[Any], term: str, actor: Actor
) -> models.QuerySet[Any]:
    admin = site._registry.get(rows.model)
    if not term:
        return rows if rows.ordered else rows.order_by("pk")
    if admin is not None:
        rows, _duplicates = admin.get_search_results(request, rows, term)
    elif searchable(rows.model):
        rows = search(rows, term)
    else:
        hidden = hidden_fields(rows.model, actor)
        condition = models.Q(pk__in=[])
        for field in rows.model._meta.concrete_fields:
            if isinstance(field, models.CharField) and field.name not in hidden:
                condition |= models.Q(**{f"{field.name}__icontains": term})
        rows = rows.filter(condition)
    return rows if rows.ordered else rows.order_by("pk")
