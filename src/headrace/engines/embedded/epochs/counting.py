"""The sums of streams that the app was given after records had been read: their past is counted.

What of it their lakes and topics get is made from the log in the same way (recall.py).
"""

from __future__ import annotations

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.landing import Count
from headrace.engines.embedded.epochs.recall import recall
from headrace.plan.operators import Stream, has_dedupe


def count_past(engine: JobEngine) -> None:
    """Counts the epochs of this generation for each stream that has counted nothing yet.

    Not behind a dedupe, whose memory has not seen them: such a one is refused.
    """
    new = [s for s in engine.job.streams if not has_dedupe(s) and _uncounted(engine, s)]
    if not new:
        return
    epochs = engine.store.rows(
        "select epoch from meta.epochs where generation = ? and kind in ('live', 'replay') "
        "order by epoch",
        [engine.ledger.generation],
    )
    with engine.store.transaction() as connection:
        for stream in new:
            connection.execute("delete from meta.dead_letters where view = ?", [stream.name])
        for (epoch,) in epochs:
            committed = recall(engine, epoch)
            counts: list[Count] = []
            for stream in new:
                part = committed.sources.get(stream.topic)
                if part is not None:
                    engine.read_by_stream(connection, committed, part, stream, counts)
            engine.store.count(counts)


def _uncounted(engine: JobEngine, stream: Stream) -> bool:
    return engine.store.counters.value(("view", stream.name, "accepted")) is None
