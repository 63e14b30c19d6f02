"""Streams go by the name of their first output; what is kept of one follows it to another name.

Outputs may be put into another order or taken out: the stream behind them is the same, with all
that its dedupes remember and its sums.
"""

from __future__ import annotations

import duckdb

from headrace.engines.embedded.views.batch import drop_state, rename_state
from headrace.plan.operators import Job
from headrace.storage.state.store import StateStore

_FACT = "stream "
"""What the names of the facts begin with that say which stream goes by a name: its fingerprint."""
_COUNTED = ("view", "view_rows")


def follow_streams(store: StateStore, job: Job, fresh: bool) -> None:
    """Gives each stream of the job what was kept of it under its earlier name.

    Inside a transaction, before anything is made under the new names. Of a `fresh` state, which
    has read nothing, all is made anew.
    """
    known = {name.removeprefix(_FACT): value for name, value in store.facts(_FACT).items()}
    moves = _moves(known, {s.name: s.fingerprint for s in job.streams})
    connection = store.connection
    # Two may have changed names with one another.
    for old in moves:
        _move(store, connection, old, _aside(old))
        store.drop_fact(_FACT + old)
    for old, new in moves.items():
        drop_state(connection, new)
        for kind in _COUNTED:
            store.counters.forget(connection, kind, new)
        _move(store, connection, _aside(old), new)
    for stream in job.streams:
        if fresh:
            drop_state(connection, stream.name)
        if store.fact(_FACT + stream.name) != stream.fingerprint:
            store.set_fact(_FACT + stream.name, stream.fingerprint)


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
    for kind in _COUNTED:
        store.counters.rename(connection, kind, old, new)
    connection.execute("update meta.dead_letters set view = ? where view = ?", [new, old])
