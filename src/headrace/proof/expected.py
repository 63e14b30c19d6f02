"""What an output must hold of a view, computed from all events in one go."""

from __future__ import annotations

from dataclasses import replace

from headrace.engines.batch.expected import expected, kept_by_key
from headrace.engines.batch.relations import AsOf, Query, Region
from headrace.engines.batch.tolerance import tolerance
from headrace.plan.operators import TABLE_ROLES, Output, Source, View
from headrace.proof.events import Events
from headrace.proof.fixed import Fixed
from headrace.proof.json_rows import carried


def expected_rows(
    view: View,
    source: Source,
    output: Output,
    as_of: AsOf,
    events: Events,
    *,
    compared: bool = True,
    candidates: bool = False,
) -> Query:
    """What `output` must hold of `view`; `compared` with what comparing takes.

    `candidates`: with the rows that inexact values decide about, marked.
    """
    rows = expected(
        view,
        source,
        as_of,
        events.relations,
        final=output.emit == "final",
        allowances=compared and not tolerance(view).exact,
        candidates=candidates,
    )
    if output.role == "topic":
        types = {c.name: c.type for c in view.columns}
        return replace(rows, select=f"select * {carried(types)} from ({rows.select})")
    return kept_by_key(view, output, rows) if output.role in TABLE_ROLES else rows


def row_key(view: View, output: Output) -> tuple[str, ...]:
    """The columns that identify a row where it is served."""
    return output.key if output.role in TABLE_ROLES else view.key_columns


def latest_region(
    fix: Fixed, source: Source, from_us: int | None = None, to_us: int | None = None
) -> Region | None:
    """A recompute of everything closed at the fixed epoch; None while nothing is closed."""
    watermark = fix.watermarks_us[source.topic]
    if watermark is None:
        return None
    bound = watermark if to_us is None else min(watermark, to_us)
    rows = fix.cursor.execute(
        'select identity, "partition", max(end_offset) from meta.reads where topic = ? '
        "group by 1, 2 order by 1, 2",
        [source.topic],
    ).fetchall()
    return Region(from_us, bound, {(i, p): end for i, p, end in rows}, fix.epoch)
