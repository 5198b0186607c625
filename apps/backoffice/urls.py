"""``/admin/``: the site and what every running module registered on it."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from apps.backoffice.base import load_admins
from apps.backoffice.site import site

load_admins()


class Favicon(RedirectView):
    """Browsers ask for this address on pages that name no icon."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static("backoffice/favicon.svg")


urlpatterns = [
    path("admin/", site.urls),
    path("favicon.ico", Favicon.as_view()),
]
