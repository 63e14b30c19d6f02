"""Sessions by a gap and by marks."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import headrace.testing
from headrace.plan.build import build
from headrace.values.errors import DefinitionError
from tests.views.cases import Sent, at, check, thing, things

COLUMNS = "who session_start_time session_end_time session_duration_seconds ended_by n"


def test_gap_joins_two_sessions_by_an_event_out_of_order() -> None:
    app, source = things(lateness="1 minute")
    view = source.session(gap="10 seconds").by("who").agg(n="count(*)", all="list(n)")
    app.table("out", view)
    events = [thing(0, n=1), thing(15, n=3), thing(7, n=2), thing(7, "b"), thing(200, "c")]
    check(
        app,
        events,
        {
            "out": (
                f"{COLUMNS} all",
                [
                    ("a", 0, 15, 15.0, "gap", 3, [1, 2, 3]),
                    ("b", 7, 7, 0.0, "gap", 1, [1]),
                    ("c", 200, None, None, None, 1, [1]),
                ],
            )
        },
    )


def test_exactly_the_gap_apart_is_apart() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.session(gap="10 seconds").by("who").agg(n="count(*)"))
    events = [thing(0), thing(10), thing(0, "b"), thing(9.999999, "b"), thing(100, None)]
    check(
        app,
        events,
        {
            "out": (
                "who session_start_time ended_by n",
                [("a", 0, "gap", 1), ("a", 10, "gap", 1), ("b", 0, "gap", 2), (None, 100, None, 1)],
            )
        },
    )


def test_gap_sessions_over_all_keys_and_final() -> None:
    app, source = things(lateness="5 seconds")
    app.table("out", source.session(gap="10 seconds").agg(n="count(*)"), emit="final")
    events = [thing(0), thing(8, "b"), thing(30, "c"), thing(44.9), thing(45, "b")]
    check(
        app,
        events,
        {
            "out": (
                "session_start_time session_end_time ended_by n",
                [(0, 8, "gap", 2), (30, 30, "gap", 1)],
            )
        },
    )


MARKS = {"starts": "kind in ('s', 'se')", "ends": "kind in ('e', 'se')", "timeout": "10 seconds"}


def test_marks_end_a_session_in_every_way() -> None:
    app, source = things(lateness="5 seconds")
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)"))
    events = [
        thing(0, kind="s"),
        thing(4),
        thing(6, kind="e"),
        thing(7, kind="s"),
        thing(9, kind="s"),
        thing(18.9),
        thing(28.9),
        thing(30, kind="se"),
        thing(31, kind="s"),
    ]
    check(
        app,
        events,
        {
            "out": (
                COLUMNS,
                [
                    ("a", 0, 6, 6.0, "end", 3),
                    ("a", 7, 7, 0.0, "restart", 1),
                    ("a", 9, 18.9, 9.9, "timeout", 2),
                    ("a", 30, 30, 0.0, "end", 1),
                    ("a", 31, None, None, None, 1),
                ],
            )
        },
        {"out": {"accepted": 9, "applied": 8, "filtered": 1}},
    )


def test_starts_at_one_instant_count_once() -> None:
    app, source = things(lateness="5 seconds")
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)", all="list(n)"))
    events = [
        thing(0, kind="s", n=1),
        thing(0, kind="s", n=2),
        thing(20, kind="se", n=3),
        thing(20, kind="s", n=4),
        thing(20, kind="x", n=5),
        thing(40, kind="s", n=6),
        thing(40, kind="se", n=7),
        thing(41, kind="e", n=8),
    ]
    check(
        app,
        events,
        {
            "out": (
                "session_start_time session_end_time ended_by all",
                [
                    (0, 0, "timeout", [1, 2]),
                    (20, 20, "end", [3, 4]),
                    (40, 41, "end", [6, 7, 8]),
                ],
            )
        },
        {"out": {"accepted": 8, "applied": 7, "filtered": 1}},
    )


def test_ends_in_no_session_are_orphans() -> None:
    app, source = things(lateness="5 seconds")
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)"))
    events = [
        thing(0, kind="e"),
        thing(1, kind="s"),
        thing(2, kind="e"),
        thing(3, kind="e"),
        thing(4),
        thing(5, "b", "e"),
        thing(30, "c"),
    ]
    check(
        app,
        events,
        {"out": ("who session_start_time ended_by n", [("a", 1, "end", 2)])},
        {"out": {"accepted": 7, "applied": 2, "filtered": 5, "orphan_ends": 3}},
    )


def test_exactly_the_timeout_apart_is_apart() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)"))
    events = [
        thing(0, kind="s"),
        thing(10),
        thing(0, "b", "s"),
        thing(9.999999, "b"),
        thing(19.999999, "b", "e"),
    ]
    check(
        app,
        events,
        {
            "out": (
                "who session_start_time session_end_time ended_by n",
                [("a", 0, 0, "timeout", 1), ("b", 0, 9.999999, "timeout", 2)],
            )
        },
        {"out": {"accepted": 5, "applied": 3, "filtered": 2, "orphan_ends": 1}},
    )


def test_an_event_out_of_order_changes_who_is_in_a_session() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)", all="list(n)"))
    events = [
        thing(5, n=2),
        thing(8, kind="e", n=3),
        thing(6, n=5),
        thing(1, kind="s", n=1),
        thing(7, kind="s", n=4),
    ]
    check(
        app,
        events,
        {
            "out": (
                "session_start_time session_end_time ended_by all",
                [(1, 6, "restart", [1, 2, 5]), (7, 8, "end", [4, 3])],
            )
        },
        {"out": {"accepted": 5, "applied": 5}},
    )


def test_marks_without_ends_and_keys_and_only_when_final() -> None:
    app, source = things(lateness="1 second")
    view = source.session(starts="n > 5", timeout="10 seconds").agg(n="count(*)", s="sum(n)")
    app.table("out", view, emit="final")
    app.table("now", view)
    events = [
        thing(0, n=6),
        thing(3, "b"),
        thing(4, "c", n=7),
        thing(8),
        thing(18.5),
        thing(25, n=9),
    ]
    closed = [(0, 3, "restart", 2, 7), (4, 8, "timeout", 2, 8)]
    columns = "session_start_time session_end_time ended_by n s"
    check(
        app,
        events,
        {"out": (columns, closed), "now": (columns, [*closed, (25, None, None, 1, 9)])},
    )


def test_sessions_of_one_key_from_two_partitions() -> None:
    app, source = things(lateness="1 minute", partitions=2, key=None)
    app.table("out", source.session(**MARKS).by("who").agg(n="count(*)", all="list(n)"))
    sent = [
        Sent([thing(0, kind="s", n=1)], 1),
        Sent([thing(0, kind="s", n=2)], 0),
        Sent([thing(3, n=4)], 0),
        Sent([thing(2, n=3)], 1),
        Sent([thing(3, kind="e", n=5)], 1),
    ]
    check(
        app,
        sent,
        {"out": ("session_start_time ended_by n all", [(0, "end", 5, [2, 1, 3, 4, 5])])},
    )


def test_a_smaller_key_keeps_the_latest_session() -> None:
    app, source = things(lateness="1 minute")
    view = source.session(gap="10 seconds").by("who").agg(n="count(*)")
    app.table("history", view)
    app.table("latest", view, key="who")
    # The event at 12 joins what were two sessions: the later row is withdrawn, then the older one
    # written again.
    events = [thing(5), thing(20), thing(12), thing(0, "b"), thing(50, "b"), thing(20, "b")]
    check(
        app,
        events,
        {
            "history": (
                "who session_start_time n",
                [("a", 5, 3), ("b", 0, 1), ("b", 20, 1), ("b", 50, 1)],
            ),
            "latest": ("who session_start_time n", [("a", 5, 3), ("b", 50, 1)]),
        },
    )


def test_records_of_exploded_rows_are_counted_by_the_present_placement() -> None:
    app, source = things(lateness="1 minute")
    rows = source.explode("items", "item")
    marks = rows.session(starts="item = 1", ends="item = 2", timeout="10 seconds")
    app.table("out", marks.by("who").agg(all="list(item)"))
    check(
        app,
        [thing(5, items=[3]), thing(9, items=[2, 3]), thing(8, items=[2]), thing(3, items=[1, 5])],
        {"out": ("session_start_time all", [(3, [1, 5, 3, 2])])},
        {"out": {"accepted": 4, "applied": 3, "filtered": 1, "orphan_ends": 1}},
    )


def test_a_smaller_key_without_a_key_of_gap_sessions_is_refused() -> None:
    app, source = things(lateness="1 minute")
    view = source.session(gap="10 seconds").by("who", "kind").agg(n="count(*)")
    app.table("latest", view, key="who")
    # Of y at 3 and 20, x at 10 and y at 12, the one at 20 is withdrawn; then x's is the latest.
    with pytest.raises(DefinitionError, match="table latest: .* leaves out kind"):
        build(app)


def test_a_smaller_key_without_a_key_of_sessions_by_marks_keeps_the_latest() -> None:
    app, source = things(lateness="1 minute")
    view = source.session(**MARKS).by("who", "n").agg(c="count(*)")
    app.table("latest", view, key="who")
    # A start is never withdrawn, whatever comes before it.
    events = [
        thing(3, kind="s"),
        thing(20, kind="s", n=2),
        thing(12, kind="s"),
        thing(22, n=2),
        thing(15, kind="s", n=2),
    ]
    check(app, events, {"latest": ("who n session_start_time c", [("a", 2, 20, 2)])})


def test_several_events_at_the_instant_where_a_session_begins() -> None:
    """Their order among themselves must not matter: sorting does not keep it."""
    app, source = things(lateness="1 day")
    app.table("out", source.session(gap="3 seconds").by("who").agg(n="count(*)"))
    events = [thing(3 * i, "abcdefg"[i % 7 if j else 0]) for j in range(4) for i in range(150)]
    random.Random(1).shuffle(events)
    expected = Counter((e["who"], e["at"]) for e in events)
    with headrace.testing.run(app, start=at(30 * 86_400)) as t:
        t.send("things", events)
        t.epoch()
        found = {(r["who"], r["session_start_time"]): r["n"] for r in t.rows("out")}
        assert found == expected
        t.verify()
