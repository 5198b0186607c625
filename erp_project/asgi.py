"""Entry point of the live process, which serves /live/ (server-sent events) and the health checks."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.production")
os.environ.setdefault("ERP_PROCESS", "live")

application = get_asgi_application()
