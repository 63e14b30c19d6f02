"""Tables elsewhere that are given all their rows anew, and deliver on from there.

Invariant: from before the rows are replaced until the state has noted it, the state holds a fact
that says so: a process killed in between replaces them once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from headrace.engines.embedded.claims import Lack, fill_fact
from headrace.engines.embedded.delivery import Delivery
from headrace.engines.embedded.engine import JobEngine
from headrace.engines.embedded.noting import note_refused
from headrace.plan.operators import Output
from headrace.storage.contract import Mark, TableDestination
from headrace.values.points import reach
from headrace.values.telemetry import TableFilled, TableFilling


@dataclass(frozen=True)
class Unfilled:
    """An output whose destination is open and whose delivery waits until it is filled."""

    output: Output
    delivery: Delivery
    lack: Lack


def fill(
    engine: JobEngine,
    table: Unfilled,
    rows: Callable[[], pa.RecordBatchReader],
    origin: str,
    now_us: int,
) -> None:
    """Makes `rows` (all as of the last epoch) what the table has, and starts its delivery.

    `origin` says where they come from. Raises what the destination does.
    """
    store, ledger, delivery = engine.store, engine.ledger, table.delivery
    begun, name, epoch = time.monotonic(), table.output.name, ledger.epoch
    had = table.lack.had
    same = had is not None and had.generation == ledger.generation
    had_epoch = had.epoch if had is not None and same else None
    told = (engine.job.id, name)
    delivery.tell(TableFilling(*told, had_epoch, epoch, table.lack.reason, origin))
    with store.transaction():
        store.set_fact(fill_fact(name), table.lack.reason)
    mark = mark_of(engine)
    assert isinstance(delivery.destination, TableDestination)
    landed = delivery.destination.replace(rows(), mark)
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
    counted = {c: store.counters.value(("destination", name, c)) or 0 for c in more}
    delivery.start(epoch, epoch, counted)
    delivery.tell(TableFilled(*told, epoch, landed, time.monotonic() - begun))


def mark_of(engine: JobEngine) -> Mark:
    """The mark of a destination that has everything up to the last epoch."""
    here = {topic: reader.position for topic, reader in engine.readers.items()}
    return Mark(
        engine.job.id,
        engine.ledger.generation,
        engine.ledger.epoch,
        {topic: position.offsets for topic, position in here.items()},
        {topic: position.watermark_us for topic, position in here.items()},
    )
