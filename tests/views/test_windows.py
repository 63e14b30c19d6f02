"""Tumbling and sliding windows, and running totals."""

from __future__ import annotations

from tests.views.cases import Sent, check, thing, things

_DAY = 86_400


def test_tumble_is_aligned_and_half_open() -> None:
    app, source = things(lateness="1 minute")
    app.table("out", source.tumble("10 seconds").by("who").agg(n="count(*)"))
    events = [thing(0), thing(9.999999), thing(10), thing(25, "b"), thing(3)]
    check(
        app,
        events,
        {
            "out": (
                "window_start window_end who n",
                [(0, 10, "a", 3), (10, 20, "a", 1), (20, 30, "b", 1)],
            )
        },
    )


def test_tumble_with_an_offset_before_and_after_the_unix_epoch() -> None:
    app, source = things(lateness="30000 days")
    app.table("out", source.tumble("7 days", offset="4 days").agg(n="count(*)"))
    # The windows are weeks from Monday on, in 2026 and in 1969.
    seconds = [4 * _DAY - 1, 4 * _DAY, -20_457 * _DAY - 1, -20_457 * _DAY]
    wanted = [(start * _DAY, 1) for start in (-3, 4, -20_464, -20_457)]
    check(app, [thing(s) for s in seconds], {"out": ("window_start n", wanted)})


def test_slide_counts_an_event_in_every_window_that_holds_it() -> None:
    app, source = things(lateness="1 minute")
    view = source.slide("10 seconds", every="4 seconds").by("who").agg(n="count(*)", s="sum(n)")
    app.table("out", view)
    check(
        app,
        [thing(0), thing(5, n=10), thing(9, "b")],
        {
            "out": (
                "window_start window_end who n s",
                [
                    (-8, 2, "a", 1, 1),
                    (-4, 6, "a", 2, 11),
                    (0, 10, "a", 2, 11),
                    (0, 10, "b", 1, 1),
                    (4, 14, "a", 1, 10),
                    (4, 14, "b", 1, 1),
                    (8, 18, "b", 1, 1),
                ],
            )
        },
    )


def test_running_totals_take_everything_however_late() -> None:
    app, source = things()
    app.table("out", source.by("who").agg(n="count(*)", first="first(n)"))
    app.table("whole", source.agg(n="count(*)"))
    events = [thing(100, n=7), thing(0, n=5), thing(50, "b", n=1), thing(-1000, n=3)]
    check(
        app,
        events,
        {"out": ("who n first", [("a", 3, 3), ("b", 1, 1)]), "whole": ("n", [(4,)])},
        {"out": {"accepted": 4, "applied": 4}},
    )


def test_events_too_late_for_each_kind_of_view() -> None:
    app, source = things(lateness="5 seconds")
    app.table("tumbling", source.tumble("10 seconds").agg(n="count(*)"))
    app.table("sliding", source.slide("10 seconds", every="4 seconds").agg(n="count(*)"))
    app.table("gaps", source.session(gap="3 seconds").by("who").agg(n="count(*)"))
    app.table(
        "marked", source.session(starts="n = 1", timeout="3 seconds").by("who").agg(n="count(*)")
    )
    app.table("totals", source.agg(n="count(*)"))
    # The watermark that the later events see is 15: panes of two seconds, windows of ten.
    events = [thing(20), thing(14.999), thing(15), thing(9), thing(13.9), thing(14)]
    one = {"accepted": 6}
    check(
        app,
        events,
        {"tumbling": ("window_start n", [(10, 4), (20, 1)]), "totals": ("n", [(6,)])},
        {
            "tumbling": {**one, "applied": 5, "late": 1},
            "sliding": {**one, "applied": 4, "late": 2},
            "gaps": {**one, "applied": 2, "late": 4},
            "marked": {**one, "applied": 2, "late": 4},
            "totals": {**one, "applied": 6},
        },
    )


def test_late_is_a_matter_of_the_own_partition() -> None:
    app, source = things(partitions=3)
    app.table("out", source.tumble("10 seconds").agg(n="count(*)"))
    sent = [
        Sent([thing(1)], 0),
        Sent([thing(1)], 1),
        Sent([thing(1)], 2),
        Sent([thing(100)], 0),
        Sent([thing(2)], 1),
        Sent([thing(3)], 0),
        Sent([thing(4)], 2),
    ]
    check(
        app,
        sent,
        {"out": ("window_start n", [(0, 5), (100, 1)])},
        {"out": {"accepted": 7, "applied": 6, "late": 1}},
    )


def test_partitions_without_events_hold_nobody_back() -> None:
    app, source = things(partitions=3)
    app.table("out", source.tumble("10 seconds").agg(n="count(*)"), emit="final")
    sent = [Sent([thing(1), thing(2), thing(15), thing(31)], 1)]
    check(app, sent, {"out": ("window_start n", [(0, 2), (10, 1)])})
