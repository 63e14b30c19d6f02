"""Holds what a job serves, and all of its sums, against plain Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from headrace.plan.operators import Job, Output, Stream, View
from headrace.testing import Driver
from headrace.values.clock import instant
from tests import reference
from tests.engines.embedded.playing import Read, Sent, read_of, recomputes_of

MEANING = reference.Expressions()
VERDICTS = ("applied", "late", "failed", "duplicate", "filtered")


def check_all(t: Driver, sent: Sent) -> int:
    """Every output, sum and dead letter of every job; returns how many rows were compared."""
    rows = 0
    for job in t.plan.jobs:
        # Whoever asks reads all that was sent first.
        t.rows(job.outputs[0].name)
        for source in job.sources:
            read = read_of(t, job, source, sent)
            _check_source(t, job, source.topic, read)
            for reader in job.readers_of(source.topic):
                check_counts(t, job, reader, read)
            for output in job.outputs:
                if job.input_of(output).topic == source.topic:
                    rows += check_output(t, job, output, read)
    return rows


def check_output(t: Driver, job: Job, output: Output, read: Read) -> int:
    """The rows of one destination; how many there are."""
    reader, run = job.input_of(output), read.run
    if output.role == "topic":
        return 0
    if isinstance(reader, Stream):
        wanted = reference.stream_rows(reader, run, MEANING)
        names = {c.name for c in reader.columns}
        found = [{k: v for k, v in r.items() if k in names} for r in t.rows(output.name)]
        key: tuple[str, ...] = ()
    else:
        run = replace(run, recomputes=recomputes_of(t, job, reader.name))
        wanted = wanted_rows(reader, output, run)
        found, key = t.rows(output.name), output.key
    reference.same_rows(found, wanted, key, f"{output.role} {output.name}")
    return len(found)


def wanted_rows(view: View, output: Output, run: reference.Run) -> list[dict[str, Any]]:
    """What a destination of a view must hold, a table with a smaller key its latest rows."""
    rows = reference.expected(view, run, MEANING, final=output.emit == "final")
    if set(output.key) == set(view.key_columns):
        return rows
    kept: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[k] for k in output.key)
        if key not in kept or _place(row, output) > _place(kept[key], output):
            kept[key] = row
    return list(kept.values())


def _place(row: dict[str, Any], output: Output) -> list[tuple[bool, Any]]:
    """Where a row stands among those of its smaller key: nulls are least."""
    return [(row[c] is not None, row[c] if row[c] is not None else 0) for c in output.order]


def _check_source(t: Driver, job: Job, topic: str, read: Read) -> None:
    found = _counters(t, job, "source", topic)
    accepted = len(read.run.events)
    wanted = {"read": read.records, "accepted": accepted, "dead_lettered": len(read.refused)}
    assert found == {k: n for k, n in wanted.items() if n}, topic
    letters = {
        (row["partition"], row["offset"]): row["field"]
        for row in t.query("select * from dead_letters where view is null", job=job.id)
        if row["topic"] == topic and row["replayed"] is None
    }
    assert letters == read.refused, topic
    at_us = read.run.watermark_us
    found_us = t.runners[job.id].engine.readers[topic].position.watermark_us
    assert (None if found_us == -(1 << 62) else instant(found_us)) == (
        None if at_us is None else instant(at_us)
    )


def check_counts(t: Driver, job: Job, reader: View | Stream, read: Read) -> None:
    wanted = reference.counts(reader, read.run, MEANING)
    found = _counters(t, job, "view", reader.name)
    assert {k: n for k, n in found.items() if k in VERDICTS} == _some(wanted.records), (
        f"{reader.name}: {found} {wanted.records}"
    )
    assert found.get("accepted", 0) == len(read.run.events)
    assert found.get("orphan_ends", 0) == wanted.orphan_ends, reader.name
    reasons = {k.removeprefix("filtered: "): n for k, n in found.items() if ": " in k}
    assert reasons == wanted.reasons, reader.name
    rows = _counters(t, job, "view_rows", reader.name)
    if rows:
        assert {k: n for k, n in rows.items() if k in VERDICTS} == _some(wanted.rows), reader.name
        assert rows.get("orphan_ends", 0) == wanted.orphan_rows, reader.name
    failures = {
        (row["partition"], row["offset"], row["reason"].removeprefix("the expression fails: "))
        for row in t.query("select * from dead_letters where view is not null", job=job.id)
        if row["view"] == reader.name
    }
    assert failures == wanted.failures, f"{reader.name}: {failures} not {wanted.failures}"


def _counters(t: Driver, job: Job, kind: str, name: str) -> dict[str, int]:
    found = t.runners[job.id].store.rows(
        "select counter, value from meta.counters where kind = ? and name = ?", [kind, name]
    )
    return {counter: value for counter, value in found if value}


def _some(counted: Counter[str]) -> dict[str, int]:
    return {k: n for k, n in counted.items() if n}
