"""Sessions by a gap: events of a key closer than the gap are one session.

A state is an interval with aggregate states. Those of an epoch and those held are intervals
alike; whatever lies closer than the gap becomes one, also when a late-comer joins two.
"""

from __future__ import annotations

from headrace.engines.kernel.partial import key_names, state_columns
from headrace.engines.kernel.rows import CLOSES
from headrace.plan.operators import SessionGap, View


def _gap(view: View) -> int:
    assert isinstance(view.window, SessionGap)
    return view.window.gap_us


def intervals_sql(view: View, rows: str) -> str:
    """Intervals of an epoch's applied rows: keys, `_first`, `_last` (microseconds), states."""
    keys = key_names(view)
    part = f"partition by {', '.join(keys)} " if keys else ""
    # By range: of several at one instant, all stand behind the opening that one of them carries.
    window = f"over ({part}order by _us range between unbounded preceding and current row)"
    timed = f"select *, epoch_us(_time) as _us from {rows} where _verdict = 0"
    cut = f"select *, lag(_us) over ({part}order by _us) as _before from ({timed})"
    numbered = (
        f"select *, sum(case when _us - _before < {_gap(view)} then 0 else 1 end) {window} "
        f"as _part "
        f"from ({cut})"
    )
    states = "".join(f", {c.partial} as {c.name}" for c in state_columns(view))
    groups = ", ".join([*keys, "_part"])
    named = "".join(f"{k}, " for k in keys)
    return (
        f"select {named}min(_us) as _first, max(_us) as _last{states} "
        f"from ({numbered}) group by {groups}"
    )


def joined_sql(view: View, intervals: str) -> str:
    """`intervals` with those closer than the gap made one."""
    keys = key_names(view)
    part = f"partition by {', '.join(keys)} " if keys else ""
    before = "order by _first, _last rows between unbounded preceding and 1 preceding"
    reach = f"max(_last) over ({part}{before})"
    cut = f"select *, {reach} as _reach from {intervals}"
    apart = f"case when _first - _reach < {_gap(view)} then 0 else 1 end"
    running = (
        f"over ({part}order by _first, _last range between unbounded preceding and current row)"
    )
    numbered = f"select *, sum({apart}) {running} as _part from ({cut})"
    states = "".join(f", {c.merge} as {c.name}" for c in state_columns(view))
    named = "".join(f"{k}, " for k in keys)
    groups = ", ".join([*keys, "_part"])
    return (
        f"select {named}min(_first) as _first, max(_last) as _last{states} "
        f"from ({numbered}) group by {groups}"
    )


def ended_sql(view: View, intervals: str, watermark_us: int) -> str:
    """`intervals` as session states: with the end, where the watermark has passed the gap."""
    closed = f"_last + {_gap(view)} <= {watermark_us}"
    return (
        f"select *, make_timestamp(_first) as _started, "
        f"case when {closed} then make_timestamp(_last) end as _ended, "
        f"case when {closed} then 'gap' end as _why, "
        f"_last + {_gap(view)} as {CLOSES} from {intervals}"
    )
