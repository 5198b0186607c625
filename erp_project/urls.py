"""URL root. It names no business app: health checks of the kernel, then what each enabled module declares."""

from django.urls import include, path

from apps.core.modules import module_urlpatterns

urlpatterns = [
    path("", include("apps.core.urls_health")),
    *module_urlpatterns(),
]
