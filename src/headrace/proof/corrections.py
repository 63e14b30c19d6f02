"""Corrections: rows of outputs that are put right in an epoch of the job's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output

Correction = tuple[Output, pa.Table]
"""An output of a view, and its changes: `_op` and the view's columns."""


def commit(
    runner: JobRunner,
    corrections: Sequence[Correction],
    alongside: Callable[[duckdb.DuckDBPyConnection], None],
) -> int:
    """Lands all of them in one epoch, and `alongside` in its transaction; returns the epoch."""
    engine, store = runner.engine, runner.store
    now_us = max(runner.clock.now_us(), engine.ledger.time_us)
    committed = Committed(engine.ledger.generation, engine.ledger.epoch + 1, now_us, {})
    committed.kind = "correction"
    committed.positions = {t: r.position for t, r in engine.readers.items()}
    counts: list[tuple[str, str, str, int]] = []
    with store.transaction() as connection:
        for output, changes in corrections:
            if output.name not in engine.inside:
                if len(changes):
                    committed.changes[output.name] = changes
                continue
            connection.register("_corrections", changes)
            table = next(t for t in engine.tables[output.input] if t.output.name == output.name)
            landed = table.apply(connection, "_corrections")
            connection.unregister("_corrections")
            counts += [
                ("destination", output.name, "sent", landed),
                ("destination", output.name, "landed", landed),
            ]
        engine.ledger.write(committed, False, counts)
        alongside(connection)
        runner.note(connection)
    engine.ledger.advanced(committed.epoch, now_us)
    runner.handed_over(committed)
    return committed.epoch
