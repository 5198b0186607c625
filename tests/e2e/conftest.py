"""Browser fixtures for whole stories."""

from tests.e2e.browser import chromium, open_page

__all__ = ["chromium", "open_page"]
