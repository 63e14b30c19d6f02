"""What `state inspect` shows of each kind of view, under the names of its definition."""

from __future__ import annotations

import headrace.testing
from headrace.ops.jobs.inspecting import inspected
from tests.views.cases import START, at, thing, things


def test_columns_go_by_the_names_of_the_definition() -> None:
    app, source = things()
    aggregates = {"c": "count(*)", "total": "sum(n)", "half": "sum(n) / 2", "mean": "avg(n)"}
    app.table("running", source.by("who").agg(**aggregates))
    app.table("windows", source.tumble("10 seconds").by("who", big="n > 1").agg(m="max(n) + 1"))
    app.table("sliding", source.slide("10 seconds", every="5 seconds").agg(c="count(*)"))
    app.table("alone", source.agg(c="count(*)"))
    app.table("gaps", source.session(gap="5 seconds").by("who").agg(c="count(*)"))
    marks = source.session(starts="n = 0", timeout="5 seconds").by("who")
    app.table("marks", marks.agg(c="count(*)"))
    app.table("newest", source.select("who", "n"), key="who")
    with headrace.testing.run(app, start=START) as t:
        t.send("things", [thing(12, "a", n=3), thing(13, "b", n=4)])
        t.epoch()
        [runner] = t.runners.values()
        found = {name: inspected(runner, name) for name in runner.engine.views}
        rows = {name: table.to_pylist() for name, table in found.items()}
    by_who = sorted(rows["running"], key=lambda row: str(row["who"]))
    assert by_who == [
        {"who": "a", "c": 1, "total": 3, "mean (s)": 3, "mean (n)": 1},
        {"who": "b", "c": 1, "total": 4, "mean (s)": 4, "mean (n)": 1},
    ]
    assert {"window_start": at(10), "who": "a", "big": True, "max(n)": 3} in rows["windows"]
    assert rows["sliding"] == [{"pane_start": at(10), "c": 2}]
    assert rows["alone"] == [{"c": 2}]
    for name in ("gaps", "marks"):
        assert "who" in found[name].column_names and len(rows[name]) <= 2
    for table in found.values():
        assert not {"_slice", "k0", "k1", "a0", "a1"} & set(table.column_names)
