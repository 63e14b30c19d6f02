"""Sums and dead letters of streams whose lakes and topics leave the app for a while."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.language import Stream
from headrace.testing import Driver
from headrace.values.errors import StateRefused
from tests.views.cases import at, thing, things


def risky(source: Stream) -> Stream:
    return source.where("n >= 0", reason="negative").with_columns(number="cast(text as bigint)")


def app_of(*names: str) -> hr.App:
    app, source = things(lateness="1 minute")
    app.table("totals", source.agg(n="count(*)"))
    streams = {
        "everything": source,
        "numbers": risky(source),
        "items": risky(source).explode("items", name="item"),
        "once": source.dedupe(by=("who", "n")),
    }
    for name in names:
        (app.topic if name == "once" else app.lake)(name, streams[name])
    return app


def turn_to(t: Driver, *names: str) -> None:
    t.close()
    t.plan = app_of(*names).plan
    t.open()


def send(t: Driver, *numbers: int) -> None:
    """Of each three numbers one has a text that is none."""
    for n in numbers:
        text = "none" if n % 3 == 0 else str(n)
        t.send("things", [thing(n / 10, n=n, text=text, items=[n, 1, 2][: n % 4])])
        t.epoch()


def let_go(t: Driver) -> None:
    """Everybody has all records: retention takes them."""
    [runner] = t.runners.values()
    runner.settle()
    t.restart()
    topic = t._topics["things"]
    topic.retain(1, now_us=t.clock.now_us() + 3_600_000_000)
    assert topic.begin_offsets() == topic.end_offsets()


def given(t: Driver, name: str) -> Counter[int]:
    return Counter(row["value"]["n"] if "value" in row else row["n"] for row in t.rows(name))


def letters(t: Driver) -> list[tuple[Any, ...]]:
    found = t.query('select view, "offset", reason, value from dead_letters order by all')
    return [tuple(row.values()) for row in found]


NAMES = ("everything", "numbers", "items")


@pytest.mark.parametrize("more", [(), (7, 8, 9, 10)], ids=["a glance", "epochs"])
@pytest.mark.parametrize("retained", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_they_go_on_where_they_were(more: tuple[int, ...], retained: bool, joined: bool) -> None:
    with (
        headrace.testing.run(app_of(*NAMES), start=at(1_000)) as t,
        headrace.testing.run(app_of(*NAMES), start=at(1_000)) as undisturbed,
    ):
        send(t, -1, *range(1, 7))
        if retained:
            let_go(t)
        turn_to(
            t,
        )
        t.restart()
        left = t.query("select kind, name from conservation where kind like '%view%'")
        assert left == [{"kind": "view", "name": "totals"}]
        send(t, *more)
        if joined:
            [runner] = t.runners.values()
            runner.settle()
            runner.fold()
        turn_to(t, *NAMES)
        send(t, 11, 12)
        numbers = (-1, *range(1, 7), *more, 11, 12)
        send(undisturbed, *numbers)
        for name in NAMES:
            assert t.counts(name) == undisturbed.counts(name)
            assert given(t, name) == given(undisturbed, name)
        assert letters(t) == letters(undisturbed)
        t.verify()
        t.restart()
        t.verify()


def test_what_it_never_had_and_nobody_has_now_is_not_left_out_silently() -> None:
    with headrace.testing.run(app_of("everything"), start=at(1_000)) as t:
        send(t, 1, 2)
        turn_to(t)
        send(t, 3, 4)
        let_go(t)
        send(t, 5)
        for name in ("everything", "numbers"):
            for _ in range(2):
                with pytest.raises(
                    StateRefused, match="no longer holds the records of epoch"
                ) as told:
                    turn_to(t, name)
                assert f"lake {name} was not always in the app" in told.value.what
                assert "headrace state reset" in str(told.value.remedy)
        turn_to(t)
        assert t.rows("totals") == [{"n": 5}]
        t.verify()


def test_where_nothing_was_accepted_nothing_is_missed() -> None:
    with headrace.testing.run(app_of("everything"), start=at(1_000)) as t:
        t.send("things", [b"no json"])
        t.epoch()
        let_go(t)
        t.restart()
        send(t, 1)
        assert given(t, "everything") == Counter([1])
        t.verify()


def test_a_dedupe_that_missed_nothing_goes_on() -> None:
    with headrace.testing.run(app_of("once"), start=at(1_000)) as t:
        send(t, 1, 2, 1)
        t.verify()
        turn_to(t)
        t.rows("totals")
        turn_to(t, "once")
        send(t, 2, 3)
        assert given(t, "once") == Counter([1, 2, 3])
        assert t.counts("once") == {"accepted": 5, "applied": 3, "duplicate": 2}
        t.verify()


def test_under_another_name_it_is_the_same() -> None:
    """A topic of the stream comes while its lake is out: the sums are the stream's."""

    def copied(*names: str) -> hr.App:
        app, source = things(lateness="1 minute")
        app.table("totals", source.agg(n="count(*)"))
        for name in names:
            (app.lake if name == "numbers" else app.topic)(name, risky(source))
        return app

    with headrace.testing.run(copied("numbers"), start=at(1_000)) as t:
        send(t, 1, 2, 3)
        for names in ((), ("copies",), ("copies", "numbers"), (), ("numbers", "copies")):
            t.close()
            t.plan = copied(*names).plan
            t.open()
            if names:
                send(t, 4, 6)
                for name in names:
                    counts = t.counts(name)
                    assert counts["applied"] == sum(given(t, name).values())
            t.verify()
