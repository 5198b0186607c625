"""Every URL as nobody, as a customer, as an employee without role, and as an employee of another company.

What may answer without a right is on a written list; everything else must refuse, and nothing may fail with 5xx. For
REST the answers are compared with what the permissions and record rules say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import models, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.access.models import User
from apps.access.selectors.actors import actor_for
from apps.core.rules import visible

# Paths that answer 2xx to anybody, and why.
OPEN = {
    r"^/healthz$": "is the process alive",
    r"^/readyz$": "is the system ready",
    r"^/metrics$": "figures without names; a token closes it in production",
    r"^/web/login.*$": "signing in",
    r"^/web/reset_password$": "asking for a link",
    r"^/web/signup$": "needs a signed link to do anything",
    r"^/web/logout$": "signing out",
    r"^/web/change_password$": "asks to sign in",
    r"^/api/v1/(schema|docs)/.*$": "the description of the interface",
    r"^/api/v1/$": "the list of resources",
    r"^/admin/(login|logout|jsi18n)/$": "leads to the sign-in",
    r"^/rate/.*$": "needs a token",
    r"^/static/.*$": "style sheets and scripts",
}
# What a customer may open besides his own documents.
CUSTOMER = {
    r"^/chatter/inbox/.*$": "his own inbox",
    r"^/chatter/messages/\d+/failures/cancel/$": "his own messages that failed; others are not found",
    r"^/my(/.*)?$": "the portal",
    r"^/web/.*$": "his own account",
    r"^/live/.*$": "his own notices",
}
EMPLOYEE = {
    **CUSTOMER,
    r"^/admin/.*$": "the back office, where models are checked one by one",
    r"^/chatter/.*$": "his inbox",
}


def _patterns(node: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for item in node.url_patterns:
        where = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from _patterns(item, where)
        else:
            yield where, item


def _sample(pattern: str) -> str:
    """A path for a pattern, every argument filled with something plausible."""
    path = re.sub(
        r"<(?:(\w+):)?(\w+)>",
        lambda m: "1" if m[1] in ("int", "pks") else "1" if m[1] is None else "x",
        pattern,
    )
    path = re.sub(r"\(\?P<\w+>[^)]*\)", "1", path)
    return "/" + path.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\", "").lstrip("/")


def all_paths() -> list[str]:
    found = {_sample(where) for where, _item in _patterns(get_resolver())}
    return sorted(path for path in found if "(?" not in path and "[" not in path)


@pytest.fixture
def people(told_story: None, db: None) -> SimpleNamespace:
    admin = User.objects.get(login="admin")
    portal = User.objects.get(login="portal")
    from apps.core.actor import system_actor
    from apps.core.records import service_for

    companies = list({admin.company, *admin.companies.all()})
    other = next(company for company in companies if company.pk != admin.company_id)
    nobody = service_for(User).create_one(
        {
            "login": "nobody",
            "name": "Nobody",
            "kind": "internal",
            "company": admin.company,
            "companies": [admin.company],
        },
        actor=system_actor(company_pk=admin.company_id),
    )
    stranger = service_for(User).create_one(
        {
            "login": "stranger",
            "name": "Stranger",
            "kind": "internal",
            "company": other,
            "companies": [other],
            "roles": list(admin.roles.exclude(code="access.administrator")),
        },
        actor=system_actor(company_pk=other.pk),
    )
    return SimpleNamespace(anonymous=None, portal=portal, nobody=nobody, stranger=stranger)


def _client(user: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return client


def _call(client: Client, method: str, path: str) -> Any:
    """Reads as a browser does, writes as a script does, so that a refusal is seen in both its forms."""
    headers = {} if method == "GET" else {"Accept": "application/json"}
    with transaction.atomic():
        try:
            return client.generic(
                method, path, data=json.dumps({}), content_type="application/json", headers=headers
            )
        finally:
            transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [("anonymous", OPEN), ("portal", {**OPEN, **CUSTOMER}), ("nobody", {**OPEN, **EMPLOYEE})],
)
def test_only_listed_paths_answer(people: SimpleNamespace, who: str, allowed: dict[str, str]) -> None:
    client = _client(getattr(people, who))
    wrong = []
    for path in all_paths():
        if path.startswith("/api/v1/") and who != "anonymous":
            continue  # compared with the rules below
        for method in ("GET", "POST"):
            response = _call(client, method, path)
            status = response.status_code
            if getattr(response, "streaming", False):
                response.close()
            if status >= 500 and status != 503:
                wrong.append(f"{who} {method} {path}: {status}")
            if 200 <= status < 300 and not any(re.match(pattern, path) for pattern in allowed):
                wrong.append(f"{who} {method} {path}: {status} without a right")

    assert not wrong, "\n".join(wrong)


def _routes() -> list[Any]:
    from apps.api.registry import all_routes

    return all_routes()


def _some_pk(model: type[models.Model]) -> Any:
    return model._base_manager.order_by("pk").values_list("pk", flat=True).first() or 1


@pytest.mark.parametrize("who", ["anonymous", "portal", "nobody", "stranger"])
def test_rest_answers_what_the_rules_say(people: SimpleNamespace, who: str) -> None:
    user = getattr(people, who)
    client = _client(user)
    actor = actor_for(user) if user is not None else None
    wrong = []
    for route in _routes():
        if "auth/tokens" in route.path:
            continue  # making a token is signing in; its own tests cover it
        model = route.model
        pk = _some_pk(model) if model is not None else 1
        path = re.sub(r"\{\w+\}", str(pk), route.template)
        response = _call(client, route.method, path)
        status = response.status_code
        where = f"{who} {route.method} {path}: {status}"
        if status >= 500:
            wrong.append(where)
        elif actor is None:
            if status != 401:
                wrong.append(f"{where}, expected 401")
        elif model is not None and not actor.can(model, route.permission):
            if status not in (403, 404, 405):
                wrong.append(f"{where}, expected a refusal")
        elif model is not None and route.operation == "detail":
            seen = visible(model, actor).filter(pk=pk).exists()
            if (status == 200) != seen:
                wrong.append(f"{where}, visible: {seen}")
        elif model is not None and route.operation == "list" and status == 200:
            shown = {row.get("id") for row in response.json()["results"]}
            allowed = set(visible(model, actor).values_list("pk", flat=True))
            if not shown <= allowed:
                wrong.append(f"{where}, shows {sorted(shown - allowed)[:5]}")
        elif (
            model is not None
            and 200 <= status < 300
            and "{id}" in route.template
            and not visible(model, actor).filter(pk=pk).exists()
        ):
            wrong.append(f"{where}, on a record that is not visible")

    assert not wrong, "\n".join(wrong)
