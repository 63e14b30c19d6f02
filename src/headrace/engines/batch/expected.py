"""What must be served at a committed epoch: the batch result, as one SELECT."""

from __future__ import annotations

from headrace.engines.batch.placed import placed
from headrace.engines.batch.relations import AsOf, Chain, Relations, timestamp
from headrace.engines.batch.results import add_results
from headrace.engines.batch.sessions import add_sessions, settled
from headrace.engines.batch.steps import Rows, stepped
from headrace.engines.batch.windows import add_totals, add_windows
from headrace.plan.operators import Output, Slide, Source, Stream, Tumble, View
from headrace.values.schema import quote


def expected(view: View, source: Source, as_of: AsOf, relations: Relations | None = None) -> str:
    """SELECT of the rows of `view` as of `as_of`, with exactly the view's columns.

    Needs the settings `error_on_division_by_zero=false` and `ieee_floating_point_ops=false`.
    """
    rows = _aggregated(view, source, as_of, relations or Relations())
    add_results(view, rows.chain)
    return rows.chain.ending(f"select * from {rows.chain.name}")


def expected_final(
    view: View, source: Source, as_of: AsOf, relations: Relations | None = None
) -> str:
    """The same for `emit="final"`: only rows that the watermark has closed.

    Not for running totals, which never close.
    """
    rows = _aggregated(view, source, as_of, relations or Relations())
    windows = isinstance(view.window, Tumble | Slide)
    if not windows:
        closed = settled(as_of.watermark_us)
    elif as_of.watermark_us is None:
        closed = "false"
    else:
        closed = f"_end <= {timestamp(as_of.watermark_us)}"
    rows.chain.add(f"select *, {closed} as _final from {rows.chain.name}")
    add_results(view, rows.chain, ("_final",))
    return rows.chain.ending(f"select * exclude (_final) from {rows.chain.name} where _final")


def kept_by_key(view: View, output: Output, rows: str) -> str:
    """SELECT of what a table with a smaller key than its view's keeps of `rows` (a SELECT).

    The row with the greatest window or session start, ties by the remaining key columns.
    """
    if set(output.key) == {c.name for c in view.columns if c.key}:
        return rows
    keys = ", ".join(quote(k) for k in output.key)
    order = ", ".join(f"{quote(c)} desc nulls last" for c in output.order)
    return (
        f"select * exclude (_nth) from (select *, row_number() over (partition by {keys}"
        f" order by {order}) as _nth from ({rows})) where _nth = 1"
    )


def expected_stream(
    stream: Stream, source: Source, until: int, relations: Relations | None = None
) -> str:
    """SELECT of the rows of a stream up to epoch `until`, for its lake or topic.

    Columns: the record's identity (`_topic_generation`, `_partition`, `_offset`, `_replay`,
    `_epoch`), then the stream's columns; those that change from run to run are null.
    """
    rows = stepped(stream.steps, source, until, relations or Relations(), False)
    return _stream_columns(stream, rows, rows.chain)


def _stream_columns(stream: Stream, rows: Rows, chain: Chain) -> str:
    own = ["_topic_generation", "_partition", "_offset", "_replay", "_epoch", *rows.positions]
    columns = [quote(c.name) for c in stream.columns]
    return chain.ending(f"select {', '.join([*own, *columns])} from {chain.name}")


def _aggregated(view: View, source: Source, as_of: AsOf, relations: Relations) -> Rows:
    rows = placed(view, source, as_of.until, relations)
    match view.window:
        case None:
            add_totals(view, rows)
        case Tumble() | Slide() as window:
            add_windows(view, window, rows, as_of)
        case session:
            add_sessions(view, session, rows, as_of)
    return rows
