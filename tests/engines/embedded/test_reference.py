"""The live engine against plain Python: random definitions, random logs, random cuts.

Hypothesis draws both, so a failure comes as the smallest app and log that it finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate
from random import Random

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import headrace as hr
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.events import SHAPES
from tests.engines.embedded.logs import START, Record
from tests.engines.embedded.strategies import logs
from tests.engines.embedded.trials import held, live

RECORDS_MAX = 12
CHECKS = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@CHECKS
@given(st.data())
def test_the_engine_is_what_plain_loops_say(data: st.DataObject) -> None:
    chance = data.draw(st.randoms(use_true_random=False), label="definition")
    partitions = data.draw(st.integers(1, 2), label="partitions")
    app = app_of(chance, 1, partitions=partitions)
    note(str(app))
    log = data.draw(logs(app.plan, RECORDS_MAX), label="log")
    held(app, app, log, Random(0), threads=1)


def test_what_was_replayed_last_is_what_plain_loops_say() -> None:
    """Nothing is read behind it, and no sliding view has something to show."""
    live(450412148624, 6)


def test_what_falls_on_an_edge_is_what_plain_loops_say() -> None:
    """Times exactly a window, a gap or a timeout apart, and marks of one instant."""
    app = hr.App("random")
    things = app.source(SHAPES["plain"].event, topic="things", key="who", time="moment")
    for length in (5, 8):
        size = f"{length} seconds"
        marked = things.session(starts="kind in ('s', 'se')", ends="kind = 'e'", timeout=size)
        app.table(f"marked{length}", marked.by("who").agg(c="count(*)"))
        app.table(f"gaps{length}", things.session(gap=size).by("who").agg(c="count(*)"))
        app.table(f"windows{length}", things.tumble(size).by("who").agg(c="count(*)"))
    for seed in range(2):
        held(app, app, list(_on_edges(Random(seed))), Random(seed), threads=1)


def _on_edges(chance: Random) -> Iterator[Record]:
    steps = [chance.choice([0, 0, 5, 8]) for _ in range(40)]
    for second, then in zip(accumulate(steps), ["", "", "", "epoch"] * 10, strict=True):
        event = {"moment": f"{(START + timedelta(seconds=second)).isoformat()}Z", "who": "a"}
        event |= {"kind": chance.choice(["s", "s", "se", "x", "x", "e"]), "text": "1"}
        yield Record("things", 0, json.dumps(event).encode(), then)
