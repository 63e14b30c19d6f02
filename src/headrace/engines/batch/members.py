"""Which rows of a key are in which of its sessions.

Where sessions are marked, a segment is what stands from one opening start of a key to the next; its
rows are members until an end or a lapse. Nearly always one sort tells both: `add_quick_members`
says of which rows it does not.
"""

from __future__ import annotations

from headrace.engines.batch.placed import key_names
from headrace.engines.batch.relations import interval
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import SessionGap, SessionMarks, View

MEMBER = "_member"
"""Condition: the row is in the session of its segment."""


def by_key(view: View, *also: str) -> str:
    """The partition of a window function over the rows of one key, and of columns `also`."""
    names = [*key_names(view), *also]
    return f"partition by {', '.join(names)} " if names else ""


def length_us(window: SessionGap | SessionMarks) -> int:
    """So far apart are events that no session holds both without one between them."""
    return window.timeout_us if isinstance(window, SessionMarks) else window.gap_us


def keyed(view: View, relation: str, keys: str, *, also: tuple[str, ...] = ()) -> str:
    """Condition: a row of `relation` has a key, and columns `also`, that are among `keys`."""
    names = [*key_names(view), *also]
    same = " and ".join(f"_u.{n} is not distinct from {relation}.{n}" for n in names) or "true"
    return f"exists (select 1 from {keys} _u where {same})"


def add_members(view: View, window: SessionGap | SessionMarks, rows: Rows, select: str) -> str:
    """Rows of `select` with `_segment`, `_ends` and `_member`: which session, if any."""
    if isinstance(window, SessionGap):
        return _gap_members(view, window, rows, select)
    return _mark_members(view, window, rows, select)


def _gap_members(view: View, window: SessionGap, rows: Rows, select: str) -> str:
    """Every row is in a session; one that stands a gap or more behind the last begins another."""
    over, gap = _over(view, rows), interval(window.gap_us)
    begun = rows.chain.add(
        f"select *, coalesce(_time - lag(_time) {over}) >= {gap}, true) as _opens from ({select})"
    )
    return rows.chain.add(
        f"select *, sum(_opens::int) {over} rows unbounded preceding)"
        f" as _segment, false as _ends, true as _member, false as _lapse from {begun}"
    )


def _mark_members(view: View, window: SessionMarks, rows: Rows, select: str) -> str:
    """A segment is what stands from one opening start to the next; its rows are members until
    an end or a lapse. A start at the instant of an earlier one is an ordinary row of its session.

    So the instant of the last start tells segments of a key apart; null: there was none. All of it
    takes two sorts.
    """
    over = _over(view, rows)
    last_start = f"max(_time) filter (where _starts) {over} rows"
    marked = rows.chain.add(
        f"select *, lag(_time) {over}) as _before,"
        f" {last_start} between unbounded preceding and 1 preceding) as _started,"
        f" {last_start} unbounded preceding) as _segment from ({_with_marks(window, select)})"
    )
    again = "_starts and _started is not distinct from _time"
    cut = rows.chain.add(
        f"select * replace (_ends and not ({again}) as _ends), {again} as _again from {marked}"
    )
    in_segment = f"{_over(view, rows, '_segment')} rows"
    followed = rows.chain.add(
        f"select *, bool_or(not (_starts and not _again)"
        f" and _time - _before >= {interval(window.timeout_us)})"
        f" {in_segment} unbounded preceding) as _lapse,"
        f" coalesce(bool_or(_ends)"
        f" {in_segment} between unbounded preceding and 1 preceding), false) as _done"
        f" from {cut}"
    )
    return rows.chain.add(
        "select *, _segment is not null and not coalesce(_lapse, false) and (not _done or _again)"
        f" as _member from {followed}"
    )


def add_quick_members(view: View, window: SessionMarks, rows: Rows, select: str) -> str:
    """As `add_members` where no row of a key is `_unclear`, by one sort.

    Unclear are starts that may stand at the instant of an earlier one, ends at the instant of a
    start, and lapses.
    """
    over, marks = _over(view, rows), _with_marks(window, select)
    marked = rows.chain.add(
        f"select *, lag(_time) {over}) as _before,"
        f" last_value(case when _starts then _time end ignore nulls) {over}"
        f" rows unbounded preceding) as _segment,"
        f" last_value(case when _ends then _time end ignore nulls) {over}"
        f" rows between unbounded preceding and 1 preceding) as _past from ({marks})"
    )
    judged = rows.chain.add(
        "select * exclude (_past), _past is not distinct from _segment and _past is not null"
        " as _tied, _segment is not null and coalesce(_past < _segment, true) as _member,"
        f" false as _lapse from {marked}"
    )
    return rows.chain.add(
        "select * exclude (_tied, _before), _tied or coalesce(case when _starts"
        f" then _before = _time else _member and _time - _before >= {interval(window.timeout_us)}"
        f" end, false) as _unclear from {judged}"
    )


def _with_marks(window: SessionMarks, select: str) -> str:
    """Rows of `select` with `_starts` and `_ends` that are true or false."""
    starts = "coalesce(_starts, false) as _starts"
    if window.ends is None:
        return f"select * replace ({starts}), false as _ends from ({select})"
    return f"select * replace ({starts}, coalesce(_ends, false) as _ends) from ({select})"


def _over(view: View, rows: Rows, *also: str) -> str:
    """The window of a function over the rows of a key in their order, still open."""
    return f"over ({by_key(view, *also)}order by {', '.join(rows.order)}"


def keys_where(view: View, rows: Rows, relation: str, condition: str) -> str:
    """The keys of the rows of `relation` that `condition` holds of, for `keyed`."""
    keys = ", ".join(["true as _any", *key_names(view)])
    return rows.chain.add(f"select distinct {keys} from {relation} where {condition}")
