"""Corrections: rows of outputs that are put right in an epoch of the job's own, and delivered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import duckdb
import pyarrow as pa

from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output
from headrace.proof.fixed import deadline, undelivered

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


def delivered(runner: JobRunner, epoch: int, outputs: Collection[str]) -> None:
    """Waits until the destinations of `outputs` have what was committed up to `epoch`.

    Raises what keeps one from it, DestinationDown where it is down: then the state holds it, and
    the job delivers it as soon as it can.
    """
    others = [d.name for d in runner.deliveries if d.name not in outputs]
    late = undelivered(runner, epoch, deadline(), given_up=others)
    for delivery in runner.deliveries:
        if delivery.name in late and delivery.name in outputs:
            raise delivery.not_taken(
                f"Nothing is lost: the state holds it, as epoch {epoch}. Mend that, then let the "
                "job deliver it: headrace run APP. The command need not be given again."
            )
