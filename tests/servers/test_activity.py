"""The activity app, unchanged, from Kafka to PostgreSQL and back to Kafka, whatever dies."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.servers.kafka import Kafka
from tests.servers.names import Database
from tests.servers.postgres import Postgres
from tests.servers.profiles import profile_text

HEADRACE = str(Path(sys.executable).with_name("headrace"))
RECORDS = 30_000
SIMULATE = ["--count", RECORDS, "--seed", 7, "--late-every", 50, "--malformed-every", 1000]


class Place:
    """A directory with a profile, in which commands are given as a user gives them."""

    def __init__(self, directory: Path, profile: str) -> None:
        self.directory = directory
        (directory / "headrace.toml").write_text(profile)

    def start(self, *words: object, data: str = "d") -> subprocess.Popen[str]:
        command = [HEADRACE, *map(str, words), "--profile", "servers", "--data", data]
        return subprocess.Popen(
            command,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def give(self, *words: object, data: str = "d", code: int = 0) -> str:
        child = self.start(*words, data=data)
        out, err = child.communicate(timeout=180)
        assert child.returncode == code, out + err
        return out + err

    def catch_up(self, *, data: str = "d") -> None:
        self.give("run", "activity", "--until", "caught-up", data=data)

    def verified(self, *, data: str = "d") -> dict[str, Any]:
        job = json.loads(self.give("verify", "activity", "--json", data=data))["jobs"][0]
        assert all(c["compared"] for c in job["checked"]) and not job["undelivered"]
        return {c["name"]: c["rows"] for c in job["checked"]}

    def rows(self, sql: str, *, data: str = "d") -> list[Any]:
        text = self.give("query", "activity", sql, "--format", "json", data=data)
        return list(json.loads(text))


SUMS = "select kind, name, accepted, applied, filtered, late, dead_lettered from conservation"
TABLES = ["page_view_counts", "active_users", "session_history", "user_sessions"]


def results(place: Place, data: str = "d") -> list[Any]:
    tables = [place.rows(f"select * from {t} order by all", data=data) for t in TABLES]
    sums = place.rows(f"{SUMS} where kind <> 'destination' order by all", data=data)
    return [*tables, sums]


def test_killed_on_the_way(own_kafka: Kafka, own_postgres: Postgres, tmp_path: Path) -> None:
    database = Database(own_postgres)
    place = Place(tmp_path, profile_text(own_kafka.bootstrap_servers, database.dsn))
    told = place.give("simulate", "activity", *SIMULATE, "--create-topics")
    assert "made topic user_activity with 3 partitions" in told
    chooser = random.Random(7)
    for victim in ("job", "kafka", "postgres", "job"):
        # Records come in while the job runs: what is killed has something in hand.
        seed = ["--count", 10_000, "--seed", chooser.randrange(10**6)]
        child = place.start("run", "activity")
        place.give("simulate", "activity", *seed)
        time.sleep(chooser.uniform(0.5, 1.5))
        if victim == "kafka":
            own_kafka.kill()
            own_kafka.restart()
        if victim == "postgres":
            own_postgres.kill()
            own_postgres.restart()
        time.sleep(chooser.uniform(0.0, 0.5))
        child.kill()
        child.communicate()
    place.catch_up()
    rows = place.verified()
    assert rows["enriched_activity"] == rows["activity"] > RECORDS
    before = results(place)
    # Another directory knows nothing: it is refused, and the rightful job goes on.
    refused = place.give("run", "activity", "--until", "caught-up", data="other", code=5)
    assert "was taken over" in refused and "Traceback" not in refused
    place.give("simulate", "activity", "--count", 1000, "--seed", 99)
    place.catch_up()
    assert place.verified()["activity"] == rows["activity"] + 1000
    assert results(place) != before


def test_each_system_alone_gives_what_the_embedded_ones_give(
    own_kafka: Kafka, database: Database, tmp_path: Path
) -> None:
    """The same records, read from Kafka or from the local log, into PostgreSQL or the state."""
    kafka = f'topics = "kafka://{own_kafka.bootstrap_servers}"\n'
    tables = f'tables = "{database.dsn}"\n'
    found = []
    for name, lines in (("plain", ""), ("kafka", kafka), ("tables", tables)):
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name, f"[profile.servers]\n{lines}")
        place.give("simulate", "activity", *SIMULATE, "--create-topics")
        place.catch_up()
        place.verified()
        place.give("recompute", "activity")
        place.verified()
        found.append(results(place))
    assert found[0] == found[1] == found[2]


def test_the_lag_is_shown_to_the_tools_of_kafka(own_kafka: Kafka, tmp_path: Path) -> None:
    from confluent_kafka import Consumer, TopicPartition

    topics = f'topics = "kafka://{own_kafka.bootstrap_servers}"\n'
    place = Place(tmp_path, f"[profile.servers]\n{topics}")
    place.give("simulate", "activity", "--count", 3000, "--create-topics")
    place.catch_up()
    settings = {**own_kafka.client_settings(), "group.id": "headrace-activity"}
    consumer = Consumer(settings)
    wanted = [TopicPartition("user_activity", p) for p in range(3)]
    held = {p.partition: p.offset for p in consumer.committed(wanted, timeout=20)}
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=20)[1] for p in wanted}
    consumer.close()
    assert held == ends


APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    country: str
    amount: int

app = hr.App("shop")
orders = app.source(Order, topic="orders", key="country", time="at", partitions=1)
app.table("revenue", orders.by("country").agg(total="sum(amount)", n="{n}"))
"""


def test_a_changed_view_is_not_built_again_behind_the_back_of_a_database(
    database: Database, tmp_path: Path
) -> None:
    """It is refused in words; a new generation replaces the table."""
    place = Place(tmp_path, f'[profile.servers]\ntables = "{database.dsn}"\n')
    app = tmp_path / "shop.py"
    app.write_text(APP.replace("{n}", "count(*)"))
    lines = [
        f'{{"at": "2026-03-01T10:00:0{n}Z", "country": "{c}", "amount": {n}}}'
        for n, c in enumerate(["de", "fr", "de"])
    ]
    (tmp_path / "orders.jsonl").write_text("\n".join(lines))
    place.give("ingest", "shop.py", "orders", "orders.jsonl")
    run = ["run", "shop.py", "--until", "caught-up"]
    place.give(*run)
    with database.connect() as connection:
        select = "select country, total, n from revenue order by country"
        assert connection.execute(select).fetchall() == [("de", 2, 2), ("fr", 1, 1)]
        app.write_text(APP.replace("{n}", "count(*) + 10"))
        refused = place.give(*run, "--rebuild", code=5)
        assert "headrace state reset" in refused
        place.give("state", "reset", "shop.py", "--yes")
        place.give(*run)
        assert connection.execute(select).fetchall() == [("de", 2, 12), ("fr", 1, 11)]
    place.give("verify", "shop.py")
