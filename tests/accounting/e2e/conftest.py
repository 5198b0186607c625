"""Browser fixtures for the screens of accounting."""

from tests.e2e.browser import DESKTOP, PHONE, chromium, open_page

__all__ = ["DESKTOP", "PHONE", "chromium", "open_page"]
