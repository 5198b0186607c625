"""The back office's own screens: the records of the kernel, which may not know it, and the platform's cards."""

from apps.backoffice import access_admin, cards, core_admin

__all__ = ["access_admin", "cards", "core_admin"]
