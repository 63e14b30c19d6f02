"""Whole views by plain loops: the rows that must be served, and the counts."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

from headrace.plan.operators import (
    Expression,
    SessionGap,
    SessionMarks,
    Slide,
    Stream,
    Top,
    Tumble,
    View,
)
from tests.reference.aggregates import aggregate, in_parts, wide
from tests.reference.events import Event, Functions, Run, Values, moment
from tests.reference.sessions import Session, replaced, sessions_of
from tests.reference.steps import Row, failed, value, walk

FAILED = "\0failed"
"""Beside the columns of a row: how many of its results could not be computed."""

RANKS = ("applied", "late", "failed", "duplicate", "filtered")


@dataclass
class Counts:
    """How many records and rows got each verdict.

    `orphan_ends` are records with a row that is an end in no session, `orphan_rows` such rows;
    `reasons` rows by the reason of the filter that dropped them; `failures` (partition, offset,
    text of the expression) of what failed.
    """

    records: Counter[str]
    rows: Counter[str]
    orphan_ends: int
    orphan_rows: int
    reasons: Counter[str]
    failures: set[tuple[int, int, str]]


def expected(view: View, run: Run, functions: Functions, final: bool = False) -> list[Values]:
    """Rows as dicts by column name; `final` keeps only what the watermark has closed."""
    names = [c.name for c in view.columns]
    made = shown_of(view, run, functions)
    return [{n: r[n] for n in names} for r, closed in made if closed or not final]


def stream_rows(stream: Stream, run: Run, functions: Functions) -> list[tuple[Event, Values]]:
    """The rows of a stream as dicts by column name, each with its event, in order of reading."""
    rows = [r for r in walk(stream.steps, run, functions) if r.verdict is None]
    return [(r.event, {c.name: r.values[c.name] for c in stream.columns}) for r in rows]


def counts(reader: View | Stream, run: Run, functions: Functions) -> Counts:
    """What became of every record and row (recomputes count nothing)."""
    rows, orphans = _judged(reader, run, functions)
    records = Counter(_of_records(rows).values())
    reasons = Counter(r.reason for r in rows if r.verdict == "filtered" and r.reason is not None)
    return Counts(
        records,
        Counter(r.verdict or "applied" for r in rows),
        len({r.event.record for r in orphans}),
        len(orphans),
        reasons,
        {
            (r.event.partition, r.event.offset, r.reason or "")
            for r in rows
            if r.verdict == "failed"
        },
    )


def record_verdicts(
    reader: View | Stream, run: Run, functions: Functions
) -> dict[tuple[str, int, int], str]:
    """What became of each record, by (generation, partition, offset)."""
    return _of_records(_judged(reader, run, functions)[0])


def _of_records(rows: list[Row]) -> dict[tuple[str, int, int], str]:
    verdicts = defaultdict(set)
    for row in rows:
        verdicts[row.event.record].add(row.verdict or "applied")
    return {record: min(v, key=RANKS.index) for record, v in verdicts.items()}


def _judged(reader: View | Stream, run: Run, functions: Functions) -> tuple[list[Row], list[Row]]:
    """(all rows with their verdicts, ends in no session)."""
    if isinstance(reader, Stream):
        return walk(reader.steps, run, functions), []
    dropped, alive = survivors(reader, run, functions)
    inside, outside, orphans = _in_sessions(reader, alive, functions)
    return dropped + inside + [replace(r, verdict="filtered") for r in outside], orphans


def slice_us(time_us: int, size_us: int, offset_us: int) -> int:
    """The start of the aligned slice that holds a time."""
    return (time_us - offset_us) // size_us * size_us + offset_us


def survivors(view: View, run: Run, functions: Functions) -> tuple[list[Row], list[Row]]:
    """(rows dropped, rows that reached the window, late ones marked so)."""
    dropped, alive = [], []
    for row in walk(view.steps, run, functions):
        if row.verdict is not None:
            dropped.append(row)
        elif (failing := _failing(view, row, functions)) is not None:
            dropped.append(failed(row, failing))
        else:
            alive.append(replace(row, verdict="late") if _late(view, row) else row)
    return dropped, alive


def _in_sessions(
    view: View, alive: list[Row], functions: Functions
) -> tuple[list[Row], list[Row], list[Row]]:
    """(rows that are late or in a session, rows in none, ends in none), for any kind of view."""
    if not isinstance(view.window, SessionMarks):
        return alive, [], []
    inside = [r for r in alive if r.verdict == "late"]
    outside: list[Row] = []
    orphans: list[Row] = []
    on_time = [r for r in alive if r.verdict is None]
    for key, group in _by_key(view, on_time, functions).items():
        sessions, none, ends = sessions_of(view.window, key, group, functions)
        inside += [row for session in sessions for row in session.rows]
        outside += none
        orphans += ends
    return inside, outside, orphans


def _failing(view: View, row: Row, functions: Functions) -> Expression | None:
    """The first of keys, arguments, filters and marks that cannot be computed."""
    needed = [k.expression for k in view.keys]
    for call in view.aggregates:
        # Taking a value apart cannot fail: what was written can.
        written = [replace(a, sql=a.text) if in_parts(call) else a for a in call.arguments]
        needed += [*written, *([call.filter] if call.filter else [])]
    if isinstance(view.window, SessionMarks):
        needed += [view.window.starts, *([view.window.ends] if view.window.ends else [])]
    return next((e for e in needed if not value(functions, e.sql, row.values)[0]), None)


def _late(view: View, row: Row) -> bool:
    if view.window is None:
        return False
    if row.event.replay is not None:
        return True
    if row.closed_us is None:
        return False
    assert row.event.time_us is not None
    match view.window:
        case Tumble(size, offset):
            return slice_us(row.event.time_us, size, offset) + size <= row.closed_us
        case Slide(size, every, offset):
            pane = gcd(size, every)
            return slice_us(row.event.time_us, pane, offset) + pane <= row.closed_us
    return row.event.time_us < row.closed_us


def _by_key(view: View, rows: list[Row], functions: Functions) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(functions[k.expression.sql](row.values) for k in view.keys)].append(row)
    return groups


def shown_of(view: View, run: Run, functions: Functions) -> list[tuple[Values, bool]]:
    """(row, whether the watermark has closed it), as conditions and rankings let it through."""
    _, rows = survivors(view, run, functions)
    made = [(row, closed) for row, closed, _ in made_of(view, run, rows, functions)]
    if view.having is not None:
        having = view.having
        made = [(r, closed) for r, closed in made if value(functions, having.sql, r)[1]]
    return made if view.top is None else _ranked(view, view.top, made)


def made_of(
    view: View, run: Run, rows: list[Row], functions: Functions
) -> list[tuple[Values, bool, list[Row]]]:
    """(row, whether the watermark has closed it, its members) before conditions and rankings."""
    result = []
    for key, group in _by_key(view, rows, functions).items():
        named = dict(zip([k.name for k in view.keys], key, strict=True))
        for columns, members, closed in _slices(view, run, key, group, functions):
            row = {**columns, **named}
            found = _results(view, members, functions)
            row |= {r.name: v for r, (_, v) in zip(view.results, found, strict=True)}
            row[FAILED] = sum(not worked for worked, _ in found)
            result.append((row, closed, members))
    return result


def _results(view: View, rows: list[Row], functions: Functions) -> list[tuple[bool, Any]]:
    """(whether it could be computed, its value) of each result."""
    parts = {c.id for c in view.aggregates if in_parts(c)}
    whole = [c for c in view.aggregates if c.id not in parts]
    states = {c.id: aggregate(c, rows, functions) for c in whole}
    return [
        wide(r.expression.text, r.expression.type, rows, functions)
        if parts.intersection(r.expression.columns)
        else value(functions, r.expression.sql, states)
        for r in view.results
    ]


def _slices(
    view: View, run: Run, key: tuple[Any, ...], group: list[Row], functions: Functions
) -> list[tuple[Values, list[Row], bool]]:
    """(window or session columns, its rows, whether closed) of one key."""
    match view.window:
        case None:
            return [({}, group, False)]
        case Tumble() | Slide() as window:
            return _window_slices(window, run, group)
        case window:
            return _session_slices(window, run, key, group, functions)


def _window_slices(
    window: Tumble | Slide, run: Run, group: list[Row]
) -> list[tuple[Values, list[Row], bool]]:
    every = window.size_us if isinstance(window, Tumble) else window.every_us
    windows: dict[int, list[Row]] = defaultdict(list)
    for row in group:
        assert row.event.time_us is not None
        start = slice_us(row.event.time_us, every, window.offset_us)
        while start + window.size_us > row.event.time_us:
            end = start + window.size_us
            takes = row.verdict != "late"
            for recompute in run.recomputes:
                if recompute.covers(end):
                    takes = recompute.read(row.event)
            if takes:
                windows[start].append(row)
            start -= every
    result = []
    for start, rows in windows.items():
        end = start + window.size_us
        columns = {"window_start": moment(start), "window_end": moment(end)}
        closed = run.watermark_us is not None and end <= run.watermark_us
        result.append((columns, rows, closed))
    return result


def _session_slices(
    window: SessionGap | SessionMarks,
    run: Run,
    key: tuple[Any, ...],
    group: list[Row],
    functions: Functions,
) -> list[tuple[Values, list[Row], bool]]:
    on_time = [r for r in group if r.verdict != "late"]
    served, _, _ = sessions_of(window, key, on_time, functions)
    for recompute in run.recomputes:
        read = [r for r in group if recompute.read(r.event)]
        again, _, _ = sessions_of(window, key, read, functions)
        served = replaced(served, again, recompute)
    return [(_session_columns(window, run, s), s.rows, s.settled(run.watermark_us)) for s in served]


def _session_columns(window: SessionGap | SessionMarks, run: Run, session: Session) -> Values:
    why = session.ended_by(window, run.watermark_us)
    length = (session.last_us - session.start_us) / 1e6
    return {
        "session_start_time": moment(session.start_us),
        "session_end_time": moment(session.last_us) if why else None,
        "session_duration_seconds": length if why else None,
        "ended_by": why,
    }


def _ranked(view: View, top: Top, made: list[tuple[Values, bool]]) -> list[tuple[Values, bool]]:
    """The first rows of each window and group, descending, nulls last, ties by the row's key."""
    keys = [c.name for c in view.columns if c.key]
    groups: dict[Any, list[tuple[Values, bool]]] = defaultdict(list)
    for row, closed in made:
        group = (row.get("window_start"), *(row[name] for name in top.per))
        groups[group].append((row, closed))
    result = []
    for group_rows in groups.values():
        group_rows.sort(key=functools.cmp_to_key(_comparison(top.by, keys)))
        for rank, (row, closed) in enumerate(group_rows[: top.count], 1):
            result.append(({**row, "rank": rank}, closed))
    return result


def _comparison(by: str, keys: list[str]) -> Callable[[Any, Any], int]:
    def compare(a: tuple[Values, bool], b: tuple[Values, bool]) -> int:
        for name, sign in [(by, -1), *((key, 1) for key in keys)]:
            x, y = a[0][name], b[0][name]
            if x == y:
                continue
            if x is None or y is None:
                return 1 if x is None else -1
            return sign if x > y else -sign
        return 0

    return compare
