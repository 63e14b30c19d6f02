"""A log may have offsets without a record, where a transaction ended: a job reads past them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

import headrace as hr
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.storage.contract import RECORDS, Fetched
from headrace.storage.state.store import StateStore


class Tick(hr.Event):
    at: datetime


app = hr.App("t")
app.table("n", app.source(Tick, topic="ticks", time="at", partitions=1).agg(n="count(*)"))


class Marked:
    """Two records at a time, then two offsets without one."""

    name, identity, partitions = "ticks", "one", 1
    arrival_fixed = True

    def begin_offsets(self) -> list[int]:
        return [0]

    def end_offsets(self) -> list[int]:
        return [8]

    def fetch(
        self, start: Sequence[int], stop: Sequence[int] | None = None, *, records_max: int
    ) -> Fetched:
        (at,), (end,) = start, stop or [8]
        taken = [offset for offset in range(at, end) if offset % 4 < 2][:records_max]
        behind = end if len(taken) < records_max else taken[-1] + 1
        return Fetched(_records(taken), [behind])

    def wait(self, offsets: Sequence[int], timeout_seconds: float) -> bool:
        return False

    def grown(self) -> int | None:
        return None

    def grow(self) -> None: ...

    def register_reader(self, reader: str, offsets: Sequence[int]) -> None: ...

    def close(self) -> None: ...


def _records(offsets: list[int]) -> pa.Table:
    count = len(offsets)
    columns = [
        pa.array([0] * count, pa.int32()),
        pa.array(offsets, pa.int64()),
        pa.nulls(count, pa.binary()),
        pa.array([b'{"at": "2026-01-01T00:00:00Z"}'] * count, pa.binary()),
        pa.array([datetime(2026, 1, 1)] * count, pa.timestamp("us")),
    ]
    return pa.table(columns, schema=RECORDS)


def test_it_reads_up_to_the_end(tmp_path: Path) -> None:
    topic = Marked()
    with StateStore(tmp_path / "state", threads=1, memory_limit="1GB") as store:
        engine = JobEngine(app.plan.jobs[0], store, {"ticks": topic})
        engine.open()
        read = []
        while (committed := engine.epoch(1_767_225_600_000_000, 2)) is not None:
            read.append(committed.records)
        assert engine.readers["ticks"].position.offsets == [8]
        assert engine.lag() == 0
        assert store.rows("select n from main.n") == [(4,)]
        engine.close()
    assert sum(read) == 4
