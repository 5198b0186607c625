"""The admin site of the back office: who gets in, menus, search, counters, and how refusals look."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib.admin.views.main import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import SuspiciousOperation
from django.db import models
from django.http import Http404, HttpRequest, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from unfold.sites import UnfoldAdminSite

from apps.backoffice.rights import actor_of
from apps.core.errors import (
    BusinessError,
    NotAuthenticated,
    NotVisible,
    PermissionDenied,
    ValidationFailed,
)

LOGIN_PATH = "/web/login"
LOGOUT_PATH = "/web/logout"


class BackofficeSite(UnfoldAdminSite):
    """``/admin/`` for employees. Other modules register on the one instance ``site`` with ``@backoffice(Model)``."""

    site_header = gettext_lazy("Meridian")
    site_title = gettext_lazy("Meridian")
    index_title = gettext_lazy("Dashboard")
    enable_nav_sidebar = True
    final_catch_all_view = False
    empty_value_display = "–"

    # ------------------------------------------------------------------ access
    def has_permission(self, request: HttpRequest) -> bool:
        actor = getattr(request, "actor", None)
        return actor is not None and (actor.is_internal or actor.is_system)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        """Every screen goes through here: sign-in, refusals as pages, answers rendered inside."""

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_permission(request):
                return self.refuse_stranger(request)
            try:
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse) and not response.is_rendered:
                    response.render()
            except BusinessError as error:
                return self.error_page(request, error, view, kwargs)
            except DjangoPermissionDenied as error:
                return self.error_page(request, PermissionDenied(str(error)), view, kwargs)
            except Http404 as error:
                return self.error_page(request, NotVisible(str(error) if error.args else ""), view, kwargs)
            except (IncorrectLookupParameters, SuspiciousOperation):
                refusal = ValidationFailed(_("The list cannot be filtered or sorted in this way."))
                return self.error_page(request, refusal, view, kwargs)
            return response

        inner.model_admin = getattr(view, "model_admin", None)  # type: ignore[attr-defined]
        if not cacheable:
            inner = never_cache(inner)
        if not getattr(view, "csrf_exempt", False):
            inner = csrf_protect(inner)
        return update_wrapper(inner, view)

    def refuse_stranger(self, request: HttpRequest) -> HttpResponseBase:
        actor = getattr(request, "actor", None)
        if not request.accepts("text/html"):
            refused = PermissionDenied() if request.user.is_authenticated else NotAuthenticated()
            return JsonResponse(refused.as_dict(), status=refused.status)
        if request.user.is_authenticated and actor is not None:
            context = {
                "title": _("Not for you"),
                "message": _("The back office is for employees."),
                "status": 403,
            }
            return TemplateResponse(request, "backoffice/stranger.html", context, status=403).render()
        return HttpResponseRedirect(f"{LOGIN_PATH}?{urlencode({'redirect': request.get_full_path()})}")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Signing in is the business of ``access``: throttling, second factor, audit."""
        wanted = request.GET.get("next", "")
        if not wanted.startswith("/") or wanted.startswith("//"):
            wanted = reverse("admin:index")
        return HttpResponseRedirect(f"{LOGIN_PATH}?{urlencode({'redirect': wanted})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        # 307 keeps the method, so that the token of the form arrives where the session is ended.
        response = HttpResponseRedirect(LOGOUT_PATH)
        response.status_code = 307 if request.method == "POST" else 302
        return response

    # ----------------------------------------------------------------- refusals
    def error_page(
        self, request: HttpRequest, error: BusinessError, view: Callable[..., Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase:
        """A refusal in words; administrators also read which rule refused. A script that asked for JSON reads it as such."""
        if not request.accepts("text/html"):
            return JsonResponse(error.as_dict(), status=error.status)
        from apps.backoffice.errors import error_context

        context = {**self.each_context(request), **error_context(request, error, view, kwargs)}
        return TemplateResponse(request, "backoffice/error.html", context, status=error.status).render()

    # -------------------------------------------------------------------- parts
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The sidebar comes from the modules' menus, so Django's own list is not built on every page."""
        return []

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        from apps.backoffice.menus import sidebar

        return sidebar(request)

    def _get_config(self, key: str, *args: Any) -> Any:
        from apps.backoffice.theme import CONFIG

        if key in CONFIG:
            return (
                self._get_value(CONFIG[key], *args)
                if not isinstance(CONFIG[key], Promise)
                else str(CONFIG[key])
            )
        return super()._get_config(key, *args)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from apps.backoffice.shell import shell_context

        return {**super().each_context(request), **shell_context(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from apps.backoffice.views.dashboard import dashboard

        return dashboard(self, request)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        from apps.backoffice.views.search import search

        return search(self, request)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        from apps.backoffice.views.autocomplete import autocomplete

        return autocomplete(self, request)

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> HttpResponseBase:
        return HttpResponseRedirect(reverse("admin:index"))

    def extra_urls(self) -> list[URLPattern]:
        from apps.backoffice.views import counters, modules, settings

        return [
            path("counters/", self.admin_view(counters.counters), name="counters"),
            path("modules/", self.admin_view(modules.module_list), name="modules"),
            path("settings/", self.admin_view(settings.settings_page), name="settings"),
            *(path(where, self.admin_view(view), name=name) for where, view, name in _pages),
        ]


site = BackofficeSite(name="admin")
_pages: list[tuple[str, Callable[..., HttpResponseBase], str]] = []


def register_page(where: str, view: Callable[..., HttpResponseBase], *, name: str) -> None:
    """Add a page of a module's own below ``/admin/``, for signed-in employees; call it from ``admin.py``."""
    _pages.append((where, view, name))


def record_url(record: models.Model | type[models.Model], pk: Any = None) -> str:
    """Address of a record's form, or of a model's list when a class is given; empty when it has no screen."""
    model = record if isinstance(record, type) else type(record)
    if model not in site._registry:
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    try:
        if isinstance(record, type) and pk is None:
            return reverse(f"{name}_changelist")
        return reverse(f"{name}_change", args=[pk if pk is not None else record.pk])
    except NoReverseMatch:
        return ""


def url_of_actor(record: models.Model, request: HttpRequest) -> str:
    """The form's address when the actor may open it, else nothing."""
    return record_url(record) if actor_of(request).can(type(record), "view") else ""
