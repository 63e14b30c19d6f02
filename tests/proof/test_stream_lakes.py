"""Lakes of streams: every row is compared, whatever its columns are called, and wherever it came
from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import headrace.testing
from headrace.engines.embedded.deliveries import outgoing
from headrace.proof.report import Checked
from headrace.proof.verify import verify
from headrace.testing import Driver
from tests.views.cases import thing, things


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the record with a text of three letters the column `size` is delivered wrong."""
    made = outgoing.StreamRows.lake

    def wrong(self: outgoing.StreamRows, committed: Any) -> pa.Table | None:
        rows = made(self, committed)
        if rows is None or self.output.name != "spoilt":
            return rows
        at = rows.column_names.index("size")
        sizes = [7 if size == 3 else size for size in rows.column("size").to_pylist()]
        return rows.set_column(at, rows.field(at), pa.array(sizes, rows.field(at).type))

    monkeypatch.setattr(outgoing.StreamRows, "lake", wrong)


def lakes(t: Driver) -> dict[str, Checked]:
    t._catch_up()
    return {c.name: c for c in verify(t.runners["views"]).checked if c.kind == "lake"}


@pytest.mark.parametrize("whole_before", [True, False])
@pytest.mark.usefixtures("spoilt")
def test_a_wrong_added_column_is_found(whole_before: bool) -> None:
    """The lake is what the events are read from, or another one is."""
    app, source = things()
    if whole_before:
        app.lake("events", source)
    app.lake("spoilt", source.with_columns(size="length(text)", seen="processing_time()"))
    (stream,) = (s for s in app.plan.jobs[0].streams if s.added)
    assert stream.whole, "so that it may stand for the log"
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, text="x" * i) for i in range(3)])
        assert [c.different for c in lakes(t).values()] == [0] * len(lakes(t))
        t.send("things", [thing(i, text="x" * i) for i in range(3, 6)])
        found = lakes(t)["spoilt"]
        assert found.different == 2
        assert {d["_kind"]: d["size"] for d in found.differences} == {
            "missing": 3,
            "unexpected": 7,
        }
        assert {d["_offset"] for d in found.differences} == {3}


def test_a_wrong_column_of_the_event_is_found_beside_another_lake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = outgoing.StreamRows.lake

    def wrong(self: outgoing.StreamRows, committed: Any) -> pa.Table | None:
        rows = made(self, committed)
        if rows is None or self.output.name != "second":
            return rows
        at = rows.column_names.index("n")
        return rows.set_column(at, rows.field(at), pa.array([9] * len(rows), pa.int64()))

    monkeypatch.setattr(outgoing.StreamRows, "lake", wrong)
    app, source = things()
    app.lake("first", source)
    app.lake("second", source)
    with headrace.testing.run(app) as t:
        t.send("things", [thing(0), thing(1, n=9)])
        assert {n: c.different for n, c in lakes(t).items()} == {"first": 0, "second": 2}


@pytest.mark.parametrize("name", ["n", "f", "text", "kind"])
def test_rows_that_a_lake_lacks_are_counted_whatever_its_columns_are_called(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made, lost = outgoing.StreamRows.lake, 0

    def fewer(self: outgoing.StreamRows, committed: Any) -> pa.Table | None:
        rows = made(self, committed)
        return None if rows is None else rows.slice(lost)

    monkeypatch.setattr(outgoing.StreamRows, "lake", fewer)
    app, source = things()
    app.lake("some", source.where("n >= 0").select(who="who", **{name: name}, other="n"))
    with headrace.testing.run(app) as t:
        t.send("things", [thing(i, n=0) for i in range(3)])
        assert lakes(t)["some"].different == 0
        lost = 2
        t.send("things", [thing(i, n=0) for i in range(3, 7)])
        assert lakes(t)["some"].different == 2
