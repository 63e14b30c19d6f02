"""The activity app, unchanged, from Kafka to PostgreSQL and back to Kafka, whatever dies."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.servers.kafka import Kafka
from tests.servers.names import Database
from tests.servers.place import Place, results
from tests.servers.postgres import Postgres
from tests.servers.profiles import profile_text

RECORDS = 30_000
SIMULATE = ["--count", RECORDS, "--seed", 7, "--late-every", 50, "--malformed-every", 1000]


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
    assert "no state of it" in refused and "Traceback" not in refused
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


def test_a_changed_view_is_built_again_in_a_database(database: Database, tmp_path: Path) -> None:
    """Its table is replaced; so it is by a new generation."""
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
        assert "headrace state rebuild" in place.give(*run, code=5)
        told = place.give(*run, "--rebuild")
        assert "table revenue: its view was built again; it is filled again" in told
        assert connection.execute(select).fetchall() == [("de", 2, 12), ("fr", 1, 11)]
        place.give("verify", "shop.py")
        place.give("state", "reset", "shop.py", "--yes")
        place.give(*run)
        assert connection.execute(select).fetchall() == [("de", 2, 12), ("fr", 1, 11)]
    place.give("verify", "shop.py")
