"""The demo story: told once, whole, and the same when told again; every menu entry opens."""

from __future__ import annotations

from django.apps import apps
from django.test import Client
from django.urls import reverse

from apps.access.models import User
from apps.core import story
from apps.core.modules import running
from apps.core.testkit import drain_outbox

MOVING = {"core.OutboxEvent", "core.OutboxDelivery", "access.AuditEntry", "sessions.Session"}


def counts() -> dict[str, int]:
    return {
        model._meta.label: model._base_manager.count()
        for model in apps.get_models()
        if model._meta.label not in MOVING
    }


def test_loading_twice_changes_nothing(told_story: None, db: None) -> None:
    first = counts()
    story.load()

    assert counts() == first
    assert first["projects.Task"] >= 10 and first["contacts.Partner"] >= 15 and first["access.Company"] == 2


def test_events_of_the_story_are_delivered(told_story: None, db: None) -> None:
    drain_outbox(rounds=50)


def test_every_menu_entry_opens(told_story: None, db: None) -> None:
    client = Client()
    client.force_login(User.objects.get(login="admin"))
    wrong = []
    for config in running():
        for item in config.menu:
            if item.model and not item.url_name:
                meta = apps.get_model(item.model)._meta
                url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            else:
                url = reverse(item.url_name)
            response = client.get(url + (f"?{item.query}" if item.query else ""), follow=True)
            if response.status_code != 200:
                wrong.append(f"{config.key}: {item.title} {url} -> {response.status_code}")

    assert not wrong, "\n".join(wrong)
