"""Rows as JSON and columns spliced into JSON, against the standard library's json."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage.outbound import json_values
from headrace.storage.outbound.json_values import rows_to_json, splice
from headrace.values.clock import instant_text, instant_us


def texts(**columns: pa.Array) -> list[str]:
    made: list[str] = rows_to_json(pa.table(columns)).to_pylist()
    return made


def test_times_are_rfc_3339() -> None:
    moments = [
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 0, 0, 0, 123456),
        datetime(2026, 1, 1, 0, 0, 0, 500000),
        datetime(1969, 12, 31, 23, 59, 59, 999999),
    ]
    found = texts(t=pa.array([*moments, None], pa.timestamp("us")))
    assert found == [f'{{"t":"{instant_text(instant_us(m))}"}}' for m in moments] + ['{"t":null}']
    assert found[0] == '{"t":"2026-01-01T00:00:00Z"}' and "00:00:00.5Z" in found[2]


def test_numbers_stay_exact() -> None:
    found = texts(
        i=pa.array([2**63 - 1], pa.int64()),
        h=pa.array([Decimal(10**37 + 1)], pa.decimal128(38, 0)),
        d=pa.array([Decimal("-12345678901234567.89")], pa.decimal128(19, 2)),
        f=pa.array([0.1 + 0.2]),
    )
    assert found == [
        f'{{"i":{2**63 - 1},"h":{10**37 + 1},"d":-12345678901234567.89,"f":0.30000000000000004}}'
    ]


@pytest.mark.parametrize("digits", [1, 2, 15, 16, 17, 18, 19, 20, 30, 37, 38])
def test_decimals_without_a_digit_before_the_point_get_one(digits: int) -> None:
    type_ = pa.decimal128(digits, digits)
    given = [Decimal("0.5"), Decimal("-0.1"), Decimal(0), Decimal(f"1e-{digits}"), None]
    held = pa.array(given, type_)
    found = texts(x=held, l=pa.array([[d] for d in given], pa.list_(type_)))
    rows = [json.loads(text, parse_float=Decimal) for text in found]
    assert [r["l"][0] for r in rows] == [r["x"] for r in rows]
    assert [None if r["x"] is None else Decimal(r["x"]) for r in rows] == given
    assert {type(r["x"]) for r in rows[:4]} == ({str} if digits == 38 else {Decimal})


def test_nan_and_infinity_are_null_also_inside() -> None:
    odd = [math.nan, math.inf, -math.inf, 1.5]
    assert texts(x=pa.array(odd)) == ['{"x":null}'] * 3 + ['{"x":1.5}']
    inner = pa.struct(
        [("x", pa.float64()), ("t", pa.timestamp("us")), ("l", pa.list_(pa.float64()))]
    )
    row = {"x": math.nan, "t": datetime(2026, 1, 1), "l": odd}
    found = texts(s=pa.array([row, None], inner), m=pa.array([[row], None], pa.list_(inner)))
    shown = '{"x":null,"t":"2026-01-01T00:00:00Z","l":[null,null,null,1.5]}'
    assert found == [f'{{"s":{shown},"m":[{shown}]}}', '{"s":null,"m":null}']


def test_maps_and_arrays_are_as_what_they_hold() -> None:
    of_names = pa.map_(pa.string(), pa.list_(pa.float64()))
    of_times = pa.map_(pa.timestamp("us"), pa.timestamp("us"))
    at = datetime(2026, 1, 1, 0, 0, 0, 500000)
    found = texts(
        m=pa.array([[("a", [math.nan, 1.5]), ("b", None)], [], None], of_names),
        t=pa.array([[(at, at)], [], None], of_times),
        n=pa.array([[(math.nan, 1)], [], None], pa.map_(pa.float64(), pa.int64())),
        a=pa.array([[math.inf, 2.0], [1.0, None], None], pa.list_(pa.float64(), 2)),
    )
    shown = "2026-01-01T00:00:00.5Z"
    assert [json.loads(text, parse_constant=pytest.fail) for text in found] == [
        {
            "m": {"a": [None, 1.5], "b": None},
            "t": {shown: shown},
            "n": {"nan": 1},
            "a": [None, 2.0],
        },
        {"m": {}, "t": {}, "n": {}, "a": [1.0, None]},
        {"m": None, "t": None, "n": None, "a": None},
    ]


def test_names_and_dates() -> None:
    found = texts(**{'a "b"': pa.array([date(2026, 1, 1)], pa.date32()), "é": pa.array([True])})
    assert found == ['{"a \\"b\\"":"2026-01-01","é":true}']


def test_rows_that_do_not_fit_into_memory_at_once_are_made_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = {"n": pa.array(range(2_000)), "text": pa.array(["x" * 20_000] * 2_000)}
    with duckdb.connect(config={"memory_limit": "16MB", "threads": 1}) as small:
        monkeypatch.setattr(json_values, "_own_connection", lambda: small)
        found = texts(**columns)
        assert found == [f'{{"n":{n},"text":"{"x" * 20_000}"}}' for n in range(2_000)]
        with pytest.raises(duckdb.OutOfMemoryException):
            texts(text=pa.array(["x" * 20_000_000]))


def test_rows_without_columns() -> None:
    assert rows_to_json(pa.table({"a": [1, 2]}).select([])).to_pylist() == ["{}", "{}"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats()), max_size=20))
def test_any_row_reads_back(rows: list[tuple[str, int, float]]) -> None:
    table = pa.table(
        {
            "s": pa.array([r[0] for r in rows], pa.string()),
            "i": pa.array([r[1] for r in rows], pa.int64()),
            "f": pa.array([r[2] for r in rows], pa.float64()),
        }
    )
    found = [json.loads(text) for text in rows_to_json(table).to_pylist()]
    wanted = [{"s": s, "i": i, "f": f if math.isfinite(f) else None} for s, i, f in rows]
    assert found == wanted


MOMENT = datetime(2026, 1, 1, 12, 0, 0, 5)
ADDED = {"processing_time": "2026-01-01T12:00:00.000005Z"}


def moments(count: int) -> pa.Table:
    return pa.table({"processing_time": pa.array([MOMENT] * count, pa.timestamp("us"))})


def spliced(raw: list[str | None], added: pa.Table | None = None) -> list[Any]:
    made = splice(pa.array(raw, pa.string()), added or moments(len(raw)))
    assert made.type == pa.string()
    return [None if text is None else text for text in made.to_pylist()]


def test_splice_reads_no_value_of_the_text() -> None:
    deep, long = "[" * 100_000 + "]" * 100_000, "9" * 10_000
    odd = r'"a\\" , "b}\"]": "\\\"}","n": {"processing_time": [1, "}"]} '
    raw = [
        f'{{"processing_time" : {deep} , "x":{deep}}}',
        f'{{"caf\\u00e9":{long},"processing_time":[{long}]}}',
        f'{{ {odd},"processing_time":1}}',
    ]
    tail = '"processing_time":"2026-01-01T12:00:00.000005Z"}'
    assert spliced(raw) == [
        f'{{"x":{deep},{tail}',
        f'{{"caf\\u00e9":{long},{tail}',
        f"{{{odd.rstrip()},{tail}",
    ]


def test_splice_keeps_the_text_as_it_is() -> None:
    raw = ['{"b": 1.10, "a":"\\u00e9","n":12345678901234567890}', '{"x":{}}', None, '{"l":[{}] }']
    tail = ',"processing_time":"2026-01-01T12:00:00.000005Z"}'
    assert spliced(raw) == [raw[0][:-1] + tail, raw[1][:-1] + tail, None, raw[3][:-1] + tail]


def test_splice_tolerates_space_and_empty_objects() -> None:
    inner = '"processing_time":"2026-01-01T12:00:00.000005Z"'
    raw: list[str | None] = ["{}", "{ }\r\n", ' {"a":1} \n', "\t{\n}", '{"a":1,\n"b":2\n}']
    assert spliced(raw) == [
        f"{{{inner}}}",
        f"{{{inner}}}",
        f' {{"a":1,{inner}}}',
        f"{{{inner}}}",
        f'{{"a":1,\n"b":2\n,{inner}}}',
    ]


def test_splice_never_doubles_a_key() -> None:
    raw: list[str | None] = [
        '{"processing_time":"old","a":1.10}',
        '{"a":1, "processing_time" : {"x":[1,"}"]} , "b":"é"}',
        '{"processing\\u005ftime":1}',
        '{"a":{"processing_time":1}}',
        '{"a":"\\"processing_time\\""}',
        '{"a":"processing_time"}',
        '{"a":"\\u0041"}',
    ]
    inner = '"processing_time":"2026-01-01T12:00:00.000005Z"'
    found = spliced(raw)
    assert found[:3] == [f'{{"a":1.10,{inner}}}', f'{{"a":1,"b":"é",{inner}}}', f"{{{inner}}}"]
    assert found[3:] == [f"{text[:-1]},{inner}}}" for text in raw[3:] if text]


def test_splice_columns_that_differ_by_row() -> None:
    added = pa.table({"n": [1, None, 3], 's"': ["x", "é\n", None]})
    found = spliced(['{"a":1}', "{}", None], added)
    assert found == ['{"a":1,"n":1,"s\\"":"x"}', '{"n":null,"s\\"":"é\\n"}', None]


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize(
    "numbers",
    [[1.5, math.nan, 1.5], [math.nan, 7.0, 7.0], [math.nan] * 3, [0.0, -0.0, 0.0], [-0.0] * 3],
    ids=str,
)
def test_splice_takes_equal_numbers_for_one_only_if_they_are_written_alike(
    numbers: list[float], type_: pa.DataType
) -> None:
    added = pa.table({"x": pa.chunked_array([numbers[:1], numbers[1:]], type_)})
    alone = [spliced(["{}"], added.slice(row, 1))[0] for row in range(len(numbers))]
    assert spliced(["{}"] * len(numbers), added) == alone


def test_splice_takes_slices_chunks_and_bytes() -> None:
    raw = pa.array([b'{"z":0}', b'{"a":1}', b'{"b":2} ', None], pa.binary())
    wanted = [b'{"a":1,"k":7}', b'{"b":2,"k":7}', None]
    added = pa.table({"k": [7, 7, 7]})
    assert splice(raw[1:], added).to_pylist() == wanted
    chunks = pa.chunked_array([raw[1:2], raw[2:]])
    assert splice(chunks, added).to_pylist() == wanted
    assert splice(raw[:0], added[:0]).to_pylist() == []
    assert splice(raw, pa.table({"k": [1] * 4}).select([])).to_pylist() == raw.to_pylist()


keys = st.sampled_from(["a", "b", "processing_time", "n", 'q"', "é", "x\\y"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(st.tuples(st.dictionaries(keys, values, max_size=4), st.booleans(), st.booleans())),
    st.booleans(),
)
def test_splice_is_update_by_the_added_columns(
    rows: list[tuple[dict[str, Any], bool, bool]], same: bool
) -> None:
    raw = [
        json.dumps(row, ensure_ascii=ascii_only, indent=1 if spaced else None)
        for row, ascii_only, spaced in rows
    ]
    numbers = [5 if same else n for n in range(len(rows))]
    added = moments(len(rows)).append_column("n", pa.array(numbers, pa.int64()))
    for (row, _, _), n, text in zip(rows, numbers, spliced(list(raw), added), strict=True):
        pairs = json.loads(text, object_pairs_hook=list)
        assert len({k for k, _ in pairs}) == len(pairs)
        assert json.loads(text) == {**row, **ADDED, "n": n}


def test_the_moment_is_the_same_everywhere() -> None:
    assert datetime.fromisoformat(ADDED["processing_time"]) == MOMENT.replace(tzinfo=UTC)


def test_splice_of_plain_texts_is_the_same() -> None:
    raw = pa.chunked_array([[b'{"a":1}', b'{"b":"x"}'], [b'{"c":null}']], pa.binary())
    for added in (moments(3), pa.table({"n": [1, None, 3]})):
        plain = splice(raw, added, plain=True)
        assert plain.type == pa.binary()
        assert plain.to_pylist() == splice(raw, added).to_pylist()
