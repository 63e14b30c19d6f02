"""All of a plan is in its data."""

from __future__ import annotations

import json
from typing import Any

import pytest

import headrace.language as hr
from headrace.plan import operators
from headrace.plan.build import build
from headrace.plan.serial import to_data
from headrace.values import schema
from tests.plan.samples import activity, clicks, matches


def everything() -> hr.Definition:
    app, stream = clicks(idle_timeout="5 minutes")
    rows = stream.where("paid", reason="free").dedupe(by=("user_id", "page_url"), within="1 day")
    app.table(
        "a",
        rows.explode("tags", name="tag")
        .slide("1 hour", every="5 minutes")
        .by("tag")
        .agg(n="count(*) filter (where paid)", q="approx_quantile(score, 0.9)")
        .where("n > 1")
        .top(10, by="n"),
    )
    app.lake("b", stream.session(gap="5 minutes").by("user_id").agg(n="sum(price)"), emit="final")
    app.index("c", stream.select("user_id", "price"), key="user_id")
    app.topic("d", stream.with_columns(at="processing_time()"))
    return app


def from_data(data: Any) -> Any:
    """What `to_data` was given."""
    if isinstance(data, dict):
        module, name = operators, data["is"]
        if name.startswith("schema."):
            module, name = schema, name.removeprefix("schema.")
        parts = {key: from_data(value) for key, value in data.items() if key != "is"}
        return getattr(module, name)(**parts)
    return tuple(map(from_data, data)) if isinstance(data, list) else data


@pytest.mark.parametrize("definition", [activity(), everything(), matches()[0]])
def test_a_plan_can_be_made_of_its_data(definition: hr.Definition) -> None:
    if not definition.outputs:
        definition.lake("all", hr.Stream(definition.sources[0], definition))
    plan = build(definition)
    made = from_data(json.loads(json.dumps(to_data(plan))))
    assert made == plan
    assert hash(made) == hash(plan)
