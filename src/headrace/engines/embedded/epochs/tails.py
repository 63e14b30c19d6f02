"""What was read last of each partition: a topic that was put back to an older copy is found out.

A log grows at its end alone. So where the last records before an offset are what they were, all
before them are; and where they are not, the topic has lost what was read, and gives the offsets to
other records. Its ends tell that only until there are as many again.

Where a job reads on at another place, what stands before that is noted as if it had been read.

A tail says of the last offsets of each partition which record stood there, or that none did. Each
of its entries holds for itself: what retention or compaction took since, it says nothing of. Keys
and values are compared, not times: records that were given again in their places are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from headrace.engines.embedded.epochs.reading import read_all
from headrace.storage.contract import Topic
from headrace.storage.ways import new_lakes, new_topic, restore_or_reset
from headrace.values.errors import StateRefused, TopicRefused

if TYPE_CHECKING:
    from headrace.engines.embedded.epochs.engine import JobEngine
    from headrace.plan.operators import Output

# Of so many records in a row one is likely to be another, however alike they are.
_OFFSETS = 4
_ENTRY = np.dtype([("partition", "<i4"), ("offset", "<i8"), ("digest", "<u8")])
# The digest of no record: where a transaction ended or was aborted.
_NONE = 0

Place = tuple[int, int]
"""A partition and an offset."""
Range = tuple[list[int], list[int]]
"""The first offsets, and those behind the last ones."""


def tail_behind(
    known: bytes, records: pa.Table, start: Sequence[int], stop: Sequence[int]
) -> bytes:
    """The tail of a topic of which `records` were read from `start` to `stop`.

    `known` is that of before; it stands where a partition gave nothing.
    """
    low, high = np.array(start, np.int64), np.array(stop, np.int64)
    first = np.maximum(low, high - _OFFSETS)
    counts = high - first
    if not counts.any():
        return known
    at = np.cumsum(counts) - counts
    read = np.zeros(counts.sum(), _ENTRY)
    read["partition"] = np.repeat(np.arange(len(counts)), counts)
    read["offset"] = np.arange(len(read)) + np.repeat(first - at, counts)
    partitions = records.column("partition").to_numpy()
    offsets = records.column("offset").to_numpy()
    rows = np.flatnonzero(offsets >= first[partitions])
    places = (at - first)[partitions[rows]] + offsets[rows]
    read["digest"][places] = _digests(records, rows)
    before = np.frombuffer(known, _ENTRY)
    partition = before["partition"]
    stays = (counts[partition] == 0) | (before["offset"] >= high[partition] - _OFFSETS)
    return np.concatenate([before[stays], read]).tobytes()


def tail_before(
    topic: Topic, stop: Sequence[int], *, start: Sequence[int] | None = None, known: bytes = b""
) -> bytes:
    """The tail of a topic that is read on at `stop`, from what stands there now.

    `known` is that of `start`, where it was read until now. Raises TopicRefused and Unreachable.
    """

    def last(begin: list[int]) -> Range:
        # Partitions that came since are read from their beginning.
        known_from = zip(begin, start or begin, stop, strict=False)
        return [min(max(b, s, at - _OFFSETS), at) for b, s, at in known_from], list(stop)

    records, (first, _) = _still_there(topic, last)
    return tail_behind(known, records, first, stop)


def check_tail(engine: JobEngine, name: str) -> None:
    """TopicRefused where a topic no longer has what this generation of the state read last of it.

    Of a topic that was made again nothing is said.
    """
    reader = engine.readers[name]
    if engine.ledger.identity(name) != reader.topic.identity:
        return
    reader.check_partitions()
    if lost := other_record(reader.topic, [reader.position.tail]):
        partition, offset = lost
        raise TopicRefused(
            f'Topic "{name}", partition {partition}: the record at offset {offset} is not the one '
            "that was read there: the topic was put back to an older copy",
            remedy=restore_or_reset(),
        )


def check_given(engine: JobEngine, output: Output) -> None:
    """StateRefused where `output` has records that the topic of its stream has lost.

    Those of earlier generations of the state. Others stand in their places, or will: they would
    be taken for those that it has.
    """
    name = engine.job.input_of(output).topic
    topic = engine.readers[name].topic
    if lost := _lost(engine, output.name, topic):
        partition, offset = lost
        remedy = new_lakes()
        if output.role != "lake":
            # What this generation gave to it is not given again.
            given = engine.ledger.mark(output.name) is not None
            remedy = new_topic(name, output.name, reset=given)
        raise StateRefused(
            f'{output.role} {output.name} has the record of topic "{name}", partition {partition}, '
            f"offset {offset}, and that is not there any more: the topic was put back to an older "
            "copy",
            remedy=remedy,
        )


def _lost(engine: JobEngine, output: str, topic: Topic) -> Place | None:
    """A record that `output` was given by earlier generations, and that `topic` has no more."""
    given = engine.store.rows(
        'select "partition", generation, start_offset, end_offset from meta.delivered '
        "where output = ? and topic = ? and identity = ?",
        [output, topic.name, topic.identity],
    )
    ends = topic.end_offsets()
    for partition, *_, end in given:
        if partition >= len(ends) or end > ends[partition]:
            return partition, end - 1
    for generation in sorted({of for _, of, *_ in given}):
        tails = engine.store.rows(
            "select tail from meta.earlier_tails where generation = ? and topic = ? "
            "and identity = ?",
            [generation, topic.name, topic.identity],
        )
        ranges = [(p, start, end) for p, of, start, end in given if of == generation]
        if lost := other_record(topic, [tail for (tail,) in tails], ranges):
            return lost
    return None


def other_record(
    topic: Topic, tails: Sequence[bytes], ranges: Sequence[tuple[int, int, int]] | None = None
) -> Place | None:
    """The first place that `tails` tell of where `topic` has another record now.

    Of the last ones in `ranges` (partition, first offset, end), where they are given.
    """
    known = _entries(tails)
    if ranges is not None:
        known = _last_of(known, ranges)
    if not known:
        return None

    def told(begin: list[int]) -> Range:
        end = topic.end_offsets()
        start, stop = list(end), list(end)
        for p, offset in sorted(known, reverse=True):
            if begin[p] <= offset < end[p]:
                stop[p] = stop[p] if start[p] < end[p] else offset + 1
                start[p] = offset
        return start, stop

    records, _ = _still_there(topic, told)
    rows = np.arange(len(records))
    places = zip(
        records.column("partition").to_pylist(), records.column("offset").to_pylist(), strict=True
    )
    for place, digest in zip(places, _digests(records, rows), strict=True):
        if known.get(place, digest) != digest:
            return place
    return None


def _still_there(topic: Topic, chosen: Callable[[list[int]], Range]) -> tuple[pa.Table, Range]:
    """The records of a range that hangs on where the topic begins, and that range."""
    while True:
        begin = topic.begin_offsets()
        start, stop = chosen(begin)
        try:
            return read_all(topic, start, stop), (start, stop)
        except TopicRefused:
            # Unless retention came in between.
            if topic.begin_offsets() == begin:
                raise


def _entries(tails: Iterable[bytes]) -> dict[Place, int]:
    return {
        (partition, offset): digest
        for tail in tails
        for partition, offset, digest in np.frombuffer(tail, _ENTRY).tolist()
    }


def _last_of(known: dict[Place, int], ranges: Sequence[tuple[int, int, int]]) -> dict[Place, int]:
    """What of `known` stands in the last offsets of each partition that lie in `ranges`."""
    inside = [
        (partition, offset)
        for partition, offset in known
        if any(partition == p and start <= offset < end for p, start, end in ranges)
    ]
    greatest = dict(sorted(inside))
    return {(p, at): known[p, at] for p, at in inside if at > greatest[p] - _OFFSETS}


def _digests(records: pa.Table, rows: NDArray[np.int64]) -> list[int]:
    """Of the keys and values in these rows. One by one: `take` would copy all of the values."""
    keys, values = records.column("key"), records.column("value")
    return [_digest(keys[row].as_py(), values[row].as_py()) for row in rows.tolist()]


def _digest(key: bytes | None, value: bytes | None) -> int:
    sizes = [-1 if part is None else len(part) for part in (key, value)]
    made = xxhash.xxh3_64(b"%d %d " % tuple(sizes))
    made.update(key or b"")
    made.update(value or b"")
    return made.intdigest() or _NONE + 1
