"""Streams go by the name of their first output; what is kept of one follows it to another name.

Outputs may be put into another order or taken out: the stream behind them is the same, with all
that its dedupes remember and its sums. Once the last one is taken out, its sums stand aside, with
the epoch up to which they count, until one is put back: the log may not tell them any more.
"""

from __future__ import annotations

import duckdb

from headrace.engines.embedded.views.batch import drop_state, rename_state
from headrace.plan.operators import Job
from headrace.storage.state.store import StateStore

_FACT = "stream "
"""What the names of the facts begin with that say which stream goes by a name: its fingerprint."""
_COUNTED = ("view", "view_rows")
_ASIDE = {kind: f"left {kind}" for kind in _COUNTED}
"""The kinds of counters that hold the sums of streams which the job does not have at present."""
_LEFT = "left"
"""The kind of the counters that say up to which epoch those count."""


def follow_streams(store: StateStore, job: Job, fresh: bool) -> None:
    """Gives each stream of the job what was kept of it under its earlier name.

    Inside a transaction, before anything is made under the new names. Of a `fresh` state, which
    has read nothing, all is made anew.
    """
    viewed = {view for (view,) in store.rows("select view from meta.views")}
    for view in viewed:
        # Earlier versions left it behind: what goes by this name has been the view's since.
        store.drop_fact(_FACT + view)
    known = known_streams(store)
    moves = _moves(known, {s.name: s.fingerprint for s in job.streams})
    connection = store.connection
    # Two may have changed names with one another.
    for old in moves:
        _move(store, connection, old, _aside(old))
        store.drop_fact(_FACT + old)
    for old, new in moves.items():
        drop_state(connection, new)
        _move(store, connection, _aside(old), new)
    moved = set(moves.values())
    for stream in job.streams:
        left_by_view = stream.name in viewed and stream.name not in moved
        if fresh or left_by_view:
            drop_state(connection, stream.name)
        if left_by_view:
            for kind in _COUNTED:
                store.counters.forget(connection, kind, stream.name)
        if store.fact(_FACT + stream.name) != stream.fingerprint:
            store.set_fact(_FACT + stream.name, stream.fingerprint)
            if stream.name not in moved:
                _forget_left(store, stream.name)
    for view in job.views:
        if view.name in known:
            # What stood aside was of a stream of that name.
            store.drop_fact(_FACT + view.name)
            _forget_left(store, view.name)


def known_streams(store: StateStore) -> dict[str, str]:
    """The fingerprints of the streams of which something is kept, by name."""
    return {name.removeprefix(_FACT): value for name, value in store.facts(_FACT).items()}


def left_readers(store: StateStore, job: Job) -> set[str]:
    """The views and streams that the state counts for and the job no longer has."""
    counted = store.rows("select name from meta.counters where kind in ('view', 'view_rows')")
    names = {name for (name,) in counted}
    return names - {v.name for v in job.views} - {s.name for s in job.streams}


def leave_readers(store: StateStore, job: Job, epoch: int) -> None:
    """Sets the sums of streams that the job no longer has aside, as those up to `epoch`.

    Forgets those of views. Inside a transaction.
    """
    connection, counters = store.connection, store.counters
    for name in left_readers(store, job):
        known = store.fact(_FACT + name) is not None
        for kind in _COUNTED:
            if known:
                counters.move(connection, (kind, name), (_ASIDE[kind], name))
            else:
                counters.forget(connection, kind, name)
        if known:
            counters.set((_LEFT, name, "epoch"), epoch)


def come_back(store: StateStore, stream: str) -> int | None:
    """Gives a stream its sums back; the epoch up to which they count, None where there are none.

    Inside a transaction.
    """
    upto = left_at(store, stream)
    if upto is not None:
        for kind in _COUNTED:
            store.counters.move(store.connection, (_ASIDE[kind], stream), (kind, stream))
        store.counters.forget(store.connection, _LEFT, stream)
    return upto


def left_at(store: StateStore, stream: str) -> int | None:
    """The epoch up to which the sums of a stream count that stand aside; None where none do."""
    return store.counters.value((_LEFT, stream, "epoch"))


def _forget_left(store: StateStore, name: str) -> None:
    for kind in (*_ASIDE.values(), _LEFT):
        store.counters.forget(store.connection, kind, name)


def _aside(name: str) -> str:
    return f"{name} renamed"  # No name of an output has a blank.


def _moves(known: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """The earlier names of the streams that are called otherwise now, with the new ones."""
    free = {name: of for name, of in known.items() if now.get(name) != of}
    found: dict[str, str] = {}
    for name, of in now.items():
        earlier = [n for n, fingerprint in free.items() if fingerprint == of]
        if known.get(name) != of and earlier:
            found[earlier[0]] = name
            del free[earlier[0]]
    return found


def _move(store: StateStore, connection: duckdb.DuckDBPyConnection, old: str, new: str) -> None:
    rename_state(connection, old, new)
    for kind in (*_COUNTED, *_ASIDE.values(), _LEFT):
        store.counters.move(connection, (kind, old), (kind, new))
    connection.execute("update meta.dead_letters set view = ? where view = ?", [new, old])
