"""The Django project: settings, URL root and the three entry points (WSGI, ASGI, Celery)."""

from .celery import app as celery_app

__all__ = ["celery_app"]
