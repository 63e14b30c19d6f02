"""What destinations have, in the state (marks, sums, refused rows) and said to the topics."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from headrace.engines.embedded.deliveries.delivery import Delivery
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.ledger import Ledger
from headrace.engines.embedded.epochs.recall import ranges
from headrace.engines.embedded.epochs.retaining import put_off
from headrace.storage.contract import EPOCHS_MAX
from headrace.storage.state.store import StateStore


def note(
    connection: duckdb.DuckDBPyConnection,
    store: StateStore,
    ledger: Ledger,
    deliveries: Sequence[Delivery],
    now_us: int,
) -> None:
    """Writes down what destinations have, and forgets what was kept for them."""
    if not deliveries:
        return
    epochs, counters = {}, store.counters
    for delivery in deliveries:
        epochs[delivery.name], marked, landed = delivery.landed()
        counters.set(("mark", delivery.name, "marked"), marked)
        for counter, rows in landed.items():
            # As totals, so that nothing is lost when this transaction fails.
            counters.set(("destination", delivery.name, counter), rows)
        if delivery.refused:
            note_refused(connection, delivery, now_us)
    # Only what is noted is forgotten: after a crash the rest is counted from here.
    ledger.landed(epochs)


def unnoted(ledger: Ledger, deliveries: Sequence[Delivery]) -> bool:
    """Whether a destination has more than is written down."""
    counters = ledger.store.counters
    for delivery in deliveries:
        epoch, _, rows = delivery.landed()
        noted = {c: counters.value(("destination", delivery.name, c)) for c in rows}
        if ledger.mark(delivery.name) != epoch or noted != rows:
            return True
    return False


def note_refused(connection: duckdb.DuckDBPyConnection, delivery: Delivery, now_us: int) -> None:
    """Keeps rows that a destination refused; those that are there already are let go."""
    number = f"generation * {EPOCHS_MAX} + epoch"
    (there,) = connection.execute(
        f"select coalesce(max({number}), -1) from meta.refused_rows where destination = ?",
        [delivery.name],
    ).fetchall()[0]
    for refusal in delivery.refused_after(there):
        connection.execute(
            f"insert into meta.refused_rows values (?, ?, ?, ?, ?, make_timestamp({now_us}))",
            [delivery.name, refusal.row, refusal.reason, *divmod(refusal.number, EPOCHS_MAX)],
        )


def register_readers(engine: JobEngine) -> None:
    """Says to each topic from where on this job, its destinations included, still needs it."""
    noted = engine.ledger.noted()
    least = engine.ledger.epoch if noted is None else noted
    for name, reader in engine.readers.items():
        offsets = [end for _, end, *_ in ranges(engine, name, least)]
        with put_off():
            # Made again since: what was taken of it lies in the topic that is gone.
            other = reader.topic.identity not in engine.ledger.identities(name, least)[-1:]
            if not offsets or other:
                offsets = reader.topic.begin_offsets()
            reader.topic.register_reader(engine.job.id, offsets)
