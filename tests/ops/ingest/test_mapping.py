"""Columns to records: by name, by expression, and what becomes of rows that do not fit."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.ops.ingest import other_tables
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.ops.ingest.report import IngestRefused
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError
from headrace.values.schema import (
    DecimalType,
    Field,
    ListType,
    LiteralType,
    Scalar,
    Schema,
    StructType,
)
from tests.ops.ingest.topics import values

SALE = Schema(
    "Sale",
    (
        Field("id", Scalar("str")),
        Field("at", Scalar("datetime")),
        Field("quantity", Scalar("int")),
        Field("price", DecimalType(18, 2)),
        Field("paid", Scalar("bool")),
        Field("kind", LiteralType(("card", "cash"))),
        Field("note", Scalar("str"), nullable=True),
    ),
)


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 1)


def records(topic: LocalTopic, path: Path, content: bytes, **reading: object) -> list[dict | bytes]:
    """The records that a file gives, as JSON where they are."""
    path.write_bytes(content)
    ingest(topic, [path], key=None, reading=Reading(**reading))  # type: ignore[arg-type]
    found: list[dict | bytes] = []
    for value in values(topic):
        try:
            found.append(json.loads(value))
        except ValueError:
            found.append(value)
    return found


HEADER = b"id,at,quantity,price,paid,kind,note,shop\n"


def test_csv_columns_go_by_name_as_the_event_class_wants_them(
    topic: LocalTopic, tmp_path: Path
) -> None:
    rows = (
        b"0012,2026-01-05 08:00:00,3,2.50,true,card,,7\n"
        b'13,2026-01-05T08:00:00+02:00,-4,9.999,FALSE,cash,"a ""b"", c",7\n'
    )
    first, second = records(topic, tmp_path / "s.csv", HEADER + rows, schema=SALE)
    assert first == {
        "id": "0012",
        "at": "2026-01-05T08:00:00.000000Z",
        "quantity": 3,
        "price": 2.5,
        "paid": True,
        "kind": "card",
        "note": None,
    }
    assert second == {
        "id": "13",
        "at": "2026-01-05T06:00:00.000000Z",
        "quantity": -4,
        "price": 9.999,
        "paid": False,
        "kind": "cash",
        "note": 'a "b", c',
    }
    assert b'"price":2.50,' in values(topic)[0]


def test_a_cell_that_does_not_fit_stands_as_it_is(topic: LocalTopic, tmp_path: Path) -> None:
    rows = b"1,noon,many,1e,maybe,cheque,x,7\n2,2026-01-05,1.7,0x1,1,card,,7\n"
    first, second = records(topic, tmp_path / "s.csv", HEADER + rows, schema=SALE)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["at"] == "noon"
    assert first["quantity"] == "many"
    assert first["price"] == "1e"
    assert first["paid"] == "maybe"
    assert second["at"] == "2026-01-05"
    assert second["quantity"] == 1.7
    assert second["paid"] == "1"


def test_expressions_see_typed_columns(topic: LocalTopic, tmp_path: Path) -> None:
    found = records(
        topic,
        tmp_path / "s.csv",
        b"no,day,n,each\n7,2026-01-05,3,2.5\n8,2026-01-06,4,1.25\n",
        schema=SALE,
        expressions={
            "id": "no",
            "at": "day + interval 8 hours",
            "quantity": "n * 2 -- a pair",
            "price": "n * each",
            "kind": "if(n > 3, 'card', 'cash')",
            "paid": "true",
        },
    )
    assert found == [
        {
            "id": "7",
            "at": "2026-01-05T08:00:00.000000Z",
            "quantity": 6,
            "price": 7.5,
            "paid": True,
            "kind": "cash",
        },
        {
            "id": "8",
            "at": "2026-01-06T08:00:00.000000Z",
            "quantity": 8,
            "price": 5.0,
            "paid": True,
            "kind": "card",
        },
    ]


def test_a_row_that_cannot_be_mapped_stays_as_it_was_read(
    topic: LocalTopic, tmp_path: Path
) -> None:
    good = b"".join(b"a%d,%d,1\n" % (n, n) for n in range(2_000))
    bad = b"x,many,1\ny,,1\nz,9223372036854775807,1\n"
    found = records(
        topic,
        tmp_path / "s.csv",
        b"id,n,m\n" + good + bad,
        schema=SALE,
        expressions={"quantity": "(n::bigint + 1)::bigint"},
    )
    assert found[:2] == [{"id": "a0", "quantity": 1}, {"id": "a1", "quantity": 2}]
    assert found[-3:] == [
        {"id": "x", "n": "many", "m": "1"},
        {"id": "y", "quantity": None},
        {"id": "z", "n": "9223372036854775807", "m": "1"},
    ]


def test_rows_of_another_width_and_other_encodings_keep_their_place(
    topic: LocalTopic, tmp_path: Path
) -> None:
    content = (
        b"id,note,quantity\n"
        + b"".join(b"a%d,x,1\n" % n for n in range(100))
        + b"b,x\n"
        + b"c,\xff\xfe,1\n"
        + b"\n"
        + b"d,x,1,2,3\n"
        + b'e,"two\nlines",1\n'
    )
    found = records(topic, tmp_path / "s.csv", content, schema=SALE)
    assert found[100:] == [
        b"b,x",
        b"c,\xff\xfe,1",
        b"d,x,1,2,3",
        {"id": "e", "note": "two\nlines", "quantity": 1},
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("blank", [0, 1, 3])
@pytest.mark.parametrize("behind", [b"", b"e,5\nf,6\n"], ids=["", "more"])
def test_so_they_do_behind_lines_that_are_no_rows(
    topic: LocalTopic, tmp_path: Path, blank: int, end: bytes, behind: bytes
) -> None:
    content = blank * b"\n" + b"id,quantity\na,1\nb\n\nc,3\nd,4,4\n" + behind
    found = records(topic, tmp_path / "s.csv", content.replace(b"\n", end), schema=SALE)
    assert found[:4] == [{"id": "a", "quantity": 1}, b"b", {"id": "c", "quantity": 3}, b"d,4,4"]
    assert found[4:] == [{"id": "e", "quantity": 5}, {"id": "f", "quantity": 6}][: len(behind)]


def test_other_dialects_are_recognised(topic: LocalTopic, tmp_path: Path) -> None:
    rows = b"id;note;quantity\na;x,y;1\nb;z;2\n"
    assert records(topic, tmp_path / "s.csv", rows, schema=SALE) == [
        {"id": "a", "note": "x,y", "quantity": 1},
        {"id": "b", "note": "z", "quantity": 2},
    ]


def test_a_file_without_any_field_is_refused(topic: LocalTopic, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No column of the file is a field of Sale"):
        records(topic, tmp_path / "s.csv", b"a,b\n1,2\n", schema=SALE)
    assert values(topic) == []


@pytest.mark.parametrize(
    ("expressions", "said"),
    [
        ({"idd": "id"}, 'Did you mean "id"'),
        ({"note": "nope"}, "Columns of the file: id, quantity"),
        ({"note": "upper("}, "--map note"),
        ({"note": "count(*)"}, "one value of many rows"),
        ({"note": "unnest([1, 2])"}, "--map"),
        ({"note": "random()", "id": "id"}, "--map note=random() asks for more than its row"),
        ({"note": "(select 1)"}, "--map note=(select 1) asks for more than its row"),
        ({"note": "*"}, "--map note=* makes several values"),
        ({"note": "COLUMNS(*)"}, "--map note=COLUMNS(*) makes several values"),
        (
            {"note": "1) AS a, (2"},
            "makes several values of a row\nAn expression of --map makes one",
        ),
    ],
)
def test_expressions_that_mean_nothing_are_refused(
    topic: LocalTopic, tmp_path: Path, expressions: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        records(
            topic, tmp_path / "s.csv", b"id,quantity\na,1\n", schema=SALE, expressions=expressions
        )
    assert said in str(refused.value)
    assert values(topic) == []


@pytest.mark.parametrize("digits", [2, 17, 18, 37, 38])
def test_decimals_without_a_digit_before_the_point_get_one(
    topic: LocalTopic, tmp_path: Path, digits: int
) -> None:
    share = DecimalType(digits, digits)
    struct = StructType((Field("share", share),))
    schema = Schema("Any", (Field("share", share), Field("inner", ListType(struct))))
    type_ = pa.decimal128(digits, digits)
    given = [Decimal("0.5"), Decimal("-0.1"), Decimal(f"1e-{digits}")]
    held = pa.array([[{"share": d}] for d in given], pa.list_(pa.struct([("share", type_)])))
    path = tmp_path / "shares.parquet"
    pq.write_table(pa.table({"share": pa.array(given, type_), "inner": held}), path)
    ingest(topic, [path], key=None, reading=Reading(schema=schema, expressions={}))
    found = [json.loads(value, parse_float=Decimal) for value in values(topic)]
    assert [row["share"] for row in found] == given
    assert [Decimal(row["inner"][0]["share"]) for row in found] == given


def test_parquet_keeps_its_types(topic: LocalTopic, tmp_path: Path) -> None:
    schema = Schema("Any", (*SALE.fields, Field("tags", ListType(Scalar("str")))))
    table = pa.table(
        {
            "id": pa.array([1, 2]),
            "at": pa.array([datetime(2026, 1, 5, 8), None], pa.timestamp("us", "Europe/Berlin")),
            "quantity": pa.array([3, None], pa.int32()),
            "price": pa.array([Decimal("2.50"), Decimal("-1.00")], pa.decimal128(10, 2)),
            "paid": [True, False],
            "tags": [["a", "b"], []],
            "day": [date(2026, 1, 5), None],
        }
    )
    path = tmp_path / "sales.parquet"
    pq.write_table(table, path)
    reading = Reading(schema=schema, expressions={"note": "strftime(day, '%A')"})
    ingest(topic, [path], key=None, reading=reading)
    assert [json.loads(value) for value in values(topic)] == [
        {
            "id": "1",
            "at": "2026-01-05T08:00:00.000000Z",
            "quantity": 3,
            "price": 2.5,
            "paid": True,
            "note": "Monday",
            "tags": ["a", "b"],
        },
        {
            "id": "2",
            "at": None,
            "quantity": None,
            "price": -1.0,
            "paid": False,
            "note": None,
            "tags": [],
        },
    ]
    assert ingest(topic, [path], key=None, reading=reading).added == 0


def test_what_is_no_parquet_is_refused(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(IngestRefused, match=r"sales.parquet cannot be read as Parquet"):
        ingest(topic, [path], key=None)


def test_json_lines_with_expressions(topic: LocalTopic, tmp_path: Path) -> None:
    content = (
        b'{"t":1767600000,"u":"ann","deep":{"n":[1,2]},"quantity":5}\n'
        b'{"t":"soon","u":"bob"}\n'
        b"not json\n"
        b"[1]\n"
        b'{"u":"eve","quantity":"6"}\n'
    )
    found = records(
        topic,
        tmp_path / "s.jsonl",
        content,
        schema=SALE,
        expressions={"id": "u", "at": "make_timestamp(t::bigint * 1000000)", "note": "deep.n[2]"},
    )
    assert found == [
        {"id": "ann", "at": "2026-01-05T08:00:00.000000Z", "quantity": 5, "note": "2"},
        {"t": "soon", "u": "bob"},
        b"not json",
        [1],
        {"id": "eve", "at": None, "quantity": "6", "note": None},
    ]


def test_a_mark_and_windows_line_ends_are_no_part_of_csv(topic: LocalTopic, tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfid,quantity\r\na,1\r\n\r\nb,2\r\n"
    assert records(topic, tmp_path / "s.csv", content, schema=SALE) == [
        {"id": "a", "quantity": 1},
        {"id": "b", "quantity": 2},
    ]


def test_a_torn_csv_gives_its_whole_rows_and_later_the_rest(
    topic: LocalTopic, tmp_path: Path
) -> None:
    rows = [b"r%d,%d" % (n, n * 7919 % 10_007) for n in range(50_000)]
    whole = gzip.compress(b"id,quantity\n" + b"\n".join(rows) + b"\n")
    path = tmp_path / "s.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    reading = Reading(schema=SALE)
    with pytest.raises(IngestRefused) as refused:
        ingest(topic, [path], key=None, reading=reading)
    taken = refused.value.report.added
    assert 10_000 < taken < 40_000
    assert f"is torn behind row {taken:,}" in str(refused.value)
    path.write_bytes(whole)
    rest = ingest(topic, [path], key=None, reading=reading)
    assert (rest.added, rest.already_there) == (50_000 - taken, taken)
    expected = [row.split(b",") for row in rows]
    assert values(topic) == [b'{"id":"%s","quantity":%s}' % (a, b) for a, b in expected]


def test_a_quote_that_is_never_closed_costs_its_row_and_the_next(
    topic: LocalTopic, tmp_path: Path
) -> None:
    rows = b"".join(b'r%d,"x"\n' % n for n in range(1_000))
    content = b"id,note\n" + rows + b'bad,"never closed\n' + rows
    found = records(topic, tmp_path / "s.csv", content, schema=SALE)
    assert found[:1_000] == [{"id": f"r{n}", "note": "x"} for n in range(1_000)]
    assert found[1_000]["id"] == "bad"
    assert found[1_001:] == [{"id": f"r{n}", "note": "x"} for n in range(1, 1_000)]


def test_quotes_without_partners_are_text(topic: LocalTopic, tmp_path: Path) -> None:
    found = records(topic, tmp_path / "s.csv", b'id,note\na,5" pipe\nb,6" pipe\n', schema=SALE)
    assert found == [{"id": "a", "note": '5" pipe'}, {"id": "b", "note": '6" pipe'}]


def test_a_row_on_which_an_expression_used_twice_fails_stays(
    topic: LocalTopic, tmp_path: Path
) -> None:
    """A time is asked for its type and its value: what both need is computed for each row."""
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"a": ['{"x": 1, ', '"2026-01-05"'], "id": ["1", "2"]}), path)
    found = records(topic, path, path.read_bytes(), schema=SALE, expressions={"at": "a ->> '$'"})
    assert [row["id"] for row in found if isinstance(row, dict)] == ["1", "2"]
    assert '{"x": 1, ' in str(found[0])
    assert isinstance(found[1], dict)
    assert found[1]["at"] == "2026-01-05"


def test_a_text_beside_what_is_no_number_is_never_torn(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    inner = [{"t": "a:NaN", "x": 1.5}, {"t": "a", "x": float("nan")}, {"t": ",Infinity]", "x": 2.0}]
    pq.write_table(pa.table({"tags": inner}), path)
    schema = Schema("Any", (Field("tags", ListType(Scalar("str"))),))
    assert [row["tags"] for row in records(topic, path, path.read_bytes(), schema=schema)] == [  # type: ignore[index]
        inner[0],
        {"t": "a", "x": "NaN"},
        inner[2],
    ]


def test_an_expression_that_gives_no_number_says_so(topic: LocalTopic, tmp_path: Path) -> None:
    found = records(
        topic,
        tmp_path / "s.csv",
        b"id,n\na,0\nb,2\n",
        schema=SALE,
        expressions={"price": "1.0::double / n"},
    )
    assert [row["price"] for row in found if isinstance(row, dict)] == ["Infinity", 0.5]


def test_the_order_of_expressions_makes_no_other_file(topic: LocalTopic, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b"x,y\na,1\nb,2\n")
    ways = ({"id": "x", "quantity": "y"}, {"quantity": " y", "id": "x "})
    added = [
        ingest(topic, [path], key=None, reading=Reading(expressions=expressions)).added
        for expressions in ways
    ]
    assert added == [2, 0]


def test_long_rows_of_parquet_come_in_pieces(
    topic: LocalTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece is an append, which must not be too large, however well the file is packed."""
    monkeypatch.setattr(other_tables, "_BYTES_MAX", 1 << 14)
    path = tmp_path / "pages.parquet"
    texts = ["page " * 200 + str(n % 3) for n in range(300)]
    pq.write_table(pa.table({"n": list(range(300)), "text": texts}), path)
    with path.open("rb") as file:
        sizes = [table.nbytes for table in other_tables.ParquetReader(file, "pages")]
    assert len(sizes) > 10 and max(sizes) <= 1 << 14
    assert ingest(topic, [path], key=None).added == 300
    found = [json.loads(value) for value in values(topic)]
    assert [(int(row["n"]), row["text"]) for row in found] == list(enumerate(texts))


def test_of_several_files_the_unfit_one_is_named(topic: LocalTopic, tmp_path: Path) -> None:
    for name, head in (("a", b"id,quantity"), ("b", b"x,y"), ("c", b"id,quantity")):
        (tmp_path / f"{name}.csv").write_bytes(head + b"\nk,1\n")
    files = [tmp_path / f"{name}.csv" for name in "abc"]
    with pytest.raises(UsageError, match=r"b\.csv: No column .*1 before it were taken"):
        ingest(topic, files, key=None, reading=Reading(schema=SALE))
    assert len(values(topic)) == 1
