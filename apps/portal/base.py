"""What a module's ``portal.py`` builds on: guarded pages, lists, document access, links.

A module declares its pages in ``portal.py`` as ``urlpatterns`` (below the root, with their ``/my/…`` paths); the portal
mounts them. Views are decorated with ``portal_page``; lists are ``PortalList`` declarations shown by ``show_list``;
documents are opened by ``open_document``, which knows the three ways in: rule, token, or back to ``/my``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from functools import lru_cache, wraps
from itertools import groupby
from typing import Any, TypeVar

from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.dateparse import parse_date
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from apps.access.services.users import is_local_path
from apps.core.actor import PORTAL, PUBLIC, Actor
from apps.core.errors import BusinessError, NotAuthenticated, NotVisible, PermissionDenied, ValidationFailed
from apps.core.modules import import_if_present, running
from apps.core.rules import visible
from apps.portal.tokens import (
    access_by,
    ensure_token,
    link,
    person_hash,
    rotate_token,
    share_link,
    token_fits,
)
from apps.portal.types import Choice, Crumb, Group, GroupBy, Pager, PortalList, SearchIn, Sort
from apps.reports.views import document_response, page_response

M = TypeVar("M", bound=models.Model)
View = Callable[..., HttpResponseBase]

__all__ = [
    "Choice",
    "Crumb",
    "Group",
    "GroupBy",
    "PortalList",
    "SearchIn",
    "Sort",
    "access_by",
    "actor_of",
    "document_page",
    "ensure_token",
    "link",
    "local_path",
    "login_redirect",
    "neighbours",
    "open_document",
    "person_hash",
    "portal_page",
    "portal_path",
    "register_portal_url",
    "remember",
    "rotate_token",
    "see_other",
    "share_link",
    "show_list",
    "token_fits",
]

HOME = "/my"
KEPT_IDS = 100
_portal_urls: dict[str, Callable[[models.Model], str]] = {}


def register_portal_url(model_label: str, path: Callable[[Any], str]) -> None:
    """Say where customers look at records of a kind: ``record -> "/my/tasks/7"``, empty when they do not."""
    _portal_urls[model_label.lower()] = path


@lru_cache(maxsize=1)
def load_pages() -> tuple[Any, ...]:
    """The ``portal`` modules of all running apps, which say at import where their records are. A worker, which serves no
    pages but writes links into mails, needs them too."""
    found = (
        import_if_present(f"{config.name}.portal") for config in running() if config.name != "apps.portal"
    )
    return tuple(module for module in found if module is not None)


def portal_path(record: models.Model) -> str:
    """The portal page of a record, empty when its kind has none."""
    load_pages()
    path = _portal_urls.get(record._meta.label_lower)
    return path(record) if path else ""


def actor_of(request: HttpRequest) -> Actor:
    return request.actor  # type: ignore[attr-defined,no-any-return]


class SeeOther(HttpResponseRedirect):
    """303: whatever the method was, look there."""

    status_code = 303


def see_other(url: str) -> HttpResponseRedirect:
    return SeeOther(url)


def local_path(wanted: str | None, default: str = HOME) -> str:
    """``wanted`` when it is a path of this site, else ``default``."""
    if wanted and is_local_path(wanted) and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    return default


def login_redirect(request: HttpRequest) -> HttpResponseRedirect:
    return see_other(f"/web/login?{urlencode({'redirect': request.get_full_path()})}")


def portal_page(*, public: bool = False) -> Callable[[View], View]:
    """Guard a page: visitors sign in first (unless ``public``), and what is not theirs leads back to ``/my`` without
    telling whether it exists."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            actor = actor_of(request)
            if not public and (actor.kind == PUBLIC or actor.user_pk is None):
                return login_redirect(request)
            try:
                response = view(request, *args, **kwargs)
            except (NotVisible, PermissionDenied):
                return see_other(HOME)
            except NotAuthenticated:
                return login_redirect(request)
            except BusinessError as exc:
                response = render(request, "portal/message.html", {"message": exc.message}, status=exc.status)
                if exc.status == 503:
                    response["Retry-After"] = "3"
            response["Cache-Control"] = "private, no-store"
            # Addresses may hold a token, which no other site learns. Not "no-referrer": browsers then send their forms
            # with "Origin: null", which the protection against forged requests refuses.
            response["Referrer-Policy"] = "same-origin"
            return response

        return guarded

    return decorate


# -------------------------------------------------------------------------------------------------------- documents
def open_document(
    request: HttpRequest,
    model: type[M],
    pk: int,
    *,
    queryset: models.QuerySet[M] | None = None,
    via: Any = None,
) -> tuple[M, bool]:
    """The record and whether a token opened it. First the actor's own rules, then ``access_token``, else
    ``NotVisible``. ``via`` answers a further record whose token counts as well (a task's project)."""
    actor = actor_of(request)
    if actor.user_pk is not None:
        own = visible(model, actor, queryset=queryset).filter(pk=pk).first()
        if own is not None:
            return own, False
    given = request.GET.get("access_token") or request.POST.get("access_token") or ""
    if given:
        rows = model._base_manager.all() if queryset is None else queryset
        record = rows.filter(pk=pk).first()
        if record is not None:
            other = via(record) if via is not None else None
            if token_fits(record, given) or (other is not None and token_fits(other, given)):
                return record, True
    raise NotVisible()


def document_page(
    request: HttpRequest,
    template: str,
    record: models.Model,
    context: Mapping[str, Any],
    *,
    by_token: bool,
    crumbs: Sequence[Crumb] = (),
    report: str = "",
    list_key: str = "",
) -> HttpResponseBase:
    """Show a document, or its report when ``report_type`` asks for one (``html``, ``pdf`` or ``text``).

    The address ends with the record's key. Templates extend ``portal/document.html`` and get besides ``context``:
    ``record by_token access_token crumbs pdf_url previous_url next_url``.
    """
    wanted = request.GET.get("report_type", "")
    if wanted and report:
        return _report(request, record, report, wanted, by_token=by_token)
    token = request.GET.get("access_token", "") if by_token else ""
    previous, following = neighbours(request, list_key, record.pk)
    query = f"?{urlencode({'access_token': token})}" if token else ""
    return render(
        request,
        template,
        {
            **context,
            "record": record,
            "by_token": by_token,
            "access_token": token,
            "crumbs": crumbs,
            "previous": previous,
            "next": following,
            "previous_url": _sibling(request.path, previous, query),
            "next_url": _sibling(request.path, following, query),
            "pdf_url": _report_url(request, record, token) if report else "",
        },
    )


def _report_url(request: HttpRequest, record: models.Model, token: str) -> str:
    query = {"report_type": "pdf", "download": "true", **({"access_token": token} if token else {})}
    return f"{request.path}?{urlencode(query)}"


def _sibling(path: str, pk: int | None, query: str) -> str:
    """The address of another record of the list that was shown last; a link's token comes along."""
    return f"{path.rpartition('/')[0]}/{pk}{query}" if pk is not None else ""


def _report(
    request: HttpRequest, record: models.Model, code: str, wanted: str, *, by_token: bool
) -> HttpResponseBase:
    if wanted not in ("html", "pdf", "text"):
        raise ValidationFailed(
            _("'%(kind)s' is not a kind of document. Use html, pdf or text.") % {"kind": wanted[:40]}
        )
    actor = _as_bearer(request) if by_token else actor_of(request)
    if wanted != "pdf":
        return page_response(code, [record.pk], actor=actor, plain=wanted == "text", trusted=True)
    download = request.GET.get("download", "").lower() not in ("", "0", "false")
    response: HttpResponseBase = document_response(
        code, [record.pk], actor=actor, download=download, trusted=True
    )
    return response


def _as_bearer(request: HttpRequest) -> Actor:
    """Who a link with a token makes of a visitor: a customer who sees this one document."""
    visitor = actor_of(request)  # made when first asked, so not an instance that could be copied
    return Actor(**{item.name: getattr(visitor, item.name) for item in fields(Actor)} | {"kind": PORTAL})


def remember(request: HttpRequest, key: str, pks: Sequence[int]) -> None:
    """Keep the first keys of a list, so that document pages can lead to the next and previous one."""
    kept = list(pks[:KEPT_IDS])
    if request.session.get(f"portal.{key}") != kept:  # looking at the same page again writes nothing
        request.session[f"portal.{key}"] = kept


def neighbours(request: HttpRequest, key: str, pk: int) -> tuple[int | None, int | None]:
    """Keys before and after ``pk`` in the list that was shown last."""
    kept = request.session.get(f"portal.{key}") if key and hasattr(request, "session") else None
    if not kept or pk not in kept:
        return None, None
    place = kept.index(pk)
    return (kept[place - 1] if place else None), (kept[place + 1] if place + 1 < len(kept) else None)


# ------------------------------------------------------------------------------------------------------------ lists
def _pick(options: Mapping[str, Any], key: str | None, default: str = "") -> str:
    if key in options:
        return str(key)
    return default or next(iter(options), "")


def _created_between(spec: PortalList, query: QueryDict) -> Q:
    """Creation time after ``date_begin`` (exclusive) until ``date_end`` (inclusive), only when both are given."""
    begin, end = (_day(query.get(name)) for name in ("date_begin", "date_end"))
    if begin is None or end is None:
        return Q()
    return Q(**{f"{spec.created_field}__date__gt": begin}) & Q(
        **{f"{spec.created_field}__date__lt": end + timedelta(days=1)}
    )


def _day(text: str | None) -> date | None:
    try:
        return parse_date((text or "")[:10])
    except ValueError:
        return None


def show_list(
    request: HttpRequest,
    spec: PortalList,
    *,
    page: int = 1,
    rows: models.QuerySet[Any] | None = None,
    url: str = "",
    context: Mapping[str, Any] | None = None,
    crumbs: Sequence[Crumb] = (),
    keep: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A list by its declaration: filter, search, sort, group, page. The number of queries does not grow with rows."""
    actor, query = actor_of(request), request.GET
    url = url or spec.url
    filters = spec.filters(actor) if callable(spec.filters) else spec.filters
    sortby = _pick(spec.sorts, query.get("sortby"))
    filterby = _pick(filters, query.get("filterby"))
    search_in = _pick(spec.searches, query.get("search_in"))
    grouping = _pick(spec.groups, query.get("groupby"), spec.default_group)
    text = query.get("search", "").strip()[:200]

    found = spec.rows(actor) if rows is None else rows
    if filterby and filters[filterby].condition is not None:
        found = found.filter(filters[filterby].condition)
    if text and search_in:
        found = found.filter(spec.searches[search_in].condition(text))
    found = found.filter(_created_between(spec, query))
    group = spec.groups.get(grouping)
    found = found.order_by(*(group.order if group else ()), *spec.sorts[sortby].order, "-pk")

    paginator = Paginator(found, spec.page_size)
    shown = paginator.get_page(max(1, page))  # a page behind the last one is the last one
    records = list(shown.object_list)
    remember(request, spec.key, [record.pk for record in records])
    if spec.present is not None:
        records = list(spec.present(records))
    chosen = {
        "sortby": sortby,
        "filterby": filterby,
        "search_in": search_in,
        "search": text,
        "groupby": grouping,
        "date_begin": query.get("date_begin", ""),
        "date_end": query.get("date_end", ""),
        **(keep or {}),
    }
    return render(
        request,
        spec.template,
        {
            **(context or {}),
            "list": spec,
            "title": spec.title,
            "crumbs": crumbs or (Crumb(spec.title),),
            "groups": _grouped(records, group),
            "records": records,
            "total": paginator.count,
            "pager": _pager(url, shown.number, paginator, chosen),
            "sorts": spec.sorts,
            "filters": filters,
            "searches": spec.searches,
            "groupings": spec.groups,
            "chosen": chosen,
            "list_url": url,
            "kept": keep or {},
        },
    )


def _grouped(records: Sequence[Any], group: GroupBy | None) -> list[Group]:
    if group is None or group.heading is None:
        return [Group("", records)]
    return [Group(str(heading), list(rows)) for heading, rows in groupby(records, key=group.heading)]


def _pager(url: str, number: int, paginator: Paginator[Any], chosen: Mapping[str, str]) -> Pager:
    """Links keep every chosen parameter; the first page has no suffix; five pages are offered."""
    query = urlencode({key: value for key, value in chosen.items() if value})

    def to(page: int) -> str:
        path = url if page == 1 else f"{url}/page/{page}"
        return f"{path}?{query}" if query else path

    last = paginator.num_pages
    first_shown = max(1, min(number - 2, last - 4))
    shown = range(first_shown, min(last, first_shown + 4) + 1)
    return Pager(
        number=number,
        count=last,
        total=paginator.count,
        links=tuple((page, to(page)) for page in shown),
        previous=to(number - 1) if number > 1 else "",
        next=to(number + 1) if number < last else "",
    )
