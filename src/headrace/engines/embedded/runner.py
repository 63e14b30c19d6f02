"""Runs a job on one machine: epochs one after another, deliveries beside them.

The loop belongs to one thread. Others reach the job between two epochs through `call`, so that
whoever asks always sees a committed epoch and never half of one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal, TypeVar

import duckdb

from headrace.engines.embedded.asking import Asking
from headrace.engines.embedded.calls import Calls
from headrace.engines.embedded.deliveries.delivery import Delivery, lost_something, stop_all
from headrace.engines.embedded.deliveries.destinations import open_deliveries
from headrace.engines.embedded.deliveries.ending import finish_upkeep, hand_over_last
from headrace.engines.embedded.deliveries.entitled import open_engine
from headrace.engines.embedded.deliveries.filling import Unfilled
from headrace.engines.embedded.deliveries.noting import note, register_readers, unnoted
from headrace.engines.embedded.deliveries.reopening import Reopening
from headrace.engines.embedded.epochs.engine import Committed, JobEngine
from headrace.engines.embedded.epochs.folding import fold
from headrace.engines.embedded.epochs.growing import grow, reached
from headrace.engines.embedded.epochs.reporting import events_of_epoch
from headrace.engines.embedded.epochs.retaining import retain
from headrace.engines.embedded.waiting import MEND, came, rest, room
from headrace.plan.operators import TABLE_ROLES, Job, View
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import StateStore, disk_errors
from headrace.storage.systems import Systems
from headrace.values.clock import Clock, SystemClock
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable
from headrace.values.memory import give_back
from headrace.values.settings import Settings
from headrace.values.telemetry import Event, JobStarted, JobStopped, PartitionsAdded

T = TypeVar("T")
Purpose = Literal["run", "ask", "rebuild", "seek"]
_HOUSEKEEPING_SECONDS = 5.0
# Clearing pages again costs a busy job a fifth of a second at most.
_GIVE_BACK_SECONDS = 60.0
_FOLDED_EPOCHS_MIN = 64
_IDLE_WAITS = 10
_NOTED_SECONDS = 1.0


class JobRunner:
    """A job with its state open; use as a context manager, then `run` it or ask it."""

    def __init__(
        self,
        job: Job,
        settings: Settings,
        *,
        clock: Clock | None = None,
        tell: Callable[[Event], None] | None = None,
        purpose: Purpose = "run",
        fill: Callable[[JobRunner], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """To `rebuild` and to `seek` open what is not as the job left it, to mend just that.

        To `ask` and to `seek` leave in the state what the job no longer has. `fill` gives outputs
        the rows that they lack; without it one of `unfilled` stops the job. `stop` ends a start
        that waits for a destination.
        """
        self.job, self.settings = job, settings
        self.data = DataDirectory(settings.data)
        self.clock: Clock = clock or SystemClock()
        self.tell = tell or (lambda event: None)
        self.systems = Systems(settings, self.clock.now_us)
        self.deliveries: list[Delivery] = []
        self.unfilled: list[Unfilled] = []
        self.engine: JobEngine = None  # type: ignore[assignment]  # made by `__enter__`
        self.records = 0
        self.stale: tuple[View, ...] = ()
        self._purpose, self._fill, self._calls = purpose, fill, Calls()
        self._stop = stop or threading.Event()
        self._asking = Asking(job.id, lambda event: self.tell(event))
        self._reopening = Reopening(job.id, self.tell)
        # Why the topics are not read at the moment; None if they are.
        self.silence: str | None = None
        self._kept_at, self._noted_at, self._folded, self._idle_waits = 0.0, 0.0, 0, 0
        self._gave_back_at = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether the loop is under way."""
        return self._calls.looping

    def __enter__(self) -> JobRunner:
        self.store = StateStore(
            self.data.job(self.job.id),
            threads=self.settings.threads,
            memory_limit=self.settings.memory_limit,
        )
        try:
            with disk_errors(self.store.path):
                self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        topics = {s.topic: self.systems.topic(s.topic, s.partitions) for s in self.job.sources}
        elsewhere = [role for role in TABLE_ROLES if self.systems.elsewhere(role)]
        self.engine = JobEngine(self.job, self.store, topics, self.settings.threads, elsewhere)
        self.stale = open_engine(
            self.engine,
            self.systems,
            rebuilding=self._purpose == "rebuild",
            checked=self._purpose != "seek",
            adopting=self._purpose in ("run", "rebuild"),
        )
        self._grow()
        if self._purpose != "rebuild":
            self._begin()

    def _grow(self) -> None:
        """Takes in partitions that a topic has gained."""
        for topic, before, now in grow(self.engine):
            self.tell(PartitionsAdded(self.job.id, topic, before, now))

    def _begin(self) -> None:
        """Takes an incarnation, opens the destinations, and fills those that lack too much."""
        opened = open_deliveries(
            self.engine, self.systems, self.settings.lake_interval_seconds, self.tell, self._stop
        )
        self.deliveries, self.unfilled = opened.deliveries, opened.unfilled
        # Not before: others may see it, and who is refused must not be seen.
        self._register_readers()
        if self.unfilled and self._fill is None:
            raise self.unfilled[0].lack.refused(self.unfilled[0].output)
        if self._fill is not None and (self.unfilled or opened.unfinished):
            self._fill(self)
        ledger = self.engine.ledger
        self.tell(JobStarted(self.job.id, ledger.generation, ledger.epoch, opened.incarnation))

    def filled(self, table: Unfilled) -> None:
        """A table of `unfilled` has its rows: it goes on from there like any other."""
        self.unfilled.remove(table)
        if table.delivery is not None:
            self.deliveries.append(table.delivery)

    def close(self) -> None:
        """Stops deliveries, notes their marks, closes the state. What waits is not lost."""
        with ExitStack() as opened:
            opened.callback(self.store.close)
            opened.callback(self.systems.close)
            if self.engine is not None:
                opened.callback(self.engine.close)
            self._end_deliveries()

    def _end_deliveries(self) -> None:
        waiting = [table.delivery for table in self.unfilled if table.delivery is not None]
        stop_all([*self.deliveries, *waiting])
        if self.deliveries:
            with self.store.transaction() as connection:
                self.note(connection)
            self._register_readers()
        self.deliveries, self.unfilled = [], []

    def run(
        self,
        until: Literal["caught-up"] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Epochs until `stop` is set, or until all that is there now is read and delivered.

        Raises DestinationDown when a destination did not take what was committed (the next start
        delivers it), Unreachable when a source does not answer a catch-up for half a minute.
        """
        stop = self._stop = stop or threading.Event()
        begun, ends = time.monotonic(), None
        try:
            self._calls.begin()
            while not stop.is_set():
                self._calls.serve()
                if until is not None and ends is None:
                    ends = self._ends()
                elif not self._step(ends) and ends is not None and reached(self.engine, ends):
                    break
            self.settle(10.0 if stop.is_set() else None)
            if not stop.is_set():
                finish_upkeep(self.deliveries, stop)
                # It may be over before the next time would have come.
                self._keep_house()
        except TopicRefused:
            # A topic is gone: what it gave and some destination lacks is held in memory alone.
            hand_over_last(self.deliveries, self.engine.ledger.epoch)
            raise
        finally:
            self._calls.end()
        reason = "asked to stop" if stop.is_set() else "caught up"
        seconds = time.monotonic() - begun
        self.tell(JobStopped(self.job.id, reason, self.engine.ledger.epoch, self.records, seconds))

    def settle(self, patience_seconds: float | None = None) -> None:
        """Shows what sliding views hold back and waits until every destination has all of it.

        Without `patience_seconds` for as long as it takes, unless one is down.
        """
        silent: Unreachable | None = None
        try:
            self.show()
        except Unreachable as error:
            silent = error
        while waiting := self._waiting(patience_seconds or 1.0):
            if patience_seconds is not None or waiting.outage.given_up:
                raise waiting.not_taken(MEND)
        with self.store.transaction() as connection:
            self.note(connection)
        if silent is not None:
            raise silent

    def show(self) -> None:
        """Commits what sliding views hold back, without reading on."""
        here = {t: list(r.position.offsets) for t, r in self.engine.readers.items()}
        self._commit(stop=here, show=True)

    def rebuilt(self) -> None:
        """What was stale is built again: from here on the job is like any other."""
        self.stale = ()
        self._begin()

    def call(self, work: Callable[[], T]) -> T:
        """Runs `work` between two epochs, alone; what it returns, errors are raised here."""
        return self._calls.done(work)

    def _step(self, ends: dict[str, list[int]] | None) -> bool:
        """One epoch, or a short wait where there is nothing to read; whether one was committed."""
        if not self._check(patient=ends is None):
            return False
        interval = self.settings.epoch_interval_ms / 1000
        if not room(self.deliveries, interval, patient=ends is None):
            return False
        begun = time.monotonic()
        try:
            if self._asking.again:
                # What answers again may have been put back to an older copy meanwhile.
                self.engine.check_tails()
            self._grow()
            committed = self._commit(stop=ends)
        except Unreachable as error:
            self._away(error, time.monotonic() - begun, patient=ends is None)
            return False
        if self._asking.answered(self.engine.readers.values()):
            self.silence = None
        if committed is None:
            readers = self.engine.readers.values()
            if ends is None and not came(readers, interval, self._stop, self._calls):
                self._idle()
            return False
        self._idle_waits = 0
        if committed.weight >= self.settings.epoch_records_max // 10:
            self.store.checkpoint_if_long(busy=True)
        elif ends is None:
            rest(interval - committed.seconds, self._stop, self._calls)
        return True

    def _ends(self) -> dict[str, list[int]] | None:
        """What is to be caught up with; None where a source does not answer yet."""
        begun = time.monotonic()
        try:
            return {t: r.topic.end_offsets() for t, r in self.engine.readers.items()}
        except Unreachable as error:
            self._away(error, time.monotonic() - begun, patient=False)
            return None

    def _away(self, error: Unreachable, seconds: float, *, patient: bool) -> None:
        """The source has not answered in that time: waits a moment before it is asked again."""
        wait = self._asking.failed(error, seconds, patient=patient)
        self.silence = error.what
        rest(wait, self._stop, self._calls)

    def _idle(self) -> None:
        """What is better done while there is nothing to read."""
        self._idle_waits += 1
        if self._idle_waits % _IDLE_WAITS == 0:
            self.store.checkpoint_if_long()
        if self._idle_waits == _IDLE_WAITS:
            give_back()
        # What comes is noted with it. Destinations may take the last of it long after.
        lately = time.monotonic() - self._noted_at < _NOTED_SECONDS
        if not lately and unnoted(self.engine.ledger, self.deliveries):
            with self.store.transaction() as connection:
                self.note(connection)
            self._register_readers()

    def _commit(
        self, *, stop: dict[str, list[int]] | None = None, show: bool = False
    ) -> Committed | None:
        begun = time.monotonic()
        committed = self.engine.epoch(
            self.clock.now_us(),
            self.settings.epoch_records_max,
            show=show,
            stop=stop,
            alongside=self.note,
        )
        if committed is None:
            return None
        self.handed_over(committed)
        committed.seconds = time.monotonic() - begun
        self.records += committed.records
        for event in events_of_epoch(self.job.id, committed, self.engine.lag()):
            self.tell(event)
        if time.monotonic() - self._kept_at > _HOUSEKEEPING_SECONDS:
            self._keep_house()
        return committed

    def handed_over(self, committed: Committed) -> None:
        """Gives a committed epoch to every delivery."""
        for delivery in self.deliveries:
            delivery.put(committed)

    def _waiting(self, timeout_seconds: float) -> Delivery | None:
        """A delivery that has not ended all of what was committed, after that time."""
        self._check(patient=False)
        for delivery in self.deliveries:
            if not delivery.flush(self.engine.ledger.epoch, timeout_seconds):
                # What ended is raised, or opened again: then all are waited for anew.
                return delivery if delivery.problem is None else self._waiting(timeout_seconds)
        return None

    def _check(self, *, patient: bool) -> bool:
        """Raises what ended a delivery; opens all again where one lost what it had taken.

        Who is `patient` may ask again and again: False after a try that failed, and a pause.
        """
        while lost_something(self.deliveries) or self._reopening.under_way:
            self._reopen(patient=patient)
            if patient and self._reopening.under_way:
                return False
        for delivery in self.deliveries:
            delivery.look_for_silence()
        return True

    def _reopen(self, *, patient: bool) -> None:
        """Opens all destinations anew, which fills those that lack too much, or waits a moment.

        Until it succeeds, the deliveries that ended stand in the list and say how far they came.
        """
        ended = self.deliveries
        if not self._reopening.under_way:
            self._end_deliveries()
        self.deliveries = []
        try:
            self._begin()
        except HeadraceError as error:
            ended = self.deliveries or ended
            self._end_deliveries()
            if self._stop.is_set():
                raise
            wait = self._reopening.failed(error, ended, patient=patient)
            self.deliveries = ended
            self._stop.wait(wait)
        else:
            self._reopening.done(self.deliveries)

    def note(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Writes down what destinations have, and forgets what was kept for them."""
        self._noted_at = time.monotonic()
        note(connection, self.store, self.engine.ledger, self.deliveries, self.clock.now_us())

    def _keep_house(self) -> None:
        """Moves on what retention may take, and lets it take."""
        self._kept_at = time.monotonic()
        self.fold(_FOLDED_EPOCHS_MIN)
        self._register_readers()
        little_to_do = self.engine.lag() < self.settings.epoch_records_max // 10
        if little_to_do or self._kept_at - self._gave_back_at > _GIVE_BACK_SECONDS:
            self._gave_back_at = self._kept_at
            give_back()
        retain(self.engine, self.settings.retention_age_us, self.settings.retention_bytes)

    def fold(self, epochs_min: int = 1) -> None:
        """Joins the epochs that every destination has, if there are `epochs_min` new ones."""
        ledger = self.engine.ledger
        noted = min((ledger.mark(d.name) or 0 for d in self.deliveries), default=ledger.epoch)
        if noted >= self._folded + epochs_min:
            with self.store.transaction():
                self._folded = fold(self.store, noted, self._folded)

    def _register_readers(self) -> None:
        # What was left may come back, and needs what it has not read.
        if self._purpose != "seek" and not self.engine.left:
            register_readers(self.engine)
