"""What became of every record and row of a reader up to an epoch (semantics, section 3).

Recomputes change no counter, so they play no part here.
"""

from __future__ import annotations

from headrace.engines.batch.members import add_members
from headrace.engines.batch.placed import placed
from headrace.engines.batch.relations import RECORD, Query, Relations
from headrace.engines.batch.segments import add_segments_on_time
from headrace.engines.batch.steps import Rows, stepped
from headrace.plan.operators import (
    Explode,
    Filter,
    SessionGap,
    SessionMarks,
    Source,
    Stream,
    View,
    has_dedupe,
)
from headrace.values.schema import literal

VERDICTS = ("applied", "late", "failed", "duplicate", "filtered")
"""A record of several rows has the first of these that one of its rows has."""

_VERDICT = "case when _member then 'applied' else 'filtered' end"
_ORPHAN = "_ends and not _member"
_NOBODY = "null, null, null"


def sums(
    reader: View | Stream,
    source: Source,
    until: int,
    relations: Relations | None = None,
    *,
    of_rows: bool = False,
) -> Query:
    """One row with a count by verdict, of records, or of the rows that they become.

    Columns: accepted, applied, late, failed, duplicate, filtered, orphan_ends. A record
    filtered, failed or duplicate before its list is exploded, or with an empty list, is one row.
    """
    judged, rows = _judged(reader, source, until, relations or Relations())
    if _exploded(reader) and not of_rows:
        ranks = ", ".join(f"'{v}'" for v in VERDICTS)
        judged = (
            f"(select [{ranks}][min(list_position([{ranks}], _verdict))] as _verdict,"
            f" bool_or(_orphan) as _orphan, 1 as _n from {judged} group by {RECORD})"
        )
    wanted = [*(f"_verdict = '{v}'" for v in VERDICTS), "_orphan"]
    counts = [f"coalesce(sum(_n) filter (where {w}), 0)::bigint" for w in wanted]
    named = ", ".join(
        f"{sql} as {name}" for sql, name in zip(counts, (*VERDICTS, "orphan_ends"), strict=True)
    )
    return rows.chain.ending(
        f"select coalesce(sum(_n), 0)::bigint as accepted, {named} from {judged}"
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
    ).sql


def _exploded(reader: View | Stream) -> bool:
    return any(isinstance(step, Explode) for step in reader.steps)


def _stepped(reader: View | Stream, source: Source, until: int, relations: Relations) -> Rows:
    if isinstance(reader, View):
        rows = placed(reader, source, until, relations)
    else:
        rows = stepped(reader.steps, source, until, relations, False)
    if not has_dedupe(reader) and not _exploded(reader):
        rows.chain.repeat()
    return rows


def _judged(
    reader: View | Stream, source: Source, until: int, relations: Relations
) -> tuple[str, Rows]:
    """A relation of `_verdict`, `_orphan`, and `_n` rows of which they hold.

    Where a record may become several rows, each stands for itself, with its record.
    """
    rows = _stepped(reader, source, until, relations)
    parts = [
        f"select {RECORD}, _verdict, false as _orphan, 1 as _n from {judged}"
        " where _verdict is not null"
        for judged, _ in rows.dropped
    ]
    end = rows.chain.name
    window = reader.window if isinstance(reader, View) else None
    if isinstance(reader, View) and isinstance(window, SessionGap | SessionMarks):
        parts.append(f"select {RECORD}, 'late', false, 1 from {end} where _late")
        parts += _in_sessions(reader, window, rows, relations.segments.get(reader.name))
    elif isinstance(reader, View):
        verdict = "case when _late then 'late' else 'applied' end"
        parts.append(f"select {RECORD}, {verdict}, false, 1 from {end}")
    else:
        parts.append(f"select {RECORD}, 'applied', false, 1 from {end}")
    united = " union all ".join(parts)
    select = f"select * from ({united}) _j({RECORD}, _verdict, _orphan, _n)"
    return rows.chain.add(select, apart=_exploded(reader)), rows


def _in_sessions(
    view: View, window: SessionGap | SessionMarks, rows: Rows, kept: str | None
) -> list[str]:
    """Parts of `_judged`: what became of the rows on time."""
    if _exploded(view):
        on_time = f"select * from {rows.chain.name} where not _late"
        members = add_members(view, window, rows, on_time)
        judged = f"select {RECORD}, {_VERDICT}, {_ORPHAN}, 1 from {members}"
        return [f"select * from {rows.chain.add(judged, apart=True)}"]
    found = kept or add_segments_on_time(view, window, rows, [])
    counted = (
        ("applied", False, "_members"),
        ("filtered", True, "_orphans"),
        ("filtered", False, "_rows - _members - _orphans"),
    )
    return [
        f"select {_NOBODY}, {literal(verdict)}, {orphan}, sum({count}) from {found}"
        for verdict, orphan, count in counted
    ]
