"""`place`: events to the rows of one view, each with its slice of time and a verdict.

The result, as SQL: `_row`, `_pos`, the row's place, `_verdict`, `_slice` (start of its window or
pane in microseconds since 1970), `k0…` (keys), `a0_x0…` (arguments), `a0_f…` (filters), and for
sessions with marks `_start`, `_end`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import gcd
from typing import TypeAlias

from headrace.engines.kernel import verdicts
from headrace.engines.kernel.aggregates import argument, condition
from headrace.engines.kernel.dedupe import KEY, key_sql
from headrace.engines.kernel.steps import Failures, Select, again, apply_step, begin, project
from headrace.plan.operators import (
    Dedupe,
    Explode,
    Named,
    SessionGap,
    SessionMarks,
    Slide,
    Step,
    Stream,
    Tumble,
    View,
    Window,
)


@dataclass(frozen=True)
class Over:
    """SQL over a relation that is only named when it runs: what stands before and behind it."""

    before: str
    behind: str

    def sql(self, relation: str) -> str:
        """The SQL, of `relation`."""
        return f"{self.before}{relation}{self.behind}"


# What a segment is made of: SQL with a mark for the relation, the dedupe, the columns.
_Part: TypeAlias = tuple[str, Dedupe | None, tuple[str, ...]]


@dataclass(frozen=True)
class Segment:
    """Steps between two dedupes as one SELECT over a relation; `dedupe` follows it, if any."""

    over: Over
    dedupe: Dedupe | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placed:
    """The whole placing of a view: segments in order, and the texts of what may fail.

    `kept` is SQL for the rows that are applied where nothing is late, if the only other verdict
    is that of one filter, `left_out`; that gives their number too.
    """

    segments: tuple[Segment, ...]
    failures: tuple[str, ...]
    reasons: dict[int, str] = field(default_factory=dict)
    kept: Over | None = None
    left_out: int = 0

    @property
    def simple(self) -> bool:
        """Whether it is one SELECT, one row per record: cheap to run more than once."""
        return len(self.segments) == 1


def place(reader: View | Stream, columns: Sequence[str]) -> Placed:
    """The SQL that places events with the user columns `columns` for a view or a stream."""
    for number in count():
        # Any text may stand in an expression, this one too: then another stands for the relation.
        made = _place(reader, tuple(columns), f"{{rows {number}}}")
        if made is not None:
            return made
    raise AssertionError("numbers do not end")


def _place(reader: View | Stream, columns: tuple[str, ...], source: str) -> Placed | None:
    """As `place`, with `source` for the relation on the way; None where it stands elsewhere too."""
    failures = Failures()
    chain, rows, reasons = _chain(reader.steps, columns, failures, source)
    if isinstance(reader, View):
        rows = _late(reader.window, project(_needs(reader), rows, failures))
    chain.append((rows.sql(), None, rows.columns))
    one_filter = rows.filters is not None and len(rows.filters) <= 1
    texts = [sql.split(source) for sql, *_ in chain]
    texts += [rows.kept_sql().split(source)] if one_filter else []
    if any(len(text) != 2 for text in texts):
        return None
    overs = [Over(before, behind) for before, behind in texts]
    made = Placed(
        tuple(Segment(over, *part[1:]) for over, part in zip(overs, chain, strict=False)),
        tuple(failures.texts),
        reasons,
    )
    if not one_filter:
        return made
    left_out = [verdicts.code(verdicts.FILTERED, index) for index, _ in rows.filters or ()]
    return replace(made, kept=overs[-1], left_out=left_out[0] if left_out else 0)


def pane_us(window: Tumble | Slide) -> tuple[int, int]:
    """(size, offset) of the slices that rows are counted in: windows, or panes of sliding ones."""
    if isinstance(window, Tumble):
        return window.size_us, window.offset_us
    return gcd(window.size_us, window.every_us), window.offset_us


def _chain(
    steps: Sequence[Step], columns: tuple[str, ...], failures: Failures, source: str
) -> tuple[list[_Part], Select, dict[int, str]]:
    """The segments before each dedupe, the rows behind the last, reasons of filters."""
    segments: list[_Part] = []
    rows = begin(source, columns)
    reasons: dict[int, str] = {}
    for index, step in enumerate(steps):
        if isinstance(step, Dedupe):
            sql = _with_dedupe_key(step, rows.sql(), failures)
            segments.append((sql, step, rows.columns))
            rows = again(f"select * from {source}", rows.columns)
            continue
        exploded = sum(isinstance(s, Explode) for s in steps[:index])
        rows = apply_step(step, index, rows, failures, exploded)
        reason = getattr(step, "reason", None)
        if reason is not None:
            reasons[index] = reason
    return segments, rows, reasons


def _with_dedupe_key(step: Dedupe, rows: str, failures: Failures) -> str:
    """Adds what stands for the values that a dedupe compares; a row that one fails on is failed."""
    risky = [(f"_d{i}", e, failures.add(e)) for i, e in enumerate(step.by) if e.can_fail]
    values = [(f"_d{i}.v" if e.can_fail else e.sql, e.type) for i, e in enumerate(step.by)]
    if risky:
        made = "".join(
            f", case when _verdict = 0 then try(struct_pack(v := ({e.sql}))) end as {name}"
            for name, e, _ in risky
        )
        failed = " ".join(
            f"when {name} is null then {verdicts.code(verdicts.FAILED, failure)}"
            for name, _, failure in risky
        )
        verdict = f"case when _verdict <> 0 then _verdict {failed} else 0 end"
        rows = f"select * replace (({verdict}) as _verdict) from (select *{made} from ({rows}))"
    left = f" exclude ({', '.join(name for name, *_ in risky)})" if risky else ""
    key = f"case when _verdict = 0 then {key_sql(values)} end as {KEY}"
    return f"select *{left}, {key} from ({rows})"


def _needs(view: View) -> list[Named]:
    """Everything that the view's state is made from, as columns with short names."""
    named = [Named(f"k{i}", k.expression) for i, k in enumerate(view.keys)]
    for call in view.aggregates:
        named += [Named(argument(call, i), e) for i, e in enumerate(call.arguments)]
        if call.filter is not None:
            named.append(Named(condition(call), call.filter))
    if isinstance(view.window, SessionMarks):
        named.append(Named("_start", view.window.starts))
        if view.window.ends is not None:
            named.append(Named("_end", view.window.ends))
    return named


def _late(window: Window | None, rows: Select) -> Select:
    """Adds `_slice`, and the last verdict: whether the slice was closed when the record came."""
    if window is None:
        return replace(rows, more=", null::bigint as _slice")
    time = "epoch_us(_time)"
    if isinstance(window, SessionGap | SessionMarks):
        start = "null::bigint"
        late = f"{time} < _closed"
    else:
        size, offset = pane_us(window)
        start = slice_sql(time, size, offset)
        late = f"{start} + {size} <= _closed"
    when = f"when {late} or _replay is not null then {verdicts.code(verdicts.LATE)}"
    return rows.with_verdict(when, f", {start} as _slice")


def slice_sql(time: str, size_us: int, offset_us: int) -> str:
    """Start of the slice that holds `time` (both in microseconds), also before 1970."""
    if offset_us % size_us == 0:
        return f"({time} - (({time} % {size_us}) + {size_us}) % {size_us})"
    moved = f"({time} - {offset_us % size_us})"
    return f"({time} - (({moved} % {size_us}) + {size_us}) % {size_us})"
