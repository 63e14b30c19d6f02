"""Dedupe, for ever and within a time; it is a matter of the own partition."""

from __future__ import annotations

from tests.views.cases import Sent, check, thing, things


def test_dedupe_for_ever() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.dedupe(by=("who", "n")).by("who").agg(all="list(n)"))
    app.lake("once", source.dedupe(by=("who", "n")))
    events = [
        thing(0, n=1),
        thing(5, n=2),
        thing(9_000, n=1),
        thing(3, n=2),
        thing(4, n=None),
        thing(4, n=None),
        thing(9, None, n=None),
        thing(8, None, n=None),
    ]
    check(
        app,
        events,
        {
            "out": ("who all", [("a", [1, None, 2]), (None, [None])]),
            "once": ("who at n", [("a", 0, 1), ("a", 5, 2), ("a", 4, None), (None, 9, None)]),
        },
        {
            "out": {"accepted": 8, "applied": 4, "duplicate": 4},
            "once": {"accepted": 8, "applied": 4, "duplicate": 4},
        },
    )


def test_dedupe_within_a_time_counts_from_the_watermark() -> None:
    app, source = things(lateness="10 seconds")
    kept = source.dedupe(by=("who", "n"), within="5 seconds")
    app.table("out", kept.by("who").agg(all="list(n)"))
    # A row is a duplicate of one at or above the watermark that it sees, less five seconds.
    events = [
        thing(0, n=1),
        thing(15, n=2),
        thing(15, n=1),  # sees 5: the one at 0 still counts
        thing(16, n=3),
        thing(1, n=1),  # sees 6, so down to 1: that at 15 is a duplicate itself, and counts
        thing(31, n=4),
        thing(20, n=1),  # sees 21: the one at 15 lies below 16
        thing(20, n=3),  # the one at 16 does not
    ]
    check(
        app,
        events,
        {"out": ("all", [([1, 2, 3, 1, 4],)])},
        {"out": {"accepted": 8, "applied": 5, "duplicate": 3}},
    )


def test_dedupe_belongs_to_one_view_and_stands_after_its_filters() -> None:
    app, source = things(lateness="1 minute")
    app.table("all", source.agg(n="count(*)"))
    app.table("some", source.where("n > 1").dedupe(by="who").agg(n="count(*)"))
    app.table("twice", source.dedupe(by=("who", "n")).dedupe(by=("who", "kind")).agg(n="count(*)"))
    events = [thing(0), thing(0, n=2), thing(1, n=3), thing(2, kind="y"), thing(3, n=3, kind="y")]
    check(
        app,
        events,
        {"all": ("n", [(5,)]), "some": ("n", [(1,)]), "twice": ("n", [(1,)])},
        {
            "some": {"accepted": 5, "applied": 1, "filtered": 2, "duplicate": 2},
            "twice": {"accepted": 5, "applied": 1, "duplicate": 4},
        },
    )


def test_late_and_failed_rows_after_a_dedupe() -> None:
    app, source = things(partitions=2)
    view = source.dedupe(by=("who", "n"), within="1 hour").tumble("10 seconds").by("who")
    app.table("out", view.agg(total="sum(cast(text as bigint))"))
    sent = [
        Sent([thing(1, n=9)], 0),
        Sent([thing(0, n=1), thing(0, "b", n=1, text="x"), thing(50, n=2)], 1),
        Sent([thing(60, n=8)], 0),
        # Late, and the next one is a duplicate of it; another partition knows nothing of it.
        Sent([thing(3, n=5), thing(60, n=5)], 1),
        Sent([thing(60, n=5)], 0),
        Sent([thing(55, "b", n=1, text="y")], 1),
    ]
    check(
        app,
        sent,
        {"out": ("window_start who total", [(0, "a", 2), (50, "a", 1), (60, "a", 2)])},
        {"out": {"accepted": 9, "applied": 5, "late": 1, "duplicate": 2, "failed": 1}},
    )


def test_dedupe_of_exploded_rows() -> None:
    app, source = things(lateness="1 minute")
    rows = source.explode("items", "item").dedupe(by=("who", "item"))
    app.table("out", rows.by("who").agg(all="list(item)"))
    app.lake("items", rows)
    events = [thing(0, items=[1, 2, 1]), thing(1, items=[2]), thing(2, items=[3, 2]), thing(3)]
    check(
        app,
        events,
        {
            "out": ("who all", [("a", [1, 2, 3])]),
            "items": ("at item", [(0, 1), (0, 2), (2, 3)]),
        },
        {"out": {"accepted": 4, "applied": 2, "duplicate": 1, "filtered": 1}},
    )
