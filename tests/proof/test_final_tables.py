"""Tables of final rows after a reset: what the new generation has closed, and nothing before it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

import headrace as hr
from headrace.engines.embedded.epochs.seeking import start_of
from headrace.ops.jobs.ask import ask, ask_query, ask_verify
from headrace.ops.jobs.running import run_app
from headrace.ops.jobs.states import begins, reset
from headrace.storage.topics.log import LocalTopic
from headrace.values.settings import load_settings

_START = datetime(2026, 1, 1)
# (who, second at which it begins, events)
Rows = list[tuple[str, int, int]]


class Step(hr.Event):
    at: datetime
    who: str


class FinalTables:
    """An app in `data` whose tables, in the state or at `tables`, have final rows alone."""

    def __init__(self, data: Path, tables: str | None = None) -> None:
        where = {} if tables is None else {"tables": tables}
        self.data, self.settings = data, load_settings(overrides={"data": data, **where})
        app = hr.App("final")
        steps = app.source(Step, topic="steps", key="who", time="at", partitions=1)
        windows = steps.tumble("10 seconds").by("who").agg(n="count(*)")
        gaps = steps.session(gap="5 seconds").by("who").agg(n="count(*)")
        app.table("windows", windows, emit="final")
        app.table("gaps", gaps, emit="final")
        app.table("latest", windows, key="who", emit="final")
        self.plan = app.plan
        self.job = app.plan.jobs[0]

    def run(self, *steps: tuple[int, str]) -> None:
        """Appends (second, who), and catches up."""
        lines = [
            json.dumps({"at": f"{_START + timedelta(seconds=s):%FT%TZ}", "who": who}).encode()
            for s, who in steps
        ]
        LocalTopic.ensure(self.data / "topics", "steps", 1).append(pa.array(lines, pa.binary()))
        run_app(self.plan, self.settings, until="caught-up")

    def recompute(self) -> int:
        return int(ask(self.job, self.settings, "recompute", {}).header["corrections"])

    def reset(self, start: str | None = None) -> None:
        at = None if start is None else begins(self.job, self.settings, start_of(start))
        reset(self.job.id, self.settings, at)

    def check(self, windows: Rows, gaps: Rows) -> None:
        """The tables have these rows, and the proof compares as many and holds."""
        latest = {who: (who, second, n) for who, second, n in sorted(windows)}
        wanted = {"windows": sorted(windows), "gaps": sorted(gaps), "latest": [*latest.values()]}
        starts = {"windows": "window_start", "gaps": "session_start_time", "latest": "window_start"}
        for name, rows in wanted.items():
            sql = f"select who, {starts[name]} as at, n from {name} order by all"
            found = ask_query(self.plan, self.settings, sql).to_pylist()
            held = [(r["who"], round((r["at"] - _START).total_seconds()), r["n"]) for r in found]
            assert held == rows, name
        (proof,) = ask_verify(self.plan, self.settings)
        assert proof.holds, proof
        assert {c.name: c.rows for c in proof.checked if c.compared} == {
            name: len(rows) for name, rows in wanted.items()
        }


def check_after_resets(data: Path, tables: str | None = None) -> None:
    final = FinalTables(data, tables)
    final.run((1, "a"), (5, "a"), (11, "a"), (11, "b"), (25, "a"))
    windows, gaps = [("a", 10, 1), ("b", 10, 1)], [("a", 11, 1), ("b", 11, 1)]
    final.check([("a", 0, 2), *windows], [("a", 1, 2), *gaps])
    final.run((2, "a"))
    assert final.recompute()
    final.check([("a", 0, 3), *windows], [("a", 1, 3), *gaps])
    # What was recomputed goes with the generation that did.
    final.reset()
    # Elsewhere the rows of the last generation stand until this one delivers: no difference.
    (proof,) = ask_verify(final.plan, final.settings)
    assert proof.holds, proof
    final.run()
    final.check([("a", 0, 2), *windows], [("a", 1, 2), *gaps])
    final.run((31, "a"))
    windows, gaps = [*windows, ("a", 20, 1)], [*gaps, ("a", 25, 1)]
    final.check([("a", 0, 2), *windows], [("a", 1, 2), *gaps])
    assert final.recompute()
    final.check([("a", 0, 3), *windows], [("a", 1, 3), *gaps])
    # A generation that reads nothing of all this, and one that closes nothing of what it reads.
    final.reset("latest")
    final.run()
    final.run((41, "a"))
    final.check([], [])
    final.run((55, "b"))
    final.check([("a", 40, 1)], [("a", 41, 1)])


def test_final_tables_in_the_state(tmp_path: Path) -> None:
    check_after_resets(tmp_path)
