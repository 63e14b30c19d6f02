"""Events at the ends of the calendar: every window over an accepted one has times of its own."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.values.errors import DefinitionError
from tests.views.cases import Thing, thing, things

NOTHING = object()
"""A value that is null."""

_ACCEPTED = [
    "0101-01-01T00:00:00Z",
    "0101-01-01T00:00:00.000001Z",
    "9899-12-31T23:59:59.999999Z",
]
_REFUSED = [
    "0001-01-01T00:00:00Z",
    "0100-12-31T23:59:59.999999Z",
    "9900-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]


@pytest.mark.parametrize("longest", [timedelta(seconds=1), timedelta(days=36_500)])
def test_windows_stay_within_the_calendar(longest: timedelta) -> None:
    app, source = things(lateness=longest, ahead="3000000 days")
    views = {
        "aligned": source.tumble(longest),
        "moved": source.tumble(longest, offset="300 milliseconds"),
        "sliding": source.slide(longest, every=longest / 4, offset="1 millisecond"),
        "gaps": source.session(gap=longest),
        "marks": source.session(starts="true", timeout=longest),
    }
    for name, grouped in views.items():
        view = grouped.by("who").agg(n="count(*)")
        app.table(name, view)
        app.topic(f"{name}_changes", view)
    with headrace.testing.run(app, start=datetime(2026, 1, 1)) as t:
        t.send("things", [_thing(time) for time in (*_ACCEPTED, *_REFUSED)], partition=0)
        assert t.counts("things") == {"read": 7, "accepted": 3, "dead_lettered": 4}
        letters = [(row["offset"], row["field"], row["reason"]) for row in t.dead_letters()]
        why = "lies outside of the years 101 to 9899"
        assert letters == [(offset, "at", why) for offset in range(3, 7)]
        for name in views:
            assert t.rows(name), name
            for row in t.rows(f"{name}_changes"):
                _check_times(row["value"])
        assert t.query("select * from epochs")
        t.verify()
        t.recompute()
        t.verify()


def test_longer_ones_are_refused_when_the_app_is_loaded() -> None:
    app, source = things()
    with pytest.raises(DefinitionError, match="at most 36500 days"):
        source.tumble("36501 days")
    with pytest.raises(DefinitionError, match="at most 36500 days"):
        app.source(Thing, topic="others", time="at", lateness="36501 days")
    with pytest.raises(DefinitionError, match="at most 3652058 days"):
        hr.App("b").source(Thing, topic="others", time="at", ahead="3652059 days")


_MADE = {
    # expression over n, a year: the years whose rows fail
    "make_date(n, 6, 26)": {-5_877_641, -5},
    "cast((n || '-06-26') as date)": {-5_877_641, -5},
    "date '2000-06-26' + cast(366 * (n - 2000) as integer)": {-5_877_641, -5},
    "list_transform([n], lambda y: make_date(y, 6, 26))[1]": {-5_877_641, -5},
    "coalesce(make_date(n, 6, 26), date '2000-01-01')": {-5_877_641, -5},
    "try_cast((n || '-06-26') as date)": set(),
}


@pytest.mark.parametrize("made", _MADE)
def test_times_that_expressions_make_lie_within_the_calendar(made: str) -> None:
    app, source = things(lateness="1 minute")
    first = source.with_columns(made=made).dedupe(by=("who", "n", "made"))
    app.table("rows", first.select("n", made="cast(made as varchar)", day="made"), key="n")
    app.table("weeks", first.with_columns(w="week(made)").by("n").agg(w="max(w)"))
    app.table("whole", source.select("n", w=f"week({made})"), key="n")
    app.table("keys", source.by(made=made).agg(n="max(n)"))
    app.table("results", source.by("n").agg(w=f"week(max({made}))", c="count(*)"))
    app.table("later", source.tumble("1 minute").by("n").agg(t=f"epoch_us(max({made}))"))
    app.topic("changes", source.by("n").agg(t=f"max({made})"))
    years = [2000, -5, -5_877_641]
    fails = _MADE[made]
    with headrace.testing.run(app, start=datetime(2026, 3, 1)) as t:
        for second, year in enumerate(years):
            t.send("things", [thing(second, n=year)])
            t.epoch()
        for name in ("rows", "weeks", "whole", "keys", "results", "later"):
            assert t.counts(name).get("failed", 0) == len(fails), name
        assert {row["n"] for row in t.rows("rows")} == set(years) - fails
        assert {row["n"] for row in t.rows("results")} == set(years) - fails
        t.verify()
        t.recompute()
        t.verify()


_JSON = """'{"a": [{"t": "' || n || '-06-26", "x": 1}], "b": "y"}'"""
_SHAPE = """'{"a":[{"t":"TIMESTAMP","x":"INTEGER"}],"b":"VARCHAR"}'"""
_DAY, _MIDNIGHT = date(2000, 6, 26), datetime(2000, 6, 26)
_OF_JSON = {"a": [{"t": _MIDNIGHT, "x": 1}], "b": "y"}
_NESTED: dict[str, tuple[Any, Any]] = {
    # expression over n, a year: its value in 2000, and in 12020, where None is a row that fails
    "cast('{d: ' || n || '-06-26, x: 1}' as struct(d date, x int))": ({"d": _DAY, "x": 1}, None),
    "try_cast('{d: ' || n || '-06-26, x: 1}' as struct(d date, x int))": (
        {"d": _DAY, "x": 1},
        {"d": None, "x": 1},
    ),
    f"from_json({_JSON}, {_SHAPE})": (_OF_JSON, {"a": [{"t": None, "x": 1}], "b": "y"}),
    f"json_transform_strict({_JSON}, {_SHAPE})": (_OF_JSON, None),
    f"from_json({_JSON} -> 'a', '[{{\"t\":\"DATE\"}}]')": ([{"t": _DAY}], [{"t": None}]),
    """from_json('["' || n || '-06-26", null]', '["DATE"]')""": ([_DAY, None], [None, None]),
    """from_json('["' || n || '-06-26", null]', '["DATE"]')[1]""": (_DAY, NOTHING),
    "cast('[' || n || '-06-26]' as date[1])": ([_DAY], None),
    "cast('[[' || n || '-06-26, null], null]' as date[][])": ([[_DAY, None], None], None),
    "cast(cast('{' || n || '-06-26=' || n || '-06-26}' as map(date, timestamp)) as varchar)": (
        "{2000-06-26='2000-06-26 00:00:00'}",
        None,
    ),
    "cast({'d': n || '-06-26'} as struct(d date))": ({"d": _DAY}, None),
    "list_transform([n], lambda y: {'d': make_date(y, 6, 26)})": ([{"d": _DAY}], None),
    "{'d': make_date(n, 6, 26), 'x': [n]}": ({"d": _DAY, "x": [2000]}, None),
    "cast({'d': make_date(n, 6, 26)} as struct(d timestamp))": ({"d": _MIDNIGHT}, None),
    "cast(null as struct(d date))": (NOTHING, NOTHING),
}


@pytest.mark.parametrize("made", _NESTED)
def test_so_do_those_inside_of_what_expressions_make(made: str) -> None:
    app, source = things()
    app.table("rows", source.select("n", made=made), key="n")
    app.topic("changes", source.with_columns(made=made))
    app.lake("kept", source.select("n", made=made))
    wanted = dict(zip((2000, 12020), _NESTED[made], strict=True))
    with headrace.testing.run(app, start=datetime(2026, 3, 1)) as t:
        t.send("things", [thing(second, n=year) for second, year in enumerate(wanted)])
        found = {row["n"]: row["made"] for row in t.rows("rows")}
        assert found == {
            n: None if value is NOTHING else value
            for n, value in wanted.items()
            if value is not None
        }
        assert len(t.rows("kept")) == len(t.rows("changes")) == len(found)
        t.verify()


def _thing(time: str) -> dict[str, Any]:
    return {"at": time, "who": "a", "kind": "x", "n": 1, "f": 1.0, "text": "1"}


def _check_times(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name.endswith(("_start", "_end", "_time")) and value is not None:
            assert datetime.fromisoformat(value), f"{name}: {value}"
