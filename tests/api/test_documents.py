"""The OpenAPI document and the listing of the surface: complete, valid, and what they say is so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from apps.api.encoding import dumps, loads
from apps.api.openapi import document
from apps.api.registry import all_routes, plans
from apps.api.surface import listing
from apps.core.models import options_of

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return loads(dumps(document()))  # type: ignore[no-any-return]


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_route_is_described(described: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, method, _operation in operations(described)}
    real = {(info.method, info.template) for info in all_routes()}

    assert real == told


def test_every_operation_says_what_it_does_takes_and_answers(described: dict[str, Any]) -> None:
    identifiers = []
    for path, method, operation in operations(described):
        where = f"{method} {path}"
        identifiers.append(operation["operationId"])
        assert len(operation["description"]) > 10, where
        assert len(operation["summary"]) > 3, where
        assert {"400", "401", "403"} <= set(operation["responses"]), where
        assert any(status.startswith("2") for status in operation["responses"]), where
        if method in ("post", "put", "patch"):
            assert "requestBody" in operation, where
        if "{id}" in path:
            assert {"$ref": "#/components/parameters/id"} in operation["parameters"], where
            assert "404" in operation["responses"], where
    assert len(identifiers) == len(set(identifiers))


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for reference in set(references(described)):
        found = described
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_schema_is_a_schema(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.slow
def test_the_document_is_valid(described: dict[str, Any]) -> None:
    validate(described)


def test_secrets_are_not_even_mentioned() -> None:
    for plan in plans().values():
        secret = options_of(plan.model).secret
        assert set(plan.names).isdisjoint(secret), plan.path
        for extension in plan.extensions.values():
            assert set(extension.fields).isdisjoint(options_of(extension.model).secret), plan.path


@pytest.mark.django_db
def test_the_document_is_served_without_a_token() -> None:
    response = Client().get("/api/v1/schema/")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json()["info"]["title"] == "Meridian"


@pytest.mark.django_db
def test_the_index_leads_to_every_resource() -> None:
    index = Client().get("/api/v1/").json()

    assert index["schema"] == "http://testserver/api/v1/schema/"
    assert set(index["resources"]) == set(plans())
    for url in index["resources"].values():
        assert Client().get(url.removeprefix("http://testserver")).status_code == 401


@pytest.mark.django_db
def test_the_page_uses_files_of_this_server_only() -> None:
    response = Client().get("/api/v1/docs/")
    html = response.content.decode()

    assert response.status_code == 200
    assert "http://" not in html
    assert "https://" not in html
    assert "<script>" not in html
    assert "style=" not in html
    policy = response["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    for path in ("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js", "api/docs.js"):
        served = Client().get(f"/static/{path}")
        assert served.status_code == 200
        served.close()


def test_the_listing_names_every_route() -> None:
    text = listing()

    for info in all_routes():
        own = info.plan is None or not info.plan.where.startswith("meridian_dummy")
        assert (f"{info.method:6} {info.template}  " in text) == own
    assert "gadgets" not in text  # what a third party adds here is not the project's surface


def test_a_change_of_the_surface_is_noticed(
    tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()

    call_command("apisurface")
    call_command("apisurface", "--check")
    stored = tmp_path / "docs" / "api-surface.txt"
    stored.write_text(stored.read_text().replace("/api/v1/auth/tokens/", "/api/v1/auth/old-tokens/"))

    with pytest.raises(CommandError, match="old-tokens"):
        call_command("apisurface", "--check")
