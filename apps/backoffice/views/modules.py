"""Which modules there are, which run, and what each needs."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from apps.backoffice.rights import actor_of
from apps.backoffice.site import site
from apps.core import modules
from apps.core.errors import PermissionDenied


def module_list(request: HttpRequest) -> HttpResponseBase:
    """Every module that is installed, with its state. Switching one on or off needs a restart, so it is told how."""
    if not actor_of(request).has_role("core.technical"):
        raise PermissionDenied(
            _("Modules are shown to technical administrators."), rule="role core.technical"
        )
    running = {config.key: config for config in modules.running()}
    disabled = modules.read_disabled(settings.ERP_DATA_DIR)
    rows = []
    for key, info in sorted(modules.catalog().items()):
        config = running.get(key)
        rows.append(
            {
                "key": key,
                "title": str(config.title) if config else info.title,
                "summary": str(config.summary) if config else "",
                "version": info.version,
                "source": info.source,
                "platform": info.platform,
                "running": config is not None,
                "disabled": key in disabled,
                "depends": info.depends,
                "needed_by": modules.dependents(key),
            }
        )
    context = {**site.each_context(request), "title": _("Modules"), "rows": rows}
    return TemplateResponse(request, "backoffice/modules.html", context)
