"""All of REST: what the running modules declare, compiled to plans, routes and URL patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, path

from apps.api.base import (
    CREATE,
    DELETE,
    DETAIL,
    LIST,
    UPDATE,
    Endpoint,
    Resource,
    SubResource,
    declared_endpoints,
    declared_resources,
    declared_subresources,
)
from apps.api.commands import Command, commands_of
from apps.api.constants import PREFIX
from apps.api.plan import Plan, ResourceError
from apps.api.subviews import EndpointView, RouteView, SubCollectionView
from apps.api.views import ActionView, BulkActionView, CollectionView, DetailView
from apps.core.modules import import_if_present, running


@dataclass(frozen=True)
class RouteInfo:
    """One method of one URL, for route matrices, the document and the listing of the surface.

    ``operation`` is ``list create detail update replace delete``, ``action:<name>``, ``bulk:<name>``, ``sub:<name>``,
    ``sub_create:<name>``, ``route:<name>``, ``endpoint`` or ``sign_in``. ``permission`` is the right on ``model`` that is needed.
    """

    method: str
    path: str
    model: type[Model] | None
    operation: str
    permission: str
    plan: Plan | None = None
    detail: Any = None  # Command, SubResource, Route or Endpoint

    @property
    def template(self) -> str:
        """The path from the root, such as ``/api/v1/projects/tasks/{id}/``."""
        return f"/{PREFIX}{self.path}"


def load_declarations() -> None:
    """Import ``api.py`` of every running module."""
    for config in running():
        import_if_present(f"{config.name}.api")


@lru_cache(maxsize=1)
def plans() -> dict[str, Plan]:
    """The compiled resources by path."""
    load_declarations()
    return {where: Plan(resource) for where, resource in declared_resources().items()}


def forget_plans() -> None:
    """For tests that declare resources of their own."""
    plans.cache_clear()


def plan_of(model: type[Model]) -> Plan | None:
    """The plan of the resource that publishes a model."""
    return next((plan for plan in plans().values() if plan.model is model), None)


def subresources_of(plan: Plan) -> list[tuple[SubResource, Plan]]:
    """What other apps attach to the records of a resource. The attached model must be published itself."""
    found = []
    for sub in declared_subresources():
        if not sub.applies(plan.model):
            continue
        rows = next((p for p in plans().values() if p.label == sub.model.lower()), None)
        if rows is None:
            raise ResourceError(f"Sub-resource '{sub.name}' shows {sub.model}, which no resource publishes.")
        found.append((sub, rows))
    return found


def bulk_commands(plan: Plan) -> Iterator[Command]:
    return (command for command in commands_of(plan) if command.bulk)


# ---------------------------------------------------------------------------------------------------- routes
def routes_of(plan: Plan) -> Iterator[RouteInfo]:
    """Every route of one resource."""
    base, model, offered = f"{plan.path}/", plan.model, plan.resource.operations
    one = f"{base}{{id}}/"

    def info(method: str, where: str, operation: str, permission: str, detail: Any = None) -> RouteInfo:
        return RouteInfo(method, where, model, operation, permission, plan, detail)

    basic = (
        (LIST, "GET", base, "list", "view"),
        (CREATE, "POST", base, "create", "add"),
        (DETAIL, "GET", one, "detail", "view"),
        (UPDATE, "PATCH", one, "update", "change"),
        (UPDATE, "PUT", one, "replace", "change"),
        (DELETE, "DELETE", one, "delete", "delete"),
    )
    for operation, method, where, name, permission in basic:
        if operation in offered:
            yield info(method, where, name, permission)
    if DETAIL in offered:
        for command in commands_of(plan):
            yield info(
                "POST", f"{one}actions/{command.name}/", f"action:{command.name}", command.permission, command
            )
        for sub, _rows in subresources_of(plan):
            yield info("GET", f"{one}{sub.name}/", f"sub:{sub.name}", "view", sub)
            if sub.create is not None:
                yield info("POST", f"{one}{sub.name}/", f"sub_create:{sub.name}", sub.permission, sub)
    for command in bulk_commands(plan):
        yield info(
            "POST", f"{base}actions/{command.name}/", f"bulk:{command.name}", command.permission, command
        )
    for route in plan.routes:
        where = f"{one if route.detail else base}{route.name}/"
        for method in route.methods:
            yield info(method, where, f"route:{route.name}", route.permission, route)


def all_routes() -> list[RouteInfo]:
    """Every method of every URL below ``/api/v1/`` but the document itself, by path and method. The one without a
    ``permission`` is signing in."""
    found = [info for plan in plans().values() for info in routes_of(plan)]
    found.append(RouteInfo("POST", "auth/tokens/", None, "sign_in", ""))
    for endpoint in declared_endpoints():
        model = apps.get_model(endpoint.model)
        found += [
            RouteInfo(method, f"{endpoint.path}/", model, "endpoint", endpoint.permission, None, endpoint)
            for method in endpoint.methods
        ]
    return sorted(found, key=lambda info: (info.path, info.method))


# ------------------------------------------------------------------------------------------------------ URLs
def patterns_of(plan: Plan) -> Iterator[URLPattern]:
    base = f"{PREFIX}{plan.path}/"
    one, name = f"{base}<int:pk>/", f"api-{plan.path.replace('/', '-')}"
    offered = plan.resource.operations
    if LIST in offered or CREATE in offered:
        view = plan.resource.collection_view or CollectionView
        yield path(base, view.as_view(plan=plan), name=f"{name}-list")
    if DETAIL in offered or UPDATE in offered or DELETE in offered:
        yield path(one, DetailView.as_view(plan=plan), name=f"{name}-detail")
    if DETAIL in offered:
        for command in commands_of(plan):
            view = ActionView.as_view(plan=plan, command=command)
            yield path(f"{one}actions/{command.name}/", view, name=f"{name}-action-{command.name}")
        for sub, rows in subresources_of(plan):
            view = SubCollectionView.as_view(plan=plan, sub=sub, rows_plan=rows)
            yield path(f"{one}{sub.name}/", view, name=f"{name}-{sub.name}")
    for command in bulk_commands(plan):
        view = BulkActionView.as_view(plan=plan, command=command)
        yield path(f"{base}actions/{command.name}/", view, name=f"{name}-bulk-{command.name}")
    for route in plan.routes:
        where = f"{one if route.detail else base}{route.name}/"
        yield path(where, RouteView.as_view(plan=plan, route=route), name=f"{name}-{route.name}")


def endpoint_pattern(endpoint: Endpoint) -> URLPattern:
    return path(
        f"{PREFIX}{endpoint.path}/",
        EndpointView.as_view(endpoint=endpoint),
        name=f"api-{endpoint.path.replace('/', '-')}",
    )


def urlpatterns_for(chosen: Iterable[Plan], endpoints: Iterable[Endpoint] = ()) -> list[URLPattern]:
    found = [pattern for plan in chosen for pattern in patterns_of(plan)]
    return [*found, *(endpoint_pattern(endpoint) for endpoint in endpoints)]


def compile_resource(resource: type[Resource]) -> Plan:
    """The plan of a single resource, for tests."""
    return Plan(resource)
