"""Corrections: rows of outputs that are put right in epochs of the job's own, and delivered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.landing import Count
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output
from headrace.proof.fixed import deadline, undelivered
from headrace.values.points import reach
from headrace.values.weights import weight

PIECE_WEIGHT = 100_000
"""As how many rows (values/weights.py) what one output is given in one epoch counts at most."""

Correction = tuple[Output, pa.Table]
"""An output of a view, and its changes: `_op` and the view's columns. The topic of a stream is
given records, `key` and `value`."""


def commit(
    runner: JobRunner,
    corrections: Sequence[Correction],
    alongside: Callable[[duckdb.DuckDBPyConnection], None],
) -> int:
    """Lands all of them in one transaction, and `alongside` in it; returns the last epoch of them.

    Those of other systems, lakes and topics are cut into several epochs where they are many: what
    a topic is given of one epoch goes into it in one piece, and there is an end to what it takes.
    """
    engine, store = runner.engine, runner.store
    now_us = max(runner.clock.now_us(), engine.ledger.time_us)
    epochs = _epochs(engine, [c for c in corrections if c[0].name not in engine.inside], now_us)
    with store.transaction() as connection:
        counts = _landed(engine, connection, corrections)
        for committed in epochs:
            engine.ledger.write(committed, False, counts)
            counts = []
        alongside(connection)
        runner.note(connection)
        reach("corrections.written")
    reach("corrections.committed")
    engine.ledger.advanced(epochs[-1].epoch, now_us)
    for committed in epochs:
        runner.handed_over(committed)
    return epochs[-1].epoch


def _landed(
    engine: JobEngine, connection: duckdb.DuckDBPyConnection, corrections: Sequence[Correction]
) -> list[Count]:
    """Puts those of tables here into them; returns what that counts."""
    counts: list[Count] = []
    for output, changes in corrections:
        if output.name in engine.inside:
            connection.register("_corrections", changes)
            table = next(t for t in engine.tables[output.input] if t.output.name == output.name)
            landed = table.apply(connection, "_corrections")
            connection.unregister("_corrections")
            counts += [("destination", output.name, c, landed) for c in ("sent", "landed")]
    return counts


def _epochs(engine: JobEngine, corrections: Sequence[Correction], now_us: int) -> list[Committed]:
    """The next epochs, one at least, each with a piece of what every output is to be given."""
    pieces = {output.name: _pieces(changes) for output, changes in corrections}
    epochs = []
    for nth in range(max([1, *map(len, pieces.values())])):
        number = engine.ledger.epoch + 1 + nth
        committed = Committed(engine.ledger.generation, number, now_us, {}, kind="correction")
        committed.positions = {t: r.position for t, r in engine.readers.items()}
        committed.changes = {name: cut[nth] for name, cut in pieces.items() if nth < len(cut)}
        epochs.append(committed)
    return epochs


def _pieces(changes: pa.Table) -> list[pa.Table]:
    """`changes`, none of them heavier than PIECE_WEIGHT; of several the deletes come first.

    A row of a smaller key may be taken away and given again.
    """
    if _fits(changes) or "_op" not in changes.column_names:
        return _halves(changes)
    gone = pc.equal(changes.column("_op"), "d")
    return [p for rows in (gone, pc.invert(gone)) for p in _halves(changes.filter(rows))]


def _halves(changes: pa.Table) -> list[pa.Table]:
    if _fits(changes):
        return [changes] if len(changes) else []
    half = len(changes) // 2
    return [*_halves(changes.slice(0, half)), *_halves(changes.slice(half))]


def _fits(changes: pa.Table) -> bool:
    return len(changes) < 2 or weight(len(changes), changes.nbytes) <= PIECE_WEIGHT


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
