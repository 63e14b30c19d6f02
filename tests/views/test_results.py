"""Conditions and rankings on the result, final rows, failing and undefined values, null keys."""

from __future__ import annotations

from tests.views.cases import Sent, at, check, thing, things


def test_where_on_the_result_withdraws_rows() -> None:
    app, source = things(lateness="1 minute")
    view = source.tumble("10 seconds").by("who").agg(n="count(*)", s="sum(n)")
    app.table("few", view.where("n < 3").where("s > 0"))
    app.table("totals", source.by("who").agg(s="sum(n)").where("s = 5"))
    events = [thing(0), thing(1, n=4), thing(2, "b"), thing(3), thing(12), thing(4, "c", n=-1)]
    check(
        app,
        events,
        {
            "few": ("window_start who n", [(0, "b", 1), (10, "a", 1)]),
            "totals": ("who", []),
        },
    )


def test_top_per_group_with_ties() -> None:
    app, source = things(lateness="1 minute")
    view = source.tumble("10 seconds").by("who", "kind").agg(most="max(n)")
    app.table("best", view.top(2, by="most", per="kind"))
    app.table("first", view.top(1, by="most"))
    events = [
        thing(0, "c", n=5),
        thing(0, "b", n=5),
        thing(1, "a", n=7),
        thing(1, "d", "y", n=None),
        thing(2, "e", "y", n=-3),
        thing(3, "f", "y", n=None),
        thing(4, None, n=7),
        thing(11, "c", n=1),
    ]
    check(
        app,
        events,
        {
            "best": (
                "window_start kind rank who most",
                [
                    (0, "x", 1, "a", 7),
                    (0, "x", 2, None, 7),
                    (0, "y", 1, "e", -3),
                    (0, "y", 2, "d", None),
                    (10, "x", 1, "c", 1),
                ],
            ),
            "first": ("window_start rank who", [(0, 1, "a"), (10, 1, "c")]),
        },
    )


def test_top_of_running_totals_and_sliding_windows() -> None:
    app, source = things(lateness="1 minute")
    app.table("totals", source.by("who").agg(s="sum(n)").top(2, by="s"))
    sliding = source.slide("20 seconds", every="10 seconds").by("who").agg(s="sum(n)")
    app.table("moving", sliding.where("s > 1").top(1, by="s"))
    app.ranking("ranked", source.by("who").agg(s="sum(n)"), score="s")
    events = [thing(0, n=2), thing(1, "b", n=3), thing(12, "c", n=4), thing(13, n=2), thing(2, "d")]
    check(
        app,
        events,
        {
            "totals": ("rank who s", [(1, "a", 4), (2, "c", 4)]),
            "moving": (
                "window_start rank who s",
                [(-10, 1, "b", 3), (0, 1, "a", 4), (10, 1, "c", 4)],
            ),
            "ranked": ("who s", [("a", 4), ("b", 3), ("c", 4), ("d", 1)]),
        },
    )


def test_final_rows_of_every_kind_of_window() -> None:
    app, source = things(lateness="5 seconds")
    app.table("tumbling", source.tumble("10 seconds").agg(n="count(*)"), emit="final")
    sliding = source.slide("10 seconds", every="5 seconds").by("who").agg(n="count(*)")
    app.table("sliding", sliding, emit="final")
    best = source.tumble("10 seconds").by("who").agg(n="count(*)").where("n < 9").top(1, by="n")
    app.table("best", best, emit="final")
    app.lake("closed", best, emit="final")
    app.topic("announced", sliding, emit="final")
    events = [
        thing(0),
        thing(7, "b"),
        thing(12),
        thing(8, "b"),
        thing(3),
        thing(26),
        thing(25, "b"),
    ]
    windows = [(-5, "a"), (0, "a"), (0, "b"), (5, "a"), (5, "b"), (10, "a")]
    check(
        app,
        events,
        {
            "tumbling": ("window_start n", [(0, 4), (10, 1)]),
            "sliding": (
                "window_start who n",
                [(-5, "a", 1), (0, "a", 1), (0, "b", 2), (5, "a", 1), (5, "b", 2), (10, "a", 1)],
            ),
            "best": ("window_start rank who n", [(0, 1, "a", 2), (10, 1, "a", 1)]),
            "closed": ("window_start who n", [(0, "a", 2), (10, "a", 1)]),
            "announced": ("key", [(_key(start, who),) for start, who in windows]),
        },
    )


def _key(second: int, who: str) -> str:
    return f'{{"window_start":"{at(second).isoformat()}Z","who":"{who}"}}'


def test_a_stream_in_a_table_keeps_the_latest_row() -> None:
    app, source = things()
    app.table("latest", source.where("n > 0"), key="who")
    app.index("found", source.select("who", "at", upper="upper(kind)"), key=("who", "upper"))
    app.wide_table("wide", source, partition_by="who", cluster_by="kind")
    events = [
        thing(5, n=2),
        thing(3, n=1, kind="y"),
        thing(5, n=3, kind="z"),
        thing(9, n=-1),
        thing(1, None, n=7),
    ]
    check(
        app,
        events,
        {
            "latest": ("who at n kind", [("a", 5, 3, "z"), (None, 1, 7, "x")]),
            "found": (
                "who upper at",
                [("a", "X", 9), ("a", "Y", 3), ("a", "Z", 5), (None, "X", 1)],
            ),
            "wide": (
                "who kind n",
                [("a", "x", -1), ("a", "y", 1), ("a", "z", 3), (None, "x", 7)],
            ),
        },
        {"latest": {"accepted": 5, "applied": 4, "filtered": 1}},
    )


def test_a_table_with_a_smaller_key_keeps_the_latest_window() -> None:
    app, source = things(lateness="1 minute")
    view = source.tumble("10 seconds").by("who", "kind").agg(n="count(*)")
    app.table("latest", view, key="who")
    app.table("latest_final", view, key="who", emit="final")
    events = [thing(12), thing(5), thing(13, kind="y"), thing(14), thing(3, "b"), thing(90, "c")]
    check(
        app,
        events,
        {
            "latest": (
                "who window_start kind n",
                [("a", 10, "y", 1), ("b", 0, "x", 1), ("c", 90, "x", 1)],
            ),
            "latest_final": ("who window_start kind n", [("a", 10, "y", 1), ("b", 0, "x", 1)]),
        },
    )


def test_division_by_zero_is_null_and_a_failing_result_too() -> None:
    app, source = things(lateness="1 minute")
    view = source.by("who").agg(
        ratio="sum(n) / (count(*) - 1)",
        whole="sum(n) // (count(*) - 1)",
        rest="sum(n) % (count(*) - 1)",
        number="cast(max(text) as bigint)",
    )
    app.table("out", view)
    events = [thing(0, n=5), thing(1, "b", n=5, text="x"), thing(2, "b", n=4, text="y")]
    check(
        app,
        events,
        {
            "out": (
                "who ratio whole rest number",
                [("a", None, None, None, 1), ("b", 9.0, 9, 0, None)],
            )
        },
    )


def test_an_expression_that_fails_costs_its_row_only() -> None:
    app, source = things(lateness="1 minute")
    app.table("filtered", source.where("cast(text as bigint) > 1").agg(n="count(*)"))
    app.table("selected", source.select("n", t="cast(text as bigint)").agg(s="sum(t)"))
    app.table("keyed", source.by(k="cast(text as bigint)").agg(n="count(*)"))
    app.table("summed", source.agg(s="sum(cast(text as bigint))"))
    app.table("conditional", source.agg(s="count(*) filter (where cast(text as bigint) > 1)"))
    started = source.session(starts="cast(text as bigint) > 1", timeout="1 minute")
    app.table("started", started.agg(n="count(*)"))
    app.table("overflowing", source.agg(s="sum(n * 4611686018427387904)"))
    events = [thing(0, text="2"), thing(1, text="two"), thing(2, text="3"), thing(3, n=7, text="-")]
    failed = {"accepted": 4, "applied": 2, "failed": 2}
    check(
        app,
        events,
        {
            "filtered": ("n", [(2,)]),
            "selected": ("s", [(5,)]),
            "keyed": ("k n", [(2, 1), (3, 1)]),
            "summed": ("s", [(5,)]),
            "conditional": ("s", [(2,)]),
            "started": ("session_start_time n", [(0, 1), (2, 1)]),
            "overflowing": ("s", [(None,)]),
        },
        {
            **dict.fromkeys(
                ("filtered", "selected", "keyed", "summed", "conditional", "started"), failed
            ),
            "overflowing": {"accepted": 4, "applied": 3, "failed": 1, "failed_results": 1},
        },
    )


def test_floats_that_are_no_numbers() -> None:
    app, source = things(lateness="1 minute")
    view = (
        source.with_columns(g="f / (f - 1)", h="sqrt(f)")
        .by("who")
        .agg(g="max(g)", n="count(g)", low="min(f)", h="max(h)")
    )
    app.table("out", view)
    events = [thing(0, f=1.0), thing(1, f=2.0), thing(2, "b", f=-0.0), thing(3, "b", f=None)]
    check(
        app,
        events,
        {"out": ("who g n low", [("a", 2.0, 1, 1.0), ("b", 0.0, 1, 0.0)])},
    )


def test_of_two_zeros_none_is_the_least() -> None:
    """-0.0 and 0.0 are equal: which came last, or in which epoch, must not decide."""
    app, source = things(lateness="1 minute")
    low, high = "cast(min(f) as varchar)", "cast(max(f) as varchar)"
    middle = "cast(quantile_disc(f, 0.5) as varchar)"
    app.table("out", source.by("who").agg(low=low, high=high, middle=middle))
    zeros = {"a": (-0.0, 0.0), "b": (0.0, -0.0), "c": (-0.0, -0.0)}
    events = [thing(i, who, f=f) for who, of in zeros.items() for i, f in enumerate(of)]
    check(app, events, {"out": ("who low high middle", [(w, "0.0", "0.0", "0.0") for w in zeros])})


def test_null_keys_are_a_group_in_every_view() -> None:
    app, source = things(lateness="1 minute")
    app.table("tumbling", source.tumble("1 minute").by("who", "n").agg(c="count(*)"))
    app.table("sliding", source.slide("1 minute", every="30 seconds").by("who").agg(c="count(*)"))
    app.table("totals", source.by("who", "n").agg(c="count(*)"))
    app.table("gaps", source.session(gap="10 seconds").by("who", "n").agg(c="count(*)"))
    marks = source.session(starts="kind = 's'", timeout="1 minute").by("who", "n")
    app.table("marked", marks.agg(c="count(*)"))
    events = [
        thing(0, None, "s", n=None),
        thing(1, None, n=None),
        thing(2, None, "s", n=1),
        thing(3, "a", "s", n=None),
        thing(4, None, n=None),
    ]
    wanted = [(None, None, 3), (None, 1, 1), ("a", None, 1)]
    check(
        app,
        events,
        {
            "tumbling": ("who n c", wanted),
            "sliding": (
                "window_start who c",
                [(s, w, c) for s in (-30, 0) for w, c in ((None, 4), ("a", 1))],
            ),
            "totals": ("who n c", wanted),
            "gaps": ("who n c", wanted),
            "marked": ("who n c", wanted),
        },
    )


def test_rows_of_one_partition_alone() -> None:
    app, source = things(partitions=3)
    app.table("out", source.tumble("10 seconds").by("who").agg(n="count(*)"))
    check(
        app, [Sent([], 0), Sent([thing(3), thing(40), thing(4)], 2)], {"out": ("n", [(1,), (1,)])}
    )


def test_expressions_that_share_what_fails() -> None:
    """DuckDB computes common parts once; they must still fail for their row alone."""
    app, source = things(lateness="1 minute")
    number = "cast(text as bigint)"
    app.table(
        "out",
        source.where(f"{number} > 0")
        .with_columns(double=f"{number} * 2", more=f"{number} + 1")
        .by(k=f"{number} % 2")
        .agg(
            a=f"sum({number})",
            b=f"max({number} + 1)",
            c=f"count(*) filter (where {number} > 1)",
            d="max(cast(kind as bigint)) + min(cast(kind as bigint))",
        ),
    )
    app.table(
        "late",
        source.by("who").agg(x="cast(max(text) as bigint)", y="cast(max(text) as bigint) + 1"),
    )
    events = [thing(0, kind="1", text="3"), thing(1, kind="2"), thing(2, text="x"), thing(3)]
    check(
        app,
        events,
        {"out": ("k a b c d", [(1, 4, 4, 1, 3)]), "late": ("who x y", [("a", None, None)])},
        {"out": {"accepted": 4, "applied": 2, "failed": 2}},
    )


def test_results_without_an_aggregate() -> None:
    app, source = things(lateness="5 seconds")
    about = {"seen": "true", "one": "1"}
    app.table("totals", source.by("who").agg(**about))
    app.table("all", source.agg(**about))
    app.table("tumbling", source.tumble("10 seconds").by("who").agg(**about))
    app.table("best", source.tumble("10 seconds").by("who").agg(**about).top(1, by="one"))
    sliding = source.slide("10 seconds", every="5 seconds").by("who").agg(**about)
    app.table("sliding", sliding.where("seen"))
    app.lake("closed", sliding, emit="final")
    app.table("gaps", source.session(gap="4 seconds").by("who").agg(**about))
    marked = source.session(starts="kind = 's'", ends="kind = 'e'", timeout="1 minute")
    app.table("marks", marked.by("who").agg(**about))
    events = [
        thing(0, kind="s"),
        thing(7, "b", "s"),
        thing(8, kind="e"),
        thing(6, "b"),
        thing(1),
        thing(40, "b", "e"),
        thing(2, "late"),
    ]
    made = [(0, "a"), (0, "b"), (40, "b")]
    slid = [(-5, "a"), (0, "a"), (0, "b"), (5, "a"), (5, "b"), (35, "b"), (40, "b")]
    check(
        app,
        events,
        {
            "totals": ("who seen one", [(who, True, 1) for who in ("a", "b", "late")]),
            "all": ("seen one", [(True, 1)]),
            "tumbling": ("window_start who seen one", [(*row, True, 1) for row in made]),
            "best": ("window_start who rank one", [(0, "a", 1, 1), (40, "b", 1, 1)]),
            "sliding": ("window_start who one", [(*row, 1) for row in slid]),
            "closed": ("window_start who one", [(*row, 1) for row in slid[:5]]),
            "gaps": (
                "who session_start_time seen",
                [("a", 0, True), ("a", 8, True), ("b", 6, True), ("b", 40, True)],
            ),
            "marks": ("who session_start_time one", [("a", 0, 1), ("b", 7, 1)]),
        },
    )


def test_a_lambda_may_call_what_it_takes_as_it_likes() -> None:
    app, source = things()
    more = {
        f"with_{i}": f"list_transform(list(n), lambda {name}: {name} + count(*))"
        for i, name in enumerate(("a0", "a1", "A1"))
    }
    wide = "list_transform(list(n), lambda a1: a1 + sum(n::decimal(38, 0)))"
    app.table(
        "out", source.by("who").agg(**more, wide=f"list_transform({wide}, lambda a2: a2::bigint)")
    )
    made = [4, 5, 6]
    check(
        app,
        [thing(i, n=i + 1) for i in range(3)],
        {"out": ("who with_0 with_1 with_2 wide", [("a", made, made, made, [7, 8, 9])])},
    )


def test_a_condition_on_the_result_may_hold_a_comment_and_a_column_called_rank() -> None:
    app, source = things()
    ranked = source.by("who").agg(rank="max(n)", n="count(*)")
    app.table("out", ranked.where("rank > 1 -- the greatest").where("n < 3 /* few */ -- and rare"))
    app.table("all", source.where("n > 0 -- some").by("who").agg(n="count(*) -- of him"))
    events = [thing(i, who, n=n) for i, (who, n) in enumerate([("a", 2), ("b", 1), ("c", 5)])]
    check(
        app,
        [*events, thing(3, "c"), thing(4, "c")],
        {"out": ("who rank n", [("a", 2, 1)]), "all": ("who n", [("a", 1), ("b", 1), ("c", 3)])},
    )
