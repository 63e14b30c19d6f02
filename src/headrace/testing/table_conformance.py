"""What a system that keeps tables must do, as tests: a subclass gives the system, pytest runs it.

Besides what holds for every destination: upserts, deletes, smaller keys and generations here,
values of every type in `value_conformance.py`, all rows given anew in `replacing_conformance.py`.
Each test begins at a place where nothing is: let a fixture of the subclass make it.
"""

from __future__ import annotations

import random

import pytest

from headrace.storage.contract import Target
from headrace.testing.asked import JOB, mark
from headrace.testing.model import same
from headrace.testing.replacing_conformance import ReplacingConformance
from headrace.testing.table_place import as_table, changes, delivery, reader
from headrace.testing.value_conformance import ValueConformance
from headrace.values.errors import DestinationBehind

__all__ = ["TableConformance", "changes"]

_TIMES, _TEXTS = ("null", "timestamp '1970-01-01 00:00:00.000001'"), ("null", "''", "'Z'", "'a'")


class TableConformance(ReplacingConformance, ValueConformance):
    """The tests of a system that keeps tables; a subclass gives `system`, always the same one."""

    def test_upserts_and_deletes(self) -> None:
        self.take([[("u", "a", 1, 1), ("u", "a", 2, 2), ("u", None, 1, 3)]])
        same(self.held(), self.wanted(("a", 1, 1), ("a", 2, 2), (None, 1, 3)))
        second = [("d", None, 1, None), ("d", "z", 1, None), ("u", "a", 1, None), ("u", "b", 1, 5)]
        self.take([second], 2)
        same(self.held(), self.wanted(("a", 1, None), ("a", 2, 2), ("b", 1, 5)))

    def test_a_smaller_key_has_the_greatest_row(self) -> None:
        self.aim = self.SMALLER
        self.take([[("u", "a", 2, 1), ("u", "a", 3, 2), ("u", "a", 1, 3)], [("u", "a", 2, 9)]])
        same(self.held(), self.wanted(("a", 3, 2)))
        self.take([[("d", "a", 2, None)], [("u", "a", 3, 4)]], 2)
        same(self.held(), self.wanted(("a", 3, 4)))
        self.take([[("d", "a", 3, None), ("u", "a", 1, 5)]], 3)
        same(self.held(), self.wanted(("a", 1, 5)))

    def test_deletes_go_before_the_upserts_wherever_they_stand(self) -> None:
        """Of a smaller key one delivery may withdraw a row and bring the one that now counts."""
        self.aim = self.SMALLER
        self.take([[("u", "a", 3, 1), ("u", "b", 3, 1), ("u", "c", 3, 1)]])
        a = [("u", "a", 2, 3), ("d", "a", 3, None), ("u", "a", 1, 2)]
        b = [("u", "b", 4, 2), ("d", "b", 3, None)]
        c = [("u", "c", 2, 2), ("d", "c", 4, None)]
        self.take([a + b + c], 2)
        same(self.held(), self.wanted(("a", 2, 3), ("b", 4, 2), ("c", 3, 1)))

    def test_an_order_has_nulls_lowest_and_text_by_its_bytes(self) -> None:
        columns = (("k", "BIGINT"), ("at", "TIMESTAMP"), ("w", "VARCHAR"), ("v", "BIGINT"))
        self.aim = Target(JOB, "ordered", "table", columns, ("k",), order=("at", "w"))
        ranks = [f"{at}, {text}" for at in _TIMES for text in _TEXTS]
        keys, dice = range(4), random.Random(self.seed)
        shuffled = [dice.sample(ranks, len(ranks)) for _ in keys]
        wanted = self.model()
        with self.opened(1) as (handle, _):
            for epoch in range(1, len(ranks) + 3):
                if epoch <= len(ranks):
                    listed = [f"'u', {k}, {shuffled[k][epoch - 1]}, {epoch}" for k in keys]
                else:
                    # Each key loses the row that counts, then gets all of them at once.
                    op, those = ("d", ranks[-1:]) if epoch == len(ranks) + 1 else ("u", ranks)
                    listed = [f"'{op}', {k}, {rank}, 0" for rank in those for k in keys]
                rows = delivery(self.aim, listed)
                assert handle.deliver(rows, mark(epoch)) == len(listed)
                wanted.take(rows, mark(epoch))
                same(self.held(), wanted)

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

    @pytest.mark.parametrize("there", [0, 1])
    def test_an_older_place_is_told_from_one_that_others_wrote(self, there: int) -> None:
        """What was taken is gone: the job has to fill it, so it must not go on as if it were."""
        with self.opened(1) as (handle, _):
            for epoch in range(1, there + 1):
                handle.deliver(self.step(epoch), mark(epoch))
            put_back = self._offered(self.backup(), "backup")
            handle.deliver(self.step(2), mark(2))
            put_back()
            for epoch in (2, 3):
                with pytest.raises(DestinationBehind):
                    handle.deliver(self.step(epoch), mark(epoch))
                with pytest.raises(DestinationBehind):
                    as_table(handle).replace(reader([("a", 1, 5)]), mark(epoch))
            self.expect(*range(1, there + 1))
        with self.opened(2) as (handle, found):
            assert (None if found is None else found.epoch) == (there or None)
            for epoch in range(there + 1, 4):
                handle.deliver(self.step(epoch), mark(epoch))
        self.expect(1, 2, 3)
