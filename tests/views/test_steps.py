"""Steps on events: where, select, with_columns, explode."""

from __future__ import annotations

import pytest

from tests.views.cases import check, thing, things


def test_where_names_the_count_of_what_it_drops() -> None:
    app, source = things()
    kept = source.where("n > 1", reason="small").where("kind = 'x'")
    app.table("out", kept.by("who").agg(total="sum(n)"))
    events = [
        thing(0, n=2),
        thing(1, n=1),
        thing(2, n=None),
        thing(3, n=5),
        thing(4, "b", "y", n=9),
    ]
    check(
        app,
        events,
        {"out": ("who total", [("a", 7)])},
        {"out": {"accepted": 5, "applied": 2, "filtered": 3, "filtered: small": 2}},
    )


def test_select_replaces_the_row() -> None:
    app, source = things()
    chosen = source.select("who", double="n * 2").where("double > 2")
    app.table("out", chosen.by("who").agg(total="sum(double)"))
    events = [thing(0, n=1), thing(1, n=2), thing(2, n=3), thing(3, n=None)]
    check(app, events, {"out": ("who total", [("a", 10)])})


def test_with_columns_adds_to_the_row() -> None:
    app, source = things()
    added = source.with_columns(double="n * 2").with_columns(double="double + 1", more="n")
    app.table("out", added.by("who", "kind").agg(total="sum(double)", more="max(more)"))
    app.lake("everything", added)
    events = [thing(0), thing(1, n=2), thing(2, kind="y", n=3)]
    check(
        app,
        events,
        {
            "out": ("who kind total more", [("a", "x", 8, 2), ("a", "y", 7, 3)]),
            "everything": ("at n double more", [(0, 1, 3, 1), (1, 2, 5, 2), (2, 3, 7, 3)]),
        },
    )


def test_explode_makes_a_row_of_every_element() -> None:
    app, source = things()
    rows = source.explode("items", "item")
    app.table("out", rows.where("item > 0").by("item").agg(n="count(*)", who="list(who)"))
    events = [
        thing(0, items=[1, 2, 1]),
        thing(1, "b", items=[]),
        thing(2, "b"),
        thing(3, "b", items=[0, None]),
        thing(4, "c", items=[2, 0]),
    ]
    check(
        app,
        events,
        {"out": ("item n who", [(1, 2, ["a", "a"]), (2, 2, ["a", "c"])])},
        {"out": {"accepted": 5, "applied": 2, "filtered": 3}},
    )


def test_explode_twice_keeps_the_order_of_positions() -> None:
    app, source = things()
    rows = source.explode("items", "item").explode("[item, item * 10]", "pair")
    app.table("out", rows.by("who").agg(all="list(pair)", first="first(pair)", last="last(pair)"))
    check(
        app,
        [thing(0, items=[2, 1]), thing(0, items=[3])],
        {"out": ("who all first last", [("a", [2, 20, 1, 10, 3, 30], 2, 30)])},
    )


def test_explode_as_often_as_one_likes_keeps_the_order_of_positions() -> None:
    app, source = things()
    rows = source.explode("items", "item")
    # Every row of a record is compared by its position.
    rows = rows.explode("[item, item + 100]", "item").dedupe(by=("who", "item"))
    for more in (1000, 10_000, 100_000):
        rows = rows.explode(f"[item + {more}, item]", "item")
    app.table("out", rows.by("who").agg(all="list(item)", first="first(item)", last="last(item)"))
    wanted = [
        item + a + b + c + d
        for item in range(12)
        for a in (0, 100)
        for b in (1000, 0)
        for c in (10_000, 0)
        for d in (100_000, 0)
    ]
    items = [*range(12), 3]
    check(
        app,
        [thing(0, items=items), thing(1, items=[5, None])],
        {"out": ("who all first last", [("a", [*wanted, *[None] * 8], 111_000, None)])},
    )


def test_a_column_that_fails_takes_its_row_out_of_lake_and_topic() -> None:
    app, source = things()
    risky = source.with_columns(number="cast(text as bigint)")
    app.lake("numbers", risky)
    app.topic("copies", risky)
    app.lake("everything", source)
    check(
        app,
        [thing(0, text="7"), thing(1, text="seven"), thing(2, text="8")],
        {
            "numbers": ("at number", [(0, 7), (2, 8)]),
            "everything": ("at text", [(0, "7"), (1, "seven"), (2, "8")]),
            "copies": ("key", [("a",), ("a",)]),
        },
        {"numbers": {"accepted": 3, "applied": 2, "failed": 1}},
    )


@pytest.mark.parametrize("text", ["{rows}", "{rows 0}", "{rows 1} {rows 0}", "{events}", "{}"])
def test_any_text_may_stand_in_an_expression(text: str) -> None:
    app, source = things()
    kept = source.where(f"text = '{text}'", reason="other").select(
        "at", "who", t="text || '{rows 0}'"
    )
    app.table("out", kept.by("who").agg(n="count(*)", t=f"max(t || '{text}')"))
    app.table("once", kept.dedupe(by=("who", f"t || '{text}'")).by("who").agg(n="count(*)"))
    app.lake("everything", kept)
    events = [thing(0, text=text), thing(1), thing(2, text=text), thing(3, "b", text="{rows}x")]
    made = text + "{rows 0}"
    check(
        app,
        events,
        {
            "out": ("who n t", [("a", 2, made + text)]),
            "once": ("who n", [("a", 1)]),
            "everything": ("at who t", [(0, "a", made), (2, "a", made)]),
        },
        {"out": {"accepted": 4, "applied": 2, "filtered": 2, "filtered: other": 2}},
    )
