"""REST URLs; filled from the registry."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
