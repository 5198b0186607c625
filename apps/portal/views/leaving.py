"""The end of one's own login."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.access.services import allow, close_own_portal_account
from apps.core.errors import BusinessError, Throttled
from apps.portal.base import Crumb, actor_of, portal_page


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@portal_page()
def deactivate_account(request: HttpRequest) -> HttpResponseBase:
    """A customer leaves: the login typed (``validation``) and the password. The account is archived, its login,
    tokens and sessions end; the contact and its documents stay with the company."""
    actor = actor_of(request)
    user: Any = request.user
    crumbs = (Crumb(_("Your details"), "/my/account"), Crumb(_("Close the account")))
    context = {"crumbs": crumbs, "login": user.login}
    if request.method == "GET":
        return render(request, "portal/deactivate.html", context)
    try:
        if not allow("deactivate", str(user.pk), limit=10, seconds=3600):
            raise Throttled()
        close_own_portal_account(
            user,
            login=request.POST.get("validation", ""),
            password=request.POST.get("password", ""),
            actor=actor,
        )
    except BusinessError as exc:
        errors = [text for texts in exc.fields.values() for text in texts] or [exc.message]
        return render(request, "portal/deactivate.html", {**context, "errors": errors}, status=exc.status)
    request.session.flush()
    return render(request, "portal/goodbye.html")
