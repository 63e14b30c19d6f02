"""Dead letters as rows: records that were refused, or on which a view failed, and why.

Column by column, so that an input of a million bad records is as fast as one of good ones; only
values that are long, or were cut before they were appended, are looked at one by one.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from headrace.engines.embedded.epochs.sources import SourceEpoch
from headrace.plan.operators import Source
from headrace.storage.chunks import one_array
from headrace.values.errors import StateRefused
from headrace.values.oversize import KEPT_BYTES, MARK_BEGIN, oversize_of


def check_accepted(
    topic: str,
    refused: pa.Table,
    needed: str = "is not delivered everywhere",
    back: str = "Run the definition of then until it has caught up",
) -> None:
    """StateRefused where there are `refused` records: those that were accepted before.

    `needed` says why they are asked for again, and `back` how they can be had.
    """
    if len(refused):
        first = refused.slice(0, 1).to_pylist()[0]
        raise StateRefused(
            f'Topic "{topic}", partition {first["partition"]}: the record at offset '
            f"{first['offset']} was accepted when it was read, and {needed}; this definition "
            "refuses it",
            remedy=f"{back}, or begin a new generation with this one: headrace state reset APP",
        )


def refused(part: SourceEpoch, epoch: int) -> pa.Table:
    """The records of `part` that are no events, as rows of `meta.dead_letters`."""
    dead = part.dead
    return _letters(part, epoch, dead, None, dead.column("_field"))


def failed(part: SourceEpoch, epoch: int, view: str, rows: pa.Table) -> pa.Table:
    """The records of `rows` (`_row`, `_reason`) on which an expression of `view` failed."""
    return _letters(part, epoch, rows, view, pa.nulls(len(rows), pa.string()))


def _letters(
    part: SourceEpoch,
    epoch: int,
    rows: pa.Table,
    view: str | None,
    field: pa.Array | pa.ChunkedArray,
) -> pa.Table:
    count = len(rows)
    records = part.records.take(rows.column("_row").cast(pa.int64()))
    own = {
        "topic_generation": pa.repeat(pa.scalar(part.identity), count),
        "epoch": pa.repeat(pa.scalar(epoch, pa.int64()), count),
        "field": field,
    }
    for name, column in own.items():
        records = records.append_column(name, column)
    return letters_of(records, part.source, view, rows.column("_reason"))


def letters_of(
    records: pa.Table, source: Source, view: str | None, reason: pa.Array | pa.ChunkedArray
) -> pa.Table:
    """Dead letters of records, which have their `field`, `epoch` and `topic_generation`."""
    count = len(records)
    value, why, size, digest = _cut(
        one_array(records.column("value")),
        one_array(reason.cast(pa.string())),
        max(KEPT_BYTES, source.value_bytes_max),
    )
    return pa.table(
        {
            "topic": pa.repeat(pa.scalar(source.topic), count),
            "topic_generation": records.column("topic_generation"),
            "partition": records.column("partition"),
            "offset": records.column("offset"),
            "view": pa.repeat(pa.scalar(view, pa.string()), count),
            "field": records.column("field"),
            "reason": why,
            "value": value,
            "value_bytes": size,
            "value_digest": digest,
            "arrival_time": records.column("arrival_time"),
            "epoch": records.column("epoch"),
            "replayed": pa.nulls(count, pa.int64()),
        }
    )


def _cut(
    value: pa.Array, why: pa.Array, bytes_max: int
) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """(bytes kept, reason, whole length, digest): longer values are kept by their beginning."""
    size = pc.fill_null(pc.cast(pc.binary_length(value), pa.int64()), 0)
    marked = pc.match_substring(value, MARK_BEGIN)
    long = pc.fill_null(pc.or_(pc.greater(size, bytes_max), marked), False)
    places = pc.indices_nonzero(long)
    digests = pa.nulls(len(value), pa.string())
    if not len(places):
        return value, why, size, digests
    kept, reasons, sizes = [], [], []
    hashes: list[str | None] = []
    found = zip(value.take(places).to_pylist(), why.take(places).to_pylist(), strict=True)
    for whole, told in found:
        cut = oversize_of(whole)
        is_long = cut is not None or len(whole) > bytes_max
        kept.append(whole[:KEPT_BYTES] if is_long else whole)
        if cut is not None:
            reasons.append(f"is longer than the limit: {cut.bytes} bytes")
            sizes.append(cut.bytes)
            hashes.append(cut.digest)
            continue
        reasons.append(told)
        sizes.append(len(whole))
        hashes.append(xxhash.xxh3_128_hexdigest(whole) if is_long else None)
    return (
        pc.replace_with_mask(value, long, pa.array(kept, value.type)),
        pc.replace_with_mask(why, long, pa.array(reasons, pa.string())),
        pc.replace_with_mask(size, long, pa.array(sizes, pa.int64())),
        pc.replace_with_mask(digests, long, pa.array(hashes, pa.string())),
    )
