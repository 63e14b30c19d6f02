"""Real recorded files, against counts made in another way."""

from __future__ import annotations

import csv
import gzip
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from headrace.ops.ingest.formats import Reading
from headrace.ops.ingest.ingest import ingest
from headrace.storage.topics.log import LocalTopic
from headrace.values.schema import DecimalType, Field, LiteralType, Scalar, Schema
from tests.ops.ingest.topics import contents, values

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
ACTIVITY = Schema(
    "UserActivity",
    (
        Field("event_time", Scalar("datetime")),
        Field("user_id", Scalar("str")),
        Field("page_url", Scalar("str")),
        Field("event_type", LiteralType(("page_view", "click", "session_start", "session_end"))),
    ),
)
ASSETS = re.compile(
    r"\.(css|js|png|jpe?g|gif|ico|svg|woff|ttf|pdf|txt|xml|zip|mp4|jar|rss|json|exe|gz|mp3)$"
)


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the recorded data is not there: {path}")
    return path


@pytest.fixture
def topic(tmp_path: Path) -> LocalTopic:
    return LocalTopic.ensure(tmp_path / "topics", "events", 3)


def test_access_log(topic: LocalTopic) -> None:
    path = real("activity/apache_access.log.gz")
    report = ingest(topic, [path], key="user_id", reading=Reading("combined", schema=ACTIVITY))
    assert report.added == 10_000
    expected, broken = [], []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        found = re.match(r'(\S+) - - \[(.+?)\] "(\S+) (\S+) .*?" (\d+) \S+ ".*?" ".*"$', line)
        if found is None:
            broken.append(line.encode())
            continue
        ip, time, method, target, status = found.groups()
        page = target.split("?")[0] or target
        viewed = method == "GET" and int(status) < 400 and not ASSETS.search(page.lower())
        instant = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
        expected.append(
            {
                "event_time": instant.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
                "user_id": ip,
                "page_url": page,
                "event_type": "page_view" if viewed else "click",
            }
        )
    records = [record for partition in contents(topic).values() for record in partition]
    mapped = [json.loads(value) for key, value in records if key is not None]
    assert [value for key, value in records if key is None] == broken
    assert (len(mapped), len(broken)) == (9_999, 1)

    def by_everything(event: dict) -> tuple:
        return tuple(event.values())

    assert sorted(mapped, key=by_everything) == sorted(expected, key=by_everything)


def test_link_clicks(topic: LocalTopic) -> None:
    path = real("activity/link_clicks.jsonl.gz")
    report = ingest(topic, [path], key="u")
    lines = gzip.decompress(path.read_bytes()).split(b"\n")
    lines = [line.removesuffix(b"\r") for line in lines]
    assert report.added == 3_560 == sum(map(bool, lines))
    found = contents(topic)
    assert sorted(value for part in found.values() for _, value in part) == sorted(
        line for line in lines if line
    )
    for part in found.values():
        for key, value in part:
            url = json.loads(value).get("u")
            assert key == (None if url is None else url.encode())


def test_matches(topic: LocalTopic) -> None:
    path = real("lol/matches.jsonl.gz")
    assert ingest(topic, [path], key="metadata.matchId").added == 2_848
    keys = [key for part in contents(topic).values() for key, _ in part]
    with gzip.open(path) as lines:
        assert sorted(k or b"" for k in keys) == sorted(
            json.loads(line)["metadata"]["matchId"].encode() for line in lines
        )


def test_retail_transactions(tmp_path: Path) -> None:
    path = real("activity/retail_transactions.csv.gz")
    topic = LocalTopic.ensure(tmp_path / "topics", "sales", 1)
    schema = Schema(
        "Sale",
        (
            Field("InvoiceNo", Scalar("str")),
            Field("Quantity", Scalar("int")),
            Field("InvoiceDate", Scalar("datetime")),
            Field("UnitPrice", DecimalType(18, 4)),
            Field("CustomerID", Scalar("str"), nullable=True),
            Field("Country", Scalar("str")),
            Field("revenue", Scalar("float")),
        ),
    )
    reading = Reading(schema=schema, expressions={"revenue": "Quantity * UnitPrice"})
    assert ingest(topic, [path], key="InvoiceNo", reading=reading).added == 541_909
    with gzip.open(path, "rt", newline="") as file:
        for value, row in zip(values(topic), csv.DictReader(file), strict=True):
            event = json.loads(value, parse_float=Decimal)
            assert event["InvoiceNo"] == row["InvoiceNo"]
            assert event["Quantity"] == int(row["Quantity"])
            assert event["InvoiceDate"] == row["InvoiceDate"].replace(" ", "T") + ".000000Z"
            assert event["UnitPrice"] == Decimal(row["UnitPrice"])
            assert event["CustomerID"] == (row["CustomerID"] or None)
            assert event["Country"] == row["Country"]
            revenue = event["Quantity"] * event["UnitPrice"]
            assert abs(event["revenue"] - revenue) <= 1e-9 + 1e-6 * abs(float(revenue))


def test_players_have_no_header_and_blank_rows(tmp_path: Path) -> None:
    path = real("esports/players.csv.gz")
    topic = LocalTopic.ensure(tmp_path / "topics", "players", 1)
    schema = Schema("Player", (Field("name", Scalar("str")), Field("games", Scalar("int"))))
    reading = Reading(schema=schema, expressions={"name": "column00", "games": "column02"})
    ingest(topic, [path], key="name", reading=reading)
    found = [json.loads(value) for value in values(topic)]
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    assert len(found) == len(rows)
    assert sum(event["name"] is not None for event in found) == 1_487
    assert found[0] == {"name": "1Ground", "games": 11}
