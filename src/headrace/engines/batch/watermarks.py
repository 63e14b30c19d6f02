"""The watermark that each record saw, from the log alone (semantics, section 4).

Rows gain `_seen`, the greatest time among the first readings before them in their own partition
less the lateness, and `_closed`, the later of that and the source's watermark at the start of
their epoch: slices of time that end at or before it were closed. Both are null while there is
none. A replayed record stands behind what was read up to its epoch.

For that all rows are sorted. Where nobody asks but for who was late, it is enough to sort the
blocks of the log in which a record may have been: nearly none, mostly.
"""

from __future__ import annotations

from headrace.engines.batch.relations import OWN, RECORD, Relations, interval
from headrace.plan.operators import Source
from headrace.values.schema import quote

PARTITION = "_topic_generation, _partition"
LOG_ORDER = "_epoch, _replay nulls first, _offset"
_BLOCK_RECORDS = 4096


def watermarked(source: Source, until: int, relations: Relations) -> str:
    """SELECT of the events up to epoch `until` with `_seen` and `_closed`."""
    if relations.watermarked is not None:
        return f"select * from {relations.watermarked}"
    return f"""
select e.*, greatest(e._seen, w.watermark_start) as _closed from (
  select {_columns(source)},
    max(_time) filter (where _replay is null) over (
      partition by {PARTITION} order by {LOG_ORDER}
      rows between unbounded preceding and 1 preceding
    ) - {interval(source.lateness_us)} as _seen
  from {relations.events} where _epoch <= {until}
) e left join {relations.epochs} w on w.epoch = e._epoch"""


def open_blocks(
    source: Source, until: int, relations: Relations, block_records: int = _BLOCK_RECORDS
) -> str:
    """SELECT of the blocks of the log, of so many offsets, that hold a record behind a watermark.

    Columns: `_topic_generation`, `_partition`, `_epoch`, `_block`, `_before` (the greatest time of
    the partition ahead of the block), `_nth` (its number). No row of another block came late.
    """
    return f"""
select {PARTITION}, _epoch, _block, _before, row_number() over () as _nth from (
  select *, max(_high) over (
      partition by {PARTITION} order by _epoch, _block
      rows between unbounded preceding and 1 preceding
    ) as _before
  from (
    select {PARTITION}, _epoch, _offset // {block_records} as _block,
      min(_time) as _low, max(_time) as _high
    from {relations.events} where _epoch <= {until} and _replay is null group by all)
) b left join {relations.epochs} w on w.epoch = b._epoch
where _low < greatest(
  greatest(_before, _high) - {interval(source.lateness_us)}, w.watermark_start)"""


def latecomers(
    blocks: str,
    source: Source,
    until: int,
    relations: Relations,
    block_records: int = _BLOCK_RECORDS,
) -> str:
    """SELECT of the records of `blocks` (those of `open_blocks`) that lie behind `_closed`.

    Columns: the record, `_closed`. All others came on time.
    """
    return f"""
select {PARTITION}, _offset, _closed from (
  select _nth, _offset, _time, max(_time) over (
      partition by _nth order by _offset rows between unbounded preceding and 1 preceding
    ) as _greatest
  from (
    select {PARTITION}, _epoch, _offset, _time, _offset // {block_records} as _block
    from {relations.events} where _epoch <= {until} and _replay is null
  ) join {blocks} using ({PARTITION}, _epoch, _block)
) join (
  select b.*, w.watermark_start from {blocks} b left join {relations.epochs} w on w.epoch = _epoch
) using (_nth), lateral (select greatest(
  greatest(_before, _greatest) - {interval(source.lateness_us)}, watermark_start) as _closed)
where _time < _closed"""


def with_latecomers(late: str, source: Source, until: int, relations: Relations) -> str:
    """As `watermarked`, but null where nothing asks: `_seen`, and `_closed` except for `late`."""
    return (
        f"select {_columns(source)}, null::timestamp as _seen, _closed"
        f" from {relations.events} left join {late} using ({RECORD}) where _epoch <= {until}"
    )


def without_watermarks(source: Source, until: int, relations: Relations) -> str:
    """The same columns for a reader that asks for no watermark: nothing is sorted."""
    return (
        f"select {_columns(source)}, null::timestamp as _seen, null::timestamp as _closed"
        f" from {relations.events} where _epoch <= {until}"
    )


def _columns(source: Source) -> str:
    return ", ".join([*OWN, *(quote(f.name) for f in source.schema.fields)])
