"""Deliveries: one thread per destination elsewhere takes committed epochs in order, each once.

Invariant: a destination is handed an epoch only after its transaction is on disk, and its mark is
noted in the state only after the destination has said that it landed.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa

from headrace.engines.embedded.deliveries.outage import Outage
from headrace.engines.embedded.deliveries.queued import Waiting, mark_at
from headrace.engines.embedded.epochs.engine import Committed
from headrace.storage.contract import Destination, Mark, Refusal, TidyDestination
from headrace.values.errors import DestinationBehind, HeadraceError
from headrace.values.errors import DestinationDown as NotTaken
from headrace.values.stages import Stages
from headrace.values.telemetry import (
    DestinationBack,
    DestinationDelivered,
    DestinationDown,
    Event,
)
from headrace.values.weights import weight

# A call that has not returned by then counts as no answer.
_SILENCE_SECONDS = 15.0
# How long a delivery in flight is waited for at the end, and one to a destination that is down.
_STOP_SECONDS = 10.0
_DOWN_SECONDS = 1.0


@dataclass
class Pace:
    """How epochs are gathered into one delivery, and how many may wait.

    Of the epochs that wait no more than have `rows_max` records go together, or the first alone.
    Large records count for more (values/weights.py), and so do epochs that give more rows than they
    have records. Each holds some memory of its own, however small it is: `epochs_waiting_max`.
    """

    interval_seconds: float = 0.0
    rows_min: int = 1
    rows_max: float = math.inf
    records_waiting_max: int = 3_000_000
    epochs_waiting_max: int = 25_000


@dataclass
class Delivery:
    """One destination's queue and thread."""

    job: str
    name: str
    destination: Destination
    rows_of: Callable[[Committed], pa.Table | None]
    tell: Callable[[Event], None]
    pace: Pace = field(default_factory=Pace)
    joined: Callable[[list[pa.Table]], pa.Table] = pa.concat_tables
    stages: Stages = field(default_factory=Stages)
    # Whether its rows are made of the changes alone: then nothing else of an epoch is held.
    of_view: bool = False

    def __post_init__(self) -> None:
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._stop = self._closed = self._tidying = False
        # How many wait for all that is there to be delivered.
        self._flush = 0
        self._weight = 0
        # Set where the first delivery replaces what is there: it is made without rows, too.
        self.replaces: pa.Table | None = None
        # Set where others go ahead of the first delivery, each with a mark of its own.
        self.ahead: Iterable[tuple[pa.Table, Mark]] | None = None
        self._ahead_number = -1
        self.problem: HeadraceError | BaseException | None = None
        self.outage = Outage()
        self._handed_at: float | None = None
        self.refusal = "it is slow"
        self.delivered_epoch = self.marked_epoch = 0
        self.rows = {"sent": 0, "landed": 0, "refused": 0}
        # Rows refused that are not noted in the state yet.
        self.refused: list[Refusal] = []
        self._refused_number = 0
        self._thread = threading.Thread(target=self._run, name=f"deliver-{self.name}", daemon=True)

    def start(self, delivered_epoch: int, marked_epoch: int, rows: dict[str, int]) -> None:
        """Begins with the epoch after `delivered_epoch`; `rows` were sent and landed up to it.

        `marked_epoch` is the last one that gave rows, so that the destination has a mark of it.
        """
        self.delivered_epoch, self.marked_epoch, self.rows = delivered_epoch, marked_epoch, rows
        self._thread.start()

    def put(self, committed: Committed) -> None:
        """Queues an epoch; ask `has_room` before."""
        with self._changed:
            rows = committed.changes.get(self.name)
            given = 0 if rows is None else weight(len(rows), rows.nbytes)
            waiting = Waiting(committed, max(committed.weight, given))
            if self.of_view:
                changes = {} if rows is None else {self.name: rows}
                waiting.committed = replace(committed, sources={}, late={}, changes=changes)
            self._queue.append(waiting)
            self._weight += waiting.weight
            self._changed.notify_all()

    def has_room(self, timeout_seconds: float) -> bool:
        """Waits, at most so long, until not too much waits: the job slows down with it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._room or self.problem is not None or self._stop, timeout_seconds
            )

    @property
    def _room(self) -> bool:
        return (
            self._weight < self.pace.records_waiting_max
            and len(self._queue) < self.pace.epochs_waiting_max
        )

    def flush(
        self,
        epoch: int,
        timeout_seconds: float | None = None,
        outage_seconds_max: float = math.inf,
    ) -> bool:
        """Waits until `epoch` is delivered; False on timeout or when that cannot be.

        A destination that has been down for `outage_seconds_max` is not waited for.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._changed:
            self._flush += 1
            self._changed.notify_all()
            while self.delivered_epoch < epoch and self.problem is None and self._thread.is_alive():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                if (self.outage.seconds or 0.0) > outage_seconds_max:
                    break
                self._changed.wait(0.2 if left is None else min(0.2, left))
            self._flush -= 1
            return self.delivered_epoch >= epoch

    def tidied(self, timeout_seconds: float) -> bool:
        """Waits, at most so long, until the destination is not at its upkeep."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._tidying or self.problem is not None, timeout_seconds
            )

    def stop(self) -> None:
        """Ends the thread after the delivery in flight; the next start delivers what waits.

        A destination that does not answer is left alone with its last delivery: whether it took
        it, its mark says at the next start.
        """
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS if self.outage.seconds is None else _DOWN_SECONDS)
        if not self._thread.is_alive() and not self._closed:
            self._closed = True
            self.destination.close()

    def ask_to_stop(self) -> None:
        """Lets the thread end by itself; `stop` waits for it."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    @property
    def not_begun(self) -> bool:
        """Whether what an earlier generation delivered is still to give way to this one's."""
        return self.replaces is not None or self.ahead is not None

    def not_taken(self, remedy: str) -> BaseException:
        """The error for who needs what this has not delivered."""
        if self.problem is not None:
            return self.problem
        return NotTaken(
            f"{self.name} did not take what was committed: {self.refusal}", remedy=remedy
        )

    @property
    def down(self) -> str | None:
        """Why the destination takes nothing at the moment; None if it does."""
        return None if self.outage.seconds is None else self.refusal

    def look_for_silence(self) -> None:
        """Tells, once, that a delivery was handed over long ago and has not been answered."""
        handed = self._handed_at
        seconds = 0.0 if handed is None else time.monotonic() - handed
        if seconds > _SILENCE_SECONDS and self.outage.seconds is None:
            self.outage.began(seconds)
            self.refusal = f"no answer for {seconds:.0f} s"
            self.tell(DestinationDown(self.job, self.name, self.refusal, 0.0))

    def look_for_refused(self, after: int) -> None:
        """Takes up the rows that the destination refused with marks above `after`."""
        found = self.destination.refusals(max(after, self._refused_number))
        with self._changed:
            self.refused += found
            if found:
                self._refused_number = found[-1].number

    def refused_after(self, number: int) -> list[Refusal]:
        """The rows refused with marks above `number`; the others are noted, and forgotten here."""
        with self._changed:
            self.refused = [r for r in self.refused if r.number > number]
            return list(self.refused)

    def landed(self) -> tuple[int, int, dict[str, int]]:
        """The last epochs delivered and marked, and all rows up to there, of one moment."""
        with self._changed:
            return self.delivered_epoch, self.marked_epoch, dict(self.rows)

    def _run(self) -> None:
        try:
            while (batch := self._gather()) is not None:
                self._deliver(batch)
                batch.clear()  # upkeep takes memory of its own
                self._tidy()
        except BaseException as error:
            # A thread's error must reach whoever waits for it.
            with self._changed:
                self.problem = error
                self._changed.notify_all()

    def _tidy(self) -> None:
        """Has the destination do its upkeep: what it was given counts already."""
        if isinstance(self.destination, TidyDestination) and not self._hurried():
            with self._spent("tidy"):
                self.destination.tidy(self._hurried)
        with self._changed:
            self._tidying = False
            self._changed.notify_all()

    def _hurried(self) -> bool:
        """Whether somebody waits for the end, or for what is in the queue."""
        return self._stop or (self._flush > 0 and len(self._queue) > 0)

    def _gather(self) -> list[Waiting] | None:
        """The epochs for the next delivery, rows made as they came; None when asked to stop."""
        made, deadline = 0, math.inf
        while True:
            with self._changed:
                self._changed.wait_for(partial(self._has_more, made), _until(deadline))
                if self._stop and not (self._flush and self._queue):
                    return None
                waiting = self._first()
                due = bool(waiting) and (self._enough or time.monotonic() >= deadline)
            if made == 0:
                deadline = time.monotonic() + self.pace.interval_seconds
            for one in waiting[made:]:
                self._make_rows(one)
            made = len(waiting)
            if due:
                return waiting

    def _has_more(self, made: int) -> bool:
        """Whether there is something to do for who has made the rows of so many epochs."""
        return self._stop or len(self._queue) > made or (made > 0 and self._enough)

    def _first(self) -> list[Waiting]:
        """As much of the queue as one delivery may hold."""
        taken, weight = list[Waiting](), 0
        for one in self._queue:
            weight += one.weight
            if taken and weight > self.pace.rows_max:
                break
            taken.append(one)
        return taken

    @property
    def _enough(self) -> bool:
        """Whether what waits is to be delivered without waiting for more."""
        return self._flush > 0 or self._weight >= self.pace.rows_min

    def _make_rows(self, waiting: Waiting) -> None:
        if waiting.made:
            return
        with self._spent("make rows"):
            waiting.rows = self.rows_of(waiting.committed)
        waiting.made = True
        waiting.committed = replace(waiting.committed, sources={}, late={}, changes={})

    def _deliver(self, batch: list[Waiting]) -> None:
        begun = time.monotonic()
        tables = [w.rows for w in batch if w.rows is not None and len(w.rows)]
        if self.ahead is not None and not self._gone_ahead(self.ahead):
            return
        self.ahead = None
        if not tables and self.replaces is not None:
            tables = [self.replaces]
        last, sent, landed = batch[-1].committed, 0, 0
        if tables:
            # Without rows there is nothing to land: after a crash the epoch gives none again.
            mark = mark_at(self.job, last.generation, last.epoch, last.positions)
            with self._spent("make rows"):
                rows = self.joined(tables)
            taken = self._until_taken(rows, mark)
            if taken is None:
                return
            sent, landed = len(rows), taken
            self.replaces = None
        with self._changed:
            for _ in batch:
                self._weight -= self._queue.popleft().weight
            self.delivered_epoch, self._tidying = last.epoch, True
            if tables:
                self.marked_epoch = last.epoch
            self._count(sent, landed)
            self._changed.notify_all()
        seconds = time.monotonic() - begun
        self.tell(DestinationDelivered(self.job, self.name, last.epoch, landed, seconds))

    def _gone_ahead(self, ahead: Iterable[tuple[pa.Table, Mark]]) -> bool:
        """Delivers what goes ahead; False when asked to stop before all of it has landed."""
        for rows, mark in ahead:
            # One that was stopped in the midst begins again where it is to end properly.
            if mark.number <= self._ahead_number:
                continue
            taken = None if self._stop and not self._flush else self._until_taken(rows, mark)
            if taken is None:
                return False
            self._ahead_number = mark.number
            with self._changed:
                self._count(len(rows), taken)
        return True

    def _count(self, sent: int, landed: int) -> None:
        self.rows["sent"] += sent
        self.rows["landed"] += landed
        self.rows["refused"] += sent - landed

    def _spent(self, stage: str) -> AbstractContextManager[None]:
        return self.stages.spent(f"deliver {self.name}", stage)

    def _until_taken(self, rows: pa.Table, mark: Mark) -> int | None:
        """Delivers, again and again while the destination is down; None if stopped."""
        while True:
            try:
                landed = self._handed_over(rows, mark)
            except HeadraceError as error:
                if not error.retry:
                    raise
                self.refusal = error.what
                wait = self.outage.failed()
                self.tell(DestinationDown(self.job, self.name, error.what, wait))
                with self._changed:
                    if self._stop or self._changed.wait_for(lambda: self._stop, wait):
                        return None
            else:
                seconds = self.outage.ended()
                if seconds is not None:
                    self.tell(DestinationBack(self.job, self.name, seconds))
                return landed

    def _handed_over(self, rows: pa.Table, mark: Mark) -> int:
        self._handed_at = time.monotonic()
        try:
            with self._spent("deliver"):
                landed = self.destination.deliver(rows, mark)
            if landed < len(rows):
                self.look_for_refused(mark.number - 1)
        finally:
            self._handed_at = None
        return landed


def _until(deadline: float) -> float | None:
    """The seconds until then, for those who wait; None for ever."""
    return None if deadline == math.inf else max(0.0, deadline - time.monotonic())


def lost_something(deliveries: Sequence[Delivery]) -> bool:
    """Whether a destination has lost what it had taken; raises what else ended a delivery."""
    problems = [d.problem for d in deliveries if d.problem is not None]
    for problem in problems:
        if not isinstance(problem, DestinationBehind):
            raise problem
    return bool(problems)


def stop_all(deliveries: Sequence[Delivery]) -> None:
    """Stops deliveries; what is in flight in several ends side by side."""
    for delivery in deliveries:
        delivery.ask_to_stop()
    for delivery in deliveries:
        delivery.stop()
