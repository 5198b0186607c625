"""Entry point of workers and beat. Tasks are found in the `tasks` module of every installed app."""

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.production")
os.environ.setdefault("ERP_PROCESS", "worker")

app = Celery("meridian")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_project_logging(**_: object) -> None:
    """Connected so that Celery leaves logging as Django's LOGGING has set it up."""
