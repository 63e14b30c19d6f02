"""Topics against the batch: what the job wrote is there once, and what others wrote is told.

Retention and compaction take records from a topic, and several jobs may share one: neither is a
difference, as far as it explains what is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headrace.engines.batch.expected import expected_stream
from headrace.engines.embedded.runner import JobRunner
from headrace.engines.embedded.shown import kept as kept_of
from headrace.plan.operators import Named, Output, Project, Stream
from headrace.proof.earlier import NOTE, given_before, left_behind
from headrace.proof.events import Events
from headrace.proof.fixed import Fixed
from headrace.proof.report import SHOWN, Checked
from headrace.proof.served import load_topic, topic_pieces
from headrace.storage.state.store import one_row
from headrace.values.schema import literal, quote

_HELD, _APART = "_proof_topic", "_proof_apart"
# What no stream writes, each by itself: a tombstone, or what is no JSON.
_OTHER = "case when _foreign or _deleted then [_partition, _offset] end"


@dataclass(frozen=True)
class Excused:
    """How many missing and unexpected records have a reason that is no fault, and the reasons."""

    missing: int
    unexpected: int
    note: str | None


def check_topic(runner: JobRunner, fix: Fixed, events: Events, output: Output) -> Checked:
    """A topic of a stream holds each row exactly once."""
    reader = runner.job.input_of(output)
    assert isinstance(reader, Stream)
    types = {c.name: c.type for c in reader.columns if c.name in stable(reader)}
    source = runner.job.source(reader.topic)
    wanted = expected_stream(reader, source, fix.epoch, events.relations)
    may_lack = given_before(fix, output, reader) or "false"
    wanted = f"select *, {may_lack} as _may_lack from ({wanted})"
    columns = [quote(name) for name in types]
    kept = kept_of(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    if not kept.compacts and not kept.others and not any(kept.begins):
        # Then nothing but a fault sets them apart, and all need not be held side by side.
        there = _digests(fix, topic_pieces(runner, fix, output, types), columns)
        if there == _digest(fix, _ours(wanted, columns), columns):
            return Checked("topic", output.name, there[0], 0)
    load_topic(runner, fix, output, _HELD, types)
    missing, unexpected = _apart(fix, wanted, columns)
    found = excused(runner, fix, output, missing, unexpected, compaction=True)
    if unexpected > found.unexpected and left_behind(fix, output):
        found = Excused(found.missing, unexpected, NOTE)
    left = missing - found.missing, unexpected - found.unexpected
    kinds = [kind for kind, n in zip(("missing", "unexpected"), left, strict=True) if n]
    rows = _count(fix, f"select count(*) from {_HELD}")
    shown = _shown(fix, kinds) if kinds else ()
    return Checked("topic", output.name, rows, sum(left), shown, note=found.note)


def excused(
    runner: JobRunner,
    fix: Fixed,
    output: Output,
    missing: int,
    unexpected: int,
    *,
    compaction: bool,
) -> Excused:
    """What explains that so many rows are missing or unexpected in the topic of `output`.

    `compaction` says that it may take rows; it never takes the last one of a key.
    """
    if not missing and not unexpected:
        return Excused(0, 0, None)
    kept = kept_of(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    notes = []
    gone = others = 0
    if missing and compaction and kept.compacts:
        gone = missing
        notes.append(f"it is compacted: {gone:,} rows have given way to later ones of their keys")
    elif missing and any(kept.begins):
        # Offsets without a record count too: it may explain some too many, never too few.
        gone = min(missing, sum(kept.begins))
        notes.append(
            f"it reaches back to offsets {list(kept.begins)}: {gone:,} rows are no longer there"
        )
    if missing > gone and compaction:
        gone += min(missing - gone, _refused(fix, output))
    if unexpected and kept.others:
        others = unexpected
        notes.append(f"{others:,} records are of others that write to it: {_named(kept.others)}")
    elif unexpected:
        notes.append(f"{unexpected:,} records there are not this job's: somebody else writes to it")
    return Excused(gone, others, "; ".join(notes) or None)


def stable(reader: Stream) -> list[str]:
    """The stream's columns that do not change from run to run."""
    named: list[Named] = list(reader.added)
    for step in reader.steps:
        if isinstance(step, Project):
            named += step.columns
    changing = {n.name for n in named if n.expression.changes_with_run}
    return [c.name for c in reader.columns if c.name not in changing]


def _ours(wanted: str, columns: list[str]) -> str:
    """Rows as they should be, in one form with `_there`."""
    listed = "".join(f"{c}, " for c in columns)
    return (
        f"select {listed}null::bigint[] as _o, 1 as _w, 0 as _h, _may_lack::integer as _l, "
        f"_partition as _p, _offset as _at from ({wanted})"
    )


def _there(held: str, columns: list[str]) -> str:
    """Rows of the topic."""
    listed = "".join(f"{c}, " for c in columns)
    return (
        f"select {listed}{_OTHER} as _o, 0 as _w, 1 as _h, 0 as _l, "
        f"_partition as _p, _offset as _at from {held}"
    )


def _digest(fix: Fixed, rows: str, columns: list[str]) -> tuple[int, int]:
    """(number, sum of hashes) of rows, which says quickly whether two bags of them are equal."""
    listed = "".join(f"{c}, " for c in columns)
    sql = f"select count(*), coalesce(sum(hash({listed}_o)::hugeint), 0) from ({rows})"
    row = one_row(fix.cursor.execute(sql))
    assert row is not None
    return int(row[0]), int(row[1])


def _digests(fix: Fixed, pieces: Iterable[str], columns: list[str]) -> tuple[int, int]:
    """The digest of all rows of a topic's pieces."""
    found = [_digest(fix, _there(f"({piece})", columns), columns) for piece in pieces]
    return sum(number for number, _ in found), sum(digest for _, digest in found)


def _apart(fix: Fixed, wanted: str, columns: list[str]) -> tuple[int, int]:
    """How many rows are (missing, unexpected), as bags.

    Those that are apart stand in a temporary table. Of those that `_may_lack` none is missing.
    """
    ours, there = _ours(wanted, columns), _there(_HELD, columns)
    if _digest(fix, ours, columns) == _digest(fix, there, columns):
        return 0, 0
    listed = "".join(f"{c}, " for c in columns)
    fix.cursor.execute(
        f"create or replace temp table {_APART} as select {listed}"
        "sum(_w) - sum(_h) - greatest(0, least(sum(_l), sum(_w) - sum(_h))) as _n, "
        "max((_p, _at)) filter (where _h = 1) as _place, "
        "max((_p, _at)) filter (where _w = 1) as _record, _o "
        f"from ({ours} union all {there}) group by {listed}_o having _n <> 0"
    )
    missing = _count(fix, f"select coalesce(sum(_n), 0) from {_APART} where _n > 0")
    return missing, _count(fix, f"select coalesce(-sum(_n), 0) from {_APART} where _n < 0")


def _shown(fix: Fixed, kinds: list[str]) -> tuple[dict[str, Any], ...]:
    """The first rows apart: a missing one with its source's record, another with its own place."""
    signs = [{"missing": 1, "unexpected": -1}[kind] for kind in kinds]
    rows = fix.cursor.sql(
        f"select * from {_APART} where sign(_n) in ({', '.join(map(str, signs))}) "
        f"order by _n, _place limit {SHOWN}"
    ).to_arrow_table()
    shown = []
    for row in rows.to_pylist():
        number, other = row.pop("_n"), row.pop("_o")
        # DuckDB names the fields of a plain pair in its own way.
        place, record = row.pop("_place"), row.pop("_record")
        if number > 0:
            kind, names, at = "missing", ("source_partition", "source_offset"), record
        else:
            kind, names, at = "unexpected", ("partition", "offset"), place
        where = dict(zip(names, at.values(), strict=True))
        shown.append({"_kind": kind, **where, **({} if other else row)})
    return tuple(shown)


def _refused(fix: Fixed, output: Output) -> int:
    sql = f"select count(*) from meta.refused_rows where destination = {literal(output.name)}"
    return _count(fix, sql)


def _count(fix: Fixed, sql: str) -> int:
    row = one_row(fix.cursor.execute(sql))
    assert row is not None
    return int(row[0])


def _named(others: tuple[str, ...]) -> str:
    return ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
