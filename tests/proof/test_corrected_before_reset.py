"""What a recompute corrected before a reset: excused row by row, and nothing besides."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import headrace as hr
from headrace.ops.jobs.ask import ask
from headrace.ops.jobs.states import reset
from headrace.proof.report import Checked
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import StateStore
from headrace.storage.topics.log import LocalTopic

from .test_definitions import START_US, settings

FINAL = ["counts_lake", "counts_topic", "gaps_lake", "gaps_topic"]


class Step(hr.Event):
    at: datetime
    who: str


def make(lake: bool = True) -> hr.App:
    app = hr.App("kept")
    steps = app.source(Step, topic="steps", key="who", time="at", partitions=1)
    views = {
        "counts": steps.tumble("10 seconds").by("who").agg(n="count(*)", mean='avg(second("at"))'),
        "gaps": steps.session(gap="3 seconds").by("who").agg(n="count(*)"),
    }
    for name, view in views.items():
        app.lake(f"{name}_lake", view, emit="final")
        app.topic(f"{name}_topic", view, emit="final")
    if lake:
        app.lake("events", steps)
    return app


def send(app: hr.App, data: Path, *steps: tuple[int, str]) -> None:
    lines = [
        json.dumps({"at": f"2026-01-01T00:00:{second:02}Z", "who": who}).encode()
        for second, who in steps
    ]
    LocalTopic.ensure(data / "topics", "steps", 1).append(pa.array(lines, pa.binary()))
    app.run(until="caught-up", data=data)


def recompute(app: hr.App, data: Path, first: int | None = None, last: int | None = None) -> int:
    """Of what ends behind second `first`, up to `last`; how many corrections."""
    bounds = {"from_us": first, "to_us": last}
    request = {k: None if s is None else START_US + s * 1_000_000 for k, s in bounds.items()}
    done = ask(app.plan.jobs[0], settings(data), "recompute", request).header
    return int(done["corrections"])


def checked(app: hr.App, data: Path) -> dict[str, Checked]:
    (found,) = app.verify(data=data)
    assert all(s.holds for s in found.sums) and not found.undelivered
    return {c.name: c for c in found.checked}


def excused(found: dict[str, Checked]) -> dict[str, int]:
    """By output how many rows are said to be corrected."""
    notes = {name: str(found[name].note).split() for name in FINAL if found[name].note}
    assert all("headrace" in words and "recompute" in words for words in notes.values())
    return {name: int(words[0]) for name, words in notes.items()}


def corrected_then_reset(app: hr.App, data: Path) -> None:
    """Of the first window late events were recomputed; in the second one came later."""
    send(app, data, (1, "a"), (1, "b"), (5, "b"), (11, "a"), (21, "a"), (51, "clock"))
    send(app, data, (2, "a"), (5, "a"), (3, "b"))
    assert recompute(app, data)
    send(app, data, (12, "a"))
    reset(app.plan.jobs[0].id, settings(data))


@pytest.mark.parametrize("lake", [True, False], ids=["from the lake", "from the log"])
def test_only_rows_that_a_recompute_made_are_excused(tmp_path: Path, lake: bool) -> None:
    """Also with more late events since, after another reset, and in a damaged output."""
    app = make(lake)
    corrected_then_reset(app, tmp_path)
    send(app, tmp_path, (6, "a"))
    reset("kept", settings(tmp_path))
    send(app, tmp_path, (7, "a"))
    found = checked(app, tmp_path)
    assert all(c.holds and c.compared for c in found.values()), found
    # The window of `a` and that of `b`; of `a` a longer session and one more, of `b` one for two.
    assert excused(found) == {"counts_lake": 2, "counts_topic": 2, "gaps_lake": 4, "gaps_topic": 4}
    written = LocalTopic.ensure(tmp_path / "topics", "counts_topic", 3)
    records = written.fetch(written.begin_offsets(), records_max=100).records.to_pylist()
    (wrong,) = (r for r in records if json.loads(r["value"])["window_start"][17:19] == "20")
    value = wrong["value"].replace(b'"n":1', b'"n":7')
    assert value != wrong["value"]
    written.append(pa.array([value], pa.binary()), pa.array([wrong["key"]], pa.binary()))
    found = checked(app, tmp_path)
    assert [c.name for c in found.values() if not c.holds] == ["counts_topic"]
    (told,) = found["counts_topic"].differences
    assert found["counts_topic"].different == 1 and told["_columns"] == ["n"]
    assert told["window_start"].second == 20
    assert excused(found)["counts_topic"] == 2


def test_a_recompute_of_another_period_leaves_the_excuse(tmp_path: Path) -> None:
    app = make()
    corrected_then_reset(app, tmp_path)
    send(app, tmp_path)
    assert recompute(app, tmp_path, 10, 20)
    found = checked(app, tmp_path)
    assert all(c.holds and c.compared for c in found.values()), found
    # Sessions that the recompute does not cover it makes what this generation would serve.
    assert excused(found) == {"counts_lake": 2, "counts_topic": 2}
    # The next generation has the corrections of both.
    reset("kept", settings(tmp_path))
    send(app, tmp_path)
    found = checked(app, tmp_path)
    assert all(c.holds and c.compared for c in found.values()), found
    assert excused(found) == {"counts_lake": 3, "counts_topic": 3, "gaps_lake": 1, "gaps_topic": 1}
    assert recompute(app, tmp_path)
    found = checked(app, tmp_path)
    assert all(c.holds for c in found.values()) and not excused(found)


def test_where_it_is_not_known_what_a_recompute_read_nothing_is_compared(tmp_path: Path) -> None:
    """So says a state that an earlier version reset: it kept but the names of the views."""
    app = make()
    corrected_then_reset(app, tmp_path)
    directory = DataDirectory(settings(tmp_path).data).job("kept")
    with StateStore(directory, threads=1, memory_limit="1GB") as store:
        views = json.dumps([v.name for v in app.plan.jobs[0].views])
        with store.transaction() as connection:
            store.set_fact("corrected", views)
            connection.execute("delete from meta.earlier_regions")
    send(app, tmp_path)
    found = checked(app, tmp_path)
    assert {name for name, c in found.items() if not c.compared} == set(FINAL)
    assert all(c.holds for c in found.values())
    recompute(app, tmp_path)
    found = checked(app, tmp_path)
    assert all(c.holds and c.compared for c in found.values())
