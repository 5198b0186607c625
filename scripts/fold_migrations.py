#!/usr/bin/env python3
"""Fold constraints and indexes of new tables into the operations that create them: scripts/fold_migrations.py [app …]

`makemigrations` writes them as operations of their own, and every such operation makes Django rebuild its picture of
all related models: two thirds of the time of a first `migrate` and of every test run. Inside CreateModel they cost
nothing and mean the same. Only migrations that create the table themselves are touched, and only constraints whose
fields exist from the start; everything else stays as it is. Running it twice changes nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erp_project.settings.test")

import django
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter
from django.db.models.expressions import F
from django.db.models.query_utils import Q

ROOT = Path(__file__).resolve().parent.parent


def names_in(value: object) -> set[str]:
    """Every field that a condition or expression speaks of."""
    if isinstance(value, F):
        return {value.name.split("__")[0]}
    if isinstance(value, Q):
        found: set[str] = set()
        for child in value.children:
            if isinstance(child, tuple):
                found |= {child[0].split("__")[0]} | names_in(child[1])
            else:
                found |= names_in(child)
        return found
    if isinstance(value, (list, tuple)):
        return set().union(*(names_in(item) for item in value)) if value else set()
    if hasattr(value, "get_source_expressions"):
        return names_in([item for item in value.get_source_expressions() if item is not None])
    return set()


def fields_of(thing: models.Index | models.BaseConstraint) -> set[str]:
    found = {name.lstrip("-") for name in getattr(thing, "fields", ())} | set(
        getattr(thing, "include", ()) or ()
    )
    for part in ("condition", "expressions"):
        found |= names_in(getattr(thing, part, None))
    for expression in getattr(thing, "expressions", ()):
        found |= names_in(expression[0] if isinstance(expression, tuple) else expression)
    return found


def fold(operations: list[Operation]) -> list[Operation]:
    """The same migration with fewer operations."""
    result: list[Operation] = []
    created: dict[str, migrations.CreateModel] = {}
    for operation in operations:
        if isinstance(operation, migrations.CreateModel):
            created[operation.name_lower] = operation
        elif isinstance(operation, (migrations.AddConstraint, migrations.AddIndex)):
            table = created.get(operation.model_name_lower)
            kind = "constraints" if isinstance(operation, migrations.AddConstraint) else "indexes"
            thing = operation.constraint if kind == "constraints" else operation.index
            if table is not None and fields_of(thing) <= {name for name, _ in table.fields} | {"pk"}:
                table.options[kind] = [*table.options.get(kind, []), thing]
                continue
        elif not isinstance(operation, (migrations.AddField, migrations.AlterUniqueTogether)):
            created.clear()  # code or SQL in between may count on the order
        result.append(operation)
    return result


def main(labels: list[str]) -> int:
    django.setup()
    loader = MigrationLoader(None)
    for (label, name), migration in sorted(loader.disk_migrations.items()):
        path = Path(sys.modules[migration.__module__].__file__ or "")
        if not path.is_relative_to(ROOT / "apps") or (labels and label not in labels):
            continue
        before = len(migration.operations)
        migration.operations = fold(migration.operations)
        after = len(migration.operations)
        if after < before:
            writer = MigrationWriter(migration)
            assert apps.get_app_config(label).path in writer.path
            path.write_text(writer.as_string())
            print(f"{label}.{name}: {before} operations, now {after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
