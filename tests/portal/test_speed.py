"""How long a customer waits for a list. Run by `make bench`; prints the figures and fails when far off."""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.urls import Resolver404, resolve

from apps.chatter.models.threads import ref_of
from apps.chatter.services.following import add_followers
from tests.projects.factories import make_tasks


def is_page(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


@pytest.mark.bench
def test_eighty_of_five_hundred(
    world: SimpleNamespace, pia: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = make_tasks(world.project, 500)
    add_followers([(ref_of(task), world.partner.pk) for task in tasks])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    figures = {}

    for path in ("/my/samples", *(["/my/tasks"] if is_page("/my/tasks") else [])):
        taken = []
        for _request in range(35):
            started = time.perf_counter()
            response = pia.get(path)
            taken.append((time.perf_counter() - started) * 1000)
            assert response.status_code == 200
            assert len(response.context["records"]) == 80
        figures[path] = statistics.median(taken[5:])

    with capsys.disabled():
        for path, milliseconds in figures.items():
            print(f"\n{path:30} 80 of 501 tasks: p50 {milliseconds:6.1f} ms", end="")
    assert all(milliseconds < 100 for milliseconds in figures.values())
