"""`verify`: what is served, row by row, against one batch over the events that were on time."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.doubtful import holds
from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import AsOf
from headrace.engines.batch.tolerance import tolerance
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, Source, View
from headrace.proof.earlier import (
    BESIDE,
    NOT_BEGUN,
    STILL_CORRECTED,
    UNKNOWN,
    corrected_unknown,
    leave_out_corrected,
    of_others,
    only_adds,
)
from headrace.proof.events import Events, events_of, with_segments
from headrace.proof.expected import expected_rows, latest_region, row_key
from headrace.proof.fixed import Fixed, fixed
from headrace.proof.lakes import check_lake
from headrace.proof.refusals import leave_out
from headrace.proof.report import SHOWN, Checked, Verification
from headrace.proof.served import served
from headrace.proof.topics import check_topic, excused
from headrace.proof.totals import check_sums
from headrace.values.schema import literal

_DECIDED = "rows decided by floating or approximate values may differ within their tolerance"
_REFUSED = "are not as they should be, since it refused them (refused_rows)"
_GONE = (
    "the log no longer reaches back to what was read first, and no lake of the whole source holds "
    "it: nothing is there to compute these rows from"
)
_WAITS = (
    "the log no longer reaches back to what was read first, and lake {}, which holds it, has not "
    "taken the epoch: nothing is there to compute these rows from"
)
Progress = Callable[[str, int, int], None]


def verify(runner: JobRunner, progress: Progress | None = None) -> Verification:
    """Proves a job at its newest committed epoch; the job goes on meanwhile."""
    tell = progress or (lambda what, done, of: None)
    begun = time.monotonic()
    with fixed(runner) as fix:
        with fix.spent("find the events"):
            events = {s.topic: _events(runner, fix, s) for s in runner.job.sources}
        checked: list[Checked] = []
        outputs = runner.job.outputs
        for done, output in enumerate(outputs):
            tell(output.name, done, len(outputs))
            if output.name not in fix.undelivered:
                with fix.spent(f"{output.name}: compare"):
                    checked.append(_check(runner, fix, events, output))
        tell("sums", len(outputs), len(outputs))
        with fix.spent("sums"):
            sums = check_sums(runner, fix, events)
            # Not those of outputs that the state still has and the app no longer.
            named = ", ".join(literal(output.name) for output in runner.job.outputs)
            refused = fix.count(f"meta.refused_rows where destination in ({named})")
    return Verification(
        runner.job.id,
        fix.generation,
        fix.epoch,
        sum(e.count for e in events.values()),
        tuple(checked),
        tuple(sums),
        fix.undelivered,
        refused,
        tuple(e.origin for e in events.values()),
        time.monotonic() - begun,
        tuple(fix.stages.times()),
    )


def _events(runner: JobRunner, fix: Fixed, source: Source) -> Events:
    views = [v for v in runner.job.views if v.topic == source.topic]
    return with_segments(fix, source, views, events_of(runner, fix, source))


def _check(runner: JobRunner, fix: Fixed, events: dict[str, Events], output: Output) -> Checked:
    reader = runner.job.input_of(output)
    source = runner.job.source(reader.topic)
    if not events[source.topic].whole:
        waits = events[source.topic].waits
        gone = _GONE if waits is None else _WAITS.format(waits)
        return Checked(output.role, output.name, 0, 0, note=gone, compared=False)
    if isinstance(reader, View):
        note = of_others(fix, output, source.topic)
        if any(d.not_begun for d in runner.deliveries if d.name == output.name):
            note = NOT_BEGUN
        if note is not None:
            return Checked(output.role, output.name, 0, 0, note=note, compared=False)
        return _check_view(runner, fix, events[source.topic], output, reader)
    if output.role == "lake":
        return check_lake(runner, fix, events[source.topic], output)
    return check_topic(runner, fix, events[source.topic], output)


def _check_view(
    runner: JobRunner, fix: Fixed, events: Events, output: Output, view: View
) -> Checked:
    held, wanted, apart = served(runner, fix, output, view), "_proof_expected", "_proof_apart"
    source, tolerated = runner.job.source(view.topic), tolerance(view)

    def compare(as_of: AsOf, there: str, wanted: str, apart: str, *, doubtful: bool) -> None:
        """Makes the temporary tables `wanted`, and `apart` of what differs `there`.

        `doubtful`: what inexact values decide is excused.
        """
        with fix.spent(f"{output.name}: compute"):
            rows = expected_rows(view, source, output, as_of, events, candidates=doubtful)
            keep(fix.cursor, wanted, rows)
        columns, key = [c.name for c in view.columns], row_key(view, output)
        taken = holds(view.having) if doubtful else None
        sql = compare_sql(
            columns, tolerated, wanted, there, key, allowances=not tolerated.exact, holds=taken
        )
        fix.cursor.execute(f"create or replace temp table {apart} as {sql}")

    present = fix.as_of(view.name, source.topic, output=output.name)
    compare(present, held, wanted, apart, doubtful=tolerated.rows)
    refused = corrected = 0
    if output.role != "lake" and output.name not in runner.engine.inside:
        refused = leave_out(runner, fix, output, view, apart)
    if only_adds(output):
        corrected = leave_out_corrected(
            fix,
            output,
            view,
            lambda as_of: compare(as_of, held, "_proof_other", BESIDE, doubtful=tolerated.rows),
            apart,
        )
    different, told = _different(runner, fix, output)
    if different and only_adds(output) and corrected_unknown(fix, view):
        return Checked(output.role, output.name, 0, 0, note=UNKNOWN, compared=False)
    first = fix.cursor.sql(f"select * from {apart} limit {SHOWN}").to_arrow_table()
    changed, own = None, f"(from {wanted} where _own)" if tolerated.rows else wanted
    late = latest_region(fix, source)
    if view.window is not None and late is not None and _has_late(fix, view):
        again = fix.as_of(view.name, source.topic, late)
        compare(again, own, "_proof_late", "_proof_changed", doubtful=False)
        changed = fix.count("_proof_changed")
    notes = [
        f"{corrected:,} rows {STILL_CORRECTED}" if corrected else None,
        f"{refused} rows {_REFUSED}" if refused else None,
        told,
        _DECIDED if tolerated.rows else None,
    ]
    return Checked(
        output.role,
        output.name,
        fix.count(own),
        different,
        tuple(first.to_pylist()),
        changed,
        "; ".join(note for note in notes if note) or None,
    )


def _different(runner: JobRunner, fix: Fixed, output: Output) -> tuple[int, str | None]:
    """How many rows are apart without a good reason, and what is to be said of it."""
    counts = dict(
        fix.cursor.execute("select _kind, count(*) from _proof_apart group by 1").fetchall()
    )
    if output.role != "topic":
        return sum(counts.values()), None
    apart = [counts.get(kind, 0) for kind in ("missing", "unexpected")]
    found = excused(runner, fix, output, *apart)
    return sum(counts.values()) - found.missing - found.unexpected, found.note


def _has_late(fix: Fixed, view: View) -> bool:
    late = f"meta.counters where kind = 'view' and name = {literal(view.name)} and counter = 'late'"
    return fix.count(late, "coalesce(sum(value), 0)") > 0
