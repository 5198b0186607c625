"""Whatever is sent, the answer is one of the documented ones: no input makes the server fail."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.api.conditions import ORDERED
from tests.api.support import Rest, make_gadgets

GADGETS = "test/gadgets/"
FIELDS = (
    *(
        "id",
        "name",
        "note",
        "state",
        "maker",
        "makers",
        "price",
        "sold_on",
        "active",
        "created_at",
        "version",
        "custom",
    ),
    *(
        "company",
        "doubled",
        "cost",
        "pin",
        "parts",
        "custom.x",
        "ext.x.y",
        "search",
        "ordering",
        "fields",
        "omit",
    ),
    *("expand", "limit", "offset", "cursor", "count", "cheaper_than", "maker_name", "pk", "__", ""),
)
COMPARISONS = (
    "",
    "__in",
    "__isnull",
    "__contains",
    "__startswith",
    "__regex",
    "__exact",
    *(f"__{c}" for c in ORDERED),
)
NASTY = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.decimals().map(str),
    st.datetimes().map(str),
    st.sampled_from(
        [
            "",
            ",",
            "1,,2",
            "null",
            "true",
            "-1",
            "1e999",
            "9" * 40,
            "'",
            '"',
            "\\",
            "%",
            "\0",
            "٣",
            "id,-id",
            "AA==",
        ]
    ),
)
relaxed = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@relaxed
@given(
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(COMPARISONS), NASTY), min_size=1, max_size=3)
)
def test_queries(world: SimpleNamespace, boss: Rest, parts: list[tuple[str, str, str]]) -> None:
    query = "&".join(f"{quote(name + comparison)}={quote(value)}" for name, comparison, value in parts)

    response = boss.get(f"{GADGETS}?{query}")

    assert response.status_code in (200, 400), (query, response.content)


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from(["1e400", "NaN", "2026-02-30", "\ud800", "\0", "9" * 50]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
WRITABLE = (
    "name",
    "note",
    "maker",
    "makers",
    "price",
    "cost",
    "sold_on",
    "active",
    "custom",
    "ext",
    "parts",
    "company",
    "customer",
)


@relaxed
@given(st.dictionaries(st.sampled_from(WRITABLE), json_values, max_size=4))
def test_bodies(world: SimpleNamespace, boss: Rest, body: dict[str, Any]) -> None:
    made = boss.post(GADGETS, json.dumps({"name": "x", **body}))
    listed = boss.post(GADGETS, json.dumps([body, body]))

    assert made.status_code in (201, 400, 409), (body, made.content)
    assert listed.status_code in (201, 400, 409), (body, listed.content)


@relaxed
@given(st.dictionaries(st.sampled_from(("buyer", "discount", "other", "ids")), json_values, max_size=3))
def test_inputs_of_actions(world: SimpleNamespace, boss: Rest, body: dict[str, Any]) -> None:
    gadget = make_gadgets(world, 1)[0]

    one = boss.post(f"{GADGETS}{gadget.pk}/actions/sell/", json.dumps(body))
    many = boss.post(f"{GADGETS}actions/sell/", json.dumps({"ids": [gadget.pk], **body}))

    assert one.status_code in (200, 400), (body, one.content)
    assert many.status_code in (200, 207, 400, 404, 409), (body, many.content)
