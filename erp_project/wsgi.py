"""Entry point of the web process: everything but the live stream, which it only passes through when asked to."""

import os

from django.core.wsgi import get_wsgi_application

from apps.core.runtime.plan import LIVE_STREAMS, WEB_THREADS

from .passthrough import LivePassThrough

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.production")
os.environ.setdefault("ERP_PROCESS", "web")

application = get_wsgi_application()
if os.environ.get("LIVE_UPSTREAM"):
    application = LivePassThrough(  # type: ignore[assignment]
        application, os.environ["LIVE_UPSTREAM"], threads=WEB_THREADS, streams=LIVE_STREAMS
    )
