"""Positions behind `explode`: each row of a record has its own, in the order of the lists."""

from __future__ import annotations

import duckdb

from headrace.engines.kernel.place import place
from tests.views.cases import Thing, things

_OWN = (
    "0 as _row, 0 as _partition, 0::bigint as _offset, null::bigint as _replay, "
    "timestamp '2026-01-01' as _time, 0::bigint as _seen, 0::bigint as _closed, "
    "null::timestamp as _processing_time"
)
_LONG = "list_concat(range(1000000), [1000000, 1000001])"


def test_a_list_of_more_than_a_million_keeps_its_rows_apart() -> None:
    app, source = things()
    rows = source.explode("items", "item").explode(_LONG, "element")
    app.table("out", rows.agg(m0="max(item)", m1="max(element)"))
    [view] = app.plan.jobs[0].views
    columns = tuple(Thing.__annotations__)
    nulls = ", ".join(f"null as {name}" for name in columns if name != "items")
    events = f"(select {_OWN}, {nulls}, [1, 2]::bigint[] as items)"
    sql = place(view, columns).segments[0].over.sql(events)
    with duckdb.connect() as connection:
        # The arguments of max are the elements that a row was made of: the ends of both lists.
        found = connection.execute(
            f"select a0_x0, a1_x0 from ({sql}) where a1_x0 < 2 or a1_x0 > 999998 "
            "order by _pos, a0_x0 desc"
        ).fetchall()
    assert found == [(i, e) for i in (1, 2) for e in (0, 1, 999_999, 1_000_000, 1_000_001)]
