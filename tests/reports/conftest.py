"""A gadget seller and his gadgets, documents that a test declares for itself, and a renderer without a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from meridian_dummy.models import Gadget

from apps.core.declarations import ReportSpec
from apps.core.modules import running
from apps.reports.services import rendering
from tests.projects.factories import actor_of, make_company, make_user, system


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    return build_world()


def build_world() -> SimpleNamespace:
    """Ann and Max sell gadgets at Alpha, Otto sells them at Omega, Eve sells none, Pia is a customer of Alpha."""
    alpha, omega = make_company("Alpha Ltd"), make_company("Omega Ltd")
    users = SimpleNamespace(
        ann=make_user("ann", "dummy.manager", "reports.manager", company=alpha),
        max=make_user("max", "dummy.manager", company=alpha),
        otto=make_user("otto", "dummy.manager", company=omega),
        eve=make_user("eve", company=alpha),
        pia=make_user("pia", kind="portal", company=alpha),
    )
    actors = {name: actor_of(user) for name, user in vars(users).items()}
    return SimpleNamespace(alpha=alpha, omega=omega, users=users, **actors)


@pytest.fixture
def gadget(world: SimpleNamespace) -> Gadget:
    from apps.core.records import service_for

    return service_for(Gadget).create_one({"name": "Lamp", "price": "10.00"}, actor=world.ann)


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    """An empty object store."""
    folder = tmp_path / "files"
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}},
    }
    return folder


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was sent to the queue instead of a worker."""
    sent: list[int] = []

    def keep(name: str, pk: int, *, queue: str | None = None) -> None:
        assert (name, queue) == ("reports.render", "render")
        sent.append(pk)

    monkeypatch.setattr(rendering, "enqueue_on_commit", keep)
    return sent


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are rendered where they are asked for."""
    monkeypatch.setattr(rendering, "enqueue_on_commit", lambda name, pk, queue=None: rendering.render(pk))


@pytest.fixture
def declare() -> Iterator[Callable[..., ReportSpec]]:
    """Declare a document of gadgets for the length of a test: ``declare(builder, portal=True)``."""
    config = next(config for config in running() if config.key == "dummy")
    before = config.report_specs

    def add(builder: str, *, portal: bool = False, template: str = "dummy/gadget.html") -> ReportSpec:
        spec = replace(
            before[0], code="dummy.test", builder=f"{__name__}.{builder}", portal=portal, template=template
        )
        config.report_specs = (*before, spec)
        return spec

    yield add
    config.report_specs = before


broken: dict[str, str] = {"reason": ""}


def failing(pks: Any, *, actor: Any) -> dict[str, Any]:
    """A builder that fails while ``broken`` says so, after a statement that PostgreSQL refuses."""
    if broken["reason"]:
        Gadget.objects.filter(pk__in=pks).update(price=-1)
    return {"gadgets": list(Gadget.objects.filter(pk__in=pks))}


def facts(pks: Any, *, actor: Any) -> dict[str, Any]:
    """A builder that shows who asked."""
    name = f"{actor.kind} {actor.name} {actor.company_pk} {actor.language}"
    return {"gadgets": [SimpleNamespace(name=name, price="")]}


def system_of(company: Any) -> Any:
    return system(company)
