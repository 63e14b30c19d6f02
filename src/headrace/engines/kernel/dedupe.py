"""Dedupe: a row is a duplicate of an earlier one of its partition with the same values.

Earlier is in the order of the partition; the earlier row's time must lie at or above the
watermark that the later one sees, less `within` (semantics, section 5). So the greatest earlier
time decides, and that is all a memory has to keep.

Values are compared by one column of 128 bits: the MD5 of their JSON, which tells all values apart
(docs/decisions/0011-dedupe.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.engines.kernel import verdicts
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Dedupe

KEY = "_k"
"""The column under which `place` leaves what stands for the values compared; null if failed."""

_BY = f"_partition, {KEY}"
_TIME = "coalesce(epoch_us(_time), 0)"


def key_sql(values: Sequence[tuple[str, str]]) -> str:
    """The key of values, given as (SQL, type); equal values have equal keys, and no others."""
    packed = ", ".join(f"v{i} := {_written(sql, type_)}" for i, (sql, type_) in enumerate(values))
    return f"md5_number(to_json(struct_pack({packed}))::varchar)"


def memory_sql(rows: str) -> str:
    """What must be remembered of `rows`: by partition and key, the greatest time so far."""
    return f"select {_BY}, max({_TIME}) as _greatest from {rows} where _verdict = 0 group by {_BY}"


def fresh_sql(rows: str) -> str:
    """The same with `_n`, how many rows there are of each."""
    return (
        f"select {_BY}, max({_TIME}) as _greatest, count(*) as _n from {rows} "
        f"where _verdict = 0 group by {_BY}"
    )


def held_sql(fresh: str, memory: str) -> str:
    """The entries of `memory` that `fresh` touches."""
    return f"select {_BY}, _greatest from {memory} semi join {fresh} using ({_BY})"


def duplicates_sql(step: Dedupe, rows: str, fresh: str, held: str) -> str:
    """`_row` and `_pos` of the duplicates; only rows that could be one are put in order."""
    window = (
        f"max({_TIME}) over (partition by {_BY} "
        "order by _offset, _pos rows between unbounded preceding and 1 preceding)"
    )
    earlier = f"greatest(coalesce({window}, {NEVER_US}), coalesce(h._greatest, {NEVER_US}))"
    bound = (
        f"{NEVER_US} + 1"
        if step.within_us is None
        else f"greatest(_seen, {NEVER_US} + {step.within_us} + 1) - {step.within_us}"
    )
    met = f"select {_BY} from {fresh} where _n > 1 union all select {_BY} from {held}"
    candidates = (
        f"select {_BY}, _row, _pos, _offset, _time, _seen from {rows} "
        f"semi join ({met}) using ({_BY}) where _verdict = 0"
    )
    return (
        f"select _row, _pos from ({candidates}) left join {held} h using ({_BY}) "
        f"qualify {earlier} >= {bound}"
    )


def judged_sql(rows: str, duplicates: str) -> str:
    """`rows` with the verdict of duplicates; the key is gone."""
    code = verdicts.code(verdicts.DUPLICATE)
    return (
        f"select r.* exclude ({KEY}) replace "
        f"((case when d._row is not null then {code} else r._verdict end) as _verdict) "
        f"from {rows} r left join {duplicates} d on r._row = d._row and r._pos = d._pos"
    )


def forget_sql(memory: str, held: str) -> str:
    """Takes out of `memory` what `remembered_sql` gives anew."""
    same = f"m._partition = h._partition and m.{KEY} = h.{KEY}"
    return f"delete from {memory} m using {held} h where {same}"


def expired_sql(memory: str, bounds: Mapping[int, int]) -> str:
    """Takes out of `memory` what lies below its partition's bound: it matches nothing any more."""
    rows = ", ".join(f"({partition}, {us})" for partition, us in bounds.items())
    return (
        f"delete from {memory} m using (values {rows}) b(_partition, _us) "
        "where m._partition = b._partition and m._greatest < b._us"
    )


def remembered_sql(fresh: str, held: str) -> str:
    """What is remembered of the keys in `fresh` from now on."""
    return (
        f"select {_BY}, greatest(f._greatest, coalesce(h._greatest, {NEVER_US})) "
        f"from {fresh} f left join {held} h using ({_BY})"
    )


def _written(sql: str, type_: str) -> str:
    """The value in a form whose JSON is its own alone."""
    if type_ in ("DOUBLE", "FLOAT"):
        return f"({sql}) + 0.0"  # -0.0 is equal to 0.0
    if type_ == "TIMESTAMP":
        return f"epoch_us({sql})"  # cheaper to write
    if type_ == "JSON":
        return f"({sql})::varchar"  # compared as it is written
    return f"({sql})"
