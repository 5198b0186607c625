"""Paths of the mail app."""

from django.urls import path

from apps.mail import views

urlpatterns = [path("mail/inbound/", views.inbound, name="mail-inbound")]
