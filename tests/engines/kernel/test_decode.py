"""Decoding: the table of semantics, section 2, and any bytes against a judge by hand."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.engines.kernel.decode import decode, decoding
from headrace.plan.operators import Source
from headrace.storage.contract import RECORDS
from tests.engines.kernel.judge import Refused, judge

CHECKS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
ARRIVAL = datetime(2026, 1, 1)
CONNECTION = decoding(1)
Found = dict[str, Any] | str
"""A record's event, or the path of the field that refuses it; "" is the record as a whole."""


class Inner(hr.Struct):
    x: int
    y: str | None


class Wide(hr.Event):
    """Every kind of field; only the strict tier reads it."""

    text: str | None
    whole: int | None
    number: float | None
    yes: bool | None
    money: Annotated[Decimal, hr.Precision(6, 2)] | None
    wealth: Annotated[Decimal, hr.Precision(38, 2)] | None
    sums: list[Annotated[Decimal, hr.Precision(38, 20)]] | None
    at: datetime | None
    day: date | None
    one: Literal["a", "b", 'c"\\d'] | None
    level: Literal[1, 2] | None
    inner: Inner | None
    items: list[int] | None
    gaps: list[float | None] | None
    inners: list[Inner] | None


class Flat(hr.Event):
    """Fields that programs write alike; the fast tier reads it."""

    at: datetime
    who: str
    whole: int
    number: float
    yes: bool
    day: date | None
    one: Literal["a", 'b"\\']
    level: Literal[1, 2] | None
    note: str | None


class Ticks(hr.Event):
    at: int
    note: str | None


def source_of(event: type[hr.Event], **options: Any) -> Source:
    app = hr.App("decoding")
    stream = app.source(event, topic="t", **options)
    app.lake("all", stream)
    return app.plan.jobs[0].sources[0]


class Short(hr.Event):
    """A field called as SQL of the decoder calls what it finds."""

    checks = {"positive": "x > 0"}
    t: int | None
    x: int


class Priced(hr.Event):
    """A check that computes one thing twice, and another that computes it too."""

    qty: int
    price: int

    checks = {
        "total": "qty * price >= 0 and qty * price < 1000000",
        "small": "cast(qty * price as tinyint) in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)",
    }


WIDE = source_of(Wide)
FLAT = source_of(Flat, time="at")
TICKS = source_of(Ticks, time="at", time_unit="ms")


def records_of(values: list[bytes | None]) -> pa.Table:
    count = len(values)
    return pa.table(
        {
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "key": pa.nulls(count, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "arrival_time": pa.array([ARRIVAL] * count, pa.timestamp("us")),
        },
        schema=RECORDS,
    )


def decoded(source: Source, values: list[bytes | None]) -> list[Found]:
    """What each record is; every one is an event or a dead letter, and no one both."""
    found = decode(CONNECTION, source, records_of(values))
    made: list[Found] = [""] * len(values)
    names = [f.name for f in source.schema.fields]
    rows = found.events.column("_row").to_pylist()
    dead = found.dead.to_pylist()
    assert sorted([*rows, *(d["_row"] for d in dead)]) == list(range(len(values)))
    assert rows == sorted(rows) and all(d["_reason"] for d in dead)
    for row, event in zip(rows, found.events.select(names).to_pylist(), strict=True):
        made[row] = event
    for letter in dead:
        made[letter["_row"]] = letter["_field"] or ""
    return made


def by_hand(source: Source, values: list[bytes | None]) -> list[Found]:
    made: list[Found] = []
    for value in values:
        try:
            made.append(judge(source, value, ARRIVAL))
        except Refused as refused:
            made.append(refused.field or "")
    return made


def accepted(found: list[Found]) -> list[bool]:
    return [isinstance(f, dict) for f in found]


def check(source: Source, values: list[bytes | None]) -> None:
    """Together and each alone (whatever tier then reads it), as the judge says."""
    wanted = by_hand(source, values)
    for found in (decoded(source, values), decoded(source, [b"[]", *values])[1:]):
        for value, mine, right in zip(values, found, wanted, strict=True):
            assert same(mine, right), f"{value!r}: {mine} not {right}"


def same(a: Any, b: Any) -> bool:
    """Equal, with floats told apart by their sign and numbers by their type."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("between", ["\n", "\r\n\t", " \n  "])
def test_blanks_may_stand_between_all_signs(between: str) -> None:
    flat = {"at": "2026-01-01T00:00:00Z", "who": "a", "whole": 1, "number": 0.5, "yes": True}
    wide = {"text": "a", "items": [1, 2], "inner": {"x": 1}, "at": "2025-12-31T00:00:00Z"}
    for source, event in ((FLAT, flat | {"one": "a"}), (WIDE, wide), (TICKS, {"at": 5})):
        text = json.dumps(event, separators=(f"{between},{between}", ": "), indent=1)
        spread = re.sub(r'": ', f'"{between}:{between}', text).replace("\n", between).encode()
        assert accepted(by_hand(source, [spread])) == [True]
        check(source, [spread, spread])


TOKENS: dict[str, tuple[list[str], list[str]]] = {
    # field: (accepted, refused), as they are written
    "text": (
        ['""', '"a"', '"ü😀"', r'"\u00fc\ud83d\ude00"', r'"\"\\\/\b\f\n\r\t"', '"null"', '"1"'],
        ["1", "true", '["a"]', "{}", r'"\u0000"', r'"a\u0000b"', '"a\x01"', '"\\x"', "'a'"],
    ),
    "whole": (
        ["0", "-0", "1", "1e3", "5.0", "-5.00", "1E+2", "9223372036854775807"]
        + ["-9223372036854775808", "120e-1", "1.5e1"]
        + ["9007199254740993.0", "90071992547409930e-1", "9.007199254740993e15", "0e-999"],
        ['"1"', "true", "1.7", "9223372036854775808", "-9223372036854775809", "1e19", "1e400"]
        + [
            "1e-1",
            "01",
            "+1",
            ".5",
            "5.",
            "0x1",
            "NaN",
            "[1]",
            "1_000",
            "1e",
            "9223372036854775807.5",
            "9007199254740993.5",
            "1.00000000000000000001",
            "9007199254740993e-1",
        ],
    ),
    "number": (
        [
            "0",
            "-0",
            "-0.0",
            "1.5",
            "1e3",
            "1E-7",
            "1e308",
            "123456789012345678901234567890",
            "5e-324",
        ]
        + ["0.1", "2.2250738585072014e-308", "1e-400", "9007199254740993"],
        ['"1"', "true", "NaN", "Infinity", "-Infinity", "1e309", "-1e309", "1.", ".1", "[]", "nan"],
    ),
    "yes": (["true", "false"], ['"true"', "1", "0", "True", "TRUE", "[]"]),
    "money": (
        ["1", "1.5", "-1.50", "9999.99", '"1.25"', '"-0.01"', "1.500", "0", '"9999"', "-0"]
        + ["1e3", "1.5E1", "12.5e-1", "9.99999e3", '"1e3"', "-0e0", "0e9999", "100000e-2"],
        ["1.005", "10000", '"1.005"', '"abc"', "true", '""', '" 1"', '"+1"', '"1,5"', "-10000"]
        + [
            '"NaN"',
            "[]",
            "{}",
            '"."',
            "1e4",
            "1.005e0",
            "1e-3",
            "1.0000000000000000001",
            "1e-9999",
        ],
    ),
    "wealth": (
        [
            "12345678901234567.89",
            '"12345678901234567.89"',
            "123456789012345678901234567890123456.78",
        ]
        + ["-99999999999999999999.99", "1234567890123456789.01e1", "0.1"],
        ["12345678901234567.891", "1e36", "0.10000000000000000001", "1234567890123456789.01e-1"],
    ),
    "sums": (
        ["[0.12345678901234567891, 1]", "[123456789012345678.1e0, 5e-20]"]
        + ["[1234567890123456789.01e-11]", "[-0.00000000000000000000001e3]"],
        ["[1, 5e-21]", "[0.123456789012345678912]", "[null]"],
    ),
    "at": (
        [f'"{t}"' for t in ("2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01 00:00:00")]
        + [
            f'"2025-12-31T23:59:59{t}"'
            for t in (".1", ".123456Z", ".1234567899Z", "+02:30", "-23:59")
        ]
        + [
            '"1969-12-31T23:59:59.999999Z"',
            '"0001-01-01T00:00:00Z"',
            '"2024-02-29T12:00:00+00:00"',
        ],
        [
            '"2026-01-01"',
            '"2026-01-01T24:00:00Z"',
            '"2026-01-01T00:60:00Z"',
            '"2026-01-01T00:00:60Z"',
        ]
        + [
            '"infinity"',
            '"-infinity"',
            '"epoch"',
            '"now"',
            '"2025-02-29T00:00:00Z"',
            "1767225600",
            '""',
        ]
        + [
            '"2026-13-01T00:00:00Z"',
            '"2026-1-1T00:00:00Z"',
            '"2026-01-01T00:00Z"',
            '"0000-01-01T00:00:00Z"',
        ]
        + ['"2026-01-01T00:00:00+24:00"', '"2026-01-01T00:00:00+0200"', '"2026-01-01T00:00:00 UTC"']
        + ['" 2026-01-01T00:00:00Z"', '"2026-01-01T00:00:00Z "', '"12026-01-01T00:00:00Z"', "true"]
        + ['"2026-01-01T00:00:00.Z"', '"2026-01-01T00:00:00,5Z"', '"0001-01-01T00:00:00+01:00"'],
    ),
    "day": (
        ['"2026-01-01"', '"2024-02-29"', '"0001-01-01"', '"9999-12-31"'],
        [
            '"2026-02-30"',
            '"2026-1-1"',
            '"20260101"',
            '"2026-01-01T00:00:00Z"',
            "20260101",
            '"infinity"',
        ]
        + ['"0000-01-01"', '" 2026-01-01"', '"epoch"', '"2025-02-29"', '""', '"2026-01-01 (BC)"'],
    ),
    "one": (['"a"', '"b"', r'"c\"\\d"', r'"\u0061"'], ['"c"', '"A"', '""', "1", '"a "', "true"]),
    "level": (["1", "2", "1.0", "2e0"], ["3", '"1"', "1.5", "true", "0"]),
    "inner": (
        ['{"x": 1, "y": "z"}', '{"y": null, "x": 1e0}', '{"x": 1}', '{"x": 1, "other": [1, {}]}'],
        [
            "{}",
            '{"x": "1"}',
            '{"x": 1, "y": 2}',
            "[]",
            "1",
            '"{}"',
            '{"x": 1, "x": 1}',
            '{"x": null}',
        ],
    ),
    "items": (
        ["[]", "[1]", "[1, 2.0, -3]", "[ 1 ,2 ]"],
        ["[null]", '["1"]', "[1.5]", "[[1]]", "1", "{}", "[1, true]", '"[1]"', "[1,]"],
    ),
    "gaps": (
        ["[]", "[null]", "[1, null, 0.5]"],
        ["[true]", '[null, "x"]', "[NaN]", "[1e999]", "null]"],
    ),
    "inners": (
        ["[]", '[{"x": 1}]', '[{"x": 1, "y": "a"}, {"x": 2}]'],
        ["[null]", "[{}]", '[{"x": 1}, {"x": "2"}]', "[[]]", '[{"x": 1, "y": 5}]', "{}"],
    ),
}


@pytest.mark.parametrize("name", TOKENS)
def test_the_table_row_by_row(name: str) -> None:
    good, bad = TOKENS[name]
    values = [f'{{"{name}": {token}}}'.encode() for token in ["null", *good, *bad]]
    assert accepted(by_hand(WIDE, values)) == [True] * (1 + len(good)) + [False] * len(bad)
    check(WIDE, values)
    # Exponents are looked for only where some record of the batch has one.
    check(WIDE, [v for v in values if not re.search(rb"\d[eE]", v)])
    for value in filter(re.compile(rb"\d[eE]").search, values):
        check(WIDE, [value])


ESCAPED = [
    r"\u0031e3",
    r"1\u00653",
    r"1\u00453",
    r"\u0030.5e1",
    r"\u002d1e1",
    r"1\u002e0e1",
    r"1e\u002b1",
]


@pytest.mark.parametrize("text", ESCAPED)
def test_escaped_decimals_do_not_depend_on_other_records(text: str) -> None:
    value = f'{{"money": "{text}"}}'.encode()
    assert accepted(by_hand(WIDE, [value])) == [True]
    check(WIDE, [value])
    check(WIDE, [value, b'{"number": 1e3}'])


def test_missing_fields_are_null_only_where_declared() -> None:
    whole = {
        "at": "2026-01-01T00:00:00Z",
        "who": "w",
        "whole": 1,
        "number": 0.5,
        "yes": True,
        "one": "a",
    }
    lacking = [{k: v for k, v in whole.items() if k != name} for name in whole]
    nulls = [{**whole, name: None} for name in whole]
    values = [json.dumps(v).encode() for v in [whole, *lacking, *nulls]]
    assert by_hand(FLAT, values)[1:] == [*whole, *whole]
    check(FLAT, values)


WHOLE = [
    b"",
    b" ",
    b"null",
    b"1",
    b'"{}"',
    b"[]",
    b"{",
    b"{}",
    b"{} ",
    b"\t{}\r\n",
    b"{}{}",
    b"{} x",
    b"{,}",
    b'{"a"}',
    b'{"a": 1,}',
    b'{"text": "a",}',
    b'{"text": "a", "text": "a"}',
    b'{"text": "a", "other": 1, "other": 2}',
    b'{"other": {"a": 1, "a": 2}}',
    b'{"text": "a" /* no */}',
    b"{'text': 'a'}",
    b'{text: "a"}',
    b'{"TEXT": 1, "Text": 2}',
    b'{"text ": 1}',
    b'\xef\xbb\xbf{"text": "a"}',
    b'{"text": "\xff"}',
    b'{"text": "\xc0\x80"}',
    b'{"text": "\xed\xa0\x80"}',
    b'{"other": "\xff"}',
    b'{"text": "a\x00"}',
    b'\x00{"text": "a"}',
    b'{"text": "a"}\x00',
    b'{"te\\u0078t": "a"}',
    b'{"other": NaN}',
    b'{"other": [Infinity]}',
    *(f'{{"other": {word}}}'.encode() for word in ("nan", "-inf", "INF", "iNfInItY", "-NaN")),
    b'{"other": [1,\tnan ]}',
    b'{"other": ' + b"[" * 2000 + b"]" * 2000 + b', "text": ",]"}',
    b'{"other": ' + b"[" * 2000 + b"1,]" + b"]" * 1999 + b"}",
    b'{"text": "\\\\", "other": [1,]}',
    b'{"other": "\\ud800"}',
    b'{"\\udc00": 1}',
    b'{"text": "NaN, Infinity ,]"}',
    b'{"other": ' + b"[" * 50 + b"]" * 50 + b"}",
    b'{"text": "\\ud800"}',
    None,
]


def test_whole_records() -> None:
    check(WIDE, WHOLE)
    short = source_of(Wide, value_bytes_max=12)
    check(short, [b'{"text": "a"}', b'{"text":"a"}', b'{"whole":123'])


def test_any_space_between_members() -> None:
    spaced = [
        b'{"at": "2026-01-01T00:00:00Z"%b"who": "w",%b"whole"%b: 1, "number": 0.5, "yes": true,'
        b' "one":%b"a"}' % (b"," + space, space, space, space)
        for space in (b"\t", b"\r", b"\n", b" \t\r\n ", b"\x0c", b"\xc2\xa0", b"")
    ]
    for value in spaced:
        check(FLAT, [value, value])


def test_times_ahead_of_the_arrival_and_times_in_units() -> None:
    near = ["2026-01-02T00:00:00Z", "2026-01-02T00:00:00.000001Z", "9999-12-31T23:59:59Z"]
    flat = {"who": "w", "whole": 1, "number": 0.5, "yes": True, "one": "a"}
    check(FLAT, [json.dumps({"at": t, **flat}).encode() for t in near])
    ticks = [
        "0",
        "1767225600000",
        "1767225600001",
        "1767312000001",
        "-1",
        "1e3",
        "1.5",
        '"1"',
        "null",
    ]
    ticks += ["9223372036854775807", "-9223372036854775808", "true", "-62135596800000", "-0"]
    found = decoded(TICKS, [f'{{"at": {t}}}'.encode() for t in ticks])
    assert [f["at"] if isinstance(f, dict) else None for f in found][:7] == [
        0,
        1767225600000,
        1767225600001,
        None,
        -1,
        1000,
        None,
    ]
    assert found[7:12] == ["at"] * 5


def test_a_check_does_not_mind_what_fields_are_called() -> None:
    values = [b'{"t": 5, "x": 1}', b'{"t": 5, "x": -1}', b'{"t": null, "x": -1}']
    found = decode(CONNECTION, source_of(Short), records_of(list(values)))
    assert found.events.column("_row").to_pylist() == [0]
    assert found.dead.column("_reason").to_pylist() == ["fails the check positive: x > 0"] * 2


def test_a_check_that_raises_says_nothing_of_a_record() -> None:
    pairs = [(3, 4), (1 << 62, 4), (100, 1), (-3, 4), (1 << 62, -4)]
    values = [json.dumps({"qty": q, "price": p}).encode() for q, p in pairs]
    found = decode(CONNECTION, source_of(Priced), records_of(list(values)))
    assert found.events.column("_row").to_pylist() == [0, 1, 4]
    assert found.dead.column("_row").to_pylist() == [2, 3]


class Blank(hr.Struct):
    _: str
    _0: int | None


class Blanks(hr.Event):
    blank: Blank
    blanks: list[Blank]


def test_a_field_inside_may_be_called_by_a_line() -> None:
    values = [
        b'{"blank": {"_": "x", "_0": 1}, "blanks": [{"_": "y"}], "0": 1.5}',
        b'{"blank": {"_": "x", "0": "y"}, "blanks": []}',
        b'{"blank": {"_": 5}, "blanks": []}',
        b'{"blank": {"_": "5"}, "blanks": [{"_": 1.5}]}',
    ]
    source = source_of(Blanks)
    check(source, values)
    assert accepted(decoded(source, values)) == [True, True, False, False]


class Line(hr.Struct):
    sku: str
    qty: int
    inner: Inner | None


class Nested(hr.Event):
    lines: list[Line]
    sizes: list[list[int]] | None
    line: Line | None
    amount: float | None
    least: int | None
    most: int | None

    checks = {"amount": "amount > 0 and most > 0", "only": "least > 0", "order": "least <= most"}


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"lines": 1}, "lines", "is not a list: 1"),
        ({}, "lines", "is missing or null"),
        ({"lines": [3]}, "lines", "element is not an object: 3"),
        ({"lines": [None]}, "lines", "element is missing or null"),
        ({"lines": [{"sku": "a", "qty": 1}, {"sku": "b"}]}, "lines.qty", "is missing or null"),
        ({"lines": [{"sku": "a", "qty": "x y"}]}, "lines.qty", 'is not a whole number: "x y"'),
        (
            {"lines": [{"sku": "a", "qty": 1, "inner": {"x": 1.5}}]},
            "lines.inner.x",
            "is not a whole number: 1.5",
        ),
        (
            {"lines": [{"sku": "a", "qty": 1, "inner": 7}]},
            "lines.inner",
            "is not an object: 7",
        ),
        ({"lines": [], "sizes": [[1], 2]}, "sizes", "element is not a list: 2"),
        ({"lines": [], "sizes": [[1, "a"]]}, "sizes", 'element element is not a whole number: "a"'),
        ({"lines": [], "line": {"sku": "a", "qty": None}}, "line.qty", "is missing or null"),
        ({"lines": [], "line": 1}, "line", "is not an object: 1"),
        (
            {"lines": [], "amount": -1, "most": 1},
            "amount",
            "fails the check amount: amount > 0 and most > 0",
        ),
        ({"lines": [], "least": 0}, "least", "fails the check only: least > 0"),
        ({"lines": [], "least": 2, "most": 1}, None, "fails the check order: least <= most"),
    ],
)
def test_a_refusal_names_the_field_by_its_path(
    record: dict[str, Any], field: str | None, reason: str
) -> None:
    found = decode(CONNECTION, source_of(Nested), records_of([json.dumps(record).encode()])).dead
    assert found.select(["_field", "_reason"]).to_pylist() == [{"_field": field, "_reason": reason}]


def test_a_key_twice_inside_is_named_by_its_path() -> None:
    record = b'{"lines": [{"sku": "a", "qty": 1, "inner": {"x": 1, "x": 2}}]}'
    found = decode(CONNECTION, source_of(Nested), records_of([record])).dead
    assert found.select(["_field", "_reason"]).to_pylist() == [
        {"_field": "lines.inner", "_reason": "has a key twice"}
    ]


def test_times_in_units_end_with_the_calendar() -> None:
    first, beyond = "-58979923200", "-58979923201"
    for unit, zeros in (("s", ""), ("ms", "000"), ("us", "000000")):
        source = source_of(Ticks, time="at", time_unit=unit)
        values = [f'{{"at": {t}{zeros}}}'.encode() for t in (first, beyond, "-9" * 9)]
        check(source, values)
        assert accepted(decoded(source, values))[:2] == [True, False]


_FIELDS = {
    "at": st.sampled_from(
        ['"2026-01-01T00:00:00Z"', '"2025-06-01T12:30:00.25Z"', *TOKENS["at"][1][:6]]
    ),
    "who": st.sampled_from(['"w"', '"ü"', *TOKENS["text"][0], *TOKENS["text"][1][:6]]),
    "whole": st.sampled_from([*TOKENS["whole"][0], *TOKENS["whole"][1]]),
    "number": st.sampled_from([*TOKENS["number"][0], *TOKENS["number"][1]]),
    "yes": st.sampled_from(["true", "false", "false", "1"]),
    "day": st.sampled_from(["null", '"2026-01-01"', '"2026-02-30"', '"0001-01-01"']),
    "one": st.sampled_from(['"a"', r'"b\"\\"', r'"\u0061"', '"c"']),
    "level": st.sampled_from(["1", "2", "null", "3", "1.0"]),
    "note": st.sampled_from(["null", '"null"', '""', '"x"', '" "', "5"]),
}
_GOOD = {
    "at": '"2026-01-01T00:00:00Z"',
    "who": '"w"',
    "whole": "1",
    "number": "0.5",
    "yes": "true",
    "day": '"2026-01-01"',
    "one": '"a"',
    "level": "1",
    "note": '"x"',
}


@st.composite
def _flat(draw: st.DrawFn) -> bytes:
    """A record that is good but for a field or two, perhaps with its bytes spoiled."""
    fields = dict(_GOOD)
    for name in draw(st.lists(st.sampled_from(list(_FIELDS)), max_size=2)):
        fields[name] = draw(_FIELDS[name])
    pairs = [
        f'"{name}":{draw(st.sampled_from(["", " "]))}{value}' for name, value in fields.items()
    ]
    change = draw(st.sampled_from(["", "", "", "drop", "twice", "unknown", "order"]))
    if change == "drop":
        pairs.pop(draw(st.integers(0, len(pairs) - 1)))
    if change == "twice":
        pairs.append(draw(st.sampled_from(pairs)))
    if change == "unknown":
        pairs.append(
            draw(st.sampled_from(['"more":[1,{"a":null}]', '"more":-0.5', '"":"x"', '"Who":1']))
        )
    if change == "order":
        pairs = draw(st.permutations(pairs))
    made = ("{" + draw(st.sampled_from([",", ", "])).join(pairs) + "}").encode()
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(made) - 1))
        spoiled = draw(
            st.sampled_from([b"", b" ", b'"', b"\\", b"\x00", b"\xff", b"0", b",", b"}"])
        )
        made = made[:place] + spoiled + made[place + draw(st.integers(0, 1)) :]
    return made


@CHECKS
@given(st.lists(_flat(), min_size=1, max_size=30))
def test_any_bytes_are_judged_as_by_hand(values: list[bytes]) -> None:
    check(FLAT, list(values))


@CHECKS
@given(st.lists(_flat(), min_size=1, max_size=5), st.permutations(list(_GOOD)))
def test_every_first_record_gives_the_same_answer(values: list[bytes], order: list[str]) -> None:
    """The fast tier takes its form from the first record; the answers do not."""
    first = ("{" + ",".join(f'"{name}":{_GOOD[name]}' for name in order) + "}").encode()
    alone = [decoded(FLAT, [value])[0] for value in values]
    for lead in (first, b'{"x":1}', b"[]"):
        together = decoded(FLAT, [lead, *values])[1:]
        assert all(same(a, b) for a, b in zip(alone, together, strict=True))
