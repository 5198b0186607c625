"""Browser fixtures for the back office's own pages."""

from tests.e2e.browser import DESKTOP, PHONE, chromium, open_page

__all__ = ["DESKTOP", "PHONE", "chromium", "open_page"]
