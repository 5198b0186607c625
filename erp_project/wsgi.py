"""Entry point of the web process: everything but the live stream."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.production")
os.environ.setdefault("ERP_PROCESS", "web")

application = get_wsgi_application()
