"""Fixtures of the REST tests."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.urls import clear_url_caches

from apps.api.api import TokenResource, WebhookDeliveryResource, WebhookResource
from tests.api.support import CurrencyResource, GadgetResource, MakerResource, Rest, build_urlconf, populate


@pytest.fixture
def urlconf(settings: Any) -> Iterator[ModuleType]:
    module = build_urlconf(
        GadgetResource,
        MakerResource,
        CurrencyResource,
        TokenResource,
        WebhookResource,
        WebhookDeliveryResource,
    )
    settings.ROOT_URLCONF = module
    clear_url_caches()
    yield module
    clear_url_caches()


@pytest.fixture
def world(db: None, urlconf: ModuleType) -> SimpleNamespace:
    return populate()


@pytest.fixture
def ann(world: SimpleNamespace) -> Rest:
    """A gadget user: sees her own gadgets, not their cost."""
    return Rest(world.tokens["ann"])


@pytest.fixture
def boss(world: SimpleNamespace) -> Rest:
    """A gadget manager of the same company."""
    return Rest(world.tokens["max"])


@pytest.fixture
def bob(world: SimpleNamespace) -> Rest:
    """A gadget manager of the other company."""
    return Rest(world.tokens["bob"])


@pytest.fixture
def eve(world: SimpleNamespace) -> Rest:
    """An employee without a role."""
    return Rest(world.tokens["eve"])


@pytest.fixture
def anybody(world: SimpleNamespace) -> Rest:
    return Rest()
