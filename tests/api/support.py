"""Helpers of the REST tests: the gadgets of the third-party module as resources, people, tokens, a client.

The resources are compiled here and served below their own URLconf, so that these tests need no domain app and change
nothing that others see.
"""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.http import HttpResponse
from django.test import Client
from django.urls import re_path
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart

from apps.access.models import Company, Role, User, UserRole
from apps.access.services.tokens import make_token
from apps.api.base import Computed, Filter, Input, NestedSpec, Resource, route
from apps.api.documents import SchemaView
from apps.api.plan import Plan
from apps.api.registry import urlpatterns_for
from apps.api.views import UnknownAddress
from apps.core.actor import system_actor
from apps.core.models import Currency
from apps.core.records import service_for


def maker_names(pks: Any, *, actor: Any) -> dict[int, str]:
    return dict(Gadget.objects.filter(pk__in=pks, maker__isnull=False).values_list("pk", "maker__name"))


class GadgetResource(Resource):
    """Gadgets, for the tests."""

    path = "test/gadgets"
    model = Gadget
    computed = {
        "doubled": Computed(expression=F("price") * 2, type=Decimal),
        "maker_name": maker_names,
        "shout": Computed(row=lambda row, *, actor: row["name"].upper(), needs=("name",)),
    }
    nested = {"parts": NestedSpec(GadgetPart, "gadget", fields=("name", "quantity"))}
    filters = {
        "maker_name": "maker__name",
        "cheaper_than": Filter(apply=lambda value, *, actor: Q(price__lt=value), type=int),
    }
    inputs = {"nickname": Input(str)}
    detail_only = ("note",)

    def create(self, rows: Any, *, actor: Any) -> Any:
        plain = [dict(row) for row in rows]
        for row in plain:
            nickname = row.pop("nickname", None)
            if nickname:
                row["note"] = f"alias {nickname}"
        return super().create(plain, actor=actor)

    @route("label", produces="text/plain")
    def label(self, request: Any, record: Gadget) -> Any:
        """The label to stick on it."""
        return HttpResponse(f"GADGET {record.name}", content_type="text/plain")

    @route(
        "audit",
        methods=("POST",),
        detail=False,
        permission="scrap",
        inputs={"depth": Input(int, required=True)},
    )
    def audit(self, request: Any, depth: int) -> Any:
        """Look at all of them."""
        return {"depth": depth, "by": request.actor.name}


class MakerResource(Resource):
    """Makers, for the tests."""

    path = "test/makers"
    model = GadgetMaker


class CurrencyResource(Resource):
    """Currencies, for the tests: a model without version."""

    path = "test/currencies"
    model = Currency


def build_urlconf(*resources: type[Resource]) -> ModuleType:
    module = ModuleType("tests_api_urls")
    plans = [Plan(resource) for resource in resources]
    patterns = [re_path(r"^api/v1/schema/$", SchemaView.as_view()), *urlpatterns_for(plans)]
    module.urlpatterns = [*patterns, re_path(r"^api/", UnknownAddress.as_view())]  # type: ignore[attr-defined]
    module.plans = {plan.path: plan for plan in plans}  # type: ignore[attr-defined]
    return module


class Rest:
    """A client with a token. ``rest.get(path)`` answers the response, whose ``data`` is the parsed JSON."""

    def __init__(self, token: str = "", **headers: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
        self.headers.update(headers)

    def _call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        path = path if path.startswith("/") else f"/api/v1/{path}"
        extra = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        kwargs: dict[str, Any] = {}
        if body is not None:
            raw = body if isinstance(body, (str, bytes)) else json.dumps(body)
            kwargs = {"data": raw, "content_type": "application/json"}
        response = getattr(self.client, method)(path, **kwargs, **self.headers, **extra)
        response.data = json.loads(response.content) if response.content[:1] in (b"{", b"[") else None
        return response

    def get(self, path: str, **headers: str) -> Any:
        return self._call("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._call("post", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self._call("patch", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self._call("put", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self._call("delete", path, **headers)


def populate() -> SimpleNamespace:
    """Companies A and B; ann (user) and max (manager) of A, bob (manager) of B, eve without a role, adm."""
    euro, _made = Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro", "active": True})
    company_a = Company.objects.create(name="A Ltd", currency=euro)
    company_b = Company.objects.create(name="B Ltd", currency=euro)
    roles = {
        "ann": "dummy.user",
        "max": "dummy.manager",
        "bob": "dummy.manager",
        "adm": "access.administrator",
    }
    users, tokens = {}, {}
    for name in ("ann", "max", "bob", "eve", "adm"):
        company = company_b if name == "bob" else company_a
        with transaction.atomic():
            user = User.objects.create(login=name, name=name, email=f"{name}@example.com", company=company)
            user.companies.set([company_a, company_b] if name == "adm" else [company])
        if name in roles:
            UserRole.objects.create(user=user, role=Role.objects.get(code=roles[name]))
        users[name] = User.objects.with_rights_key().get(pk=user.pk)
        tokens[name] = make_token(users[name], name="test")[0]
    return SimpleNamespace(
        a=company_a,
        b=company_b,
        users=users,
        tokens=tokens,
        system=system_actor(company_pk=company_a.pk, company_pks=(company_a.pk, company_b.pk)),
    )


_numbers = itertools.count(1)


def make_gadgets(world: SimpleNamespace, count: int = 1, **values: Any) -> list[Gadget]:
    """Gadgets of company A that belong to nobody, so that every gadget user sees them."""
    pin = values.pop("pin", "")
    rows = [{"name": f"gadget {next(_numbers):05}", **values} for _ in range(count)]
    made = service_for(Gadget).create(rows, actor=world.system)
    if pin:  # a secret, which no service takes
        Gadget.objects.filter(pk__in=[gadget.pk for gadget in made]).update(pin=pin)
    return made
