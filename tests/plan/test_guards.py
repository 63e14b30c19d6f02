"""What an event could steer into ending the job is refused, or bounded so that its row fails."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import pytest

import headrace as hr
from headrace import testing
from headrace.values.errors import DefinitionError

START = datetime(2026, 1, 1)


class Thing(hr.Event):
    happened: datetime
    s: str
    i: int
    numbers: list[int]
    share: Annotated[Decimal, hr.Precision(4, 4)]


def app_of(expression: str) -> hr.App:
    app = hr.App("guards")
    things = app.source(Thing, topic="things", time="happened", partitions=1)
    made = things.with_columns(made=expression)
    app.table("made", made.select("s", made="cast(made as varchar)"), key="s")
    return app


REFUSED = {
    "i::bignum": "a cast to bignum",
    "try_cast(s as varint)": "a cast to varint",
    "list_transform(numbers, lambda x: x::bignum)": "a cast to bignum",
    "s::json::bit": "a cast to bit",
    "date_trunc(s, happened)": "has to be constant",
    "date_diff(s, happened, happened)": "has to be constant",
    "weekday(to_days(i::integer))": "not recognized",
    "list_transform(numbers, lambda x: weekday(to_days(x::integer)))": "not recognized",
    "date_part('timezone', happened::date)": "not recognized",
    "timezone(s, happened)": "has to be constant",
    "timezone('Mars/Rover', happened)": "nknown TimeZone",
    "s like s escape '!'": "has to be constant",
    "s like 'a!' escape '!'": "must not end with escape",
    "array_length(numbers, i)": "one dimension",
    "array_length(numbers, 2)": "one dimension",
    "18446744073709551615 * 18446744073709551615": "verflow",
    "i::decimal(38, 0)[]": "nimplemented type for cast",
    "map_extract_value(map([null], [1]), null)": "NULL",
    "strptime(s, '%Y %Z')": "try_strptime",
    "strptime(s, ['%Y', '%-d %Z'])": "try_strptime",
    "strptime(s, '%Y %' || 'Z')": "try_strptime",
    "list_transform([s], lambda x: strptime(x, '%Y %Z'))": "try_strptime",
    "time_bucket(to_days(i::integer), happened)": "has to be constant",
    "time_bucket(interval '-1 day', happened)": "greater than 0",
    "list_aggregate(numbers, 'bitstring_agg')": "statistics",
    "repeat(s, 100000000000)": "at most 1,000,000",
    "range(happened, happened, interval '1 day')": "does not take",
    "epoch_ns(happened)": "epoch_us",
    "(s::json)[s]": "in brackets",
    "list_transform([s], lambda x: (x::json)[x])": "in brackets",
    "json_contains(s, '5')": "nested deeply",
    "s::json::variant": "a cast to variant",
    "json_extract(s, '$..a')": "all the memory",
    "s -> '$.a..b'": "all the memory",
    "s ->> '$..*'": "all the memory",
    "list_transform([s], lambda x: x ->> '$..a')": "all the memory",
    "format(s, i)": "has to be constant",
    "printf(s, i)": "has to be constant",
    "format('{:>{}}', s, i)": "width",
    "format('{0:>{1}}', s, i)": "width",
    "format('{:1000000}', i)": "at most 32,767",
    "printf('%*d', i, i)": "width",
    "printf('%-*.2f', i, 1.5)": "width",
    "printf('%1000000d', i)": "at most 32,767",
    "to_json(share)": "no digit before the point",
    "to_json({'a': [share]})": "no digit before the point",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_when_the_app_is_loaded(expression: str) -> None:
    with pytest.raises(DefinitionError, match=REFUSED[expression]):
        _ = app_of(expression).plan


SIZES = [0, 1, 5, -1, 1 << 40, -(1 << 62)]
EVERY = set(SIZES)
GUARDED = {
    # expression: the values of i whose rows fail
    "cast(i as tinyint) in (1, 2, 3, 4, 5, 6, 7, 8, 9)": {1 << 40, -(1 << 62)},
    "list_contains([1, 2, 3, 4, 5, 6, 7], cast(i as tinyint))": {1 << 40, -(1 << 62)},
    "len(repeat(s, i))": {1 << 40, -(1 << 62)},
    "len(range(i))": {1 << 40, -(1 << 62)},
    "len(lpad(s, i, 'x'))": {1 << 40, -(1 << 62)},
    "lpad(s, 3, '')": {0, 1, 5},
    "rpad(s, 3, '')": {0, 1, 5},
    "contains(numbers, 'x')": EVERY,
    "contains(numbers, i)": set(),
    "contains(s, 'x')": set(),
    "len(list_resize(numbers, i))": {1 << 40, -1, -(1 << 62)},
    "list_extract(s, i)": {1 << 40, -(1 << 62)},
    "damerau_levenshtein(repeat(s, 3000), 'abc')": EVERY,
    "levenshtein(s, repeat('ä', 4097))": set(),
    "levenshtein(s, repeat('ä', 4096 + cast(i > 0 as int)))": {1, 5, 1 << 40},
    "editdist3(s, repeat('x', 4096 + cast(i > 0 as int)))": {1, 5, 1 << 40},
    "left(s, 9223372036854775807)": EVERY,
    "list_contains(numbers, cast(i as hugeint))": set(),
    "list_contains(numbers, 'x')": EVERY,
    "'x' % share": EVERY,
    "[i]::decimal(38, 0)[]": set(),
    "list_reduce(numbers[:i], lambda x, y: x + y)": set(),
    "make_timestamp(i)": {-(1 << 62)},
    "to_timestamp(i)": {1 << 62},
    "regexp_extract('ä' || s, '\\C')": EVERY,
    "regexp_replace('ä' || s, '(\\C)', '\\1x')": EVERY,
    "regexp_extract('ä' || s, '[^ä]+')": set(),
    "json_extract('{\"a..b\": 1}', '$.\"a..b\"')": set(),
    "(s::json)['a']": EVERY,
    "coalesce((numbers::json)['a'], (numbers::json)[i])": set(),
    "format('{{{}}} {:>5.2f} {}', s, i / 2, i)": set(),
    "printf('%%*d %5.2f %s', i / 2, s)": set(),
    "strptime(s, '%%Z')": EVERY,
    "try_strptime(s, '%Y %Z')": set(),
    "timezone('Europe/Berlin', happened)": set(),
    "s like 'a%' escape '!'": set(),
    "to_json(share::decimal(5, 4))": set(),
}


@pytest.mark.parametrize("expression", GUARDED)
def test_only_the_row_fails(expression: str) -> None:
    with testing.run(app_of(expression), start=START) as driver:
        driver.send(
            "things",
            [
                {"happened": START, "s": f"s{i}", "i": i, "numbers": [1, 2, 3], "share": "0.5"}
                for i in SIZES
            ],
        )
        driver.verify()
        failed = driver.counts("made").get("failed", 0)
        served = {row["s"] for row in driver.rows("made")}
        assert failed + len(served) == len(SIZES)
        if expression not in ("make_timestamp(i)", "to_timestamp(i)"):
            assert served == {f"s{i}" for i in SIZES if i not in GUARDED[expression]}


PATHS = ["a", "*", "$.a", "$.*", "$..a", "", "$", "b", "$[", "/a"]
FOUND = {"": '{"a":1}', "a": "1", "$.a": "1", "/a": "1", "$": '{"a":1}'}


def by_path(expression: str) -> dict[str, str]:
    """What `expression` gives of each path that it reads as s, and that it reads."""
    with testing.run(app_of(expression), start=START) as driver:
        driver.send(
            "things",
            [{"happened": START, "s": s, "i": 1, "numbers": [], "share": 0} for s in PATHS],
        )
        driver.verify()
        return {row["s"]: row["made"] for row in driver.rows("made") if row["made"] is not None}


@pytest.mark.parametrize(
    "expression",
    [
        "json_extract_string('{\"a\":1}', s)",
        "json_extract('{\"a\":1}', s)",
        "json_extract_path_text('{\"a\":1}', s)",
        "'{\"a\":1}' -> s",
        "'{\"a\":1}' ->> s",
        "list_transform([s], lambda x: json_extract('{\"a\":1}', x))[1]",
        "list_transform([s], lambda x: '{\"a\":1}' ->> x)[1]",
    ],
)
def test_a_path_into_json_may_be_any_text(expression: str) -> None:
    assert by_path(expression) == FOUND


@pytest.mark.parametrize("function", ["type", "keys", "array_length", "exists", "value"])
def test_so_may_one_that_is_only_looked_at(function: str) -> None:
    assert "a" in by_path(f"json_{function}('{{\"a\":1}}', s)")


LEAST = -(1 << 63)


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        ("make_timestamp(i)", LEAST),
        ("epoch_ms(i)", LEAST // 1000),
        ("make_timestamp_ms(i)", LEAST // 1000),
        ("list_transform([i], lambda x: cast(make_timestamp(x) as varchar))[1]", LEAST),
        (
            "list_transform([i], lambda v: list_transform([v], lambda x: epoch_ms(x)))[1]",
            LEAST // 1000,
        ),
        ("list_filter([make_timestamp(0)], lambda x: make_timestamp(i) || 'a' <> '')[1]", LEAST),
        (
            "list_reduce([0], lambda a, x: epoch_us(make_timestamp(a)::varchar::timestamp), i)",
            LEAST,
        ),
        ("[t::timestamp for t in [to_json(make_timestamp(x)) ->> '$' for x in [i]]][1]", LEAST),
    ],
)
def test_a_time_that_has_no_text_fails_its_row(expression: str, least: int) -> None:
    numbers = [0, LEAST, least, least + 1, least + 2, least + 1000, -LEAST - 1, -least, -least - 1]
    numbers = sorted({n for n in numbers if n < -LEAST})
    with testing.run(app_of(expression), start=START) as driver:
        driver.send(
            "things",
            [{"happened": START, "s": f"s{i}", "i": i, "numbers": [], "share": 0} for i in numbers],
        )
        driver.verify()
        assert [row["s"] for row in driver.rows("made")] == ["s0"]
        assert driver.counts("made")["failed"] == len(numbers) - 1


def test_a_list_with_nothing_in_it_reduces_to_null() -> None:
    with testing.run(app_of("list_reduce(numbers, lambda x, y: x + y)"), start=START) as driver:
        events = [("a", []), ("b", [1, 2])]
        driver.send(
            "things",
            [{"happened": START, "s": s, "i": 1, "numbers": n, "share": 0} for s, n in events],
        )
        assert driver.rows("made") == [{"s": "a", "made": None}, {"s": "b", "made": "3"}]
