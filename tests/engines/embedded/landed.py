"""Holds lakes and topics, and how much every destination was given, against plain Python."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from headrace.plan.operators import TABLE_ROLES, Column, Job, Output, Project, Stream, View
from headrace.testing import Driver
from tests import reference
from tests.engines.embedded.playing import Read

MEANING = reference.Expressions()
Raw = Callable[[reference.Event], bytes | None]
"""The record that an event was."""

_WITHDRAWN = ("_correction", "_epoch", "_withdrawn")


def check_lake_of_stream(t: Driver, job: Job, output: Output, read: Read) -> int:
    """A lake holds each row of a stream with its record's place, and who left it out as late."""
    stream = job.input_of(output)
    assert isinstance(stream, Stream)
    late = defaultdict(list)
    for view in job.views:
        if view.topic == stream.topic:
            verdicts = reference.record_verdicts(view, read.run, MEANING)
            for record in (r for r, verdict in verdicts.items() if verdict == "late"):
                late[record].append(view.name)
    kept = _stable(stream)
    wanted = [
        {
            **{name: row[name] for name in kept},
            "_topic": stream.topic,
            "_partition": event.partition,
            "_offset": event.offset,
            "_replay": event.replay,
            "_late": late[event.record],
        }
        for event, row in reference.stream_rows(stream, read.run, MEANING)
    ]
    others = ("_topic_generation", "_arrival_time", "_epoch")
    found = [
        {k: v for k, v in row.items() if k not in others and (k in kept or k.startswith("_"))}
        for row in t.rows(output.name)
    ]
    reference.same_rows(found, wanted, (), f"lake {output.name}")
    return len(found)


def check_lake_of_view(t: Driver, output: Output, view: View, wanted: list[dict[str, Any]]) -> None:
    """The last row of each key is what the window or session is; a withdrawn one is none."""
    last = {
        tuple(row[k] for k in view.key_columns): row
        for row in sorted(t.rows(output.name), key=lambda row: row["_epoch"])
    }
    rows = [row for row in last.values() if not row["_withdrawn"]]
    found = [{k: v for k, v in row.items() if k not in _WITHDRAWN} for row in rows]
    reference.same_rows(found, wanted, view.key_columns, f"lake {output.name}")


def check_topic_of_view(
    t: Driver, output: Output, view: View, wanted: list[dict[str, Any]]
) -> None:
    """Compacted, a topic holds the rows of the view by its key."""
    key = [next(c for c in view.columns if c.name == name) for name in output.key]
    found = reference.compacted(_records(t, output, key))
    rows = {reference.row_key(row, key): reference.json_of(row) for row in wanted}
    assert found.keys() == rows.keys(), f"topic {output.name}: {found.keys()} not {rows.keys()}"
    told = [{k: v for k, v in row.items() if k not in _WITHDRAWN} for row in found.values()]
    reference.same_rows(told, list(rows.values()), (), f"topic {output.name}")


def check_topic_of_stream(t: Driver, output: Output, stream: Stream, read: Read, raw: Raw) -> int:
    """A topic holds each row once, and those of a key in the order of its partition."""
    columns = {c.name: c for c in stream.columns}
    key, kept = [columns[name] for name in output.key], _stable(stream)
    wanted: dict[str | None, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for event, row in reference.stream_rows(stream, read.run, MEANING):
        made = {name: reference.json_of(row[name]) for name in kept}
        if stream.whole:
            added = {a.name: made[a.name] for a in stream.added if a.name in kept}
            made = json.loads(raw(event) or b"") | added
        single = None if not key or len(key) == 1 and row[key[0].name] is None else row
        text = None if single is None else reference.row_key(single, key)
        wanted[text][event.partition].append(made)
    found: dict[str | None, list[Any]] = defaultdict(list)
    for text, value in _records(t, output, key):
        run_only = columns.keys() - kept
        found[text].append({k: v for k, v in value.items() if k not in run_only})
    assert found.keys() == wanted.keys(), f"{output.name}: {found.keys()} not {wanted.keys()}"
    for text, values in found.items():
        parts = list(wanted[text].values())
        if text is None:
            # Without a key they go to any partition.
            every = [row for part in parts for row in part]
            reference.same_rows(values, every, (), f"topic {output.name}")
        else:
            assert reference.merged(values, parts), f"{output.name} {text}: {values} not {parts}"
    return sum(map(len, found.values()))


def check_sums(
    t: Driver, job: Job, output: Output, read: Read, wanted: int, corrected: bool
) -> None:
    """What a destination was given, all of which landed; `wanted` rows are to be there."""
    sql = "select counter, value from meta.counters where kind = 'destination' and name = ?"
    counted: dict[str, int] = dict(t.runners[job.id].store.rows(sql, [output.name]))
    sent, landed = counted.get("sent", 0), counted.get("landed", 0)
    what = f"{output.role} {output.name}: {counted}"
    assert sent == landed and not counted.get("refused"), what
    if not begun_once(t, job):
        return
    reader = job.input_of(output)
    if output.role not in TABLE_ROLES:
        assert landed == len(t.rows(output.name)), what
    if corrected:
        return
    if isinstance(reader, Stream) or output.emit == "final":
        assert landed == wanted, f"{what} not {wanted}"
        return
    assert landed >= wanted, f"{what} not {wanted}"
    if unfolded(t, job):
        least, most = reference.written(reader, read.run, MEANING).rows
        # A row that is withdrawn is one more.
        assert least <= landed and (least < most or landed == most), f"{what} not {least}, {most}"


def begun_once(t: Driver, job: Job) -> bool:
    """Whether the state goes back to the beginning: sums begin anew with a generation."""
    return t.runners[job.id].engine.ledger.generation == 1


def unfolded(t: Driver, job: Job) -> bool:
    """Whether every epoch is still there as it was committed."""
    return not t.runners[job.id].store.rows(
        "select epoch from meta.epochs where first_epoch < epoch limit 1"
    )


def _records(t: Driver, output: Output, key: list[Column]) -> list[tuple[Any, Any]]:
    """(key, value) of each record, in order per key."""
    rows = sorted(t.rows(output.name), key=lambda row: (row["partition"], row["offset"]))
    return [(_key_text(row["key"], key), row["value"]) for row in rows]


def _key_text(found: Any, key: list[Column]) -> str | None:
    if found is None:
        return None
    text = found.decode() if isinstance(found, bytes) else str(found)
    return reference.canonical(text)


def _stable(stream: Stream) -> set[str]:
    """The columns that do not tell when the job ran."""
    changing = {
        c.name
        for step in stream.steps
        if isinstance(step, Project)
        for c in step.columns
        if c.expression.changes_with_run
    }
    return {c.name for c in stream.columns} - changing
