"""What became of every record and row of a reader up to an epoch (semantics, section 3).

Recomputes change no counter, so they play no part here.
"""

from __future__ import annotations

from headrace.engines.batch.members import add_members
from headrace.engines.batch.placed import placed
from headrace.engines.batch.relations import RECORD, Relations
from headrace.engines.batch.steps import Rows, stepped
from headrace.plan.operators import (
    Explode,
    Filter,
    SessionGap,
    SessionMarks,
    Source,
    Stream,
    View,
)
from headrace.values.schema import literal

VERDICTS = ("applied", "late", "failed", "duplicate", "filtered")
"""A record of several rows has the first of these that one of its rows has."""


def sums(
    reader: View | Stream, source: Source, until: int, relations: Relations | None = None
) -> str:
    """SELECT of two rows, for `unit` 'record' and 'row', with a count by verdict.

    Columns: unit, accepted, applied, late, failed, duplicate, filtered, orphan_ends. A record
    filtered, failed or duplicate before its list is exploded, or with an empty list, is one row.
    """
    judged, rows = _judged(reader, source, until, relations or Relations())
    exploded = any(isinstance(step, Explode) for step in reader.steps)
    counts = ", ".join(f"count(*) filter (where _verdict = '{v}') as {v}" for v in VERDICTS)
    of_rows = (
        f"select count(*) as accepted, {counts}, count(*) filter (where _orphan) from {judged}"
    )
    records = judged
    if exploded:
        ranks = ", ".join(f"'{v}'" for v in VERDICTS)
        records = (
            f"(select [{ranks}][min(list_position([{ranks}], _verdict))] as _verdict,"
            f" bool_or(_orphan) as _orphan from {judged} group by {RECORD})"
        )
    of_records = of_rows.replace(f"from {judged}", f"from {records}")
    return rows.chain.ending(
        "select * from (select 'record' as unit, * from"
        f" ({of_records}) _c(accepted, {', '.join(VERDICTS)}, orphan_ends)"
        " union all select 'row', * from"
        f" ({of_rows}) _c(accepted, {', '.join(VERDICTS)}, orphan_ends)) order by unit"
    )


def reasons(
    reader: View | Stream, source: Source, until: int, relations: Relations | None = None
) -> str:
    """SELECT of (reason, rows): how many rows each `where(…, reason=…)` filtered."""
    rows = _stepped(reader, source, until, relations or Relations())
    parts = [
        f"select {literal(step.reason)} as reason, count(*) as rows from {judged}"
        " where _verdict = 'filtered'"
        for judged, step in rows.dropped
        if isinstance(step, Filter) and step.reason is not None
    ]
    empty = "select null::varchar as reason, 0::bigint as rows where false"
    united = " union all ".join(parts) or empty
    return rows.chain.ending(
        f"select reason, sum(rows)::bigint as rows from ({united}) group by all"
    )


def _stepped(reader: View | Stream, source: Source, until: int, relations: Relations) -> Rows:
    if isinstance(reader, View):
        return placed(reader, source, until, relations)
    return stepped(reader.steps, source, until, relations, False)


def _judged(
    reader: View | Stream, source: Source, until: int, relations: Relations
) -> tuple[str, Rows]:
    """A relation with one row per row, its record, `_verdict` and `_orphan`."""
    rows = _stepped(reader, source, until, relations)
    parts = [
        f"select {RECORD}, _verdict, false as _orphan from {judged} where _verdict is not null"
        for judged, _ in rows.dropped
    ]
    end = rows.chain.name
    window = reader.window if isinstance(reader, View) else None
    if isinstance(reader, View) and isinstance(window, SessionGap | SessionMarks):
        on_time = f"select * from {end} where not _late"
        members = add_members(reader, window, rows, on_time)
        verdict = "case when _member then 'applied' else 'filtered' end"
        parts.append(f"select {RECORD}, 'late', false from {end} where _late")
        parts.append(f"select {RECORD}, {verdict}, _ends and not _member from {members}")
    elif isinstance(reader, View):
        verdict = "case when _late then 'late' else 'applied' end"
        parts.append(f"select {RECORD}, {verdict}, false from {end}")
    else:
        parts.append(f"select {RECORD}, 'applied', false from {end}")
    united = " union all ".join(parts)
    named = f"select * from ({united}) _j({RECORD}, _verdict, _orphan)"
    return rows.chain.add(named), rows
