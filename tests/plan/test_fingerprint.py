"""Fingerprints change with what a view's rows depend on, and with nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace.language as hr
from headrace.plan.build import build
from headrace.plan.operators import Job
from headrace.values.errors import DefinitionError
from tests.plan.samples import activity

BASE: dict[str, Any] = {
    "moment": datetime,
    "user": str,
    "kind": Literal["view", "click"],
    "amount": int,
    "nested": {"x": int, "y": str},
    "items": [{"name": str, "price": float}],
}


def struct(fields: dict[str, Any], base: type = hr.Struct) -> type:
    """A class with these fields; a dict is a Struct, a list of one a list."""

    def annotation(value: Any) -> Any:
        if isinstance(value, dict):
            return struct(value)
        return list[annotation(value[0])] if isinstance(value, list) else value  # type: ignore

    made = {name: annotation(value) for name, value in fields.items()}
    return type("Made", (base,), {"__annotations__": made})


def job(fields: dict[str, Any], **options: Any) -> Job:
    app = hr.Definition("shop")
    given_ = {"topic": "clicks", "key": "user", "time": "moment", "lateness": "1 minute", **options}
    stream = app.source(struct(fields, hr.Event), **given_)
    app.table(
        "sums",
        stream.where("nested.x > 0").tumble("1 hour").by("user").agg(n="sum(amount)"),
    )
    app.table(
        "items",
        stream.with_columns(half="amount / 2")
        .explode("items")
        .by("items.name")
        .agg(n="count(*) filter (where half > 1)"),
    )
    app.table(
        "visits",
        stream.session(starts="kind = 'view'", timeout="5 minutes").by("user").agg(n="count(*)"),
    )
    app.lake("all", stream.with_columns(day="cast(moment as date)"))
    (made,) = build(app).jobs
    return made


def prints(made: Job) -> dict[str, str]:
    return {v.name: v.fingerprint for v in made.views} | {
        s.name: s.fingerprint for s in made.streams
    }


optional = st.sampled_from([int | None, str | None, datetime | None])


@settings(max_examples=25, deadline=None)
@given(
    added=st.dictionaries(st.sampled_from(["note", "zeta", "extra"]), optional, max_size=3),
    inner=st.dictionaries(st.sampled_from(["z", "w"]), optional, max_size=2),
    item=st.dictionaries(st.sampled_from(["colour", "size"]), optional, max_size=2),
    first=st.booleans(),
)
def test_added_optional_fields_change_nothing(
    added: dict[str, Any], inner: dict[str, Any], item: dict[str, Any], first: bool
) -> None:
    fields = {
        **(added if first else {}),
        **BASE,
        **({} if first else added),
        "nested": {**BASE["nested"], **inner},
        "items": [{**BASE["items"][0], **item}],
        "kind": Literal["view", "click", "buy"],
    }
    assert prints(job(fields)) == prints(job(BASE))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"amount": float}, {"sums", "items"}),
        ({"user": int}, {"sums", "visits"}),
        ({"nested": {"x": float, "y": str}}, {"sums"}),
        ({"nested": {"x": int, "y": int}}, set()),
        ({"items": [{"name": int, "price": float}]}, {"items"}),
        ({"items": [{"name": str, "price": int}]}, set()),
    ],
)
def test_another_type_changes_those_that_read_it(change: dict[str, Any], changed: set[str]) -> None:
    before, after = prints(job(BASE)), prints(job({**BASE, **change}))
    assert {name for name in before if before[name] != after[name]} == changed


def test_another_type_of_what_is_compared_with_text() -> None:
    with pytest.raises(DefinitionError, match="not a value of type BIGINT"):
        job({**BASE, "kind": Literal[1, 2]})


@pytest.mark.parametrize("options", [{"lateness": "2 minutes"}, {"topic": "others"}])
def test_lateness_and_topic_change_everything(options: dict[str, Any]) -> None:
    before, after = prints(job(BASE)), prints(job(BASE, **options))
    assert all(before[name] != after[name] for name in before)


@pytest.mark.parametrize(
    "options",
    [{"partitions": 7}, {"idle_timeout": "1 minute"}, {"ahead": "1 hour"}, {"key": None}],
)
def test_other_options_change_the_job_alone(options: dict[str, Any]) -> None:
    before, after = job(BASE), job(BASE, **options)
    assert prints(before) == prints(after)
    assert before.fingerprint != after.fingerprint


EXPRESSIONS = st.sampled_from(
    ["count(*)", "sum(amount)", "max(amount)", "sum(amount) + 1", "count(distinct user)"]
)
CONDITIONS = st.sampled_from(["amount > 1", "amount > 2", "amount >= 1", "kind = 'view'"])
WINDOWS = st.sampled_from(["1 hour", "60 minutes", "2 hours"])
KEYS = st.sampled_from(["user", "kind"])


def view_print(parts: tuple[str, str, str, str], spaces: str = " ") -> str:
    aggregate, condition, window, key = parts
    app = hr.Definition("shop")
    stream = app.source(struct(BASE, hr.Event), topic="clicks", time="moment")
    wide = condition.replace(" ", spaces)
    app.table("t", stream.where(wide).tumble(window).by(key).agg(n=aggregate))
    return build(app).jobs[0].views[0].fingerprint


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(EXPRESSIONS, CONDITIONS, WINDOWS, KEYS),
    st.tuples(EXPRESSIONS, CONDITIONS, WINDOWS, KEYS),
)
def test_views_are_told_apart_by_what_they_compute(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    def meaning(parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part.replace("60 minutes", "1 hour") for part in parts)

    same = view_print(one) == view_print(two, spaces="  ")
    assert same == (meaning(one) == meaning(two))


def test_a_column_that_nothing_reads_counts_only_if_it_may_fail() -> None:
    def fingerprint(**columns: str) -> str:
        app = hr.Definition("shop")
        stream = app.source(struct(BASE, hr.Event), topic="clicks", time="moment")
        app.table("t", stream.with_columns(**columns).by("user").agg(n="count(*)"))
        return build(app).jobs[0].views[0].fingerprint

    assert fingerprint(a="lower(user)") == fingerprint(b="upper(user)")
    assert fingerprint(a="lower(user)") != fingerprint(a="cast(user as integer)")


def test_a_renamed_column_is_the_same_column() -> None:
    def fingerprint(select: dict[str, str], aggregate: str) -> list[Any]:
        app = hr.Definition("shop")
        stream = app.source(struct(BASE, hr.Event), topic="clicks", time="moment")
        app.table("t", stream.select("user", **select).by("user").agg(n=aggregate))
        (view,) = build(app).jobs[0].views
        return [view.fingerprint]

    assert fingerprint({"a": "nested.x"}, "sum(a)") == fingerprint(
        {"a": "nested.x", "b": "amount"}, "sum(a)"
    )
    assert fingerprint({"a": "nested.x"}, "sum(a)") != fingerprint({"a": "amount"}, "sum(a)")


def test_the_fingerprints_of_the_example_stay_what_they_are() -> None:
    """State on disk is found by them: a change here means that every state is rebuilt."""
    (made,) = build(activity()).jobs
    assert prints(made) == {
        "page_view_counts": "30aacd1cb09ee6ec",
        "active_users": "6b4038da4185f529",
        "session_history": "b1dca967b977a5f7",
        "activity": "fbce064ed1a4c33a",
        "enriched_activity": "06e751834046b5c2",
    }
