"""Every registered screen: who may open it, and how many queries it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.models import User
from apps.backoffice.base import registered_admins

ADMINS = registered_admins()
CASES = sorted(ADMINS, key=lambda model: model._meta.label)


def _url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.django_db
@pytest.mark.parametrize("model", CASES, ids=lambda model: model._meta.label_lower)
def test_list_and_form_open_for_an_administrator(model: Any, admin: Client) -> None:
    listed = admin.get(_url(model, "changelist"))

    assert listed.status_code == 200
    record = ADMINS[model].get_queryset(listed.wsgi_request).first()
    if record is not None:
        assert admin.get(_url(model, "change", record.pk)).status_code == 200
    added = admin.get(_url(model, "add"))
    assert added.status_code == (200 if ADMINS[model].has_add_permission(listed.wsgi_request) else 403)


@pytest.mark.django_db
@pytest.mark.parametrize("model", CASES, ids=lambda model: model._meta.label_lower)
def test_nothing_opens_without_a_right(
    model: Any, admin: Client, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    nobody = make_user()
    browser = sign_in(nobody)
    listed = browser.get(_url(model, "changelist"))
    if listed.wsgi_request.actor.can(model, "view"):
        pytest.skip("every employee may view these")

    assert listed.status_code == 403
    assert browser.get(_url(model, "add")).status_code == 403
    assert browser.get(_url(model, "change", 1)).status_code in (403, 404)
    assert browser.post(_url(model, "change", 1), {}).status_code in (403, 404)
    assert browser.get(_url(model, "delete", 1)).status_code in (403, 404)
    assert browser.get(_url(model, "export")).status_code == 403
