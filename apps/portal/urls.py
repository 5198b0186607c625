"""Paths of the portal: its own, then those of every running module's ``portal.py``."""

from typing import Any

from django.urls import path
from django.views.generic import RedirectView

from apps.portal.base import load_pages
from apps.portal.views import account, home, leaving


def _module_pages() -> list[Any]:
    return [page for module in load_pages() for page in getattr(module, "urlpatterns", ())]


urlpatterns = [
    path("my", home.home, name="portal-home"),
    path("my/", RedirectView.as_view(url="/my", query_string=True)),
    path("my/home", home.home),
    path("my/counters", home.counters, name="portal-counters"),
    path("my/account", account.account, name="portal-account"),
    path("my/account/states", account.states, name="portal-states"),
    path("my/deactivate_account", leaving.deactivate_account, name="portal-deactivate"),
    path("my/security", RedirectView.as_view(url="/web/security", query_string=True), name="portal-security"),
    path("mail/view", home.mail_view, name="mail-view"),
    *_module_pages(),
]
