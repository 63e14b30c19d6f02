"""A log so large that the engine works on it with several threads: the same as with one.

DuckDB shares out the rows of a table by row groups of 122,880: where there are fewer, one thread
makes all that is grouped of them, however many there are. So epochs here hold more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

import headrace as hr
import headrace.testing
from headrace.testing import Driver
from tests.engines.embedded.trials import NOON
from tests.reference.aggregates import RANK_ERROR
from tests.reference.compare import Between, near, same_rows
from tests.torture.outcomes import COMPARED, outcome, same
from tests.torture.working import Working
from tests.views.cases import things

READ_BY_SEVERAL = "logs read by several threads"

_RECORDS = 320_000
_ALONES_EPOCH_RECORDS = [160_000, _RECORDS]
_VIEWS = 3
# Of two threads the other does about half; alone, a thread is now and then disturbed by Python's.
_HELPED_LEAST, _ALONE_MOST = 0.1, 0.05

_WINDOWS = {
    "alone": lambda s: s,
    "totals": lambda s: s.by("who"),
    "tumble": lambda s: s.tumble("10 seconds").by("kind"),
    "slide": lambda s: s.slide("20 seconds", every="5 seconds").by("kind"),
    "gap": lambda s: s.session(gap="40 milliseconds").by("who"),
    "marks": lambda s: s.session(starts="text = 't7'", timeout="9 seconds").by("who"),
    "dedupe": lambda s: s.dedupe(by=["who", "n"], within="1 second").tumble("7 seconds").by("who"),
}
_AGGREGATES = {
    "first": "first(f)",
    "last": "last(n)",
    "listed": "list(n) filter (where f > 1e7)",
    "least": "arg_min(f, n)",
    "most": "arg_max(text, n)",
    "known": "count(distinct text)",
    "about": "approx_count_distinct(f)",
    "bits": "bit_xor(n)",
}
_FLOATS = {"total": ("sum(f)", "sum(abs(f))"), "mean": ("avg(f)", "avg(abs(f))")}
_FLOATS |= {"spread": ("stddev_pop(f)", "max(abs(f))")}
"""Each with the size of what is added up."""

_MIDDLE = {
    "middle": "approx_quantile(f, 0.5)",
    **{
        name: f"case when count(f) < 100 then {edge}(f) else quantile_disc(f, {at:g}) end"
        for name, edge, at in (
            ("low", "min", 0.5 - RANK_ERROR),
            ("high", "max", 0.5 + RANK_ERROR),
        )
    },
}


def read_by_several(seed: int, chance: Random) -> Mapping[str, int]:
    """One log read by one thread and by several: the same rows, sums and dead letters."""
    names = chance.sample(list(_WINDOWS), _VIEWS)
    partitions, threads = chance.randint(1, 4), chance.randint(2, 8)
    app, what = _app(names, partitions), f"{threads} threads"
    values, places = _log(seed, partitions)
    found = []
    for number in (1, threads):
        with headrace.testing.run(app, start=NOON, threads=number) as t:
            t._topics["things"].append(values, partition=places)
            # The more row groups an epoch has, the more there is to share: all but a start's first.
            records_max = chance.choice(_ALONES_EPOCH_RECORDS) if number == 1 else _RECORDS
            helped = _read(t, records_max)
            if number == 1:
                assert max(helped.values()) <= _ALONE_MOST, f"one thread had help: {helped}"
            else:
                assert min(helped.values()) >= _HELPED_LEAST, f"{what} worked as one: {helped}"
            found.append((outcome(t), {name: t.rows(name) for name in names}))
            if number > 1 and chance.random() < 0.3:
                t.verify()
    (exact, rows), (again, rows_again) = found
    compared = int(same(again, exact, what))
    for output in app.plan.jobs[0].outputs:
        wanted = [_allowed(row) for row in rows[output.name]]
        same_rows(rows_again[output.name], wanted, output.key, f"{output.name}, {what}")
    done = {"definitions": _VIEWS, "ways": 1, COMPARED: compared, READ_BY_SEVERAL: 1}
    return done | {"records": 2 * _RECORDS}


def _read(t: Driver, records_max: int) -> dict[str, float]:
    """Reads all; of each view, what share of its work in the last epoch other threads did.

    Before the last one, others than the engine's are at work too: they fetch what comes next.
    """
    [runner] = t.runners.values()
    while runner.engine.unread():
        runner.engine.stages = working = Working()
        t.epoch(records_max)
    return {view.name: working.helped(view.name) for view in runner.job.views}


def _app(windows: list[str], partitions: int) -> hr.App:
    app, source = things("large", partitions=partitions, lateness="1 second")
    results = _AGGREGATES | _MIDDLE | {name: value for name, (value, _) in _FLOATS.items()}
    results |= {f"{name}_size": size for name, (_, size) in _FLOATS.items()}
    for name in windows:
        app.table(name, _WINDOWS[name](source).agg(**results))
    return app


def _allowed(row: Mapping[str, Any]) -> dict[str, Any]:
    """What another run may say where this one says `row`."""
    allowed = dict(row)
    for name in _FLOATS:
        if row[name] is not None:
            allowed[name] = near(row[name], row[f"{name}_size"])
    if row["middle"] is not None:
        allowed["middle"] = Between(row["low"], row["high"])
        assert row["low"] <= row["middle"] <= row["high"], row
    return allowed


def _log(seed: int, partitions: int) -> tuple[pa.Array, np.ndarray]:
    """Records and their partitions: 25 of each instant, one in fifty late, some that are none."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create macro d(i, k, n) as ((hash(i, k, {seed}) >> 16) % n)::bigint")
    made = connection.sql(f"""
        select case when d(i, 0, 20000) = 0 then '{{' else to_json(struct_pack(
            "at" := timestamp '2026-01-01' + to_milliseconds(
                (i // 25) * 5 + case when d(i, 1, 50) = 0 then -3000 else d(i, 2, 500) end),
            who := 'u' || d(i, 3, 40),
            kind := ['x', 'y', 'z', null][1 + d(i, 4, 4)],
            n := nullif(d(i, 5, 7), 6) - 2,
            f := (d(i, 6, 2000) - 1000) / 7 * 10 ** d(i, 7, 6),
            "text" := 't' || d(i, 8, 300)
        ))::varchar end::blob as v, d(d(i, 3, 40), 9, {partitions})::int as p
        from range({_RECORDS}) t(i)""").to_arrow_table()
    return made.column("v").combine_chunks(), made.column("p").to_numpy()
