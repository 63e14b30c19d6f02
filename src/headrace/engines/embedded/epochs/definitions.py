"""What the state was made by, against what the app says now (semantics, section 6).

A view whose fingerprint is the same keeps its state. A new or changed one, or one that feeds a
new or changed table, must be built again from all events. A lake or topic takes nothing back, so
that a stream which feeds one must stay as it is; a lake of a whole source may be given columns.
"""

from __future__ import annotations

import json
from dataclasses import replace

from headrace.plan.fingerprint import delivered_fingerprint
from headrace.plan.operators import TABLE_ROLES, Job, Output, Stream, View
from headrace.storage.state.store import StateStore
from headrace.values.errors import StateRefused


def signature(job: Job, view: View) -> str:
    """A view's fingerprint with what its tables look like."""
    tables = sorted(
        (o.name, o.key, o.order, o.emit)
        for o in job.outputs
        if o.input == view.name and o.role in TABLE_ROLES
    )
    return json.dumps([view.fingerprint, tables])


def note_views(store: StateStore, job: Job, epoch: int) -> None:
    """Writes down what every view of the job is; inside a transaction."""
    connection = store.connection
    connection.execute("delete from meta.views")
    for view in job.views:
        connection.execute(
            "insert into meta.views values (?, ?, ?)", [view.name, signature(job, view), epoch]
        )


def nothing_read(store: StateStore) -> bool:
    """Whether no epoch has read anything: then whatever the state was made by, it holds nothing."""
    return not store.rows("select 1 from meta.epochs where kind <> 'seek' limit 1")


def changed_views(store: StateStore, job: Job) -> tuple[View, ...]:
    """The views that are new or not what the state was made by."""
    known = dict(store.rows("select view, fingerprint from meta.views"))
    return tuple(v for v in job.views if known.get(v.name) != signature(job, v))


def refuse(store: StateStore, job: Job, views: tuple[View, ...]) -> StateRefused:
    """Names what changed and the way on."""
    known = {row[0] for row in store.rows("select view from meta.views")}
    named = ", ".join(f"{v.name} ({'changed' if v.name in known else 'new'})" for v in views)
    return StateRefused(
        f"job {job.id} has state of another definition: {named}",
        remedy="Build these again from all events: headrace run APP --rebuild "
        "(or headrace state rebuild APP). The other views keep their state.",
    )


STREAM_FACT = "feeds "
"""What the names of the facts begin with that say what feeds a lake or topic; resets leave them."""
_ROWS = ""


def refuse_changed_stream(store: StateStore, job: Job, output: Output) -> None:
    """Raises StateRefused where `output` holds rows of a stream that was another one."""
    noted = json.loads(store.fact(STREAM_FACT + output.name) or "{}")
    now = _feeds(job, output)
    changed = [part for part in noted if part in now and noted[part] != now[part]]
    if changed:
        columns = ", ".join(part for part in changed if part != _ROWS)
        what = (
            f"column {columns} as it was computed before" if columns else "rows of another stream"
        )
        raise StateRefused(
            f"{output.role} {output.name} holds {what}, and what it holds cannot be taken back",
            remedy="Give the new stream a destination of another name, which is then given all of "
            "its rows, or put the stream back as it was.",
        )


def note_streams(store: StateStore, job: Job) -> None:
    """Writes down what feeds every lake and topic of a stream; inside a transaction."""
    for output in job.outputs:
        feeds = json.dumps(_feeds(job, output))
        if feeds != "{}" and store.fact(STREAM_FACT + output.name) != feeds:
            store.set_fact(STREAM_FACT + output.name, feeds)


def _feeds(job: Job, output: Output) -> dict[str, str]:
    """What the rows of a lake or topic depend on: as a whole, or a lake's columns each."""
    stream = job.input_of(output)
    if not isinstance(stream, Stream):
        return {}
    source = job.source(stream.topic)
    if output.role != "lake" or not stream.whole:
        return {_ROWS: delivered_fingerprint(source, stream)}
    # It may be given further columns: rows that are there have null in them.
    columns = {a.name: replace(stream, added=(a,)) for a in stream.added}
    return {_ROWS: "all"} | {n: delivered_fingerprint(source, s) for n, s in columns.items()}
