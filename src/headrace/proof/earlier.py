"""What an earlier generation of the state left in an output, that this one would not write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from headrace.engines.batch.relations import AsOf
from headrace.engines.embedded.deliveries.coverage import CORRECTED
from headrace.engines.embedded.epochs.places import fill_fact
from headrace.plan.operators import (
    TABLE_ROLES,
    Dedupe,
    Output,
    SessionGap,
    SessionMarks,
    Stream,
    View,
)
from headrace.proof.fixed import Fixed, regions
from headrace.storage.state.store import one_row
from headrace.values.schema import literal, quote

NOTE = (
    "it holds rows of records that an earlier generation of the state read and this one did not, "
    "under the same keys"
)
REFUSED_SINCE = (
    "rows there are of records that an earlier generation of the state accepted and this one has "
    "refused (dead_letters)"
)
AHEAD = (
    "it holds rows that an earlier generation of the state closed and this one has not come by yet"
)
UNTOLD = (
    "it was not told yet what it lacks of its view, or holds by another definition; the next start "
    "of the job tells it"
)
NOT_BEGUN = (
    "it holds what an earlier generation of the state told; that goes with what this one delivers "
    "first"
)
STILL_CORRECTED = (
    "hold what a recompute corrected before the state was reset; the next one brings both "
    "together: headrace recompute APP"
)
BESIDE = "_proof_beside"
UNKNOWN = (
    "its rows may hold what a recompute corrected before the state was reset, by a version that "
    "did not keep which; the next one brings both together: headrace recompute APP"
)


def only_adds(output: Output) -> bool:
    """Whether `output` has final rows, and keeps what earlier generations gave it."""
    return output.role not in TABLE_ROLES and output.emit == "final"


def left_behind(fix: Fixed, output: Output) -> bool:
    """Whether the output was given records by an earlier generation that this one has not read."""
    ends = "least(d.end_offset, r.end_offset)"
    overlap = f"greatest(0, {ends} - greatest(d.start_offset, r.start_offset))"
    row = one_row(
        fix.cursor.execute(
            "select count(*) from meta.delivered d where output = ? "
            f"and end_offset - start_offset > (select coalesce(sum({overlap}), 0) "
            "from meta.reads r where r.topic = d.topic and r.identity = d.identity "
            'and r."partition" = d."partition")',
            [output.name],
        )
    )
    return bool(row and row[0])


def ahead(fix: Fixed, output: Output, topic: str) -> bool:
    """Whether an earlier generation gave an output final rows of what is still open here."""
    now_us = fix.watermarks_us[topic]
    given = f"meta.delivered_closed where output = {literal(output.name)} and topic = "
    beyond = "" if now_us is None else f" and watermark_us > {now_us}"
    return (
        only_adds(output)
        and fix.count(f"{given}{literal(topic)}{beyond}", "count(watermark_us)") > 0
    )


def of_others(fix: Fixed, output: Output, topic: str) -> str | None:
    """Why final rows in `output` need not be this generation's; None where they must be."""
    if not only_adds(output):
        return None
    if left_behind(fix, output):
        return NOTE
    if ahead(fix, output, topic):
        return AHEAD
    untold = fix.count(f"meta.facts where name = {literal(fill_fact(output.name))}")
    return UNTOLD if untold else None


def refused_since(fix: Fixed, output: Output) -> int:
    """Of how many dead letters of this generation an earlier one may have given the output rows."""
    place = (
        "{0}.topic = l.topic and {0}.identity = l.topic_generation "
        'and {0}."partition" = l."partition"'
    )
    return fix.count(
        f"meta.dead_letters l join meta.delivered d on {place.format('d')} "
        'and l."offset" >= d.start_offset and l."offset" < d.end_offset '
        f"anti join meta.earlier_letters m on {place.format('m')} "
        'and m."offset" = l."offset" and m.generation = d.generation '
        f"where l.view is null and l.replayed is null and d.output = {literal(output.name)} "
        f"and d.generation < {fix.generation}",
        'count(distinct (l.topic, l.topic_generation, l."partition", l."offset"))',
    )


def given_before(fix: Fixed, output: Output, stream: Stream) -> str | None:
    """SQL: of which records an earlier generation decided by what this one does not remember.

    A duplicate of a record that this generation has not read is a first one to it; what it was
    given stays as it was. Over `_topic_generation`, `_partition` and `_offset`; None: of none.
    """
    if not any(isinstance(s, Dedupe) for s in stream.steps) or not left_behind(fix, output):
        return None
    return (
        "exists (select 1 from meta.delivered given "
        f"where given.output = {literal(output.name)} and given.generation < {fix.generation} "
        'and given.identity = _topic_generation and given."partition" = _partition '
        "and _offset >= given.start_offset and _offset < given.end_offset)"
    )


def leave_out_corrected(
    fix: Fixed, output: Output, view: View, compare: Callable[[AsOf], None], differences: str
) -> int:
    """Takes rows out of the table `differences` that an earlier generation's recompute made.

    `compare` fills the table BESIDE with what is served and differs from the batch as of the
    recomputes that it is given: what does not differ there is as one of them left it. Returns how
    many rows those are.
    """
    key = [quote(name) for name in view.key_columns]
    same = " and ".join(f"o.{k} is not distinct from d.{k}" for k in key) or "true"
    gone = 0
    for as_of in _left_corrected(fix, output, view):
        if not fix.cursor.execute(f"select 1 from {differences} limit 1").fetchall():
            break
        compare(as_of)
        row = one_row(
            fix.cursor.execute(
                f"delete from {differences} d where not exists (select 1 from {BESIDE} o "
                f"where {same})"
            )
        )
        gone += int(row[0]) if row else 0
    return gone


def _left_corrected(fix: Fixed, output: Output, view: View) -> Iterator[AsOf]:
    """What recomputes may have left behind, the last one first.

    Of windows a recompute writes those that it covers, so that those of all generations add up;
    of sessions it writes whatever differs from what its own generation serves.
    """
    sessions = isinstance(view.window, SessionGap | SessionMarks)
    here = fix.as_of(view.name, view.topic, output=output.name)
    if sessions and here.regions:
        return
    found = _recomputed_in(fix, view)
    for generation in reversed(found):
        kept = [generation] if sessions else [g for g in found if g <= generation]
        before = [region for g in kept for region in regions(fix.cursor, view.name, g)]
        yield AsOf(here.until, here.watermark_us, [*before, *here.regions])


def corrected_unknown(fix: Fixed, view: View) -> bool:
    """Whether an earlier generation recomputed the view, and it was not kept what.

    Then no row can be told from a wrong one: not even which late events it would have to hold.
    """
    row = one_row(fix.cursor.execute("select value from meta.facts where name = ?", [CORRECTED]))
    named = row is not None and view.name in json.loads(row[0])
    return named and not regions(fix.cursor, view.name) and not _recomputed_in(fix, view)


def _recomputed_in(fix: Fixed, view: View) -> list[int]:
    """The earlier generations that recomputed the view."""
    rows = fix.cursor.execute(
        "select distinct generation from meta.earlier_regions where view = ? order by 1",
        [view.name],
    ).fetchall()
    return [generation for (generation,) in rows]
