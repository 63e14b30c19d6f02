"""A committed epoch, fixed for a proof: a snapshot of the state, everything delivered up to it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from headrace.engines.batch.relations import AsOf, Region
from headrace.engines.embedded.deliveries.targets import target_of
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Source
from headrace.storage.contract import Snapshot
from headrace.storage.lake.reading import relation_sql, version
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import one_row
from headrace.values.memory import give_back
from headrace.values.schema import literal
from headrace.values.stages import Stages

# All destinations together are waited for so long, and none that has been down for this while.
_PATIENCE_SECONDS = 60.0
_OUTAGE_SECONDS_MAX = 2.0
_THREAD = "proof"


@dataclass(frozen=True)
class Had:
    """What a lake has for sure: all up to `epoch`, and of it up to these offsets, by topic.

    Epochs are joined once every lake in the app was given them. So `epoch` may lie inside of joined
    ones, and offsets say what of those the lake has; without any it has none of them, or all.
    """

    epoch: int = -1
    offsets: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fixed:
    """Epoch `epoch` of `generation`; `cursor` sees the state as it was then, whatever goes on.

    `undelivered` names destinations that did not take it, `behind` what lakes are known to have
    where that is up to an earlier one; `lakes` are the versions of lakes and `topics` the
    end offsets of local topics then; `snapshots` show what other systems held. `columns` are those
    that lakes get when they are opened. `stages` are where the proof spends its time.
    """

    generation: int
    epoch: int
    cursor: duckdb.DuckDBPyConnection
    watermarks_us: dict[str, int | None]
    offsets: dict[str, list[int]]
    undelivered: tuple[str, ...]
    lakes: dict[str, int | None] = field(default_factory=dict)
    topics: dict[str, list[int]] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    behind: dict[str, Had] = field(default_factory=dict)
    columns: dict[str, pa.Schema] = field(default_factory=dict)
    stages: Stages = field(default_factory=Stages)
    _read: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def spent(self, stage: str) -> Iterator[None]:
        """Counts what is done inside for `stage` of the proof."""
        with self.stages.spent(_THREAD, stage):
            yield

    def count(self, relation: str, what: str = "count(*)") -> int:
        """The number of rows of `relation`, or another whole number that says `what` of it."""
        row = one_row(self.cursor.execute(f"select {what} from {relation}"))
        assert row is not None
        return int(row[0])

    def as_of(
        self, view: str, topic: str, extra: Region | None = None, output: str | None = None
    ) -> AsOf:
        """What the batch must compute for a view: this epoch, with what was recomputed.

        Of one `output`: with those recomputes alone that did not leave it out.
        """
        without = () if output is None else left_out(self.cursor, output)
        found = regions(self.cursor, view, without=without)
        if extra is not None:
            found.append(extra)
        return AsOf(self.epoch, self.watermarks_us[topic], found)

    def lake(self, data: DataDirectory, name: str) -> str:
        """A query over the rows that the lake `name` had then; its files are checked once."""
        if name not in self._read:
            columns = self.columns.get(name)
            self._read[name] = relation_sql(data.lake(name), self.lakes[name], schema=columns)
        return self._read[name]


@contextmanager
def fixed(runner: JobRunner) -> Iterator[Fixed]:
    """Fixes the newest committed epoch, shown and delivered; frees the snapshot at the end.

    The job goes on while destinations take what waits for them; it stands still only for what they
    take of it meanwhile. What a proof took of the job's memory goes back to the system.
    """
    until, stages = deadline(), Stages()
    with ExitStack() as opened:
        opened.callback(give_back)
        with stages.spent(_THREAD, "fix the epoch"):
            late = undelivered(runner, runner.call(lambda: _shown(runner)), until)
            fix = runner.call(lambda: _fix(runner, opened, stages, until, late))
        yield fix


def _shown(runner: JobRunner) -> int:
    """The newest epoch, with what sliding views held back."""
    runner.show()
    newest: int = runner.engine.ledger.epoch
    return newest


def deadline() -> float:
    """Until when destinations are waited for, from now on."""
    return time.monotonic() + _PATIENCE_SECONDS


def undelivered(
    runner: JobRunner, epoch: int, until: float, given_up: Collection[str] = ()
) -> tuple[str, ...]:
    """The deliveries that do not take `epoch` by then; those `given_up` are not waited for."""
    late = []
    for delivery in list(runner.deliveries):
        left = 0.0 if delivery.name in given_up else max(0.0, until - time.monotonic())
        if not delivery.flush(epoch, left, _OUTAGE_SECONDS_MAX):
            late.append(delivery.name)
    return tuple(late)


def _fix(
    runner: JobRunner,
    opened: ExitStack,
    stages: Stages,
    until: float,
    given_up: tuple[str, ...],
) -> Fixed:
    """What must be freed is put on `opened`."""
    ledger = runner.engine.ledger
    late = undelivered(runner, _shown(runner), until, given_up)
    with runner.store.transaction() as connection:
        runner.note(connection)
    cursor = runner.store.cursor()
    opened.callback(cursor.close)
    cursor.execute("begin")
    opened.callback(cursor.execute, "rollback")
    # A snapshot begins with the first query, not with the transaction.
    cursor.execute("select count(*) from meta.epochs").fetchall()
    watermarks = {}
    for source in runner.job.sources:
        row = one_row(
            cursor.execute(
                "select after_us from meta.watermarks where topic = ? order by epoch desc limit 1",
                [source.topic],
            )
        )
        watermarks[source.topic] = None if row is None else row[0]
    lakes = lake_versions(runner)
    systems, job = runner.systems, runner.job
    targets = [target_of(job, o) for o in job.outputs if o.name not in late]
    snapshots = opened.enter_context(systems.snapshots(targets))
    topics = {
        o.name: systems.local_topic(o.name, o.partitions).end_offsets()
        for o in job.outputs
        if o.role == "topic" and not systems.elsewhere("topic")
    }
    offsets = {t: list(r.position.offsets) for t, r in runner.engine.readers.items()}
    return Fixed(
        ledger.generation,
        ledger.epoch,
        cursor,
        watermarks,
        offsets,
        late,
        lakes,
        topics,
        snapshots,
        stages=stages,
    )


def lake_versions(runner: JobRunner) -> dict[str, int | None]:
    """The present version of every lake of the job, by name."""
    lakes = [o.name for o in runner.job.outputs if o.role == "lake"]
    return {name: version(runner.data.lake(name)) for name in lakes}


def left_out_fact(output: str) -> str:
    """The name under which the state keeps, as JSON, the recomputes that left out `output`."""
    return f"not recomputed {output}"


def left_out(cursor: duckdb.DuckDBPyConnection, output: str) -> list[int]:
    """The numbers of this generation's recomputes that corrected nothing of `output`."""
    sql = "select value from meta.facts where name = ?"
    row = one_row(cursor.execute(sql, [left_out_fact(output)]))
    return [] if row is None else json.loads(row[0])


def regions(
    cursor: duckdb.DuckDBPyConnection,
    view: str,
    generation: int | None = None,
    *,
    without: Sequence[int] = (),
) -> list[Region]:
    """The recomputes of a view, in their order: of this generation, or of an earlier one.

    But for those of the numbers `without`.
    """
    noted = "meta.regions"
    if generation is not None:
        noted = f"(from meta.earlier_regions where generation = {generation})"
    rows = cursor.execute(
        'select number, from_us, bound_us, epoch, topic_generation, "partition", end_offset '
        f"from {noted} where view = ? order by number",
        [view],
    ).fetchall()
    made: dict[int, Region] = {}
    for number, from_us, bound_us, epoch, generation, partition, end in rows:
        if number in without:
            continue
        if number not in made:
            made[number] = Region(from_us, bound_us, {}, epoch)
        offsets = made[number].offsets
        assert isinstance(offsets, dict)
        offsets[generation, partition] = end
    return list(made.values())


def epochs_relation(source: Source, events: str) -> str:
    """What the source's watermark was at the start of each epoch of `events`, for the batch side.

    Epochs that were joined have the watermark of their first, which decides the same.
    """
    topic = literal(source.topic)
    return (
        "(select e.epoch, make_timestamp(w.before_us) as watermark_start "
        f"from (select distinct _epoch as epoch from {events}) e asof join "
        f"(select first_epoch, epoch, before_us from meta.watermarks where topic = {topic}) w "
        "on e.epoch <= w.epoch where w.first_epoch <= e.epoch)"
    )
