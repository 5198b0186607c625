"""A real browser against a live server; the fixtures of every browser test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.access.models import User

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Desktop, and a common phone.
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("NOT TESTED: pages in a browser (no chromium on this machine)")
    from playwright.sync_api import sync_playwright

    # Playwright's sync interface runs an event loop in this thread, which Django takes for an async caller.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


@pytest.fixture
def open_page(chromium: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(user, size=PHONE, dark=True)``: a page that is signed in; its script errors fail the test."""
    contexts, errors = [], []

    def make(user: User | None = None, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Any:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            value = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}]
            )
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda line: errors.append(f"{page.url}: {line.text}") if _is_fault(page, line) else None,
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert not errors, "the pages complained:\n" + "\n".join(errors)


def _is_fault(page: Any, line: Any) -> bool:
    """Script errors and violations of the content security policy. A page that is a refusal, and a stream without a
    live server, are neither."""
    source = str(line.location.get("url", ""))
    refused = line.text.startswith("Failed to load resource") and ("/live/" in source or source == page.url)
    return line.type == "error" and not refused
