"""What any destination must do, as tests: a subclass says how to reach one, pytest runs it.

The class here is for whatever keeps every row that it is given (topics, lakes); tables have theirs
in `headrace.testing.table_conformance`. Each test begins at a place where nothing is: let
a fixture of the subclass make it. This module needs pytest; the rest of Headrace does not.
"""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import ClassVar, TypeVar

import pyarrow as pa
import pytest

from headrace.storage.contract import (
    Claim,
    Destination,
    Finding,
    Mark,
    System,
    Target,
    TidyDestination,
)
from headrace.testing.asked import (
    JOB,
    OTHER,
    hurried_after,
    killed_at,
    mark,
    once_back,
    refused,
    same_mark,
)
from headrace.testing.model import Kept, Model, Row, same
from headrace.values.errors import HeadraceError, StateRefused

T = TypeVar("T")
WAYS = ("next", "generation", "again", "lower")


class DestinationConformance(ABC):
    """The tests of a destination that keeps every row; subclasses say how to reach it.

    `shared`: several jobs may write to one place, each with a mark of its own. `points`: names of
    kill points that a delivery passes; with `child`, a process is killed at each of them. `seed`
    is that of the random deliveries.
    """

    shared: ClassVar[bool] = False
    points: ClassVar[Sequence[str]] = ()
    seed: ClassVar[int] = 1

    @abstractmethod
    def make(self, job: str = JOB) -> Destination:
        """A new handle to the one place, as another process would have it; not open."""

    @abstractmethod
    def rows(self, numbers: Sequence[int]) -> pa.Table:
        """One row for each number, no two alike, as `deliver` takes them."""

    @abstractmethod
    def held(self) -> list[Row]:
        """What readers see: for each row a dict by column name, in any order."""

    def refused_row(self) -> pa.Table | None:
        """A row that the place refuses, of the columns of `rows`; asked for once it is open."""
        return None

    def outage(self) -> AbstractContextManager[object] | None:
        """Takes the system away, and brings it back at the end of the block."""
        return None

    def child(self, incarnation: int, epoch: int) -> Sequence[str] | None:
        """The command of a process that opens with `incarnation` and delivers `step(epoch)`."""
        return None

    def system(self) -> System | None:
        """The system that made the destination, where there is one."""
        return None

    def target(self, job: str = JOB) -> Target | None:
        """What `make` makes a destination for, where there is a system."""
        return None

    def model(self) -> Model:
        """The plain Python that `held` is compared with."""
        return Kept()

    def changes(self, dice: random.Random, number: int) -> pa.Table:
        """Some rows for a random delivery; nothing before has used numbers from `number` on."""
        return self.rows(range(number, number + dice.randrange(6)))

    def step(self, epoch: int) -> pa.Table:
        """The rows of an epoch: five."""
        return self.rows(range(epoch * 5, epoch * 5 + 5))

    @contextmanager
    def opened(self, incarnation: int, job: str = JOB) -> Iterator[tuple[Destination, Mark | None]]:
        """A new handle, open, with the mark that it found; closed at the end."""
        with self._made(job) as handle:
            yield handle, handle.open(job, incarnation)

    def expect(self, *epochs: int) -> None:
        """Asserts that the rows of exactly these epochs are there."""
        wanted = self.model()
        for epoch in epochs:
            wanted.take(self.step(epoch), mark(epoch))
        same(self.held(), wanted)

    def test_open_on_nothing_gives_no_mark(self) -> None:
        with self.opened(1) as (_, found):
            assert found is None
        same(self.held(), self.model())
        with self.opened(2) as (_, found):
            assert found is None, "opening is no delivery"

    def test_a_delivery_is_there_for_who_opens_next(self) -> None:
        with self.opened(1) as (handle, _):
            assert handle.deliver(self.step(1), mark(1)) == 5
            self.expect(1)
        with self.opened(2) as (_, found):
            same_mark(found, mark(1))
        self.expect(1)

    def test_a_delivery_without_rows_moves_the_mark(self) -> None:
        with self.opened(1) as (handle, _):
            assert handle.deliver(self.step(1).slice(0, 0), mark(7)) == 0
        with self.opened(2) as (handle, found):
            same_mark(found, mark(7))
            assert handle.deliver(self.step(9), mark(9)) == 5, "marks may leave epochs out"
        self.expect(9)

    def test_the_same_mark_again_adds_nothing(self) -> None:
        with self.opened(1) as (handle, _):
            for _ in range(2):
                assert handle.deliver(self.step(1), mark(1)) == 5
        with self.opened(2) as (handle, _):
            assert handle.deliver(self.step(1), mark(1)) == 5
        self.expect(1)

    def test_a_lower_mark_adds_nothing(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(4))
            handle.deliver(self.step(2), mark(3))
        with self.opened(2) as (handle, found):
            same_mark(found, mark(4))
            handle.deliver(self.step(2), mark(2))
        with self.opened(3) as (_, found):
            same_mark(found, mark(4))
        self.expect(1)

    def test_a_greater_generation_is_a_greater_mark(self) -> None:
        later = mark(1, generation=2)
        wanted = self.model()
        with self.opened(1) as (handle, _):
            for number, at in ((1, mark(5)), (2, later)):
                assert handle.deliver(self.step(number), at) == 5
                wanted.take(self.step(number), at)
            handle.deliver(self.step(3), mark(6))
        with self.opened(2) as (_, found):
            same_mark(found, later)
        same(self.held(), wanted)

    def test_a_newer_start_fences_an_older_one(self) -> None:
        with self.opened(1) as (old, _):
            old.deliver(self.step(1), mark(1))
            with self.opened(2) as (new, found):
                same_mark(found, mark(1))
                for _ in range(2):
                    refused(lambda: old.deliver(self.step(3), mark(2)))
                assert new.deliver(self.step(2), mark(2)) == 5
                refused(lambda: old.deliver(self.step(3), mark(3)))
                with self._made() as newcomer:
                    refused(lambda: newcomer.open(JOB, 1))
                new.deliver(self.step(4), mark(4))
        self.expect(1, 2, 4)

    def test_who_looks_takes_nothing(self) -> None:
        with self._made() as visitor:
            assert visitor.look(JOB) is None, "nobody has opened it"
        with self.opened(3) as (handle, _):
            with self._made() as visitor:
                assert visitor.look(JOB) == Claim(3, None)
            handle.deliver(self.step(1), mark(1))
            with self._made() as visitor:
                claim = visitor.look(JOB)
                assert claim is not None
                assert claim.incarnation == 3
                same_mark(claim.mark, mark(1))
            assert handle.deliver(self.step(2), mark(2)) == 5, "it goes on as before"
        self.expect(1, 2)

    def test_two_with_one_state_are_noticed(self) -> None:
        with self.opened(1) as (one, _), self._made() as other:
            with suppress(StateRefused):
                other.open(JOB, 1)
                one.deliver(self.step(1), mark(1))
                refused(lambda: other.deliver(self.step(3), mark(2)))
            assert one.deliver(self.step(1), mark(1)) == 5
            assert one.deliver(self.step(2), mark(2)) == 5
        self.expect(1, 2)

    def test_threads_may_take_turns(self) -> None:
        with self.opened(1) as (handle, _):
            with ThreadPoolExecutor(1) as other:
                assert other.submit(handle.deliver, self.step(1), mark(1)).result() == 5
            assert handle.deliver(self.step(2), mark(2)) == 5
        self.expect(1, 2)

    def test_two_writers_at_once_leave_every_epoch_once(self) -> None:
        ready, problems = threading.Barrier(2), list[Exception]()

        def run(incarnation: int) -> None:
            with self._made() as handle:
                ready.wait()
                try:
                    last = handle.open(JOB, incarnation)
                    for epoch in range(1 if last is None else last.epoch + 1, 11):
                        handle.deliver(self.step(epoch), mark(epoch))
                except Exception as problem:
                    problems.append(problem)

        threads = [threading.Thread(target=run, args=(n,)) for n in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        strange = [p for p in problems if not isinstance(p, HeadraceError)]
        assert not strange, f"errors are to be Headrace's own: {strange}"
        with self.opened(3) as (handle, last):
            for epoch in range(1 if last is None else last.epoch + 1, 11):
                handle.deliver(self.step(epoch), mark(epoch))
        self.expect(*range(1, 11))

    def test_another_job_is_kept_apart(self) -> None:
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            refused(lambda: handle.deliver(self.step(3), mark(2, job=OTHER)))
            if self.shared:
                with self.opened(1, OTHER) as (_, found):
                    assert found is None, "each job has a mark of its own"
            else:
                with self._made(OTHER) as theirs:
                    refused(lambda: theirs.open(OTHER, 9))
            handle.deliver(self.step(2), mark(2))
        self.expect(1, 2)

    def test_refused_rows_are_kept_and_the_others_land(self) -> None:
        with self.opened(1) as (handle, _):
            bad = self._offered(self.refused_row(), "refused_row")
            rows = pa.concat_tables([self.step(1), bad.cast(self.step(1).schema)])
            for _ in range(2):
                assert handle.deliver(rows, mark(1)) == 5, "counts what landed, also when repeated"
            assert handle.deliver(self.step(2), mark(2)) == 5
            found = list(handle.refusals(-1))
            assert [one.number for one in found] == [mark(1).number]
            assert found[0].row and found[0].reason, "the row, and why, in words"
            assert list(handle.refusals(mark(1).number)) == []
        with self.opened(2) as (handle, last):
            same_mark(last, mark(2))
            assert list(handle.refusals(mark(1).number - 1)) == found
        self.expect(1, 2)

    def test_a_system_that_was_away_has_the_delivery_once(self) -> None:
        outage = self._offered(self.outage(), "outage")
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            with outage:
                with pytest.raises(HeadraceError) as told:
                    handle.deliver(self.step(2), mark(2))
                assert told.value.retry, f"trying again helps, so it is to say so: {told.value}"
                with self._made() as newcomer, pytest.raises(HeadraceError) as told:
                    newcomer.open(JOB, 2)
                assert told.value.retry, f"trying again helps, so it is to say so: {told.value}"
            assert once_back(lambda: handle.deliver(self.step(2), mark(2))) == 5
        self.expect(1, 2)
        with self.opened(3) as (_, found):
            same_mark(found, mark(2))

    def test_a_writer_killed_at_any_point_goes_on(self) -> None:
        self._offered(self.child(1, 1), "child")
        assert self.points, "name the kill points that a delivery passes"
        taken = 0
        for number, point in enumerate(self.points):
            command = self._offered(self.child(2 * number + 1, taken + 1), "child")
            killed_at(point, command)
            with self.opened(2 * number + 2) as (handle, last):
                there = 0 if last is None else last.epoch
                assert there in (taken, taken + 1), f"{point}: the mark is {last}"
                self.expect(*range(1, there + 1))
                taken += 1
                handle.deliver(self.step(taken), mark(taken))
            self.expect(*range(1, taken + 1))

    def test_whatever_is_delivered_it_holds_what_the_model_does(self) -> None:
        dice, wanted, at = random.Random(self.seed), self.model(), mark(1)
        rows, number = self.changes(dice, 0), 0
        for start in range(1, 5):
            with self.opened(start) as (handle, found):
                same_mark(found, None if start == 1 else at)
                for what in dice.choices(WAYS, (6, 1, 1, 1), k=8):
                    number += 10
                    if what == "lower":
                        older, before = self.changes(dice, number), replace(at, epoch=0)
                        handle.deliver(older, before)
                        wanted.take(older, before)
                    elif what == "generation":
                        at, rows = mark(1, at.generation + 1), self.changes(dice, number)
                    elif what == "next":
                        at = mark(at.epoch + dice.randint(1, 3), at.generation)
                        rows = self.changes(dice, number)
                    assert handle.deliver(rows, at) == rows.num_rows
                    wanted.take(rows, at)
            same(self.held(), wanted)

    def test_upkeep_changes_no_row_and_ends_when_it_is_hurried(self) -> None:
        with self.opened(1) as (handle, _):
            tidying = self._offered(handle if isinstance(handle, TidyDestination) else None, "tidy")
            for epoch in range(1, 41):
                assert handle.deliver(self.step(epoch), mark(epoch)) == 5
                tidying.tidy(hurried_after(epoch % 11))
                self.expect(*range(1, epoch + 1))
        with self.opened(2) as (_, found):
            same_mark(found, mark(40))
        self.expect(*range(1, 41))

    def test_a_snapshot_stays_as_it_was(self) -> None:
        system = self._offered(self.system(), "system")
        target = self._offered(self.target(), "target")
        with self.opened(1) as (handle, _):
            handle.deliver(self.step(1), mark(1))
            snapshot = system.snapshot([target])
            handle.deliver(self.step(2), mark(2))
            try:
                assert snapshot.rows(target).read_all().num_rows == 5
            finally:
                snapshot.close()
        self.expect(1, 2)

    def test_findings_are_told_and_never_raised(self) -> None:
        system = self._offered(self.system(), "system")
        target = self._offered(self.target(), "target")
        with self.opened(1):
            found = list(system.findings([target], {}))
        assert found and all(isinstance(one, Finding) for one in found)
        assert [f for f in found if f.level == "error"] == [], "all is well"
        outage = self.outage()
        if outage is not None:
            with outage:
                found = list(system.findings([target], {}))
            silent = [f for f in found if f.level == "error" and f.unreachable]
            assert silent, "nobody answers: say so, by `unreachable` too"
            once_back(lambda: system.snapshot([target])).close()

    @contextmanager
    def _made(self, job: str = JOB) -> Iterator[Destination]:
        handle = self.make(job)
        try:
            yield handle
        finally:
            handle.close()

    def _offered(self, given: T | None, hook: str) -> T:
        if given is None:
            pytest.skip(f"{type(self).__name__} has no {hook}")
        return given
