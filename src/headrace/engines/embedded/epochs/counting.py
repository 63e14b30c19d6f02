"""The sums of streams that the app was given after records had been read: their past is counted.

What of it their lakes and topics get is made from the log in the same way (recall.py). A stream
that was in the app before has its sums of then, and only what it missed is counted.
"""

from __future__ import annotations

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.landing import Count
from headrace.engines.embedded.epochs.recall import recall
from headrace.engines.embedded.epochs.renaming import come_back, left_at
from headrace.engines.embedded.epochs.sources import SourceEpoch
from headrace.plan.operators import Stream, has_dedupe
from headrace.values.errors import StateRefused


def count_past(engine: JobEngine) -> None:
    """Counts the epochs of this generation for each stream that has not counted them.

    Not behind a dedupe, whose memory has not seen them: such a one is refused. StateRefused where
    the log no longer has what is to be counted.
    """
    streams = [s for s in engine.job.streams if _uncounted(engine, s)]
    streams = [s for s in streams if not has_dedupe(s) or left_at(engine.store, s.name) is not None]
    if not streams:
        return
    with engine.store.transaction() as connection:
        past: list[tuple[Stream, int]] = []
        for stream in streams:
            upto = come_back(engine.store, stream.name)
            if upto is None:
                connection.execute("delete from meta.dead_letters where view = ?", [stream.name])
            if not has_dedupe(stream):
                past.append((stream, -1 if upto is None else upto))
        if past:
            _count(engine, past)


def _count(engine: JobEngine, past: list[tuple[Stream, int]]) -> None:
    """Counts for each stream the epochs behind the one that stands beside it."""
    epochs = engine.store.rows(
        "select epoch from meta.epochs where generation = ? and kind in ('live', 'replay') "
        "and epoch > ? order by epoch",
        [engine.ledger.generation, min(upto for _, upto in past)],
    )
    for (epoch,) in epochs:
        committed = recall(engine, epoch)
        counts: list[Count] = []
        for stream, upto in past:
            part = committed.sources.get(stream.topic)
            if part is None or epoch <= upto:
                continue
            if part.lost and _gave(engine, part):
                raise _gone(engine, stream, epoch)
            engine.read_by_stream(engine.store.connection, committed, part, stream, counts)
        engine.store.count(counts)


def _gave(engine: JobEngine, part: SourceEpoch) -> bool:
    """Whether there may be something to count: nobody has counted where nothing was accepted."""
    accepted = engine.store.counters.value(("source", part.source.topic, "accepted"))
    return bool(accepted) and part.before.offsets != part.after.offsets


def _gone(engine: JobEngine, stream: Stream, epoch: int) -> StateRefused:
    output = engine.outputs_of(stream.name)[0]
    return StateRefused(
        f"{output.role} {output.name} was not always in the app, and what it missed cannot be "
        f"counted: topic {stream.topic} no longer holds the records of epoch {epoch}",
        remedy="Restore the topic, leave the output out, or begin a new generation: "
        "headrace state reset APP",
    )


def _uncounted(engine: JobEngine, stream: Stream) -> bool:
    return engine.store.counters.value(("view", stream.name, "accepted")) is None
