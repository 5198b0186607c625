"""The pages of customers and vendors, and their downloads."""

from apps.accounting.portal.pages import urlpatterns

__all__ = ["urlpatterns"]
