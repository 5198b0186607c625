"""How a refusal looks in the back office."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.selectors import company_to_switch_to
from apps.backoffice.rights import actor_of
from apps.core.errors import BusinessError, NotVisible, PermissionDenied


def error_title(status: int) -> str:
    titles = {
        403: _("You may not do this"),
        404: _("Not found"),
        409: _("Not possible now"),
        412: _("Changed in the meantime"),
        503: _("Not available right now"),
    }
    return titles.get(status, _("That did not work"))


def error_context(
    request: HttpRequest, error: BusinessError, view: Callable[..., Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Title, words, the rule (administrators only) and, where another company would help, the offer to switch."""
    actor = actor_of(request)
    details = [text for texts in error.fields.values() for text in texts]
    return {
        "title": error_title(error.status),
        "status": error.status,
        "message": error.message,
        "details": details,
        "rule": error.rule if isinstance(error, PermissionDenied) and actor.is_admin else "",
        "switch_to": _switch(request, error, view, kwargs),
        "home": reverse("admin:index"),
        "trace_id": getattr(request, "trace_id", ""),
    }


def _switch(
    request: HttpRequest, error: BusinessError, view: Callable[..., Any], kwargs: dict[str, Any]
) -> Any:
    """The company that would show the record, when it is one of the user's own."""
    admin = getattr(view, "model_admin", None) or getattr(view, "__self__", None)
    model = getattr(admin, "model", None)
    pk = str(kwargs.get("object_id", ""))
    if not isinstance(error, NotVisible) or model is None or not pk.isdigit() or len(pk) > 18:
        return None
    actor = actor_of(request)
    if not actor.can(model, "view"):
        return None
    return company_to_switch_to(model, int(pk), user=request.user, selected=actor.company_pks)  # type: ignore[arg-type]
