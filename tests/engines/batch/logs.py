"""Random logs with disorder, ties, nulls, several partitions and epochs, and DuckDB over them."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from headrace.engines.batch.relations import AsOf, Region
from headrace.plan.operators import Source
from headrace.values.schema import Field, ListType, Scalar, Schema
from tests.reference import Event, Recompute, Run, moment

SECOND = 1_000_000
GENERATIONS = ("g1", "g2")

SCHEMA = Schema(
    "Reading",
    (
        Field("at", Scalar("datetime")),
        Field("who", Scalar("str"), nullable=True),
        Field("mark", Scalar("str")),
        Field("n", Scalar("int"), nullable=True),
        Field("f", Scalar("float"), nullable=True),
        Field("text", Scalar("str")),
        Field("items", ListType(Scalar("int"), nullable=True), nullable=True),
    ),
)

_TYPES = {
    "at": pa.timestamp("us"),
    "who": pa.string(),
    "mark": pa.string(),
    "n": pa.int64(),
    "f": pa.float64(),
    "text": pa.string(),
    "items": pa.list_(pa.int64()),
}


def source(lateness_us: int, time: str | None = "at") -> Source:
    """A source of `SCHEMA` with three partitions."""
    return Source("readings", SCHEMA, "who", time, None, lateness_us, 3, None, 0, 1 << 20)


_FLOATS = st.sampled_from([0.0, 0.1, 0.2, -0.3, 1.5, 1e6])
_VALUES = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["a", "b", None]),
        "mark": st.sampled_from(["s", "e", "x", "x", "x", "se"]),
        "n": st.one_of(st.none(), st.integers(-3, 3), st.just(2**62)),
        "f": st.one_of(st.none(), _FLOATS),
        "text": st.sampled_from(["1", "2", "-7", "seven"]),
        "items": st.one_of(
            st.none(), st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=3)
        ),
    }
)


@st.composite
def runs(draw: st.DrawFn, replays: bool = True, again: bool = False) -> Run:
    """A run of up to 30 events within a minute around 1970, over a few epochs.

    `again`: between two of them the topic may have been made again.
    """
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.integers(-10, 50),
                _VALUES,
                st.booleans(),
                st.sampled_from([0, 0, 0, 0, 0, 1, 2] if replays else [0]),
            ),
            min_size=1,
            max_size=30,
        )
    )
    events, epoch, ends = [], 1, dict.fromkeys(range(3), 0)
    generation = GENERATIONS[0]
    for partition, second, values, moves, replayed in drawn:
        if moves and draw(st.integers(0, 4)) == 0:
            epoch += 1
            if again and draw(st.booleans()):
                generation, again = GENERATIONS[1], False
                ends = dict.fromkeys(range(3), 0)
        time_us = second * SECOND
        events.append(
            Event(
                {"at": moment(time_us), **values},
                partition,
                ends[partition],
                time_us,
                epoch + max(0, replayed - 1),
                1 if replayed else None,
                generation,
            )
        )
        ends[partition] += 1
    until = draw(st.integers(max(1, epoch - 1), epoch + 1))
    marks = sorted(draw(st.lists(st.integers(-20, 45), min_size=until + 1, max_size=until + 1)))
    starts = {e: m * SECOND if m > -10 else None for e, m in enumerate(marks, 1)}
    return Run(
        events,
        draw(st.sampled_from([0, 5, 20])) * SECOND,
        starts,
        until,
        starts[until + 1],
        _recomputes(draw, events, until, starts[until + 1]),
    )


def _recomputes(
    draw: st.DrawFn, events: list[Event], until: int, watermark_us: int | None
) -> list[Recompute]:
    """Up to two recomputes, each of what had been read by the end of some epoch."""
    made: list[Recompute] = []
    if watermark_us is None:
        # Nothing is closed that could be recomputed.
        return made
    for epoch in sorted(draw(st.lists(st.integers(1, until), max_size=2))):
        offsets: dict[tuple[str, int], int] = {}
        for e in events:
            if e.epoch <= epoch and e.replay is None:
                place = e.generation, e.partition
                offsets[place] = max(offsets.get(place, 0), e.offset + 1)
        bound = draw(st.integers(-10, watermark_us // SECOND))
        start = draw(st.one_of(st.none(), st.integers(-15, 40)))
        made.append(
            Recompute(None if start is None else start * SECOND, bound * SECOND, offsets, epoch)
        )
    return made


def connection(run: Run) -> duckdb.DuckDBPyConnection:
    """DuckDB with the settings that callers use and the relations that queries read."""
    duck = duckdb.connect()
    duck.execute("set error_on_division_by_zero = false; set ieee_floating_point_ops = false")
    duck.execute("set threads = 2")
    columns: dict[str, Any] = {
        name: pa.array([e.values[name] for e in run.events], kind) for name, kind in _TYPES.items()
    }
    moments = [None if e.time_us is None else moment(e.time_us) for e in run.events]
    columns |= {
        "_topic_generation": pa.array([e.generation for e in run.events], pa.string()),
        "_partition": pa.array([e.partition for e in run.events], pa.int32()),
        "_offset": pa.array([e.offset for e in run.events], pa.int64()),
        "_replay": pa.array([e.replay for e in run.events], pa.int64()),
        "_epoch": pa.array([e.epoch for e in run.events], pa.int64()),
        "_time": pa.array(moments, pa.timestamp("us")),
    }
    # Stored backwards, so that no answer can lean on the order of storage.
    events = pa.table(columns).take(pa.array(range(len(run.events))[::-1], pa.int64()))
    duck.register("given", events)
    duck.execute("create table events as select * from given")
    duck.execute("create table epochs_of_source (epoch bigint, watermark_start timestamp)")
    for epoch, start_us in run.starts_us.items():
        start = None if start_us is None else moment(start_us)
        duck.execute("insert into epochs_of_source values (?, ?)", [epoch, start])
    return duck


def as_of(run: Run) -> AsOf:
    """The run's committed end as the compiler takes it."""
    regions = [Region(r.from_us, r.bound_us, r.offsets, r.epoch) for r in run.recomputes]
    return AsOf(run.until, run.watermark_us, regions)


def fetched(duck: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """The rows of a query as dicts."""
    cursor = duck.execute(sql)
    names = [d[0] for d in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def comparable(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as sorted text, floats to nine digits, so that two lists can be compared.

    What cancels out to almost nothing (a quantile between -0.3 and 0.2) counts as nothing.
    """

    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.9g}" if abs(value) > 1e-12 else "0"
        return repr(value)

    return sorted(str({name: text(v) for name, v in row.items()}) for row in rows)
