"""Dedupe: a row is a duplicate of an earlier one of its partition with the same values.

Earlier is in the order of the partition; the earlier row's time must lie at or above the
watermark that the later one sees, less `within` (semantics, section 5). So the greatest earlier
time decides, and that is all a memory has to keep.
"""

from __future__ import annotations

from headrace.engines.kernel import verdicts
from headrace.engines.kernel.partial import matches
from headrace.engines.kernel.watermark import NEVER_US
from headrace.plan.operators import Dedupe

_TIME = "coalesce(epoch_us(_time), 0)"


def names(step: Dedupe) -> list[str]:
    """The columns under which `place` leaves the values compared."""
    return [f"_d{i}" for i in range(len(step.by))]


def memory_sql(step: Dedupe, rows: str) -> str:
    """What must be remembered of `rows`: by partition and values, the greatest time so far."""
    by = ", ".join(["_partition", *names(step)])
    return f"select {by}, max({_TIME}) as _greatest from {rows} where _verdict = 0 group by {by}"


def judged_sql(step: Dedupe, rows: str, memory: str) -> str:
    """`rows` with the verdict of duplicates; the columns compared are gone."""
    by = ["_partition", *names(step)]
    window = (
        f"max({_TIME}) over (partition by {', '.join(f'r.{n}' for n in by)} "
        "order by _offset, _pos rows between unbounded preceding and 1 preceding)"
    )
    earlier = f"greatest(coalesce({window}, {NEVER_US}), coalesce(m._greatest, {NEVER_US}))"
    bound = (
        f"{NEVER_US} + 1"
        if step.within_us is None
        else f"greatest(_seen, {NEVER_US} + {step.within_us} + 1) - {step.within_us}"
    )
    code = verdicts.code(verdicts.DUPLICATE)
    left = ", ".join(names(step))
    judged = (
        f"select r.* exclude ({left}) replace "
        f"((case when {earlier} >= {bound} then {code} else 0 end) as _verdict) "
        f"from {rows} r left join {memory} m on {matches('r', 'm', by)} where r._verdict = 0"
    )
    passed = f"select * exclude ({left}) from {rows} where _verdict <> 0"
    return f"{judged} union all {passed}"


def remembered_sql(step: Dedupe, fresh: str, memory: str) -> str:
    """The memory with what is `fresh` added: only entries that `fresh` touches."""
    by = ["_partition", *names(step)]
    columns = ", ".join(by)
    touched = f"exists (select 1 from {fresh} f where {matches('m', 'f', by)})"
    held = f"select {columns}, _greatest from {memory} m where {touched}"
    both = f"(select * from {fresh} union all {held})"
    return f"select {columns}, max(_greatest) as _greatest from {both} group by {columns}"
