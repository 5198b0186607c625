"""A customer's portal: projects open to the portal, tasks that the customer follows, and one of his rival."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from apps.access.models import User
from apps.contacts.models import Partner
from apps.core.models import Country, CountryState
from apps.portal import base
from apps.projects.models import Task
from tests.projects.factories import (
    actor_of,
    follows,
    make_company,
    make_partner,
    make_project,
    make_task,
    make_user,
    partner_of,
)

PASSWORD = "correct horse 7 battery"


@pytest.fixture(autouse=True)
def sample_pages(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = "tests.portal.pages"
    resolve("/my")  # loads every module's pages, which register their own addresses
    monkeypatch.setitem(base._portal_urls, "projects.task", lambda task: f"/my/samples/{task.pk}")


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Pia of Prime and Rob of Rival have logins; Ann manages projects; Eve is an employee without a role. Pia
    follows ``task``, Rob follows ``foreign``."""
    company = make_company("Alpha Ltd")
    users = SimpleNamespace(
        ann=make_user("ann", "projects.manager", company=company),
        eve=make_user("eve", company=company),
        pia=make_user("pia", kind="portal", company=company),
        rob=make_user("rob", kind="portal", company=company),
    )
    prime, rival = make_partner("Prime", is_company=True), make_partner("Rival", is_company=True)
    for user, parent in ((users.pia, prime), (users.rob, rival)):
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
        Partner.objects.filter(user=user).update(parent=parent)
    project = make_project("Website", privacy="portal", company=company)
    task, foreign = make_task(project, "Fix the form"), make_task(project, "Rival's secret")
    follows(task, users.pia)
    follows(foreign, users.rob)
    return SimpleNamespace(
        company=company,
        users=users,
        prime=prime,
        project=project,
        task=task,
        foreign=foreign,
        partner=partner_of(users.pia),
        pia=actor_of(users.pia),
        ann=actor_of(users.ann),
    )


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def pia(world: SimpleNamespace) -> Client:
    return signed_in(world.users.pia)


@pytest.fixture
def ann(world: SimpleNamespace) -> Client:
    return signed_in(world.users.ann)


@pytest.fixture
def visitor() -> Client:
    return Client()


@pytest.fixture
def land(db: None) -> SimpleNamespace:
    """A country with a state, and one with another."""
    first, _made = Country.objects.get_or_create(code="DE", defaults={"name": "Germany"})
    second, _made = Country.objects.get_or_create(code="US", defaults={"name": "United States"})
    return SimpleNamespace(
        first=first,
        second=second,
        state=CountryState.objects.get_or_create(country=first, code="BY", defaults={"name": "Bavaria"})[0],
        other_state=CountryState.objects.get_or_create(
            country=second, code="CA", defaults={"name": "California"}
        )[0],
    )


@pytest.fixture
def more(world: SimpleNamespace) -> Any:
    """Make further tasks that Pia follows: ``more(5)``."""

    def make(number: int) -> list[Task]:
        tasks = [make_task(world.project, f"Task {place:03}") for place in range(number)]
        for task in tasks:
            follows(task, world.users.pia)
        return tasks

    return make


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
