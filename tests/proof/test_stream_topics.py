"""Streams into topics: the record's own text is proved against the columns that it stands for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.deliveries.shown import kept
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output
from headrace.proof import topics
from headrace.proof.fixed import Fixed
from headrace.proof.served import load_topic
from headrace.proof.verify import verify


class Leg(hr.Struct):
    at: datetime


class Trip(hr.Event):
    rider: str
    at: datetime
    legs: list[Leg]
    first: Leg


def trip(at: str) -> dict[str, object]:
    return {"rider": "ann", "at": at, "legs": [{"at": at}], "first": {"at": at}}


def test_times_with_offsets_are_those_instants() -> None:
    app = hr.App("trips")
    trips = app.source(Trip, topic="trips", key="rider", time="at")
    app.topic("copy", trips.with_columns(loud="upper(rider)"))
    written = (
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:00:00",
        "2026-03-01T10:00:00+05:30",
        "2026-03-01t10:00:00.1239999999-01:00",
    )
    with headrace.testing.run(app) as t:
        t.send("trips", [trip(at) for at in written])
        t.verify()


def numbers(*, name: str = "numbers") -> tuple[hr.App, Any]:
    app = hr.App(name)
    return app, app.source(Number, topic="numbers", key="name", time="at")


class Number(hr.Event):
    name: str
    at: datetime
    x: float


def number(second: int, x: float, name: str = "a") -> dict[str, object]:
    return {"name": name, "at": f"2026-03-01T10:00:{second:02}Z", "x": x}


NOT_FINITE = "-exp(x * 1000)", "exp(x * 1000)", "exp(x * 1000) - exp(x * 1000)"


def test_numbers_that_json_cannot_carry_are_null_on_both_sides() -> None:
    """Infinity and NaN, by themselves, in lists and in structs, of streams and of views."""
    app, source = numbers()
    for i, sql in enumerate(NOT_FINITE):
        inside = f"{{'y': {sql}, 'z': [{{'w': {sql}}}]}}"
        odd = {"odd": sql, "listed": f"[{sql}, x]", "inside": inside}
        app.topic(f"spliced_{i}", source.with_columns(**odd))
        app.topic(f"chosen_{i}", source.select(name="name", x="x", **odd))
        app.topic(f"sums_{i}", source.by("name").agg(s=f"sum({sql})", all=f"list({sql})"))
    with headrace.testing.run(app) as t:
        t.send("numbers", [number(0, 1.0), number(1, 0.001), number(2, 0.0, "b")])
        (found,) = t.verify()
        assert all(c.compared and c.rows for c in found.checked)
        values = [row["value"] for row in t.rows("chosen_1")]
        assert [v["odd"] is None for v in values] == [True, False, False]
        assert [v["inside"]["z"][0]["w"] is None for v in values] == [True, False, False]


def test_compaction_leaves_the_last_row_of_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    app, source = numbers()
    app.topic("copy", source.with_columns(more="x + 1"), partitions=2)
    taken = ""

    def compacted(
        runner: JobRunner, fix: Fixed, output: Output, name: str, types: dict[str, str]
    ) -> None:
        load_topic(runner, fix, output, name, types)
        fix.cursor.execute(f"delete from {name} where {taken.format(name=name)}")

    monkeypatch.setattr(topics, "load_topic", compacted)
    monkeypatch.setattr(topics, "kept_of", lambda *a: replace(kept(*a), compacts=True))
    older = "(_key, _offset) not in (select (_key, max(_offset)) from {name} group by _key)"
    with headrace.testing.run(app) as t:
        for second in range(3):
            t.send("numbers", [number(second, second, name) for name in "abcd"])
            t.epoch()
        for taken, lost in (
            ("false", 0),
            (older, 0),
            (f"{older} or decode(_key) = 'b'", 1),
            ("true", 4),
        ):
            t._catch_up()
            (found,) = verify(t.runners["numbers"]).checked
            assert found.different == len(found.differences) == lost
            assert {d["name"] for d in found.differences} <= set("b" if lost == 1 else "abcd")
            assert all(d["x"] == 2 for d in found.differences)
            assert ("it is compacted" in (found.note or "")) == (taken != "false")
