"""A listing of the whole REST surface, one line a route and a field: what a review looks at when it changes."""

from __future__ import annotations

from collections.abc import Iterator

from apps.api.base import Endpoint
from apps.api.fields import FieldSpec
from apps.api.openapi import schema_name
from apps.api.plan import Plan
from apps.api.registry import all_routes, plans
from apps.core.modules import catalog, module_of

HEADER = (
    "# REST surface. Written by `manage.py apisurface`; a test compares it with the running system.\n"
    "# Fields: name kind; ! required, ? may be null, = read only.\n"
)


def listing() -> str:
    """The text of the listing: what the project's own modules publish, whatever third parties add here."""
    lines = [HEADER]
    chosen = [plan for plan in plans().values() if _is_own(type(plan.resource))]
    paths = {plan.path for plan in chosen}
    for info in all_routes():
        if info.plan is not None and info.plan.path not in paths:
            continue
        if isinstance(info.detail, Endpoint) and not _is_own(info.detail.function):
            continue
        label = info.model._meta.label_lower if info.model is not None else "-"
        needed = f"{label}:{info.permission}" if info.permission else "nothing"
        lines.append(f"{info.method:6} {info.template}  {needed}")
    for plan in chosen:
        lines += ["", f"[{schema_name(plan)}]", *_fields(plan)]
    return "\n".join(lines) + "\n"


def _is_own(declared: object) -> bool:
    info = catalog().get(module_of(declared))
    return info is not None and info.source == "built-in"


def _fields(plan: Plan, indent: str = "") -> Iterator[str]:
    for name in plan.names:
        if name in plan.columns:
            yield indent + _line(plan.columns[name])
        elif name in plan.computed:
            yield indent + _line(plan.computed[name].spec, read_only=True)
        elif name in plan.nested:
            yield f"{indent}{name} rows"
            yield from _fields(plan.nested[name].plan, indent + "  ")
    for spec, _given in plan.inputs.values():
        yield f"{indent}> {_line(spec)}"
    for name, (spec, _source) in plan.filters.items():
        yield f"{indent}& {name} {spec.kind}"
    for key, extension in plan.extensions.items():
        if not _is_own(extension.model):
            continue
        for spec in extension.fields.values():
            yield f"{indent}ext.{key}.{_line(spec)}"


def _line(spec: FieldSpec, *, read_only: bool = False) -> str:
    marks = f"{'!' if spec.required else ''}{'?' if spec.nullable else ''}{'=' if spec.read_only or read_only else ''}"
    kind = f"{spec.kind}[]" if spec.many and spec.kind != "references" else spec.kind
    choices = " {" + ",".join(str(key) for key, _text in spec.choices[:20]) + "}" if spec.choices else ""
    return f"{spec.name} {kind}{marks}{choices}"
