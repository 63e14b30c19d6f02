"""Where a job's tables stand: in the state itself or elsewhere, as the profile says.

One that moves is given all its rows anew at its new place, and until then counts as standing at the
old one: whoever takes the move back finds there what was left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from headrace.engines.embedded.epochs.ledger import Ledger
from headrace.storage.state.store import StateStore
from headrace.values.schema import quote


def fill_fact(output: str) -> str:
    """The name under which the state keeps why `output` is to be given what it lacks."""
    return f"fill {output}"


def recompute_fact(view: str) -> str:
    """The name under which the state keeps that `view` was built again, and not yet recomputed."""
    return f"recompute {view}"


def arriving(store: StateStore, ledger: Ledger, tables: Iterable[str]) -> frozenset[str]:
    """Those of `tables` that belong into the state and stood elsewhere until now."""
    return frozenset(
        name for name in tables if ledger.delivers(name) or store.fact(fill_fact(name)) is not None
    )


def stands_here(store: StateStore, table: str) -> bool:
    """Whether the state holds the table `table`, be it empty."""
    return table in _standing(store)


def _standing(store: StateStore) -> set[str]:
    sql = (
        "select table_name from information_schema.tables where table_schema = 'main' "
        "and table_type = 'BASE TABLE'"
    )
    return {name for (name,) in store.rows(sql)}


def leave_others(store: StateStore, tables: Collection[str]) -> None:
    """Drops the tables that are none of `tables`; inside a transaction."""
    for name in _standing(store).difference(tables):
        leave(store, name)


def leave(store: StateStore, table: str) -> None:
    """Drops a table that stands elsewhere from now on; inside a transaction."""
    store.connection.execute(f"drop table if exists main.{quote(table)}")
