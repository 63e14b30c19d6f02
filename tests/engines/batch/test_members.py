"""Which rows are in sessions: by one sort where that tells, against a plain loop and by two."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from headrace.engines.batch.members import add_members, add_quick_members
from headrace.engines.batch.relations import Chain
from headrace.engines.batch.steps import Rows
from headrace.plan.operators import Expression, Named, SessionMarks
from tests.engines.batch.plans import view

_TIMEOUT = 5


class Row(NamedTuple):
    key: str | None
    time: int
    starts: bool | None
    ends: bool | None


def told(rows: list[Row], ends: bool, quick: bool) -> list[tuple[int | None, bool, bool, bool]]:
    """By row: its segment's instant, whether it is in the session, ends it, and is unclear."""
    connection = duckdb.connect()
    connection.execute(
        "create table rows (_k0 varchar, _time timestamp, _partition int, _offset bigint,"
        " _starts bool, _ends bool)"
    )
    values = [(r.key, r.time, n, r.starts, r.ends) for n, r in enumerate(rows)]
    if values:
        connection.executemany(
            "insert into rows values (?, make_timestamp(?::bigint), 0, ?, ?, ?)", values
        )
    if not ends:
        connection.execute("alter table rows drop _ends")
    boolean = Expression("true", "true", "BOOLEAN")
    window = SessionMarks(boolean, boolean if ends else None, _TIMEOUT)
    text = Expression("key", "key", "VARCHAR", ("key",))
    made, chain = view(window, (Named("key", text),), ()), Rows(Chain(), [])
    if quick:
        name, unclear = add_quick_members(made, window, chain, "select * from rows"), "_unclear"
    else:
        name, unclear = add_members(made, window, chain, "select * from rows"), "false"
    found = connection.execute(
        chain.chain.ending(
            f"select epoch_us(_segment), _member, _ends, {unclear} from {name} order by _offset"
        ).sql
    ).fetchall()
    return [(s, bool(m), bool(e), bool(u)) for s, m, e, u in found]


def by_loop(rows: list[Row], ends: bool) -> list[tuple[int | None, bool, bool]]:
    """Segment, membership and whether it ends it, of every row."""
    found: list[tuple[int | None, bool, bool]] = [(None, False, False)] * len(rows)
    for key in {r.key for r in rows}:
        segment: int | None = None
        before, open_ = 0, False
        mine = sorted((r.time, n) for n, r in enumerate(rows) if r.key == key)
        lapsed = False
        for time, n in mine:
            again = bool(rows[n].starts) and segment == time
            if rows[n].starts and not again:
                segment, open_, lapsed = time, True, False
            elif segment is not None and time - before >= _TIMEOUT:
                lapsed = True
            member = segment is not None and not lapsed and (open_ or again)
            closes = ends and bool(rows[n].ends) and not again
            found[n] = (segment, member, closes)
            open_ = open_ and not closes
            before = time
    return found


def log(times: st.SearchStrategy[int]) -> st.SearchStrategy[list[Row]]:
    mark = st.sampled_from([True, False, False, None])
    return st.lists(st.builds(Row, st.sampled_from(["a", "b", None]), times, mark, mark))


@given(log(st.integers(-12, 12)) | log(st.integers(0, 300)), st.booleans())
def test_members_by_one_sort_and_by_two_are_those_of_a_loop(rows: list[Row], ends: bool) -> None:
    wanted = by_loop(rows, ends)
    assert [row[:3] for row in told(rows, ends, quick=False)] == wanted
    quick = told(rows, ends, quick=True)
    unclear = {r.key for r, (*_, doubt) in zip(rows, quick, strict=True) if doubt}
    for row, found, right in zip(rows, quick, wanted, strict=True):
        if row.key not in unclear:
            assert found[1:3] == right[1:]
            assert found[0] == right[0]


def test_one_sort_is_enough_for_sessions_apart_and_events_between_them() -> None:
    visit = [("s", 0), ("x", 2), ("e", 4), ("x", 6), ("s", 8), ("x", 9), ("s", 11), ("x", 15)]
    rows = [Row("a", time, mark == "s", mark == "e") for mark, time in visit]
    assert [(m, u) for _, m, _, u in told(rows, True, quick=True)] == [
        (n != 3, False) for n in range(len(rows))
    ]
