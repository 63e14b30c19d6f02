"""What a run leaves behind that must not hang on how it ran."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from headrace import App
from headrace.ops.jobs.opened import opened
from headrace.ops.owner import Handler
from headrace.plan.operators import Job, Output, SessionGap, SessionMarks, Stream, View
from headrace.proof.report import verification_from
from headrace.values.schema import quote
from headrace.values.settings import load_settings

Left = Mapping[str, Any]
_OF_THE_LOG = ("_topic_generation", "_offset", "_arrival_time")
_OF_CORRECTIONS = ("_correction", "_epoch")
_SUMS = "select * from conservation where kind <> 'destination'"


def left(
    app: App,
    data: Path,
    *,
    recomputed: bool = False,
    other_log: bool = False,
    without: Collection[str] = (),
    put_back: bool = False,
    **settings: object,
) -> Left:
    """By name: rows of tables and lakes, records of topics, dead letters, sums; proves them first.

    Unless something was `put_back` or begun anew, lakes and topics must have what was counted, each
    row once.

    Left out is what tells of the cut into epochs. What was recomputed has corrections behind final
    rows, as many as there were recomputes: of those the last of each key. With `other_log` left out
    is also what the same records have in another log: where they stand there, and since when; and
    the outputs in `without`.
    """
    [job] = app.plan.jobs
    # Opened once: each request of its own would open all outputs of the job anew.
    with opened(job, load_settings(overrides={"data": data, **settings})) as answers:
        _prove(answers)
        if not put_back:
            _check_once(job, answers["query"])
        found = _left(job, answers["query"], recomputed, other_log)
    return {name: rows for name, rows in found.items() if name not in without}


def sessions(app: App) -> frozenset[str]:
    """The names, as in `left`, of what shows sessions."""
    [job] = app.plan.jobs
    views = {v.name for v in job.views if isinstance(v.window, SessionGap | SessionMarks)}
    return frozenset(_name(output) for output in job.outputs if output.input in views)


def _name(output: Output) -> str:
    return f"{output.role} {output.name}"


def _prove(answers: Mapping[str, Handler]) -> None:
    proof = verification_from(answers["verify"]({}, lambda content: None).header)
    wrong = [one for one in (*proof.checked, *proof.sums) if not one.holds]
    assert proof.holds, (wrong, proof.undelivered, proof.refused_rows)


def _check_once(job: Job, query: Handler) -> None:
    """Lakes and topics have what landed, and of a key no final row twice by the same epoch."""
    sums = "select name, landed from conservation where kind = 'destination'"
    landed = dict(_rows(query, sums))
    for output in (output for output in job.outputs if output.role in ("lake", "topic")):
        there, source = f"{output.role}.{output.name}", job.input_of(output)
        [(count,)] = _rows(query, f"select count(*) from {there}")
        assert count == landed.get(output.name, 0), f"{there}: {count} rows, {landed} landed"
        if output.emit == "final" and isinstance(source, View):
            which, stands = "key, value->>'$._epoch', value->>'$._correction'", "value is not null"
            if output.role == "lake":
                names = (*source.key_columns, "_epoch", "_correction")
                which, stands = ", ".join(map(quote, names)), "not _withdrawn"
            given = Counter(_rows(query, f"select {which} from {there} where {stands}"))
            twice = [row for row, times in given.items() if times > 1]
            assert not twice, f"{there} has the same row twice: {twice[:5]}"


def _left(job: Job, query: Handler, recomputed: bool, other_log: bool) -> Left:
    found: dict[str, Any] = {}
    for output in job.outputs:
        source, name = job.input_of(output), _name(output)
        if recomputed and output.emit == "final" and isinstance(source, View):
            found[name] = _last(query, output, source)
        else:
            found[name] = _held(query, output, source, other_log)
    letters = 'topic, "partition", view, field, reason, value'
    if not other_log:
        letters += ', topic_generation, "offset", arrival_time'
    found["dead letters"] = _sorted(_rows(query, f"select {letters} from dead_letters"))
    found["sums"] = _sorted(_rows(query, _SUMS))
    unbalanced = _rows(query, "select * from conservation where not balanced")
    assert not unbalanced, unbalanced
    return found


def check_same(found: Left, wanted: Left) -> None:
    """Compares name by name, and shows what is only on one side."""
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        if found[name] == rows:
            continue
        here, there = map(repr, _listed(found[name])), list(map(repr, _listed(rows)))
        here_too = list(here)
        more = [row for row in here_too if row not in there][:5]
        less = [row for row in there if row not in here_too][:5]
        lengths = len(here_too), len(there)
        raise AssertionError(f"{name}: {lengths} rows\nonly found: {more}\nonly wanted: {less}")


def _listed(rows: Any) -> Iterable[Any]:
    return rows.items() if isinstance(rows, dict) else rows


def _held(query: Handler, output: Output, source: View | Stream, other_log: bool) -> Any:
    if output.role == "topic":
        sql = f'select key, value from topic.{output.name} order by "partition", "offset"'
        records = _rows(query, sql)
        if output.emit == "final" or isinstance(source, Stream):
            return _by_key(records)
        return _compacted(records)
    if output.role == "lake":
        own = ["_epoch", *(_OF_THE_LOG if other_log else ())]
        columns = f"columns(lambda c: not list_contains({own}, c))"
        sql = f"select {columns} from lake.{output.name}"
        return _sorted(_rows(query, sql, any_order=True))
    return _sorted(_rows(query, f"from {output.name}"))


def _last(query: Handler, output: Output, view: View) -> Any:
    """What final rows say in the end: the last of each key, unless it was withdrawn."""
    if output.role == "topic":
        sql = f'select key, value from topic.{output.name} order by "partition", "offset"'
        return {
            key: {name: value for name, value in row.items() if name not in _OF_CORRECTIONS}
            for key, row in _compacted(_rows(query, sql)).items()
        }
    if output.role != "lake":
        return _sorted(_rows(query, f"from {output.name}"))
    columns = ", ".join(quote(c.name) for c in view.columns)
    sql = f"select _withdrawn, {columns} from lake.{output.name} order by _epoch"
    names = [c.name for c in view.columns]
    last = {}
    for withdrawn, *row in _rows(query, sql):
        key = tuple(row[names.index(name)] for name in view.key_columns)
        last[key] = None if withdrawn else tuple(row)
    return _sorted([row for row in last.values() if row is not None])


def _by_key(records: list[tuple[Any, ...]]) -> dict[Any, list[Any]]:
    """Every record, in order per key."""
    found = defaultdict(list)
    for key, value in records:
        event = json.loads(value)
        event.pop("processing_time", None)
        # No record has one: it is told of since the field is there.
        assert event.pop("note", None) is None
        found[key].append(event)
    # Those without a key go to any partition, so they have no order.
    return {key: events if key else sorted(events, key=repr) for key, events in found.items()}


def _compacted(records: list[tuple[Any, ...]]) -> dict[Any, Any]:
    """The last record of each key; none of one that was deleted."""
    last = dict(records)
    return {key: json.loads(value) for key, value in last.items() if value is not None}


def _rows(query: Handler, sql: str, *, any_order: bool = False) -> list[tuple[Any, ...]]:
    """`any_order`: columns that came later stand behind the others, and may not where none did."""
    rows = query({"sql": sql}, lambda content: None).table
    assert rows is not None
    if any_order:
        rows = rows.select(sorted(rows.column_names))
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)
