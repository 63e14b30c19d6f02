"""What `replace` must do: all rows of a table given anew, in one step, by whoever may.

A table that lost what it had is filled by it, and a job that was rebuilt delivers by it, so it must
be whole for readers, harmless when repeated, and refused to whoever has lost the table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa

from headrace.storage.contract import Mark
from headrace.testing.asked import JOB, OTHER, mark, once_back, refused
from headrace.testing.model import Upserted, same
from headrace.testing.table_place import TablePlace, as_table, changes, plain, reader
from headrace.values.errors import HeadraceError, StateRefused

_NEWCOMER_SECONDS_MAX = 5.0


class ReplacingConformance(TablePlace):
    """The tests of `TableDestination.replace`."""

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

    def test_a_replacement_of_a_greater_generation_goes_on_in_it(self) -> None:
        later = mark(1, generation=2)
        wanted = self._replaced([("a", 1, 5)], later)
        more = changes([("u", "b", 1, 9)])
        with self.opened(3) as (handle, _):
            for at in (mark(9), replace(later, epoch=2)):
                assert handle.deliver(more, at) == 1
                wanted.take(more, at)
                same(self.held(), wanted)

    def test_a_replacement_by_nothing_leaves_nothing(self) -> None:
        self._replaced([], mark(3))

    def test_a_replacement_by_a_lower_mark_is_refused(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(2))
            refused(lambda: as_table(handle).replace(reader([("a", 1, 5)]), mark(1)))
            handle.deliver(self.step(2), mark(3))
        self.expect(1, 2)

    def test_a_replacement_by_an_older_start_is_refused(self) -> None:
        with self.opened(1) as (old, _):
            old.deliver(self.step(1), mark(1))
            with self.opened(2):
                refused(lambda: as_table(old).replace(reader([("a", 1, 5)]), mark(2)))
        self.expect(1)

    def test_a_replacement_by_who_has_no_right_to_it_is_refused(self) -> None:
        rows = [("a", 1, 5)]
        with self.opened(1) as (one, _), self._made() as other:
            one.deliver(self.step(1), mark(1))
            refused(lambda: as_table(one).replace(reader(rows), mark(2, job=OTHER)))
            with suppress(StateRefused):
                other.open(JOB, 1)
                one.deliver(self.step(2), mark(2))
                refused(lambda: as_table(other).replace(reader(rows), mark(3)))
            one.deliver(self.step(2), mark(2))
        self.expect(1, 2)

    def test_a_replacement_in_which_a_newer_start_begins_is_its_own_or_nothing(self) -> None:
        """The rows take time, so whoever begins meanwhile must not find other ones than it saw."""
        found, ended = list[Mark | None](), threading.Event()
        with self.opened(1) as (old, _), self._made() as new:
            old.deliver(self.step(1), mark(1))

            def begin() -> None:
                with suppress(HeadraceError):
                    found.append(new.open(JOB, 2))
                ended.set()

            newcomer = threading.Thread(target=begin)

            def rows() -> Iterator[pa.RecordBatch]:
                batches = plain([(f"k{n}", n, -n) for n in range(20)]).to_batches(max_chunksize=10)
                yield batches[0]
                newcomer.start()
                ended.wait(_NEWCOMER_SECONDS_MAX)
                yield batches[1]

            landed = 0
            with suppress(HeadraceError):
                given = pa.RecordBatchReader.from_batches(plain([]).schema, rows())
                landed = as_table(old).replace(given, mark(2))
            assert newcomer.ident is not None, "the rows were never asked for"
            newcomer.join()
            seen = found[0] if found else once_back(lambda: new.open(JOB, 2))
            assert seen is not None and seen.epoch == (2 if landed else 1)
            assert len(self.held()) == (20 if landed else 5)
            refused(lambda: as_table(old).replace(reader([("a", 1, 5)]), mark(3)))

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

            looking = threading.Thread(target=look)
            looking.start()
            ready.wait()
            try:
                as_table(handle).replace(reader(rows[:700]), mark(2))
            finally:
                done.set()
                looking.join()
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
            rows = plain([("a", 1, 5), ("b", 1, 6)])
            both = pa.concat_tables([rows.slice(0, 1), bad, rows.slice(1)])
            assert as_table(handle).replace(both.to_reader(), mark(2)) == 2
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
                assert as_table(handle).replace(reader(listed), at) == len(listed)
                wanted.replace(plain(listed), at)
                same(self.held(), wanted)
        return wanted
