"""What must be served at a committed epoch: the batch result, as one SELECT."""

from __future__ import annotations

from dataclasses import replace

from headrace.engines.batch.allowances import add_allowances, scales
from headrace.engines.batch.doubtful import add_decided, add_moved
from headrace.engines.batch.placed import placed
from headrace.engines.batch.relations import AsOf, Query, Relations, timestamp
from headrace.engines.batch.results import add_results
from headrace.engines.batch.segments import further
from headrace.engines.batch.sessions import add_sessions, settled
from headrace.engines.batch.steps import Rows, stepped
from headrace.engines.batch.windows import add_totals, add_windows
from headrace.plan.operators import (
    Output,
    SessionGap,
    SessionMarks,
    Slide,
    Source,
    Stream,
    Tumble,
    View,
)
from headrace.values.schema import quote


def expected(
    view: View,
    source: Source,
    as_of: AsOf,
    relations: Relations | None = None,
    *,
    final: bool = False,
    allowances: bool = False,
    candidates: bool = False,
) -> Query:
    """The rows of `view` that must be served as of `as_of`, with the view's columns.

    `final` (`emit="final"`): only rows that the watermark has closed; not for running totals,
    which never close. `allowances` adds the columns by which `compare` judges inexact results,
    `candidates` with them those rows, marked, that inexact values decide about.
    """
    rows = _aggregated(view, source, as_of, relations or Relations(), allowances)
    kept: tuple[str, ...] = ()
    if final:
        rows.chain.add(f"select *, {_closed(view, as_of)} as _final from {rows.chain.name}")
        kept = ("_final",)
    if allowances:
        kept += add_allowances(view, rows.chain)
        kept += add_decided(view, rows.chain)
    add_results(view, rows.chain, kept, add_moved(view, rows.chain) if candidates else ())
    if final:
        return rows.chain.ending(f"select * exclude (_final) from {rows.chain.name} where _final")
    return rows.chain.ending(f"select * from {rows.chain.name}")


def kept_by_key(view: View, output: Output, rows: Query) -> Query:
    """What a table with a smaller key than its view's keeps of `rows`.

    The row with the greatest window or session start, ties by the remaining key columns.
    """
    if set(output.key) == set(view.key_columns):
        return rows
    keys = ", ".join(quote(k) for k in output.key) or "0"
    order = ", ".join(f"{quote(c)} desc nulls last" for c in output.order)
    last = (
        f"select * exclude (_nth) from (select *, row_number() over (partition by {keys}"
        f" order by {order}) as _nth from ({rows.select})) where _nth = 1"
    )
    return replace(rows, select=last)


def expected_stream(
    stream: Stream, source: Source, until: int, relations: Relations | None = None
) -> str:
    """SELECT of the rows of a stream up to epoch `until`, for its lake or topic.

    Columns: the record's identity (`_topic_generation`, `_partition`, `_offset`, `_replay`,
    `_epoch`), then the stream's columns; those that change from run to run are null.
    """
    rows = stepped(stream.steps, source, until, relations or Relations(), False)
    own = ["_topic_generation", "_partition", "_offset", "_replay", "_epoch", *rows.positions]
    columns = [quote(c.name) for c in stream.columns]
    return rows.chain.ending(f"select {', '.join([*own, *columns])} from {rows.chain.name}").sql


def _aggregated(
    view: View, source: Source, as_of: AsOf, relations: Relations, allowances: bool
) -> Rows:
    rows = placed(view, source, as_of.until, relations)
    more = scales(view) if allowances else []
    match view.window:
        case None:
            add_totals(view, rows, more)
        case Tumble() | Slide() as window:
            add_windows(view, window, rows, as_of, more)
        case marks_or_gap:
            of_members, kept = further(view, allowances), relations.segments.get(view.name)
            add_sessions(view, marks_or_gap, rows, as_of, of_members, kept)
    return rows


def _closed(view: View, as_of: AsOf) -> str:
    """Condition over a row of aggregates: nothing that is on time can change it any more."""
    if isinstance(view.window, SessionGap | SessionMarks):
        return settled(as_of.watermark_us)
    if view.window is None or as_of.watermark_us is None:
        return "false"
    return f"_end <= {timestamp(as_of.watermark_us)}"
