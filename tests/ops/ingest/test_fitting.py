"""An input of which nothing fits the event class is appended, and told."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace as hr
import headrace.testing
from headrace.cli.main import call
from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic

APP = """
import headrace as hr

app = hr.App("shop")


class Order(hr.Event):
    order_id: str
    amount: float


app.table("totals", app.source(Order, topic="orders").agg(c="count(*)"))
"""


class Order(hr.Event):
    order_id: str
    amount: float

    checks = {"amount": "amount > 0"}


def app_of() -> hr.App:
    app = hr.App("shop")
    app.table("totals", app.source(Order, topic="orders", partitions=1).agg(c="count(*)"))
    return app


def none_fits(tmp_path: Path, name: str, lines: list[str], **options: object) -> str | None:
    """What is said of a file of these lines, which must be what the job itself then says."""
    app, file = app_of(), tmp_path / name
    file.write_text("".join(f"{line}\n" for line in lines))
    [source] = app.plan.jobs[0].sources
    reading = Reading(schema=source.schema, source=source, **options)  # type: ignore[arg-type]
    topic = LocalTopic.ensure(tmp_path / "topics", "orders", 1)
    report = ingest(topic, [file], key=None, reading=reading)
    again = ingest(topic, [file], key=None, reading=reading)
    assert again.added == 0 and again.files[0].none_fits is None
    with headrace.testing.run(app) as t:
        records = topic.read([0], records_max=10_000).column("value").to_pylist()
        assert len(records) == report.added
        t.send("orders", records, partition=0)
        t.epoch()
        letters = t.query('select field, reason from dead_letters order by "offset"')
    told = report.files[0].none_fits
    if told is not None and options.get("format") != "combined":
        assert told.endswith(f" fits Order: {letters[0]['field']} {letters[0]['reason']}")
    assert told is None or len(letters) >= min(report.added, 100)
    return told


GOOD, BAD = '{"order_id": "a", "amount": 2}', '{"order_id": "a", "amount": "2"}'


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([BAD] * 3, 'none of the first 3 records fits Order: amount is not a number: "2"'),
        ([BAD] * 3 + [GOOD], None),
        ([BAD] * 99 + [GOOD], None),
        ([BAD] * 100 + [GOOD], "none of the first 100 records fits Order: amount is not a number"),
        (['{"order_id": "a", "amount": -1}'] * 2, "Order: amount fails the check amount: amount"),
        ([], None),
    ],
)
def test_lines_of_which_none_fits(lines: list[str], wanted: str | None, tmp_path: Path) -> None:
    told = none_fits(tmp_path, "orders.jsonl", lines)
    assert told is None if wanted is None else wanted in str(told)


def test_a_table_without_the_columns(tmp_path: Path) -> None:
    told = none_fits(tmp_path, "orders.csv", ["id,amount", *(f"k{n},{n + 1}" for n in range(60))])
    assert told == "none of the first 60 records fits Order: order_id is missing or null"


def test_lines_that_are_no_log(tmp_path: Path) -> None:
    told = none_fits(
        tmp_path,
        "a.log",
        ["junk"] * 5,
        format="combined",
        expressions={"order_id": "ip", "amount": "bytes"},
    )
    why = "is no line of the combined format, or --map fails"
    assert told == f"none of the first 5 records fits Order: {why}"


def test_the_command_warns_and_appends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app, file = tmp_path / "shop.py", tmp_path / "orders.csv"
    app.write_text(APP)
    file.write_text("id,amount\nk1,2\n")
    ingest = ["ingest", str(app), "orders", str(file), "--data", str(tmp_path / "d"), "--json"]
    assert call(ingest) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert found["added"] == 1
    assert found["files"][0]["none_fits"] in err.splitlines()[0]
    assert "the first record does not fit Order: order_id is missing" in err
    assert call(ingest) == 0
    assert capfd.readouterr().err == ""


def test_lines_that_are_none_of_the_format_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "access.log"
    line = '1.2.3.4 - - [05/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"'
    log.write_text(f'{line}\njunk\n\n{line}\n{{"a": 1}}\n')
    ingest = ["ingest", "activity", "user_activity", str(log), "--format", "combined"]
    ingest += ["--data", str(tmp_path / "d")]
    assert call(ingest) == 0
    out, err = capfd.readouterr()
    assert "4 records added" in out and "2 lines not of the combined format" in out
    assert err == ""
    fails = ["--map", "user_id=cast(ip as integer)", "--again"]
    assert call([*ingest, *fails]) == 0
    told = capfd.readouterr().out
    assert "4 lines not of the combined format, or --map fails, appended unchanged" in told
    assert call([*ingest, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["files"][0]["unmapped"] == 0
    assert call([*ingest, "--again", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["files"][0]["unmapped"] == 2


class Measure(hr.Event):
    name: str
    value: float
    parts: list[float] | None = None


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("number", [pa.float32(), pa.float64()])
def test_what_is_no_number_is_refused_by_its_field(tmp_path: Path, number: pa.DataType) -> None:
    """JSON cannot say NaN or infinity; the record is JSON all the same, and its field is named."""
    app, file = hr.App("measures"), tmp_path / "m.parquet"
    app.table("sums", app.source(Measure, topic="m", partitions=1).agg(c="count(*)"))
    found = [1.5, NAN, INF, -INF, None, 2.0, 3.0, 4.0]
    parts = [None, None, None, None, None, [1.0, NAN, -INF], [INF], [0.5]]
    names = [":NaN", *"abcde", ",NaN]", "h"]
    pq.write_table(
        pa.table(
            {
                "name": names,
                "value": pa.array(found, number),
                "parts": pa.array(parts, pa.list_(number)),
            }
        ),
        file,
    )
    [source] = app.plan.jobs[0].sources
    topic = LocalTopic.ensure(tmp_path / "topics", "m", 1)
    ingest(topic, [file], key=None, reading=Reading(schema=source.schema, source=source))
    records = topic.read([0], records_max=100).column("value").to_pylist()
    read = [json.loads(record, parse_constant=pytest.fail) for record in records]
    assert [row["name"] for row in read] == names
    said = [row["value"] for row in read]
    assert said == [1.5, "NaN", "Infinity", "-Infinity", None, 2.0, 3.0, 4.0]
    assert [row["parts"] for row in read[5:]] == [[1.0, "NaN", "-Infinity"], ["Infinity"], [0.5]]
    with headrace.testing.run(app) as t:
        t.send("m", records, partition=0)
        t.epoch()
        letters = t.query('select "offset", field from dead_letters order by "offset"')
    wanted = [(1, "value"), (2, "value"), (3, "value"), (4, "value"), (5, "parts"), (6, "parts")]
    assert [(row["offset"], row["field"].split("[")[0]) for row in letters] == wanted


ROWS = ["1", "many", "2", "more"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("o.ndjson", "3 lines not of the ndjson format, or --map fails, appended unchanged"),
        ("o.csv", "3 rows not of the csv format, or --map fails, appended unchanged"),
        ("o.parquet", "2 rows that --map fails on, appended unchanged"),
    ],
)
def test_rows_that_a_mapping_fails_on_are_counted_in_every_format(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    app, file = tmp_path / "shop.py", tmp_path / name
    app.write_text(APP)
    if name.endswith("parquet"):
        pq.write_table(pa.table({"order_id": ROWS, "n": ROWS}), file)
    elif name.endswith("csv"):
        file.write_text("order_id,n\n" + "".join(f"k,{row}\n" for row in ROWS) + "k,3,4\n")
    else:
        lines = [json.dumps({"order_id": "k", "n": row}) for row in ROWS]
        file.write_text("\n".join([*lines, "junk", ""]))
    ingest = ["ingest", str(app), "orders", str(file), "--data", str(tmp_path / "d")]
    ingest += ["--map", "amount=n::int * 2"]
    assert call(ingest) == 0
    assert said in capfd.readouterr().out
    assert call([*ingest, "--again", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["files"][0]
    assert (found["added"], found["unmapped"]) == (
        len(ROWS) + ("parquet" not in name),
        int(said[0]),
    )


def test_a_row_of_another_width_is_counted_without_a_mapping(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app, file = tmp_path / "shop.py", tmp_path / "o.csv"
    app.write_text(APP)
    file.write_text("order_id,amount\nk,1\nk,2\nk,3,4\n")
    assert call(["ingest", str(app), "orders", str(file), "--data", str(tmp_path / "d")]) == 0
    assert "1 row not of the csv format, appended unchanged" in capfd.readouterr().out
