"""Opens a job's destinations, and tells from their marks what each still lacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from headrace.engines.embedded.deliveries.claims import (
    Lack,
    first_epoch,
    lack_of,
    lacks_past,
    next_incarnation,
    refuse_unexplained,
    refuse_unknown_duplicates,
)
from headrace.engines.embedded.deliveries.coverage import (
    Range,
    closed_before,
    delivered,
    note_delivered,
    refused_before,
    set_aside,
)
from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.deliveries.filling import Unfilled
from headrace.engines.embedded.deliveries.outgoing import StreamRows
from headrace.engines.embedded.deliveries.targets import destination_of
from headrace.engines.embedded.deliveries.withdrawing import begins_anew, counted, withdrawals
from headrace.engines.embedded.epochs.counting import count_past
from headrace.engines.embedded.epochs.definitions import note_feeds
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.epochs.places import fill_fact, leave, recompute_fact, stands_here
from headrace.engines.embedded.epochs.recall import recall
from headrace.engines.embedded.epochs.tails import check_given
from headrace.plan.operators import TABLE_ROLES, Output, Stream, View
from headrace.storage.contract import Destination, Mark, TableDestination
from headrace.storage.lake.compaction import SMALL_ROWS
from headrace.storage.state.store import disk_errors
from headrace.storage.systems import Systems
from headrace.values.telemetry import Event

# Rows of a topic are texts made for it alone: many at once take much memory.
_TOPIC_ROWS_MAX = 400_000
# Whoever wants a start to end is heard within this time.
_HEARD_SECONDS = 0.1


@dataclass(frozen=True)
class Opened:
    """A start's incarnation, the deliveries that are started, and what must be filled first.

    `unfinished` says that lakes or topics of views lack rows of theirs, or that views which were
    built again are not yet recomputed.
    """

    incarnation: int
    deliveries: list[Delivery]
    unfilled: list[Unfilled]
    unfinished: bool


def open_deliveries(
    engine: JobEngine,
    systems: Systems,
    lake_interval_seconds: float,
    tell: Callable[[Event], None],
    stop: threading.Event,
) -> Opened:
    """Opens every output that is not in the state itself, and starts to deliver what it lacks.

    All are looked at before any is opened. Where one cannot be, those that were are stopped.
    DestinationDown where one takes too little until `stop` is set.
    """
    deliveries, unfilled = [], []
    unfinished = bool(engine.store.facts(recompute_fact("")))
    with ExitStack() as opened:
        here = engine.inside | engine.arriving
        outputs = [o for o in engine.job.outputs if o.name not in here]
        destinations = {o.name: destination_of(engine, systems, o) for o in outputs}
        for destination in destinations.values():
            opened.callback(destination.close)
        incarnation = _incarnation(engine, destinations)
        count_past(engine)
        for output in outputs:
            made, destination = _rows_of(engine, output), destinations[output.name]
            delivery = _delivery(engine, output, destination, made, lake_interval_seconds, tell)
            mark = destination.open(engine.job.id, incarnation)
            opened.callback(delivery.stop)
            if mark is not None:
                refuse_unexplained(engine, output, mark)
            lack = lack_of(engine, output, mark)
            if lack is not None:
                unfilled.append(_unfilled(output, delivery, lack))
                continue
            unfinished |= _untold(engine, output, mark)
            _begin(engine, systems, delivery, made, mark, stop)
            deliveries.append(delivery)
        opened.pop_all()
    return Opened(incarnation, deliveries, [*unfilled, *_arriving(engine)], unfinished)


def _arriving(engine: JobEngine) -> list[Unfilled]:
    """The tables that move into the state."""
    lack = Lack(None, engine.ledger.epoch, "moved")
    return [Unfilled(o, None, lack) for o in engine.job.outputs if o.name in engine.arriving]


def _unfilled(output: Output, delivery: Delivery, lack: Lack) -> Unfilled:
    """What is filled anew; StateRefused where that cannot be done."""
    if output.role in TABLE_ROLES and isinstance(delivery.destination, TableDestination):
        return Unfilled(output, delivery, lack)
    raise lack.refused(output)


def _untold(engine: JobEngine, output: Output, mark: Mark | None) -> bool:
    """Whether a lake or topic lacks rows of its view; noted in the state, until it has them."""
    if not lacks_past(engine, output, mark):
        return False
    with engine.store.transaction():
        engine.store.set_fact(fill_fact(output.name), "untold")
    return True


def _incarnation(engine: JobEngine, destinations: Mapping[str, Destination]) -> int:
    """The number of this start, kept in the state before any destination hears of it."""
    claims = {name: destinations[name].look(engine.job.id) for name in destinations}
    incarnation = next_incarnation(engine, claims)
    with engine.store.transaction():
        engine.store.set_fact("incarnation", str(incarnation))
        note_feeds(engine.store, engine.job)
    return incarnation


def _rows_of(engine: JobEngine, output: Output) -> StreamRows:
    source = engine.job.source(engine.job.input_of(output).topic)
    columns = engine.readers[source.topic].columns
    return StreamRows(engine.job, output, engine.store.cursor(), columns)


def _delivery(
    engine: JobEngine,
    output: Output,
    destination: Destination,
    made: StreamRows,
    lake_interval_seconds: float,
    tell: Callable[[Event], None],
) -> Delivery:
    delivery = partial(
        Delivery,
        engine.job.id,
        output.name,
        destination,
        tell=tell,
        stages=engine.stages,
        of_view=isinstance(made.input, View),
    )
    if output.role == "lake":
        # Files of this size need no compaction.
        return delivery(made.lake, pace=Pace(lake_interval_seconds, SMALL_ROWS, 2 * SMALL_ROWS))
    if output.role == "topic":
        worded = disk_errors(engine.store.path)(made.topic)
        return delivery(worded, pace=Pace(rows_max=_TOPIC_ROWS_MAX))
    return delivery(made.table, joined=made.newest)


def _begin(
    engine: JobEngine,
    systems: Systems,
    delivery: Delivery,
    made: StreamRows,
    mark: Mark | None,
    stop: threading.Event,
) -> None:
    """Starts a delivery with every epoch that its destination lacks."""
    output = made.output
    delivered = _delivered(engine, output, mark, made)
    noted = engine.ledger.mark(output.name)
    # What is not noted is made again, if only to be counted.
    refuse_unknown_duplicates(engine, output, noted or 0)
    same = mark is not None and mark.generation == engine.ledger.generation
    marked = mark.epoch if mark is not None and same else 0
    if mark is not None and not same and output.role in TABLE_ROLES:
        delivery.replaces = made.no_changes()
    if mark is not None and not same and begins_anew(engine.job, output):
        delivery.ahead = withdrawals(engine, systems, output, made.connection, mark)
    if output.role in TABLE_ROLES and stands_here(engine.store, output.name):
        with engine.store.transaction():
            leave(engine.store, output.name)
    if same and noted is not None:
        delivery.look_for_refused(Mark(engine.job.id, engine.ledger.generation, noted).number)
    delivery.start(delivered, marked, _rows(engine, delivery, made, delivered, mark))
    for epoch in _epochs(engine, delivered + 1, engine.ledger.epoch):
        while not delivery.has_room(_HEARD_SECONDS):
            delivery.look_for_silence()
            # Later epochs must not be handed over without these.
            if delivery.outage.given_up or stop.is_set():
                raise delivery.not_taken("Mend that and run again; nothing is lost.")
        if delivery.problem is not None:
            # Nothing takes what waits; whoever waits for it is told why.
            break
        delivery.put(recall(engine, epoch))


def _epochs(engine: JobEngine, first: int, last: int) -> list[int]:
    """The epochs from `first` to `last` as they are kept."""
    sql = "select epoch from meta.epochs where epoch between ? and ? order by epoch"
    return [epoch for (epoch,) in engine.store.rows(sql, [first, last])]


def _rows(
    engine: JobEngine, delivery: Delivery, made: StreamRows, delivered: int, mark: Mark | None
) -> dict[str, int]:
    """All rows sent and landed; those of a crash's last moment are in no transaction yet."""
    noted, ledger, name = engine.ledger.mark(delivery.name), engine.ledger, delivery.name
    first = first_epoch(engine) if noted is None else noted + 1
    epochs = _epochs(engine, first, delivered)
    # One epoch's rows at a time are in memory.
    tables = (delivery.rows_of(recall(engine, epoch)) for epoch in epochs)
    unnoted = {"sent": sum(len(table) for table in tables if table is not None)}
    unnoted["sent"] += _rows_begun(engine, delivery, made, first, delivered)
    unnoted["refused"] = len(delivery.refused)
    unnoted["landed"] = unnoted["sent"] - unnoted["refused"]
    known = {c: engine.store.counters.value(("destination", name, c)) or 0 for c in unnoted}
    if noted is None or noted < first_epoch(engine):
        # What stood there before it was taken away counts no more.
        gone = dict.fromkeys(known, 0)
        known |= gone if mark is None else counted(engine.store, name, mark, ledger.generation)
    return {counter: known[counter] + more for counter, more in unnoted.items()}


def _rows_begun(
    engine: JobEngine, delivery: Delivery, made: StreamRows, first: int, delivered: int
) -> int:
    """The rows that the destination has of epochs joined around `delivered`, from `first` on."""
    around = engine.store.rows(
        "select epoch from meta.epochs where first_epoch between ? and ? and epoch > ?",
        [first, delivered, delivered],
    )
    if not made.begun or not around:
        return 0
    committed, begun = recall(engine, around[0][0]), made.begun
    lacks = delivery.rows_of(committed)
    made.begun = ()
    whole = delivery.rows_of(committed)
    made.begun = begun
    return 0 if lacks is None or whole is None else len(whole) - len(lacks)


def _delivered(engine: JobEngine, output: Output, mark: Mark | None, made: StreamRows) -> int:
    """The last epoch of this generation that the destination has."""
    ledger, noted = engine.ledger, engine.ledger.mark(output.name)
    if mark is None:
        set_aside(engine.store, output.name, ledger.generation)
        return first_epoch(engine) - 1 if noted is None else noted
    reader = engine.job.input_of(output)
    topic = reader.topic
    if mark.generation < ledger.generation:
        identity = engine.readers[topic].topic.identity
        note_delivered(engine.store, output.name, topic, mark, identity)
    if isinstance(reader, Stream):
        check_given(engine, output)
    made.closed_us = closed_before(engine.store, output.name, topic)
    made.held = delivered(engine.store, output.name, topic)
    made.refused_before = refused_before(engine.store, output.name, topic)
    return max(_after_mark(engine, output, mark, made), first_epoch(engine) - 1)


def _after_mark(engine: JobEngine, output: Output, mark: Mark, made: StreamRows) -> int:
    """The last epoch that a destination has, as its mark and the state say."""
    noted = engine.ledger.mark(output.name)
    marked = engine.store.counters.value(("mark", output.name, "marked")) or 0
    if mark.generation < engine.ledger.generation:
        # Its number says nothing of the epochs of this generation: a state that was restored from
        # an older copy before it was reset counts on from a lower one. Where this generation has
        # left a mark there, the destination was put back as it was before: it lacks them all.
        return 0 if marked else noted or 0
    made.begun = _begun(engine, engine.job.input_of(output).topic, mark)
    if noted is None or mark.epoch >= marked:
        # Epochs that gave no rows left no mark.
        return max(mark.epoch, noted or 0)
    return mark.epoch


def _begun(engine: JobEngine, topic: str, mark: Mark) -> tuple[Range, ...]:
    """What a destination has of epochs that were joined around its mark since; mostly nothing.

    They are joined where it was not there: it was taken out of the app, or was put back as it was.
    """
    inside = "select 1 from meta.epochs where first_epoch <= ? and epoch > ?"
    ends = mark.offsets.get(topic)
    if ends is None or not engine.store.rows(inside, [mark.epoch, mark.epoch]):
        return ()
    identity = engine.ledger.identities(topic, mark.epoch)[-1]
    return tuple(Range(identity, p, 0, end) for p, end in enumerate(ends))
