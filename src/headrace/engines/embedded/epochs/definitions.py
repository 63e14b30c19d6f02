"""What the state was made by, against what the app says now (semantics, section 6).

A view whose fingerprint is the same keeps its state. A new or changed one, or one that feeds a
new or changed table, must be built again from all events. A lake or topic of a stream takes nothing
back, so that the stream must stay as it is; a lake of a whole source may be given columns. One of a
view that is given other rows than before is told what it lacks (proof/telling.py).
"""

from __future__ import annotations

import json
from dataclasses import replace

from headrace.engines.embedded.epochs.places import fill_fact, leave_others
from headrace.plan.fingerprint import delivered_fingerprint
from headrace.plan.operators import TABLE_ROLES, Job, Output, View
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
    """Writes down what every view of the job is; inside a transaction.

    Tables that the job has no more go: nobody would change them, and queries would show them.
    """
    connection = store.connection
    leave_others(store, {output.name for output in job.outputs})
    connection.execute("delete from meta.views")
    for view in job.views:
        connection.execute(
            "insert into meta.views values (?, ?, ?)", [view.name, signature(job, view), epoch]
        )


def noted_views(store: StateStore) -> dict[str, str]:
    """The signatures of the views that the state was made by, by name."""
    return dict(store.rows("select view, fingerprint from meta.views"))


def nothing_read(store: StateStore) -> bool:
    """Whether no epoch has read anything: then whatever the state was made by, it holds nothing."""
    return not store.rows("select 1 from meta.epochs where kind <> 'seek' limit 1")


def changed_views(store: StateStore, job: Job) -> tuple[View, ...]:
    """The views that are new or not what the state was made by."""
    known = noted_views(store)
    return tuple(v for v in job.views if known.get(v.name) != signature(job, v))


def refuse(store: StateStore, job: Job, views: tuple[View, ...]) -> StateRefused:
    """Names what changed and the way on."""
    known = noted_views(store)
    named = ", ".join(f"{v.name} ({'changed' if v.name in known else 'new'})" for v in views)
    return StateRefused(
        f"job {job.id} has state of another definition: {named}",
        remedy="Build these again from all events: headrace run APP --rebuild "
        "(or headrace state rebuild APP). The other views keep their state.",
    )


FEEDS_FACT = "feeds "
"""What the names of the facts begin with that say what feeds a lake or topic; resets leave them.

Of a stream by part of the rows what they depend on, of a view a list: its fingerprint, what it
emits, and the columns of a topic's key.
"""
_ROWS = ""
_ALL = "all"
"""What feeds a lake of a whole source; states of before do not name the topic."""
Feeds = dict[str, str] | list[str]


def refuse_changed_feeds(store: StateStore, job: Job, output: Output) -> None:
    """Raises StateRefused where `output` holds rows that what feeds it now would never replace."""
    fact, now = store.fact(FEEDS_FACT + output.name), _feeds(job, output)
    if fact is None or output.role in TABLE_ROLES:
        return
    what, noted = None, json.loads(fact)
    if isinstance(noted, list) and isinstance(now, list):
        what = _other_key(*(json.loads(feeds[-1]) for feeds in (noted, now)))
    elif isinstance(noted, list) or isinstance(now, list):
        what = "rows of a view" if isinstance(noted, list) else "rows of a stream"
    else:
        changed = [p for p in noted if p in now and noted[p] not in (now[p], _ALL)]
        columns = ", ".join(part for part in changed if part != _ROWS)
        if columns:
            what = f"column {columns} as it was computed before"
        elif changed:
            what = "rows of another stream"
    if what is not None:
        reader = "view" if isinstance(now, list) else "stream"
        raise StateRefused(
            f"{output.role} {output.name} holds {what}, and what it holds cannot be taken back",
            remedy=f"Give the new {reader} a destination of another name, which is then given all "
            f"of its rows, or put the {reader} back as it was.",
        )


def note_feeds(store: StateStore, job: Job) -> None:
    """Writes down what feeds every lake and topic; inside a transaction.

    Where that is another view, or it emits otherwise, what is there is to be brought together.
    """
    for output in job.outputs:
        if output.role in TABLE_ROLES:
            continue
        name, feeds = FEEDS_FACT + output.name, _feeds(job, output)
        noted, now = store.fact(name), json.dumps(feeds)
        if noted == now:
            continue
        store.set_fact(name, now)
        # A state of before this was kept has what the app says now, as far as anyone knows.
        if noted is not None and isinstance(feeds, list):
            store.set_fact(fill_fact(output.name), "untold")


def _feeds(job: Job, output: Output) -> Feeds:
    """What the rows of a lake or topic depend on: as a whole, or a lake's columns each."""
    reader = job.input_of(output)
    if isinstance(reader, View):
        types = {c.name: c.type for c in reader.columns}
        return [reader.fingerprint, output.emit, json.dumps([[k, types[k]] for k in output.key])]
    source = job.source(reader.topic)
    if output.role != "lake" or not reader.whole:
        return {_ROWS: delivered_fingerprint(source, reader)}
    # It may be given further columns: rows that are there have null in them.
    columns = {a.name: replace(reader, added=(a,)) for a in reader.added}
    rows = f"{_ALL} of {reader.topic}"
    return {_ROWS: rows} | {n: delivered_fingerprint(source, s) for n, s in columns.items()}


def _other_key(noted: list[list[str]], now: list[list[str]]) -> str | None:
    """That the rows of a topic stand under another key than they would now; None: the same."""
    if noted == now:
        return None
    before, names = (", ".join(name for name, _ in key) for key in (noted, now))
    apart = "of other types" if before == names else f"not {names or 'without one'}"
    return f"rows under the key {before}, {apart}" if before else "rows without a key"
