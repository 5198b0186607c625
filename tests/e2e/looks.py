"""What every page has to look like: no fault of accessibility, nothing wider than the screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe


def fault_free(page: Any) -> None:
    """No violation of the accessibility rules that is serious or worse, and nothing wider than the screen."""
    found = Axe().run(page).response["violations"]
    serious = [
        f"{item['id']}: {node['target']} {node['failureSummary'][:200]}"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]
    assert not serious, f"{page.url}\n" + "\n".join(serious)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"


def keep(page: Any, name: str) -> None:
    """With SCREENSHOTS=<folder> in the environment, pictures for people to look at."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
