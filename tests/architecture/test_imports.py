"""Every import across apps is covered by a declared dependency, and only of what apps may use of each other."""

from __future__ import annotations

import grimp
import pytest

from apps.core.modules import catalog

# What an app may import of another one: its inner layers, and the bases that interface apps offer.
OPEN_PARTS = {
    "models",
    "selectors",
    "services",
    "events",
    "hooks",
    "types",
    "errors",
    "constants",
    "targets",
    "base",
}
INTERFACES = {"admin", "api", "portal", "tasks", "handlers", "management", "demo", "views", "urls"}
# (importer, imported) -> reason. An entry that is not needed fails as well.
EXEMPT: dict[tuple[str, str], str] = {
    ("apps.portal.base", "apps.reports.views"): "a file answer is made in one place for every door",
    ("apps.contacts.demo", "apps.access.demo"): "one story: passwords of demo logins are set in one place",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("apps", include_external_packages=False, cache_dir=None)


def _crossings(graph: grimp.ImportGraph) -> list[tuple[str, str]]:
    found = []
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            a, b = importer.split("."), imported.split(".")
            if len(a) > 1 and len(b) > 1 and a[1] != b[1]:
                found.append((importer, imported))
    return sorted(found)


def _closure(key: str) -> set[str]:
    known = catalog()
    closure: set[str] = set()
    waiting = list(known[key].depends)
    while waiting:
        name = waiting.pop()
        if name not in closure:
            closure.add(name)
            waiting.extend(known[name].depends)
    return closure


def test_imports_across_apps_are_declared(graph: grimp.ImportGraph) -> None:
    missing = [
        f"{importer} imports {imported}: add '{imported.split('.')[1]}' to depends of {importer.split('.')[1]}"
        for importer, imported in _crossings(graph)
        if imported.split(".")[1] not in _closure(importer.split(".")[1])
    ]

    assert not missing, "\n".join(missing)


def test_apps_use_only_the_open_parts_of_each_other(graph: grimp.ImportGraph) -> None:
    used = set()
    refused = []
    for importer, imported in _crossings(graph):
        parts = imported.split(".")
        if parts[1] == "core" or len(parts) < 3 or parts[2] not in INTERFACES:
            continue
        importer_parts = importer.split(".")
        # Interfaces of an app may build on what an interface app offers: apps.api.base is no interface by itself.
        exempt = (importer, imported)
        if exempt in EXEMPT:
            used.add(exempt)
            continue
        refused.append(
            f"{importer} imports {imported}, an interface of app {parts[1]} ({importer_parts[1]} may not)"
        )

    assert not refused, "\n".join(refused)
    assert used == set(EXEMPT), f"exemptions no longer needed: {set(EXEMPT) - used}"


def test_the_declared_dependencies_have_no_circle() -> None:
    for key in catalog():
        assert key not in _closure(key), f"{key} depends on itself"
