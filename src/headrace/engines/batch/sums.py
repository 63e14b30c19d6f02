"""What became of every record and row of a reader up to an epoch (semantics, section 3).

Recomputes change no counter, so they play no part here.
"""

from __future__ import annotations

from headrace.engines.batch.members import (
    add_members,
    add_quick_members,
    keyed,
    keys_where,
)
from headrace.engines.batch.placed import key_names, placed
from headrace.engines.batch.relations import RECORD, Relations
from headrace.engines.batch.steps import Rows, stepped
from headrace.plan.operators import (
    Dedupe,
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
    of_rows = _counts(judged)
    of_records = of_rows
    if _exploded(reader):
        ranks = ", ".join(f"'{v}'" for v in VERDICTS)
        of_records = _counts(
            f"(select [{ranks}][min(list_position([{ranks}], _verdict))] as _verdict,"
            f" bool_or(_orphan) as _orphan, 1 as _n from {judged} group by {RECORD})"
        )
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


def _exploded(reader: View | Stream) -> bool:
    return any(isinstance(step, Explode) for step in reader.steps)


def _counts(judged: str) -> str:
    wanted = [*(f"_verdict = '{v}'" for v in VERDICTS), "_orphan"]
    counts = ", ".join(f"coalesce(sum(_n) filter (where {w}), 0)::bigint" for w in wanted)
    return f"select coalesce(sum(_n), 0)::bigint, {counts} from {judged}"


def _stepped(reader: View | Stream, source: Source, until: int, relations: Relations) -> Rows:
    if isinstance(reader, View):
        rows = placed(reader, source, until, relations)
    else:
        rows = stepped(reader.steps, source, until, relations, False)
    if not any(isinstance(step, Dedupe) for step in reader.steps):
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
        parts += _in_sessions(reader, window, rows)
    elif isinstance(reader, View):
        verdict = "case when _late then 'late' else 'applied' end"
        parts.append(f"select {RECORD}, {verdict}, false, 1 from {end}")
    else:
        parts.append(f"select {RECORD}, 'applied', false, 1 from {end}")
    united = " union all ".join(parts)
    return rows.chain.add(f"select * from ({united}) _j({RECORD}, _verdict, _orphan, _n)"), rows


def _in_sessions(view: View, window: SessionGap | SessionMarks, rows: Rows) -> list[str]:
    """Parts of `_judged`: what became of the rows on time."""
    on_time = f"select * from {rows.chain.name} where not _late"
    verdict = "case when _member then 'applied' else 'filtered' end"
    if _exploded(view) or isinstance(window, SessionGap):
        members = add_members(view, window, rows, on_time)
        return [f"select {RECORD}, {verdict}, _ends and not _member, 1 from {members}"]
    quick = add_quick_members(view, window, rows, on_time)
    by = ", ".join([*key_names(view), "_verdict", "_orphan"])
    counted = rows.chain.add(
        f"select {', '.join([*key_names(view), verdict])} as _verdict,"
        f" _ends and not _member as _orphan, count(*) as _n, bool_or(_unclear) as _unclear"
        f" from {quick} group by {by}"
    )
    unclear = keys_where(view, rows, counted, "_unclear")
    again = f"select * from ({on_time}) _s where {keyed(view, '_s', unclear)}"
    members = add_members(view, window, rows, again)
    nobody = "null, null, null"
    return [
        f"select {nobody}, _verdict, _orphan, _n from {counted}"
        f" where not {keyed(view, counted, unclear)}",
        f"select {nobody}, {verdict}, _ends and not _member, 1 from {members}",
    ]
