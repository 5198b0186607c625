"""Threads and files on the web."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
