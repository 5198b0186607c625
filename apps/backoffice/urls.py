"""``/admin/``: the site and what every running module registered on it."""

from django.urls import path

from apps.backoffice.base import load_admins
from apps.backoffice.site import site

load_admins()

urlpatterns = [path("admin/", site.urls)]
