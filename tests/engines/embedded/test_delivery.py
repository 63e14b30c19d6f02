"""How epochs are gathered: rows are made once, as they come, and never too many together."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pyarrow as pa
import pytest

from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.epochs.engine import Committed
from headrace.storage.contract import Claim, Mark, Refusal
from headrace.values.weights import RECORD_BYTES
from tests.engines.embedded.test_outage import Epoch, until


class Taking:
    """A destination that notes what it was handed, once it is let."""

    def __init__(self, *, let: bool = True) -> None:
        self.let, self.handed = threading.Event(), list[tuple[int, list[int]]]()
        if let:
            self.let.set()

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        self.let.wait()
        self.handed.append((mark.epoch, rows.column("n").to_pylist()))
        return len(rows)

    def refusals(self, after: int) -> list[Refusal]:
        return []

    def close(self) -> None:
        pass


def epoch(number: int) -> Committed:
    changes = {"rows": pa.table({"n": [number]})}
    return Epoch(1, number, 0, {}, changes=changes)


def delivery(
    destination: Taking, pace: Pace, rows_of: Callable[[Committed], pa.Table | None]
) -> Delivery:
    made = Delivery("job", "rows", destination, rows_of, lambda event: None, pace)  # type: ignore[arg-type]
    made.start(0, 0, {"sent": 0, "landed": 0, "refused": 0})
    return made


def test_rows_are_made_while_more_is_waited_for() -> None:
    asked = list[int]()

    def rows_of(committed: Committed) -> pa.Table:
        asked.append(committed.epoch)
        return committed.changes["rows"]

    destination = Taking()
    made = delivery(destination, Pace(math.inf, rows_min=30), rows_of)
    made.put(epoch(1))
    until(lambda: asked == [1])
    made.put(epoch(2))
    until(lambda: asked == [1, 2])
    assert destination.handed == []
    made.put(epoch(3))
    until(lambda: destination.handed == [(3, [1, 2, 3])])
    made.put(epoch(4))
    assert made.flush(4, 60.0)
    assert destination.handed[1:] == [(4, [4])]
    assert asked == [1, 2, 3, 4]
    made.stop()


def test_what_rows_were_made_of_is_let_go() -> None:
    destination = Taking(let=False)
    made = delivery(destination, Pace(), lambda committed: committed.changes["rows"])
    made.put(epoch(1))
    until(lambda: made._queue[0].made)
    assert made._queue[0].committed.changes == {}
    destination.let.set()
    assert made.flush(1, 60.0)
    assert destination.handed == [(1, [1])]
    made.stop()


def test_no_more_go_together_than_allowed() -> None:
    destination = Taking(let=False)
    pace = Pace(rows_max=25)
    made = delivery(destination, pace, lambda committed: committed.changes["rows"])
    made.put(epoch(1))
    until(lambda: made._handed_at is not None)
    for number in range(2, 7):
        made.put(epoch(number))
    destination.let.set()
    assert made.flush(6, 60.0)
    assert destination.handed == [(1, [1]), (3, [2, 3]), (5, [4, 5]), (6, [6])]
    made.stop()


def test_an_epoch_that_is_too_large_goes_alone() -> None:
    destination = Taking()
    made = delivery(destination, Pace(rows_max=5), lambda committed: committed.changes["rows"])
    for number in (1, 2):
        made.put(epoch(number))
    assert made.flush(2, 60.0)
    assert destination.handed == [(1, [1]), (2, [2])]
    made.stop()


def test_large_records_count_for_more() -> None:
    few = pa.table({"value": [b"x" * 10_000] * 10})
    many = pa.table({"value": [b"x"] * 1_000})
    sources = {str(n): SimpleNamespace(records=records) for n, records in enumerate((few, many))}
    committed = Committed(1, 1, 0, sources)  # type: ignore[arg-type]
    assert committed.records == 1_010
    assert 1_000 + 10 * 10_000 // 256 <= committed.weight < 1_000 + 10 * 10_100 // 256


def test_an_epoch_without_rows_moves_on_and_leaves_no_mark() -> None:
    destination = Taking()
    made = delivery(destination, Pace(), lambda committed: None)
    made.put(epoch(1))
    assert made.flush(1, 60.0)
    assert destination.handed == [] and made.landed()[:2] == (1, 0)
    made.stop()


class Tidying(Taking):
    """A destination that is at its upkeep until it is hurried."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ended, self.closed = 0, 0, False

    def look(self, job: str) -> Claim | None:
        return None

    def open(self, job: str, incarnation: int) -> Mark | None:
        return None

    def tidy(self, hurried: Callable[[], bool]) -> None:
        self.begun += 1
        until(hurried)
        self.ended += 1

    def close(self) -> None:
        self.closed = True


def test_upkeep_comes_behind_what_is_delivered_and_gives_way() -> None:
    destination = Tidying()
    made = delivery(destination, Pace(), lambda committed: committed.changes["rows"])
    assert made.tidied(0.0), "nothing was delivered"
    made.put(epoch(1))
    assert made.flush(1, 60.0)
    until(lambda: destination.begun == 1)
    assert made.flush(1, 60.0) and not made.tidied(0.0), "nobody waits for what is there"
    made.put(epoch(2))
    assert destination.handed == [(1, [1])] and destination.ended == 0
    assert made.flush(2, 60.0)
    assert destination.handed == [(1, [1]), (2, [2])] and destination.ended == 1
    until(lambda: destination.begun == 2)
    made.stop()
    assert destination.ended == 2 and destination.closed and made.tidied(0.0)


def test_what_waits_for_more_is_left_when_asked_to_stop() -> None:
    destination = Taking()
    pace = Pace(math.inf, rows_min=100)
    made = delivery(destination, pace, lambda committed: committed.changes["rows"])
    made.put(epoch(1))
    until(lambda: made._queue[0].made)
    made.stop()
    assert destination.handed == [] and made.landed()[0] == 0


def held(pace: Pace, *, of_view: bool = False) -> Delivery:
    """A delivery of whose epochs nothing is taken up: its thread does not run."""
    return Delivery("job", "rows", Taking(), lambda c: None, lambda e: None, pace, of_view=of_view)  # type: ignore[arg-type]


def of(records: int, rows: pa.Table) -> Committed:
    """An epoch with so many small records, which gives `rows` to one output and more to another."""
    part = SimpleNamespace(records=pa.table({"value": [b"x"] * records}))
    changes = {"rows": rows, "others": pa.table({"n": range(1_000_000)})}
    return Committed(1, 1, 0, {"in": part}, changes=changes)  # type: ignore[dict-item]


def put_until_full(made: Delivery, committed: Committed) -> int:
    """How many such epochs there is room for."""
    count = 0
    while made.has_room(0.0):
        made.put(committed)
        count += 1
    return count


@pytest.mark.parametrize("of_view", [True, False])
def test_the_rows_that_wait_are_bounded_and_not_the_records_alone(of_view: bool) -> None:
    pace = Pace(records_waiting_max=10_000)
    many = pa.table({"n": range(1_000)})
    assert put_until_full(held(pace, of_view=of_view), of(10, many)) == 10
    # Each as large as 100 records of the size that counts as one.
    large = pa.table({"text": ["x" * RECORD_BYTES * 100] * 10})
    assert put_until_full(held(pace, of_view=of_view), of(10, large)) in (9, 10)
    # Where there are more records than rows, they count.
    few = pa.table({"n": range(10)})
    assert put_until_full(held(pace, of_view=of_view), of(2_000, few)) == 5


def test_epochs_that_wait_are_bounded_however_small() -> None:
    nothing = Committed(1, 1, 0, {})
    assert put_until_full(held(Pace(epochs_waiting_max=7)), nothing) == 7
    # By default what 25 kB each come to is no more than records may have.
    pace = Pace()
    assert pace.epochs_waiting_max * 25_000 < pace.records_waiting_max * RECORD_BYTES


def test_epochs_without_records_or_rows_do_not_hasten_a_delivery() -> None:
    made = held(Pace(math.inf, rows_min=10))
    for _ in range(100):
        made.put(Committed(1, 1, 0, {}))
    assert not made._enough


def test_what_an_output_of_a_view_is_not_made_of_is_let_go_at_once() -> None:
    made, rows = held(Pace(), of_view=True), pa.table({"n": [1]})
    made.put(of(1_000, rows))
    [waiting] = made._queue
    assert waiting.committed.sources == {} and waiting.committed.changes == {"rows": rows}
    assert waiting.weight == 1_000
