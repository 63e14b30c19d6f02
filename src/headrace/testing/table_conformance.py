"""What a system that keeps tables must do, as tests: a subclass gives the system, pytest runs it.

Besides what holds for every destination: upserts, deletes, smaller keys, generations. Each test
begins at a place where nothing is: let a fixture of the subclass make it.
"""

from __future__ import annotations

import random
import threading
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from headrace.storage.contract import Destination, Mark, System, TableDestination, Target
from headrace.testing.conformance import JOB, DestinationConformance, mark, refused
from headrace.testing.model import Model, Row, Upserted, same

_START = datetime(2026, 1, 1)


class TableConformance(DestinationConformance):
    """The tests of a system that keeps tables; a subclass gives `system`, always the same one."""

    COLUMNS = (("k", "VARCHAR"), ("at", "TIMESTAMP"), ("v", "BIGINT"))
    WHOLE = Target(JOB, "conformance", "table", COLUMNS, ("k", "at"), required=("at",))
    SMALLER = Target(JOB, "latest", "table", COLUMNS, ("k",), order=("at",), required=("at",))
    aim: Target = WHOLE

    @abstractmethod
    def system(self) -> System:
        """The system under test."""

    def target(self, job: str = JOB) -> Target:
        return replace(self.aim, job=job)

    def make(self, job: str = JOB) -> Destination:
        return self.system().destination(self.target(job))

    def held(self) -> list[Row]:
        snapshot = self.system().snapshot([self.target()])
        try:
            found: list[Row] = snapshot.rows(self.target()).read_all().to_pylist()
        finally:
            snapshot.close()
        return found

    def rows(self, numbers: Sequence[int]) -> pa.Table:
        return changes([("u", f"k{n}", n, n) for n in numbers])

    def model(self) -> Upserted:
        return Upserted(self.aim.key, self.aim.order)

    def changes(self, dice: random.Random, number: int) -> pa.Table:
        keys = {(dice.choice((None, "", "a", "B", "é")), dice.randrange(4)) for _ in range(6)}
        listed = sorted(keys, key=repr)
        made = [(dice.choice("uud"), k, at, dice.choice((None, number))) for k, at in listed]
        return changes(sorted(made, key=lambda change: change[0]))

    def test_upserts_and_deletes(self) -> None:
        self._take([[("u", "a", 1, 1), ("u", "a", 2, 2), ("u", None, 1, 3)]])
        same(self.held(), self._rows(("a", 1, 1), ("a", 2, 2), (None, 1, 3)))
        second = [("d", None, 1, None), ("d", "z", 1, None), ("u", "a", 1, None), ("u", "b", 1, 5)]
        self._take([second], 2)
        same(self.held(), self._rows(("a", 1, None), ("a", 2, 2), ("b", 1, 5)))

    def test_a_smaller_key_has_the_greatest_row(self) -> None:
        self.aim = self.SMALLER
        self._take([[("u", "a", 2, 1), ("u", "a", 3, 2), ("u", "a", 1, 3)], [("u", "a", 2, 9)]])
        same(self.held(), self._rows(("a", 3, 2)))
        self._take([[("d", "a", 2, None)], [("u", "a", 3, 4)]], 2)
        same(self.held(), self._rows(("a", 3, 4)))
        self._take([[("d", "a", 3, None), ("u", "a", 1, 5)]], 3)
        same(self.held(), self._rows(("a", 1, 5)))

    def test_a_smaller_key_holds_what_the_model_does(self) -> None:
        self.aim = self.SMALLER
        self.test_whatever_is_delivered_it_holds_what_the_model_does()

    def test_a_greater_generation_replaces_the_table(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            handle.deliver(self.step(2), mark(1, generation=2))
            handle.deliver(self.step(3), mark(2, generation=2))
        self.expect(2, 3)

    def test_a_greater_generation_begins_without_rows_too(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            handle.deliver(self.step(1).slice(0, 0), mark(1, generation=2))
        self.expect()

    def test_a_replacement_is_all_that_is_there(self) -> None:
        wanted = self._replaced([("a", 1, 5), (None, 2, 6), ("z", 3, None)], mark(3))
        with self.opened(3) as (handle, found):
            assert found is not None and found.number == mark(3).number
            more = changes([("u", "a", 1, 9), ("d", "z", 3, None)])
            assert handle.deliver(more, mark(4)) == 2, "it goes on from there"
            wanted.take(more, mark(4))
        same(self.held(), wanted)

    def test_a_smaller_key_is_replaced_by_lower_rows_too(self) -> None:
        self.aim = self.SMALLER
        self._replaced([("a", 0, 1), ("k7", 1, 2)], mark(3))

    def test_a_replacement_with_the_mark_that_is_there_replaces(self) -> None:
        self._replaced([("a", 1, 5)], mark(2))

    def test_a_replacement_by_nothing_leaves_nothing(self) -> None:
        self._replaced([], mark(3))

    def test_a_replacement_by_a_lower_mark_is_refused(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(2))
            refused(lambda: _table(handle).replace(_reader([("a", 1, 5)]), mark(1)))
            handle.deliver(self.step(2), mark(3))
        self.expect(1, 2)

    def test_a_replacement_by_an_older_start_is_refused(self) -> None:
        with self.opened(1) as (old, _):
            old.deliver(self.step(1), mark(1))
            with self.opened(2):
                refused(lambda: _table(old).replace(_reader([("a", 1, 5)]), mark(2)))
        self.expect(1)

    def test_readers_see_a_table_before_or_behind_its_replacement(self) -> None:
        rows = [(f"k{n}", n, -n) for n in range(2000)]
        with self.opened(1) as (handle, _):
            handle.deliver(changes([("u", *row) for row in rows]), mark(1))
            snapshot = self.system().snapshot([self.target()])
            seen = list[int | Exception]()
            ready, done = threading.Event(), threading.Event()

            def look() -> None:
                while not done.is_set():
                    try:
                        seen.append(len(self.held()))
                    except Exception as error:
                        seen.append(error)
                    ready.set()

            reader = threading.Thread(target=look)
            reader.start()
            ready.wait()
            try:
                _table(handle).replace(_reader(rows[:700]), mark(2))
            finally:
                done.set()
                reader.join()
            try:
                assert snapshot.rows(self.target()).read_all().num_rows == 2000
            finally:
                snapshot.close()
        assert seen[0] == 2000
        assert not [found for found in seen if found not in (2000, 700)]
        assert len(self.held()) == 700

    def test_rows_that_a_replacement_lacks_are_kept(self) -> None:
        with self.opened(1) as (handle, _):
            bad = self._offered(self.refused_row(), "refused_row").drop_columns(["_op"])
            handle.deliver(pa.concat_tables([self.refused_row(), self.step(1)]), mark(1))
            rows = _rows([("a", 1, 5), ("b", 1, 6)])
            both = pa.concat_tables([rows.slice(0, 1), bad, rows.slice(1)])
            assert _table(handle).replace(both.to_reader(), mark(2)) == 2
            assert [r.number for r in handle.refusals(-1)] == [mark(2).number]
            assert handle.refusals(-1)[0].reason
        wanted = self.model()
        wanted.replace(rows, mark(2))
        same(self.held(), wanted)

    def _replaced(self, listed: Sequence[tuple[Any, ...]], at: Mark) -> Upserted:
        """Replaces what two deliveries left, and is looked at."""
        wanted = self.model()
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            handle.deliver(changes([("u", "a", 1, 1), ("u", None, 5, 2)]), mark(2))
        with self.opened(2) as (handle, _):
            for _ in range(2):
                assert _table(handle).replace(_reader(listed), at) == len(listed)
                wanted.replace(_rows(listed), at)
                same(self.held(), wanted)
        return wanted

    def _take(self, every: Sequence[list[tuple[Any, ...]]], incarnation: int = 1) -> None:
        with self.opened(incarnation) as (handle, _):
            for number, listed in enumerate(every):
                at = mark(incarnation * 10 + number)
                assert handle.deliver(changes(listed), at) == len(listed)

    def _rows(self, *listed: tuple[Any, ...]) -> Model:
        wanted = self.model()
        wanted.take(changes([("u", *values) for values in listed]), mark(1))
        return wanted


def _table(handle: Destination) -> TableDestination:
    assert isinstance(handle, TableDestination), "a table can be replaced"
    return handle


def _rows(listed: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of (k, minutes, v), as a replacement has them."""
    return changes([("u", *row) for row in listed]).drop_columns(["_op"])


def _reader(listed: Sequence[tuple[Any, ...]]) -> pa.RecordBatchReader:
    """The same in several batches."""
    rows = _rows(listed)
    return pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=300))


def changes(listed: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows of (op, k, minutes, v) for the tables of `TableConformance`."""
    columns: list[list[Any]] = [list(c) for c in zip(*listed, strict=True)] or [[], [], [], []]
    columns[2] = [_START + timedelta(minutes=minutes) for minutes in columns[2]]
    types = {"_op": pa.string(), "k": pa.string(), "at": pa.timestamp("us"), "v": pa.int64()}
    return pa.table([pa.array(c) for c in columns], names=list(types)).cast(
        pa.schema(types.items())
    )
