"""Paths of the report engine."""

from django.urls import path, register_converter

from apps.reports import views


class KeysConverter:
    """Primary keys joined by commas."""

    regex = r"[0-9]{1,18}(?:,[0-9]{1,18})*"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return str(value)


register_converter(KeysConverter, "pks")

urlpatterns = [path("reports/<str:code>/<pks:pks>/", views.download, name="report-download")]
