"""The third-party module: every extension point at work, and everything else at work without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client

from apps.access.models import User
from apps.core.actor import system_actor
from apps.core.models import ScheduledJob, Sequence
from apps.core.records import service_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def office(told_story: None, db: None) -> SimpleNamespace:
    admin = User.objects.get(login="admin")
    client = Client()
    client.force_login(admin)
    return SimpleNamespace(admin=admin, client=client, company=admin.company)


def test_declared_rows_are_there(office: SimpleNamespace) -> None:
    from apps.access.models import Role
    from apps.chatter.models import Subtype

    assert Role.objects.filter(code="dummy.manager").exists()
    assert Sequence.objects.filter(code="dummy.gadget").exists()
    assert ScheduledJob.objects.filter(code="dummy.count").exists()
    assert Subtype.objects.filter(code="dummy.sold").exists()


def test_screens_tab_and_card(office: SimpleNamespace) -> None:
    from meridian_dummy.models import Gadget

    from apps.contacts.models import Partner

    gadget = service_for(Gadget).create_one(
        {"name": "Lamp"}, actor=system_actor(company_pk=office.company.pk)
    )
    partner = Partner.objects.filter(is_company=True, company=office.company).first()

    dashboard = office.client.get("/admin/")
    listed = office.client.get("/admin/dummy/gadget/")
    form = office.client.get(f"/admin/dummy/gadget/{gadget.pk}/change/")
    tabbed = office.client.get(f"/admin/contacts/partner/{partner.pk}/change/")

    assert [r.status_code for r in (dashboard, listed, form, tabbed)] == [200] * 4
    assert "Gadgets" in dashboard.content.decode()
    assert "Lamp" in listed.content.decode()
    assert "0 gadgets" in tabbed.content.decode()
    assert "Sell" in form.content.decode()


def test_rest_resource_action_and_fields_of_an_extension(office: SimpleNamespace) -> None:
    from apps.projects.models import Project, Task

    task = Task.objects.filter(company=office.company).first() or Task.objects.first()
    assert task is not None and Project.objects.exists()

    made = office.client.post(
        "/api/v1/dummy/gadgets/",
        json.dumps({"name": "Torch", "price": "5.00", "parts": [{"name": "bulb", "quantity": "2"}]}),
        content_type="application/json",
    )
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["price"] == "5.00" and body["parts"][0]["quantity"].startswith("2")
    sold = office.client.post(
        f"/api/v1/dummy/gadgets/{body['id']}/actions/sell/",
        json.dumps({"buyer": "Zoe"}),
        content_type="application/json",
    )
    assert sold.status_code == 200 and sold.json()["state"] == "sold"
    changed = office.client.patch(
        f"/api/v1/projects/tasks/{task.pk}/",
        json.dumps({"ext": {"gadgets": {"shelf": "B7", "gadget": body["id"]}}}),
        content_type="application/json",
    )
    assert changed.status_code == 200, changed.content
    shown = office.client.get(f"/api/v1/projects/tasks/{task.pk}/").json()
    assert shown["ext"]["gadgets"]["shelf"] == "B7"
    found = office.client.get("/api/v1/projects/tasks/?ext.gadgets.shelf=B7").json()
    assert [row["id"] for row in found["results"]] == [task.pk]


def test_job_runs(office: SimpleNamespace) -> None:
    from apps.core.checks import resolve

    lines: list[str] = []
    resolve("meridian_dummy.services.count_gadgets")(SimpleNamespace(log=lines.append))

    assert lines == ["0 gadgets"]


PROBE = """
import django
django.setup()
from django.core.management import call_command
from django.apps import apps
from django.test import Client
from django.urls import get_resolver
call_command("check", verbosity=0)
assert not apps.is_installed("meridian_dummy")
get_resolver().url_patterns
from apps.api.registry import all_routes
assert not [r for r in all_routes() if r.path.startswith("ABSENT/")]
from apps.backoffice.base import registered_admins
assert not [m for m in registered_admins() if m._meta.app_label == "ABSENT"]
print("runs without it")
"""


def _without(*modules: str) -> subprocess.CompletedProcess[str]:
    """Start the project without some modules and look for what should be absent."""
    environment = {
        **os.environ,
        "ERP_TEST_MODULES": ",".join(["all", *(f"-{name}" for name in modules)]),
        "DJANGO_SETTINGS_MODULE": "erp_project.settings.test",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-c", PROBE.replace("ABSENT", modules[-1])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_everything_else_runs_without_it() -> None:
    done = _without("dummy")

    assert done.returncode == 0, done.stderr[-3000:]
    assert "runs without it" in done.stdout


def test_projects_can_be_switched_off_with_what_needs_them() -> None:
    done = _without("dummy", "projects")

    assert done.returncode == 0, done.stderr[-3000:]
    assert "runs without it" in done.stdout
