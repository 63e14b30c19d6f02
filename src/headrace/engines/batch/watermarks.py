"""The watermark that each record saw, from the log alone (semantics, section 4).

Rows gain `_seen`, the greatest time among the first readings before them in their own partition
less the lateness, and `_closed`, the later of that and the source's watermark at the start of
their epoch: slices of time that end at or before it were closed. Both are null while there is
none. A replayed record stands behind what was read up to its epoch.
"""

from __future__ import annotations

from headrace.engines.batch.relations import OWN, Relations, interval
from headrace.plan.operators import Source
from headrace.values.schema import quote

PARTITION = "_topic_generation, _partition"
LOG_ORDER = "_epoch, _replay nulls first, _offset"


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


def without_watermarks(source: Source, until: int, relations: Relations) -> str:
    """The same columns for a reader that asks for no watermark: nothing is sorted."""
    return (
        f"select {_columns(source)}, null::timestamp as _seen, null::timestamp as _closed"
        f" from {relations.events} where _epoch <= {until}"
    )


def _columns(source: Source) -> str:
    return ", ".join([*OWN, *(quote(f.name) for f in source.schema.fields)])
