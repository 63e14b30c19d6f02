"""Topics against the batch: what the job wrote is there once, and what others wrote is told.

Retention and compaction take records from a topic, and several jobs may share one: neither is a
difference, as far as it explains what is found.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.engines.batch.expected import expected_stream
from headrace.engines.batch.watermarks import PARTITION
from headrace.engines.embedded.deliveries.shown import kept as kept_of
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Explode, Output, Stream
from headrace.proof.bags import APART, apart, digest, missing_rows, ours, shown, stable, there
from headrace.proof.earlier import (
    NOTE,
    REFUSED_SINCE,
    given_before,
    left_behind,
    refused_since,
)
from headrace.proof.events import Events
from headrace.proof.fixed import Fixed
from headrace.proof.json_rows import carried
from headrace.proof.report import Checked
from headrace.proof.served import load_topic, topic_pieces
from headrace.values.schema import literal, quote

_HELD, _LOST = "_proof_topic", "_proof_lost"


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
    wanted, types = wanted_rows(runner, fix, events, output, reader)
    columns = [quote(name) for name in types]
    kept = kept_of(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    if not kept.compacts and not kept.others and not any(kept.begins):
        # Then nothing but a fault sets them apart, and all need not be held side by side.
        pieces = topic_pieces(runner, fix, output, types)
        held = digest(fix, (there(f"({piece})", columns) for piece in pieces), columns)
        if held == digest(fix, [ours(wanted, columns)], columns):
            return Checked("topic", output.name, held[0], 0)
    load_topic(runner, fix, output, _HELD, types)
    missing, unexpected = apart(fix, wanted, _HELD, columns)
    outdated = 0
    if missing and kept.compacts:
        outdated = _leave_out_outdated(fix, wanted, output, columns)
    since = _refused_since(fix, output, reader, unexpected)
    found = excused(runner, fix, output, missing, unexpected - since, outdated=outdated)
    if since:
        notes = [found.note, f"{since:,} {REFUSED_SINCE}"]
        found = Excused(found.missing, found.unexpected + since, "; ".join(filter(None, notes)))
    if unexpected > found.unexpected and left_behind(fix, output):
        found = Excused(found.missing, unexpected, NOTE)
    left = missing - found.missing, unexpected - found.unexpected
    kinds = [kind for kind, n in zip(("missing", "unexpected"), left, strict=True) if n]
    rows = fix.count(_HELD)
    return Checked("topic", output.name, rows, sum(left), shown(fix, kinds), note=found.note)


def wanted_rows(
    runner: JobRunner, fix: Fixed, events: Events, output: Output, stream: Stream
) -> tuple[str, dict[str, str]]:
    """SELECT of the rows that the topic of `stream` must hold, and the types of those columns.

    Without what changes from run to run; with `_may_lack`, and where their records stand.
    """
    compared = stable(stream)
    types = {c.name: c.type for c in stream.columns if c.name in compared}
    source = runner.job.source(stream.topic)
    wanted = expected_stream(stream, source, fix.epoch, events.relations)
    may_lack = given_before(fix, output, stream) or "false"
    return f"select * {carried(types)}, {may_lack} as _may_lack from ({wanted})", types


def missing_in(
    runner: JobRunner, fix: Fixed, output: Output, wanted: str, types: dict[str, str]
) -> int:
    """How many rows of `wanted` the topic lacks, which then stand in APART; as `wanted_rows`."""
    columns = [quote(name) for name in types]
    load_topic(runner, fix, output, _HELD, types)
    missing, _ = apart(fix, wanted, _HELD, columns)
    kept = kept_of(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    if missing and kept.compacts:
        missing -= _leave_out_outdated(fix, wanted, output, columns)
    return missing


def _refused_since(fix: Fixed, output: Output, stream: Stream, unexpected: int) -> int:
    """How many unexpected rows may be of records that are dead letters to this generation alone.

    Which ones their events would tell, and nobody knows them any more.
    """
    records = refused_since(fix, output) if unexpected else 0
    several = any(isinstance(step, Explode) for step in stream.steps)
    return unexpected if records and several else min(unexpected, records)


def _leave_out_outdated(fix: Fixed, wanted: str, output: Output, columns: list[str]) -> int:
    """Takes missing rows out of APART that compaction may have taken; how many.

    It never takes the last record of a key. Which of several partitions of the source gave that is
    not known, so that one of their last ones has to be there. A row without key is never taken.
    """
    if not output.key:
        return 0
    before = missing_rows(fix)
    key = ", ".join(quote(name) for name in output.key)
    same = " and ".join(f"a.{c} is not distinct from n.{c}" for c in columns)
    last = (
        f"select *, rank() over (partition by {key} order by _epoch desc) as _from, row_number() "
        f"over (partition by {key}, {PARTITION}, _epoch order by _offset desc) as _nth "
        f"from ({wanted})"
    )
    # Of each key whose last records are all gone one row stays.
    fix.cursor.execute(
        f"create or replace temp table {_LOST} as select {', '.join(columns)} from ("
        f"select n.*, a._n is not null as _gone from ({last}) n left join {APART} a "
        f"on a._n > 0 and a._held = 0 and {same} where n._from = 1 and n._nth = 1) "
        f"qualify bool_and(_gone) over (partition by {key}) "
        f"and row_number() over (partition by {key}) = 1"
    )
    fix.cursor.execute(
        f"delete from {APART} a where _n > 0 and not exists (from {_LOST} n where {same})"
    )
    fix.cursor.execute(f"update {APART} set _n = 1 where _n > 0")
    return before - missing_rows(fix)


def excused(
    runner: JobRunner,
    fix: Fixed,
    output: Output,
    missing: int,
    unexpected: int,
    *,
    outdated: int | None = None,
) -> Excused:
    """What explains that so many rows are missing or unexpected in the topic of `output`.

    Of a stream's topic `outdated` rows have given way to later ones of their keys.
    """
    if not missing and not unexpected:
        return Excused(0, 0, None)
    kept = kept_of(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    notes = []
    gone = others = 0
    if outdated:
        gone = outdated
        notes.append(f"it is compacted: {gone:,} rows have given way to later ones of their keys")
    if missing > gone and any(kept.begins):
        # Offsets without a record count too: it may explain some too many, never too few.
        cut = min(missing - gone, sum(kept.begins))
        gone += cut
        notes.append(
            f"it reaches back to offsets {list(kept.begins)}: {cut:,} rows are no longer there"
        )
    if missing > gone and outdated is not None:
        gone += min(missing - gone, _refused(fix, output))
    if unexpected and kept.others:
        others = unexpected
        notes.append(f"{others:,} records are of others that write to it: {_named(kept.others)}")
    elif unexpected:
        notes.append(f"{unexpected:,} records there are not this job's: somebody else writes to it")
    return Excused(gone, others, "; ".join(notes) or None)


def _refused(fix: Fixed, output: Output) -> int:
    return fix.count(f"meta.refused_rows where destination = {literal(output.name)}")


def _named(others: tuple[str, ...]) -> str:
    return ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
