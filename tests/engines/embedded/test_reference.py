"""The live engine against plain Python: random definitions, random logs, random cuts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace.testing
from headrace.plan.operators import Output, View
from headrace.testing import Driver
from tests import reference
from tests.engines.batch.logs import comparable
from tests.engines.embedded.definitions import DEFINITIONS, Definition, Meaning, app_of, varied
from tests.engines.embedded.logs import Record, logs, play, run_of, scattered, watermark_of
from tests.views.cases import at

CHECKS = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


@CHECKS
@given(
    st.one_of(st.integers(0, 1 << 40).map(varied), st.lists(DEFINITIONS, min_size=1, max_size=3)),
    st.one_of(st.integers(0, 1 << 40).map(scattered), logs()),
    st.sampled_from([0, 0, 5, 20]),
    st.sampled_from([1, 2]),
)
def test_the_engine_is_what_plain_loops_say(
    definitions: list[Definition], records: list[Record], lateness: int, threads: int
) -> None:
    check(definitions, records, lateness, threads)


def check(
    definitions: list[Definition], records: list[Record], lateness: int, threads: int
) -> None:
    """Runs the definitions on the records, and compares rows and sums with the reference."""
    app = app_of(definitions, lateness)
    with headrace.testing.run(app, start=at(86_400), threads=threads) as t:
        play(t, records, epochs=True)
        t.rows("everything")
        run = run_of(t, records, lateness * 1_000_000)
        assert t.watermark("things") == watermark_of(run)
        job = app.plan.jobs[0]
        for output in job.outputs:
            view = job.input_of(output)
            if isinstance(view, View):
                wanted = _wanted(view, output, run)
                assert comparable(t.rows(output.name)) == comparable(wanted), output
        for view in job.views:
            _check_counts(t, view, run)
        t.verify()
        t.recompute()
        t.verify()


@settings(CHECKS, max_examples=2)
@given(st.integers(0, 1 << 40), st.integers(0, 10), st.sampled_from([0, 5]))
def test_a_recompute_in_the_middle_of_a_run(seed: int, middle: int, lateness: int) -> None:
    """What was recomputed is held against all events up to there, the rest as before."""
    records = scattered(seed)
    with headrace.testing.run(app_of(varied(seed), lateness), start=at(86_400)) as t:
        play(t, records[:middle], epochs=True)
        t.recompute()
        t.verify()
        play(t, records[middle:], epochs=True)
        t.verify()
        t.recompute()
        t.restart()
        t.verify()


def _wanted(view: View, output: Output, run: reference.Run) -> list[dict[str, Any]]:
    rows = reference.expected(view, run, Meaning(), final=output.emit == "final")
    whole = {c.name for c in view.columns if c.key}
    if set(output.key) == whole:
        return rows
    kept: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[k] for k in output.key)
        if key not in kept or _place(row, output) > _place(kept[key], output):
            kept[key] = row
    return list(kept.values())


def _place(row: dict[str, Any], output: Output) -> list[tuple[bool, Any]]:
    """Where a row stands among those of its smaller key: nulls are least."""
    return [(row[c] is not None, row[c] if row[c] is not None else 0) for c in output.order]


def _check_counts(t: Driver, view: View, run: reference.Run) -> None:
    output = next(o.name for o in t.plan.jobs[0].outputs if o.input == view.name)
    found = t.counts(output)
    wanted = reference.counts(view, run, Meaning())
    verdicts = {
        k: n
        for k, n in found.items()
        if k in ("applied", "late", "failed", "duplicate", "filtered")
    }
    assert verdicts == {k: n for k, n in wanted.records.items() if n}, view
    assert found.get("accepted", 0) == len(run.events)
    assert found.get("orphan_ends", 0) == wanted.orphan_ends, view
    reasons = {k.removeprefix("filtered: "): n for k, n in found.items() if ": " in k}
    assert Counter(reasons) == wanted.reasons
