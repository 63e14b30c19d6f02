"""A system that is away: how often it is asked, what is told, and that nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.deliveries.outage import PATIENCE_SECONDS, Outage
from headrace.engines.embedded.epochs.engine import Committed
from headrace.engines.embedded.epochs.sources import Position
from headrace.storage.contract import Mark, Refusal
from headrace.values.errors import Unreachable
from headrace.values.telemetry import DestinationBack, DestinationDown, Event


def test_an_outage_lasts_from_the_first_try_that_failed() -> None:
    now = [100.0]
    outage = Outage(lambda: now[0])
    assert outage.seconds is None and outage.ended() is None
    waits = []
    for _ in range(6):
        waits.append(outage.failed(10.0))
        now[0] += waits[-1]
    assert waits == [0.2, 1.0, 2.0, 5.0, 5.0, 5.0]
    assert not outage.given_up
    now[0] += PATIENCE_SECONDS
    assert outage.given_up
    assert outage.ended() == pytest.approx(10.0 + sum(waits) + PATIENCE_SECONDS)
    assert outage.failed() == 0.2


class Held:
    """A destination that answers when it is let."""

    def __init__(self, refused: int = 0) -> None:
        self.let, self.closed, self.refused = threading.Event(), False, refused
        self.asked = 0

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        self.let.wait()
        return len(rows) - self.refused

    def refusals(self, after: int) -> list[Refusal]:
        self.asked += 1
        if self.asked == 1:
            raise Unreachable("the line went dead")
        return [Refusal(mark(1).number, "{}", "no")] * self.refused

    def close(self) -> None:
        self.closed = True


def mark(epoch: int) -> Mark:
    return Mark("job", 1, epoch, {}, {})


def delivery(destination: Held, told: list[Event], pace: Pace | None = None) -> Delivery:
    def rows_of(committed: Committed) -> pa.Table:
        return pa.table({"n": [committed.epoch]})

    made = Delivery("job", "rows", destination, rows_of, told.append, pace or Pace())  # type: ignore[arg-type]
    made.start(0, 0, {"sent": 0, "landed": 0, "refused": 0})
    return made


class Epoch(Committed):
    weight = 10  # type: ignore[assignment]


def epoch(number: int) -> Committed:
    return Epoch(1, number, 0, {}, positions={"in": Position([number])})


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_delivery_that_is_never_answered_is_told_and_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace.engines.embedded.deliveries.delivery._SILENCE_SECONDS", 0.05)
    destination, told = Held(), list[Event]()
    made = delivery(destination, told)
    made.put(epoch(1))

    def silent() -> bool:
        made.look_for_silence()
        return made.down is not None

    until(silent)
    made.look_for_silence()
    assert [type(event) for event in told] == [DestinationDown]
    made.stop()
    assert not destination.closed, "somebody is still inside"
    destination.let.set()
    until(lambda: made.landed()[0] == 1)
    assert made.down is None and isinstance(told[1], DestinationBack)


def test_room_is_awaited_and_not_taken_for_granted() -> None:
    destination = Held()
    made = delivery(destination, [], Pace(records_waiting_max=20))
    made.put(epoch(1))
    assert made.has_room(0.0)
    made.put(epoch(2))
    assert not made.has_room(0.01)
    destination.let.set()
    assert made.has_room(60.0)
    made.stop()
    assert destination.closed


def test_refusals_that_cannot_be_read_are_asked_for_again() -> None:
    destination, told = Held(refused=1), list[Event]()
    destination.let.set()
    made = delivery(destination, told)
    made.put(epoch(1))
    assert made.flush(1, 60.0)
    assert made.problem is None
    assert made.landed()[2] == {"sent": 1, "landed": 0, "refused": 1}
    assert [r.reason for r in made.refused_after(-1)] == ["no"]
    made.stop()
