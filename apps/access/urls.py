"""Signing in and out, invitations, resets, the company switcher."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
