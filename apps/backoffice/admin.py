"""The back office's own screens: the records of the kernel, which may not know it."""

from apps.backoffice import core_admin

__all__ = ["core_admin"]
