"""URL root. It names no business app: health checks of the kernel, then what each running module declares."""

from django.urls import path

from apps.core.modules import module_urlpatterns
from apps.core.views_health import healthz, metrics, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    *module_urlpatterns(),
]
