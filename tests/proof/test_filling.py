"""A table that is to be filled anew, and whose destination refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries.claims import Lack
from headrace.engines.embedded.deliveries.delivery import Delivery, Pace
from headrace.engines.embedded.deliveries.filling import Unfilled
from headrace.proof.filling import fill_tables
from headrace.storage.contract import Claim, Mark, Refusal
from headrace.values.errors import StateRefused
from tests.views.cases import START, thing, things


class TakenOver:
    """A table that another start of the job has taken."""

    def look(self, job: str) -> Claim | None:
        return None

    def open(self, job: str, incarnation: int) -> Mark | None:
        return None

    def deliver(self, rows: pa.Table, mark: Mark) -> int:
        raise AssertionError("it lacks rows from before")

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> int:
        raise StateRefused("the table was taken over")

    def refusals(self, after: int) -> Sequence[Refusal]:
        return []

    def close(self) -> None:
        pass


def test_what_the_destination_says_is_said_before_any_row_was_read() -> None:
    app, source = things()
    app.table("counts", source.by("who").agg(c="count(*)"))
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(n) for n in range(3)])
        assert t.rows("counts")
        [runner] = t.runners.values()
        delivery = Delivery(
            "views", "counts", TakenOver(), lambda committed: pa.table({}), print, Pace()
        )
        lack = Lack(None, runner.engine.ledger.epoch, "lost")
        runner.unfilled.append(Unfilled(runner.job.outputs[0], delivery, lack))
        with pytest.raises(StateRefused, match="the table was taken over"):
            fill_tables(runner)
        runner.unfilled.clear()
        t.verify()
