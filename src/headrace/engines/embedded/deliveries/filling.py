"""Tables that are given all their rows anew, elsewhere or in the state, and go on from there.

Invariant: from before the rows of a table elsewhere are replaced until the state has noted it, the
state holds a fact that says so: a process killed in between replaces them once more. A table in the
state gets them in one transaction of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from headrace.engines.embedded.deliveries.claims import Lack
from headrace.engines.embedded.deliveries.delivery import Delivery
from headrace.engines.embedded.deliveries.noting import note_refused
from headrace.engines.embedded.deliveries.queued import mark_at
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.places import fill_fact, leave
from headrace.engines.embedded.epochs.tables import EmbeddedTable
from headrace.plan.operators import Output, View
from headrace.storage.contract import Mark, TableDestination
from headrace.values.points import reach
from headrace.values.telemetry import Event, TableFilled, TableFilling


@dataclass(frozen=True)
class Unfilled:
    """A table that lacks rows. Its delivery, if it stands elsewhere, is open and waits for them."""

    output: Output
    delivery: Delivery | None
    lack: Lack


def fill(
    engine: JobEngine,
    table: Unfilled,
    rows: Callable[[], pa.RecordBatchReader],
    origin: str,
    tell: Callable[[Event], None],
    now_us: int,
) -> None:
    """Makes `rows` (all as of the last epoch) what the table has; what follows goes on from there.

    `origin` says where they come from. Raises what the destination does.
    """
    begun, name, epoch = time.monotonic(), table.output.name, engine.ledger.epoch
    had = table.lack.had
    same = had is not None and had.generation == engine.ledger.generation
    had_epoch = had.epoch if had is not None and same else None
    told = (engine.job.id, name)
    tell(TableFilling(*told, had_epoch, epoch, table.lack.reason, origin))
    if table.delivery is None:
        landed = _fill_here(engine, table.output, rows)
    else:
        landed = _fill_there(engine, table.delivery, table.lack, rows, now_us)
    tell(TableFilled(*told, epoch, landed, time.monotonic() - begun))


def _fill_here(engine: JobEngine, output: Output, rows: Callable[[], pa.RecordBatchReader]) -> int:
    """Fills a table of the state, in its own transaction; returns the number of rows."""
    store, name, view = engine.store, output.name, engine.job.input_of(output)
    assert isinstance(view, View)
    table = EmbeddedTable(output, view)
    with store.transaction() as connection:
        with rows() as reader:
            landed = table.replace(connection, reader)
        store.count([("destination", name, counter, landed) for counter in ("sent", "landed")])
        engine.ledger.left(name)
        store.drop_fact(fill_fact(name))
    engine.arrived(table)
    return landed


def _fill_there(
    engine: JobEngine,
    delivery: Delivery,
    lack: Lack,
    rows: Callable[[], pa.RecordBatchReader],
    now_us: int,
) -> int:
    """Fills a table elsewhere and starts its delivery; returns how many rows landed."""
    store, ledger, name = engine.store, engine.ledger, delivery.name
    with store.transaction():
        store.set_fact(fill_fact(name), lack.reason)
    mark = mark_of(engine)
    assert isinstance(delivery.destination, TableDestination)
    epoch = ledger.epoch
    # Closed whatever it says: what is half read would keep whoever made it from ending.
    with rows() as reader:
        landed = delivery.destination.replace(reader, mark)
    reach("fill.replaced")
    delivery.look_for_refused(mark.number - 1)
    more = {"landed": landed, "refused": len(delivery.refused)}
    more["sent"] = sum(more.values())
    with store.transaction() as connection:
        ledger.taken(name, epoch)
        store.counters.set(("mark", name, "marked"), epoch)
        store.count([("destination", name, counter, by) for counter, by in more.items()])
        connection.execute("delete from meta.refused_rows where destination = ?", [name])
        note_refused(connection, delivery, now_us)
        store.drop_fact(fill_fact(name))
        leave(store, name)
    counted = {c: store.counters.value(("destination", name, c)) or 0 for c in more}
    delivery.start(epoch, epoch, counted)
    return landed


def mark_of(engine: JobEngine) -> Mark:
    """The mark of a destination that has everything up to the last epoch."""
    here = {topic: reader.position for topic, reader in engine.readers.items()}
    return mark_at(engine.job.id, engine.ledger.generation, engine.ledger.epoch, here)
