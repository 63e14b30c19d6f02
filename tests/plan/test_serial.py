"""Plans survive being stored."""

from __future__ import annotations

import json

import pytest

import headrace.language as hr
from headrace.plan.build import build
from headrace.plan.serial import plan_from_text, plan_to_text
from headrace.values.errors import StateRefused
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


@pytest.mark.parametrize("definition", [activity(), everything(), matches()[0]])
def test_round_trip(definition: hr.Definition) -> None:
    if not definition.outputs:
        definition.lake("all", hr.Stream(definition.sources[0], definition))
    plan = build(definition)
    assert plan_from_text(plan_to_text(plan)) == plan
    assert hash(plan_from_text(plan_to_text(plan))) == hash(plan)


def test_another_version_is_refused() -> None:
    data = json.loads(plan_to_text(build(activity())))
    with pytest.raises(StateRefused, match="version 2"):
        plan_from_text(json.dumps({**data, "version": 2}))
