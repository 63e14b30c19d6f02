"""Holds what a job serves, and all of its sums, against plain Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

from headrace.plan.operators import Job, Output, Stream, View
from headrace.testing import Driver
from headrace.values.clock import instant
from tests import reference
from tests.engines.embedded.landed import (
    Raw,
    begun_once,
    check_lake_of_stream,
    check_lake_of_view,
    check_sums,
    check_topic_of_stream,
    check_topic_of_view,
    unfolded,
)
from tests.engines.embedded.playing import Read, Sent, read_of, recomputes_of

MEANING = reference.Expressions()
VERDICTS = ("applied", "late", "failed", "duplicate", "filtered")


def check_all(t: Driver, sent: Sent, rebuilt: bool = False) -> int:
    """Every output, sum and dead letter of every job; returns how many rows were compared.

    What was written on the way counts nothing that was `rebuilt`.
    """
    rows = 0
    for job in t.plan.jobs:
        # Whoever asks reads all that was sent first.
        t.rows(job.outputs[0].name)
        for source in job.sources:
            read = read_of(t, job, source, sent)
            _check_source(t, job, source.topic, read)
            for reader in job.readers_of(source.topic):
                check_counts(t, job, reader, read, rebuilt)
            raw = partial(_raw, sent, source.topic)
            for output in job.outputs:
                if job.input_of(output).topic == source.topic:
                    rows += check_output(t, job, output, read, raw, rebuilt)
    return rows


def _raw(sent: Sent, topic: str, event: reference.Event) -> bytes | None:
    return sent.records[topic][event.partition, event.offset][0]


def check_output(
    t: Driver, job: Job, output: Output, read: Read, raw: Raw, rebuilt: bool = False
) -> int:
    """The rows of one destination, and how many it was given; how many there are."""
    reader, corrected = job.input_of(output), False
    if isinstance(reader, Stream):
        if output.role == "topic":
            rows = check_topic_of_stream(t, output, reader, read, raw)
        else:
            rows = check_lake_of_stream(t, job, output, read)
    else:
        recomputes = recomputes_of(t, job, reader.name)
        run, corrected = replace(read.run, recomputes=recomputes), bool(recomputes)
        wanted = reference.expected(reader, run, MEANING, final=output.emit == "final")
        if output.role == "topic":
            check_topic_of_view(t, output, reader, wanted)
        elif output.role == "lake":
            check_lake_of_view(t, output, reader, wanted)
        else:
            kept = kept_rows(reader, output, wanted)
            what = f"{output.role} {output.name}"
            reference.same_rows(t.rows(output.name), kept, output.key, what)
        rows = len(wanted)
    check_sums(t, job, output, read, rows, corrected or rebuilt)
    return rows


def kept_rows(view: View, output: Output, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a table keeps of the rows of its view: with a smaller key the latest ones."""
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


def check_counts(
    t: Driver, job: Job, reader: View | Stream, read: Read, rebuilt: bool = False
) -> None:
    wanted = reference.counts(reader, read.run, MEANING)
    found = _counters(t, job, "view", reader.name)
    assert {k: n for k, n in found.items() if k in VERDICTS} == _some(wanted.records), (
        f"{reader.name}: {found} {wanted.records}"
    )
    assert found.get("accepted", 0) == len(read.run.events)
    assert found.get("orphan_ends", 0) == wanted.orphan_ends, reader.name
    reasons = {k.removeprefix("filtered: "): n for k, n in found.items() if ": " in k}
    assert reasons == wanted.reasons, reader.name
    if isinstance(reader, View) and not rebuilt and begun_once(t, job) and unfolded(t, job):
        least, most = reference.written(reader, read.run, MEANING).failed
        counted = found.get("failed_results", 0)
        assert least <= counted <= most, f"{reader.name}: {counted} failed, not {least} to {most}"
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
