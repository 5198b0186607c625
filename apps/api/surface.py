"""A listing of the whole REST surface, one line a route and a field: what a review looks at when it changes."""

from __future__ import annotations

from collections.abc import Iterator

from apps.api.fields import FieldSpec
from apps.api.openapi import schema_name
from apps.api.plan import Plan
from apps.api.registry import all_routes, plans
from apps.core.modules import module_of

HEADER = (
    "# REST surface. Written by `manage.py apisurface`; a test compares it with the running system.\n"
    "# Fields: name kind; ! required, ? may be null, = read only.\n"
)


def listing(modules: frozenset[str] | None = None) -> str:
    """The text of the listing; with ``modules`` only what these publish."""
    lines = [HEADER]
    chosen = [p for p in plans().values() if modules is None or module_of(type(p.resource)) in modules]
    paths = {plan.path for plan in chosen}
    lines.append("POST   /api/v1/auth/tokens/  (no token needed)")
    for info in all_routes():
        if info.plan is not None and info.plan.path not in paths:
            continue
        label = info.model._meta.label_lower if info.model is not None else "-"
        lines.append(f"{info.method:6} {info.template}  {label}:{info.permission}")
    for plan in chosen:
        lines += ["", f"[{schema_name(plan)}]", *_fields(plan)]
    return "\n".join(lines) + "\n"


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
        for spec in extension.fields.values():
            yield f"{indent}ext.{key}.{_line(spec)}"


def _line(spec: FieldSpec, *, read_only: bool = False) -> str:
    marks = f"{'!' if spec.required else ''}{'?' if spec.nullable else ''}{'=' if spec.read_only or read_only else ''}"
    kind = f"{spec.kind}[]" if spec.many and spec.kind != "references" else spec.kind
    choices = " {" + ",".join(str(key) for key, _text in spec.choices[:20]) + "}" if spec.choices else ""
    return f"{spec.name} {kind}{marks}{choices}"
