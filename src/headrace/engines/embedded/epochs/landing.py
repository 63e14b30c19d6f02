"""A view's part of an epoch: applied to its state, put into tables, and counted.

Live epochs and views that are built again go through the same functions.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from headrace.engines.embedded.epochs.tables import EmbeddedTable
from headrace.engines.embedded.views.batch import Batch, Outcome, failed_results
from headrace.engines.embedded.views.make import ViewState
from headrace.plan.operators import Explode, Output, Stream, View

Count = tuple[str, str, str, int]
"""(kind, name, counter, by how much)."""


def apply(
    connection: duckdb.DuckDBPyConnection,
    state: ViewState,
    outputs: Iterable[Output],
    batch: Batch,
) -> Outcome:
    """Applies a batch to a view's state; `outputs` are all of the view."""
    outcome = state.apply(connection, batch)
    emits = {o.emit for o in outputs}
    outcome.failed_results = failed_results(connection, state.view, outcome, emits)
    return outcome


def land(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[EmbeddedTable], outcome: Outcome
) -> list[Count]:
    """Puts a view's changes into its `tables` here; returns what that counts."""
    counts: list[Count] = []
    for table in tables:
        changes = _changes(table.output, outcome)
        if changes is None:
            continue
        upserts = outcome.upserts if table.output.emit == "changes" else None
        landed = table.apply(connection, changes, upserts)
        counts += [
            ("destination", table.output.name, counter, landed) for counter in ("sent", "landed")
        ]
    return counts


def told(
    connection: duckdb.DuckDBPyConnection, outputs: Iterable[Output], outcome: Outcome
) -> dict[str, pa.Table]:
    """A view's changes for those of `outputs` that have any, by name: they stand elsewhere."""
    found = {}
    for output in outputs:
        changes = _changes(output, outcome)
        if changes is None:
            continue
        rows = connection.sql(f"select * exclude (_failed) from {changes}").to_arrow_table()
        if len(rows):
            found[output.name] = rows
    return found


def _changes(output: Output, outcome: Outcome) -> str | None:
    return outcome.changes if output.emit == "changes" else outcome.finals


def account(reader: View | Stream, outcome: Outcome, accepted: int) -> list[Count]:
    """What became of a reader's records, and of their rows where they become several."""
    name = reader.name
    counts: list[Count] = [("view", name, "accepted", accepted)]
    counts += [("view", name, counter, by) for counter, by in outcome.counts.items()]
    counts += [("view", name, f"filtered: {r}", n) for r, n in outcome.reasons.items()]
    counts.append(("view", name, "failed_results", outcome.failed_results))
    if any(isinstance(step, Explode) for step in reader.steps):
        rows = outcome.row_counts
        counts.append(
            ("view_rows", name, "accepted", sum(rows.values()) - rows.get("orphan_ends", 0))
        )
        counts += [("view_rows", name, counter, by) for counter, by in rows.items()]
    return counts
