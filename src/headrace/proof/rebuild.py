"""`rebuild`: new and changed views, from all events up to the committed offsets.

The views go through the same pieces as live, over the events that were on time, in large pieces;
then closed windows are recomputed from all events, late ones too, as `recompute` does. By another
event time or lateness than before, what records see from here on follows from all events as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.engines.embedded.deliveries.targets import lake_schema
from headrace.engines.embedded.epochs.adopting import adopt
from headrace.engines.embedded.epochs.definitions import nothing_read, refuse_changed_feeds
from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.landing import account, apply, land
from headrace.engines.embedded.epochs.places import fill_fact, recompute_fact
from headrace.engines.embedded.runner import JobRunner
from headrace.engines.embedded.views.batch import Batch
from headrace.engines.kernel.generations import PARTITIONS_MAX, kernel_partition
from headrace.engines.kernel.watermark import NEVER_US, seen_us
from headrace.plan.operators import Output, Source, View
from headrace.proof.events import events_of
from headrace.proof.fixed import Fixed, Had, lake_versions
from headrace.proof.rebuilt_letters import bytes_back, failed_again, keep_bytes
from headrace.storage.lake.opening import look
from headrace.values.schema import literal

_PIECE_RECORDS = 500_000
Progress = Callable[[str, int, int], None]


@dataclass
class _Course:
    """Where a source stands while its past is gone through again.

    `raised` are the epochs, as they are kept, at whose start the source's watermark lay above what
    one of their records saw.
    """

    greatest_us: dict[int, int] = field(default_factory=dict)
    watermark_us: int = NEVER_US
    raised: set[int] = field(default_factory=set)


def rebuild(runner: JobRunner, views: tuple[View, ...], progress: Progress | None = None) -> float:
    """Builds `views` again in one transaction; returns the seconds it took.

    Outputs of theirs elsewhere are given the new rows when the runner goes on (`rebuilt`). Raises
    StateRefused when neither a lake nor the log holds all events.
    """
    tell = progress or (lambda what, done, of: None)
    begun = time.monotonic()
    store, epoch = runner.store, runner.engine.ledger.epoch
    _refuse_feeds(runner, views)
    cursor = store.cursor()
    behind = _lakes_behind(runner)
    fix = Fixed(
        runner.engine.ledger.generation,
        epoch,
        cursor,
        {},
        {t: list(r.position.offsets) for t, r in runner.engine.readers.items()},
        (),
        lake_versions(runner),
        behind=behind,
        columns={o.name: lake_schema(runner.engine, o) for o in _lakes(runner)},
    )
    # Pieces are read back in the transaction that inserts them, see `load_topic`: one thread
    # inserts a piece row by row, and what it put there is read.
    (threads,) = store.rows("select current_setting('threads')")[0]
    store.connection.execute("set threads = 1")
    with store.transaction():
        keep_bytes(store.connection)
        for view in views:
            _forget(runner, view)
        courses = {}
        for source in runner.job.sources:
            mine = tuple(v for v in views if v.topic == source.topic)
            if mine:
                courses[source.topic] = _replay(runner, fix, source, mine, tell)
        bytes_back(store.connection)
        adopt(store, runner.engine.ledger, runner.job)
        _to_be_filled(runner, views)
        _to_be_recomputed(runner, views)
        corrected = _positions_corrected(runner, courses)
    if corrected is not None:
        runner.engine.ledger.advanced(corrected.epoch, corrected.time_us)
        for topic, position in corrected.positions.items():
            runner.engine.readers[topic].position = position
    store.connection.execute(f"set threads = {threads}")
    cursor.close()
    return time.monotonic() - begun


def _lakes_behind(runner: JobRunner) -> dict[str, Had]:
    """The lakes that may lack what was committed last, with what they have for sure.

    Nothing is delivered while views are built: a process that was killed may have left them so, or
    an older copy was put back.
    """
    ledger, behind = runner.engine.ledger, {}
    for output in _lakes(runner):
        claim = look(runner.data.lake(output.name), runner.job.id)
        noted, mark = ledger.mark(output.name), None if claim is None else claim.mark
        if noted is None or mark is None or mark.generation != ledger.generation:
            behind[output.name] = Had()
        elif min(mark.epoch, noted) < ledger.epoch:
            behind[output.name] = Had(mark.epoch, mark.offsets)
    return behind


def _lakes(runner: JobRunner) -> list[Output]:
    return [output for output in runner.job.outputs if output.role == "lake"]


def _refuse_feeds(runner: JobRunner, views: tuple[View, ...]) -> None:
    """Raises StateRefused where no start would take the new views: before they are built."""
    names = {v.name for v in views}
    for output in runner.job.outputs:
        if output.input in names and runner.engine.ledger.delivers(output.name):
            refuse_changed_feeds(runner.store, runner.job, output)


def _to_be_filled(runner: JobRunner, views: tuple[View, ...]) -> None:
    """Notes which outputs elsewhere are to be given the new rows, inside the transaction."""
    names = {v.name for v in views}
    for output in runner.job.outputs:
        if output.input in names and output.name not in runner.engine.inside:
            runner.store.set_fact(fill_fact(output.name), "rebuilt")


def _to_be_recomputed(runner: JobRunner, views: tuple[View, ...]) -> None:
    """Notes which views lack what came late, inside the transaction; `recompute` forgets it."""
    if nothing_read(runner.store):
        return
    for view in views:
        if view.window is not None:
            runner.store.set_fact(recompute_fact(view.name), "rebuilt")
        else:
            runner.store.drop_fact(recompute_fact(view.name))


def _forget(runner: JobRunner, view: View) -> None:
    """Drops a view's state, tables and counts, and makes them anew, empty."""
    connection, engine = runner.store.connection, runner.engine
    engine.drop_view(connection, view)
    engine.create_view(connection, view)
    for sql in (
        "delete from meta.dead_letters where view = ?",
        "delete from meta.regions where view = ?",
    ):
        connection.execute(sql, [view.name])
    for kind in ("view", "view_rows"):
        runner.store.counters.forget(connection, kind, view.name)


def _positions_corrected(runner: JobRunner, courses: dict[str, _Course]) -> Committed | None:
    """Has the sources go on from what their events say; inside the transaction.

    By another event time the greatest times of their partitions are others than live has kept: an
    epoch that reads nothing says so, None where there is no need. By another lateness, too, an
    epoch may hang on its own watermark, and is marked so that it is not joined to those before it.
    """
    engine, ledger, positions = runner.engine, runner.engine.ledger, {}
    for topic, course in courses.items():
        runner.store.connection.execute(
            "update meta.epochs set sources = list_transform(sources, lambda s: case when "
            "s.topic = $topic then struct_update(s, raised := true) else s end) "
            "where epoch in (select unnest($raised::bigint[])) "
            "and len(list_filter(sources, lambda s: s.topic = $topic and not s.raised)) > 0",
            {"topic": topic, "raised": sorted(course.raised)},
        )
        reader = engine.readers[topic]
        here = {p: kernel_partition(p, reader.number) for p in range(reader.topic.partitions)}
        greatest = {p: course.greatest_us[k] for p, k in here.items() if k in course.greatest_us}
        if greatest != reader.position.greatest_us:
            positions[topic] = replace(reader.position, greatest_us=greatest)
    if not positions:
        return None
    time_us = max(runner.clock.now_us(), ledger.time_us)
    committed = Committed(ledger.generation, ledger.epoch + 1, time_us, {}, kind="rebuild")
    committed.positions = {t: r.position for t, r in engine.readers.items()} | positions
    ledger.write(committed, False, [])
    return committed


def _replay(
    runner: JobRunner, fix: Fixed, source: Source, views: tuple[View, ...], tell: Progress
) -> _Course:
    held = events_of(runner, fix, source)
    held.require(
        runner,
        source,
        "the views cannot be built again",
        "Begin anew from what is there: headrace state reset APP",
    )
    course, connection, engine = _Course(), runner.store.connection, runner.engine
    columns = _kernel_columns(held.relations.generations)
    pieces = list(_pieces(fix, held.relation, source))
    for done, (first, last, replayed) in enumerate(pieces):
        tell(source.topic, done, len(pieces))
        events = fix.cursor.sql(
            f"select {columns} from {held.relation} where _epoch between {first} and {last} "
            "order by _epoch, _partition, _offset"
        ).to_arrow_table()
        batch = _batch(fix, source, events, course, last, replayed)
        connection.register("_rebuilding", batch.events)
        for view in views:
            outputs = engine.outputs_of(view.name)
            outcome = apply(connection, engine.views[view.name], outputs, batch)
            runner.store.count(land(connection, engine.tables[view.name], outcome))
            runner.store.count(account(view, outcome, len(events)))
            if outcome.failed is not None:
                topic = engine.readers[source.topic].topic
                letters = failed_again(topic, source, events, view.name, outcome.failed)
                engine.ledger.insert_letters(letters)
        connection.unregister("_rebuilding")
    return course


def _kernel_columns(generations: Sequence[str]) -> str:
    """All columns of events, `_partition` as in kernel.generations."""
    if not generations:
        return "*"
    listed = ", ".join(literal(g) for g in generations)
    nth = f"list_position([{listed}], _topic_generation) - 1"
    return f"* replace ((_partition + ({nth}) * {PARTITIONS_MAX})::integer as _partition)"


def _pieces(fix: Fixed, relation: str, source: Source) -> Iterator[tuple[int, int, bool]]:
    """Runs of epochs of about the same size, replays alone: (first, last, whether it is one)."""
    rows = fix.cursor.execute(
        f"select _epoch, bool_or(_replay is not null), count(*) from {relation} "
        f"where _epoch <= {fix.epoch} group by 1 order by 1"
    ).fetchall()
    start, size = None, 0
    for at, (epoch, replayed, count) in enumerate(rows):
        start = epoch if start is None else start
        size += count
        # What a dedupe remembers moves on between two replays.
        ends = at + 1 == len(rows) or replayed or rows[at + 1][1]
        if ends or size >= _PIECE_RECORDS:
            # Epochs without events may have moved the watermark.
            last = fix.epoch if at + 1 == len(rows) else rows[at + 1][0] - 1
            yield start, last, bool(replayed)
            start, size = None, 0


def _batch(
    fix: Fixed, source: Source, events: pa.Table, course: _Course, last: int, replayed: bool
) -> Batch:
    """A piece of the past as a batch, with what every record saw then."""
    before = course.watermark_us
    closed = seen = np.full(len(events), NEVER_US, np.int64)
    if source.time is not None:
        starts, after = _watermarks(fix, source, last)
        partitions = events.column("_partition").to_numpy()
        if replayed:
            # As in engines/embedded/epochs/replay.py: they see what was read before, move nothing.
            closed = seen = _seen_after(partitions, course.greatest_us, source.lateness_us)
        else:
            times = events.column("_time").cast(pa.int64()).to_numpy()
            seen, course.greatest_us = seen_us(
                partitions, times, course.greatest_us, source.lateness_us
            )
            numbers, places = np.unique(events.column("_epoch").to_numpy(), return_inverse=True)
            kept, at_start = _at_start(starts, numbers)
            closed = np.maximum(seen, at_start[places])
            course.raised.update(kept[np.unique(places[seen < closed])].tolist())
        course.watermark_us = max(before, after)
    events = events.append_column("_row", pa.array(np.arange(len(events))))
    events = events.append_column("_seen", pa.array(seen)).append_column(
        "_closed", pa.array(closed)
    )
    columns = tuple(f.name for f in source.schema.fields)
    return Batch(
        events,
        "(select *, null::timestamp as _processing_time from _rebuilding)",
        columns,
        before,
        course.watermark_us,
        True,
        True,
        dict(course.greatest_us),
        source.lateness_us,
    )


def _seen_after(
    partitions: NDArray[np.int64], greatest_us: dict[int, int], lateness_us: int
) -> NDArray[np.int64]:
    """The watermark of each record's own partition behind these greatest times."""
    known, places = np.unique(partitions, return_inverse=True)
    after = [greatest_us[p] - lateness_us if p in greatest_us else NEVER_US for p in known.tolist()]
    found: NDArray[np.int64] = np.array(after, np.int64)[places]
    return found


def _watermarks(fix: Fixed, source: Source, last: int) -> tuple[list[tuple[int, int, int]], int]:
    """(first, last, watermark at the start) of the epochs, and the watermark after `last`."""
    rows = fix.cursor.execute(
        "select first_epoch, epoch, before_us, after_us from meta.watermarks where topic = ? "
        "order by epoch",
        [source.topic],
    ).fetchall()
    starts = [(f, e, NEVER_US if before is None else before) for f, e, before, _ in rows]
    known = [us for _, epoch, _, us in rows if epoch <= last and us is not None]
    return starts, known[-1] if known else NEVER_US


def _at_start(
    starts: list[tuple[int, int, int]], epochs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each of `epochs` the one as which it is kept, and the source's watermark at its start."""
    first, last, before = np.array([*starts, (1 << 62, 1 << 62, NEVER_US)], np.int64).T
    at = np.searchsorted(last, epochs)
    return last[at], np.where(first[at] <= epochs, before[at], NEVER_US)
