"""A source inside a job: its topic, how far it was read, and its watermark."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.engines.embedded.epochs.arrivals import arrived
from headrace.engines.embedded.epochs.tails import tail_behind
from headrace.engines.kernel.decode import Decoded, decode, decoding
from headrace.engines.kernel.generations import kernel_partitions
from headrace.engines.kernel.watermark import NEVER_US, seen_us, source_watermark_us
from headrace.plan.operators import Source
from headrace.storage.contract import LATEST_US, Fetched, Topic
from headrace.storage.ways import go_on_behind, go_on_with, restore_or_reset
from headrace.values.errors import TopicRefused
from headrace.values.schema import quote, sql_type
from headrace.values.stages import Stages

# Less than this is read when its turn comes: the next epoch is no larger for being early.
_AHEAD_RECORDS = 20_000
# A start reads so little at first: something shows half a second sooner.
_FIRST_RECORDS = 20_000


@dataclass
class Position:
    """How far a source was read: next offsets, greatest times, the source's watermark.

    `identity` is that of the topic's generation that was read. `tail` tells what was read last
    (tails.py); known of the present position alone.
    """

    offsets: list[int]
    greatest_us: dict[int, int] = field(default_factory=dict)
    watermark_us: int = NEVER_US
    tail: bytes = field(default=b"", compare=False)
    identity: str = field(default="", compare=False)


@dataclass(frozen=True)
class SourceEpoch:
    """One source's part of an epoch, decoded. `before` and `after` are positions around it.

    `identity` is that of the topic's generation, `number` counts the generations read before it;
    the `_partition` of events is that of kernel.generations. `keys` as in kernel.decode.Decoded.
    `lost`: the log no longer holds the records, so that none are here.
    """

    source: Source
    identity: str
    records: pa.Table
    events: pa.Table
    dead: pa.Table
    before: Position
    after: Position
    exempt: tuple[int, ...]
    late_possible: bool
    relation: str
    keys: frozenset[str] | None = None
    number: int = 0
    lost: bool = False

    @property
    def moved(self) -> bool:
        """Whether anything of its position is another one after it."""
        return self.before != self.after


class SourceReader:
    """Reads a topic for a job and decodes it, the next part already while this one is applied."""

    def __init__(
        self,
        source: Source,
        topic: Topic,
        position: Position | None,
        threads: int | None = None,
        number: int = 0,
        stages: Stages | None = None,
    ) -> None:
        """`number` counts the generations of the topic that were read before this one."""
        self._stages = stages or Stages()
        self.source, self.topic, self.number = source, topic, number
        self.opened_before = position is not None
        self.position = position or Position([0] * topic.partitions, identity=topic.identity)
        self.columns = tuple(f.name for f in source.schema.fields)
        # When each partition last gave a record, by the clock: 0 until the first look.
        self._read_us = [0] * len(self.position.offsets)
        self._ends = list(self.position.offsets)
        self._decoding = decoding(threads)
        self._nothing: Decoded | None = None
        self._begun = False
        self._ahead: tuple[list[int], list[int] | None, Future[_Part]] | None = None
        self._pool = ThreadPoolExecutor(1, f"decode-{source.topic}")

    def close(self) -> None:
        """Ends the decoding thread."""
        self._pool.shutdown(cancel_futures=True)
        self._decoding.close()

    def begin(self) -> None:
        """Reads from where the topic begins now: nothing of it was read before."""
        self.position.offsets = self.topic.begin_offsets()
        self._ends = self.topic.end_offsets()

    def check(self, identity: str | None) -> None:
        """TopicRefused when the topic is not the one read before, or lost what was not read."""
        if identity is not None and identity != self.topic.identity:
            raise TopicRefused(
                f'Topic "{self.topic.name}" was deleted and made again since this job read it, '
                "or is another cluster's",
                remedy=go_on_with(self.topic.name),
            )
        self.check_partitions()
        begin = self.topic.begin_offsets()
        end = self._ends = self.topic.end_offsets()
        for p, at in enumerate(self.position.offsets):
            if at < begin[p] or at > end[p]:
                name = self.topic.name
                raise TopicRefused(
                    f'Topic "{name}", partition {p}: offset {at} was to be read next, '
                    f"the topic holds {begin[p]} to {end[p]}",
                    remedy=go_on_behind(name) if at < begin[p] else restore_or_reset(),
                )

    def check_partitions(self) -> None:
        """TopicRefused when the topic has fewer partitions than were read."""
        there = self.topic.partitions
        if there < len(self.position.offsets):
            raise TopicRefused(
                f'Partition {there} of topic "{self.topic.name}" was read, and is not there any '
                "more: the topic was put back to an older copy",
                remedy=restore_or_reset(),
            )

    def grown(self) -> int | None:
        """How many partitions the topic has now, if more than are read; else None."""
        there = self.topic.grown() or self.topic.partitions
        return there if there > len(self.position.offsets) else None

    def grow(self) -> None:
        """Reads the new partitions from their beginning on, from the next epoch."""
        # It reads by offsets of the old length.
        self.forget_ahead()
        if self.topic.grown() is not None:
            self.topic.grow()
        more = [0] * (self.topic.partitions - len(self.position.offsets))
        self.position = replace(self.position, offsets=[*self.position.offsets, *more])
        self._read_us += more

    def forget_ahead(self) -> None:
        """Has what was read ahead be read again."""
        if self._ahead is not None:
            wait([self._ahead[2]])
            self._ahead = None

    def lag(self) -> int:
        """Records that were there when the topic was last asked, and are not read."""
        return max(0, sum(self._ends) - sum(self.position.offsets))

    def unread(self) -> int:
        """Records that are there now and not read. Raises Unreachable."""
        self._ends = self.topic.end_offsets()
        return self.lag()

    def was_away(self, seconds: float) -> None:
        """The topic did not answer for so long: in that time nobody was idle."""
        self._read_us = [us and us + int(seconds * 1_000_000) for us in self._read_us]

    def read(
        self,
        connection: duckdb.DuckDBPyConnection,
        records_max: int,
        now_us: int,
        stop: list[int] | None = None,
        clock_us: int | None = None,
    ) -> SourceEpoch:
        """The next part of the topic, about `records_max` records; may be empty.

        Partitions that came after `stop` was fixed wait. `now_us` is the epoch's time, `clock_us`
        what the clock says where that is another.
        """
        before = self.position
        if stop is not None:
            stop = [*stop, *before.offsets[len(stop) :]]
        ends = self._ends = self.topic.end_offsets()
        at_us = now_us if clock_us is None else clock_us
        self._read_us = [min(us, at_us) or at_us for us in self._read_us]
        exempt = tuple(
            p
            for p in range(len(before.offsets))
            if before.offsets[p] >= ends[p] and self._holds_nobody(p, at_us)
        )
        # Not past `ends`: who is exempt was decided by them.
        wanted = records_max if self._begun else min(records_max, _FIRST_RECORDS)
        self._begun = True
        with self._stages.spent("job", "wait for records"):
            part = self._taken(before.offsets, stop, ends, wanted, now_us)
        offsets = part.next_offsets
        for p, (old, new) in enumerate(zip(before.offsets, offsets, strict=True)):
            if new > old:
                self._read_us[p] = at_us
        if sum(ends) - sum(offsets) > _AHEAD_RECORDS:
            future = self._pool.submit(self._part, offsets, stop, records_max)
            self._ahead = (offsets, stop, future)
        with self._stages.spent("job", "place in time"):
            placed = placed_in_time(connection, self, part, before, exempt, now_us)
            placed.after.tail = tail_behind(before.tail, part.records, before.offsets, offsets)
        return placed

    def _holds_nobody(self, partition: int, at_us: int) -> bool:
        """Whether a partition with nothing unread stays out: no event yet, or idle."""
        if partition not in self.position.greatest_us:
            return True
        timeout_us = self.source.idle_timeout_us
        return timeout_us is not None and at_us - self._read_us[partition] >= timeout_us

    def again(
        self,
        connection: duckdb.DuckDBPyConnection,
        fetched: Fetched,
        before: Position,
        exempt: tuple[int, ...],
        now_us: int,
        refused: npt.NDArray[np.int64],
    ) -> SourceEpoch:
        """An epoch's part that was read before, from its records; `now_us` is its time.

        The rows `refused` of them are no events, whatever the present definition says of them.
        """
        part = self._pool.submit(self._decoded, fetched, now_us).result()
        if len(refused):
            events = part.events.filter(pa.array(~np.isin(part.events.column("_row"), refused)))
            part = replace(part, events=events)
        return placed_in_time(connection, self, part, before, exempt, now_us)

    def _taken(
        self,
        start: list[int],
        stop: list[int] | None,
        ends: list[int],
        records_max: int,
        now_us: int,
    ) -> _Part:
        """What was decoded ahead, if it is what is wanted, else the same now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == start and ahead[1] == stop:
            part = ahead[2].result()
            if arrived(self.topic, part.records, now_us) is part.records:
                return part
            # It was judged by times that lie behind this epoch's.
            fetched = Fetched(part.records, part.next_offsets)
            return self._pool.submit(self._decoded, fetched, now_us).result()
        bound = ends if stop is None else [min(s, e) for s, e in zip(stop, ends, strict=True)]
        return self._pool.submit(self._part, start, bound, records_max, now_us).result()

    def _part(
        self, start: list[int], stop: list[int] | None, records_max: int, now_us: int = LATEST_US
    ) -> _Part:
        with self._stages.spent(f"read {self.topic.name}", "fetch"):
            fetched = self.topic.fetch(start, stop, records_max=records_max)
        return self._decoded(fetched, now_us)

    def _decoded(self, fetched: Fetched, now_us: int) -> _Part:
        records = arrived(self.topic, fetched.records, now_us)
        # Where time alone may move a watermark, an idle job looks again and again: once is enough.
        found = None if len(records) else self._nothing
        if found is None:
            with self._stages.spent(f"read {self.topic.name}", "decode"):
                found = decode(self._decoding, self.source, records)
        if not len(records):
            self._nothing = found
        return _Part(records, fetched.next_offsets, found.events, found.dead, found.keys)

    def judged(self, records: pa.Table) -> Decoded:
        """Decodes `records`, with their arrival times, outside of any epoch."""
        return self._pool.submit(decode, self._decoding, self.source, records).result()


@dataclass(frozen=True)
class _Part:
    """Records, taken apart."""

    records: pa.Table
    next_offsets: list[int]
    events: pa.Table
    dead: pa.Table
    keys: frozenset[str] | None


def placed_in_time(
    connection: duckdb.DuckDBPyConnection,
    reader: SourceReader,
    part: _Part,
    before: Position,
    exempt: tuple[int, ...],
    now_us: int,
) -> SourceEpoch:
    """Works out what each event sees, and registers the events on `connection`."""
    source, topic, events = reader.source, reader.topic, part.events
    after = Position(
        list(part.next_offsets),
        dict(before.greatest_us),
        before.watermark_us,
        identity=topic.identity,
    )
    partitions = events.column("_partition").to_numpy()
    late_possible = False
    if source.time is None:
        seen = closed = np.full(len(events), NEVER_US, np.int64)
    else:
        times = events.column("_time").cast(pa.int64()).to_numpy()
        seen, after.greatest_us = seen_us(partitions, times, before.greatest_us, source.lateness_us)
        closed = np.maximum(seen, before.watermark_us)
        late_possible = bool((times < closed).any())
        after.watermark_us = source_watermark_us(
            before.watermark_us, after.greatest_us, exempt, len(before.offsets), source.lateness_us
        )
    events = events.append_column("_seen", pa.array(seen)).append_column(
        "_closed", pa.array(closed)
    )
    events = events.append_column("_replay", pa.nulls(len(events), pa.int64()))
    events = kernel_partitions(events, reader.number)
    name = f"_events_{source.topic}"
    connection.register(name, events)
    return SourceEpoch(
        source,
        topic.identity,
        part.records,
        events,
        part.dead,
        before,
        after,
        exempt,
        late_possible,
        events_relation(quote(name), now_us),
        part.keys,
        reader.number,
    )


def events_relation(name: str, now_us: int) -> str:
    """The registered events `name` with the time of their epoch."""
    return f"(select *, make_timestamp({now_us}) as _processing_time from {name})"


def empty_events(source: Source) -> str:
    """A relation with the columns of a source's events and no rows."""
    own = {
        "_row": "bigint",
        "_partition": "integer",
        "_offset": "bigint",
        "_arrival_time": "timestamp",
        "_time": "timestamp",
        "_seen": "bigint",
        "_closed": "bigint",
        "_replay": "bigint",
        "_processing_time": "timestamp",
    }
    columns = [f"null::{sql_type(f.type)} as {quote(f.name)}" for f in source.schema.fields]
    columns += [f"null::{type_} as {name}" for name, type_ in own.items()]
    return f"(select {', '.join(columns)} limit 0)"
