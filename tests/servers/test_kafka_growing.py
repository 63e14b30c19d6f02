"""Topics of Kafka that gain partitions, under a running job and under a stopped one."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.kafka import Kafka
from tests.servers.kafka_records import produce
from tests.servers.names import Topics
from tests.servers.shop import FILE, Shop

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    country: str
    n: int

app = hr.App("shop")
orders = app.source(Order, topic="{topic}", key="country", time="at", partitions={partitions})
app.table("total", orders{dedupe}.by("country").agg(n="count(*)", ns="list(n)"))
app.table("minutes", orders.tumble("1 minute").agg(n="count(*)"))
app.lake("all_orders", orders)
"""
DEDUPE = '.dedupe(by=("country", "n"))'
SECONDS_MAX = 120


class Orders:
    """Writes numbered orders, all in one minute after another, and knows what must come of them."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.kafka, self.topic = kafka, topic
        self.numbers: dict[str, list[int]] = {"de": [], "fr": []}
        self.minutes: Counter[int] = Counter()
        self.count = 0

    def write(self, count: int, *partitions: int) -> None:
        """Writes `count` orders to each of the partitions, in the next minute."""
        minute = self.count // 100
        for partition in partitions:
            country = "de" if partition % 2 else "fr"
            lines = []
            for _ in range(count):
                at = f"2026-03-01T10:{minute:02}:{self.count % 60:02}Z"
                lines.append(json.dumps({"at": at, "country": country, "n": self.count}).encode())
                self.numbers[country].append(self.count)
                self.minutes[minute] += 1
                self.count += 1
            records = [(country.encode(), line) for line in lines]
            produce(self.kafka, self.topic, records, partition=partition)

    def check(self, shop: Shop, partitions: int) -> None:
        """Every order stands once in the lake and in the total, each with its partition."""
        verified = shop.verified()
        assert verified["all_orders"] == self.count
        totals = {r["country"]: r for r in shop.rows("select country, n, ns from total")}
        for country, numbers in self.numbers.items():
            assert totals[country]["n"] == len(numbers)
            assert sorted(totals[country]["ns"]) == numbers
        found = shop.rows("select distinct _partition as p from lake.all_orders")
        assert sorted(r["p"] for r in found) == list(range(partitions))
        # What came late for its minute is in no row: both are counted.
        minutes = sum(r["n"] for r in shop.rows("select n from minutes"))
        late = shop.rows(
            "select late from conservation where kind = 'view' and name like '%minutes%'"
        )
        assert minutes + sum(r["late"] for r in late) == self.count


@contextmanager
def running(shop: Shop) -> Iterator[Any]:
    child = shop.start("run", FILE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(shop: Shop, sql: str, value: int) -> None:
    """Until the only value of a query is this one."""
    deadline = time.monotonic() + SECONDS_MAX
    while (found := next(iter(shop.rows(sql)[0].values()))) != value:
        assert time.monotonic() < deadline, f"{sql}: {found}, not {value}"
        time.sleep(0.1)


def wait_for_job(shop: Shop, child: Any) -> None:
    """Until the job tells that it has started."""
    for line in child.stderr:
        if '"job_started"' in line:
            return
    raise AssertionError(f"the job ended with {child.wait()}")


READ = "select coalesce(sum(n), 0)::bigint as n from total"


def test_under_a_running_job_that_is_killed_soon_after(
    kafka: Kafka, topics: Topics, tmp_path: Path
) -> None:
    topic = topics.create("orders", 2)
    app = APP.format(topic=topic, partitions=2, dedupe="")
    shop, orders = Shop(tmp_path, app, kafka.bootstrap_servers), Orders(kafka, topic)
    orders.write(100, 0, 1)
    with running(shop) as child:
        wait_for_job(shop, child)
        wait_for(shop, READ, orders.count)
        kafka.add_partitions(topic, 4)
        orders.write(50, 0, 3, 2)
        wait_for(shop, READ, orders.count)
        orders.write(300, 3, 1, 2)
        child.send_signal(signal.SIGKILL)
    orders.write(20, 2, 0)
    kafka.add_partitions(topic, 5)
    orders.write(20, 4, 1)
    with running(shop) as child:
        wait_for_job(shop, child)
        wait_for(shop, READ, orders.count)
        child.send_signal(signal.SIGTERM)
        _, told = child.communicate(timeout=SECONDS_MAX)
        assert child.returncode == 0, told
    orders.check(shop, 5)
    shop.give("recompute", FILE)
    orders.check(shop, 5)


def test_under_a_stopped_job(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    topic = topics.create("orders", 2)
    app = APP.format(topic=topic, partitions=2, dedupe="")
    shop, orders = Shop(tmp_path, app, kafka.bootstrap_servers), Orders(kafka, topic)
    orders.write(100, 0, 1)
    shop.catch_up()
    kafka.add_partitions(topic, 3)
    orders.write(50, 2, 1)
    for point in ("state.before_commit:3", "state.committed:3"):
        shop.catch_up(kill_at=point, code=-signal.SIGKILL)
    told = [json.loads(line) for line in shop.catch_up().splitlines() if line.startswith("{")]
    grown = [t for t in told if t["event"] == "partitions_added"]
    assert [(t["topic"], t["partitions_before"], t["partitions"]) for t in grown] in (
        # The killed ones may have written the first epoch behind it.
        [(topic, 2, 3)],
        [],
    )
    orders.check(shop, 3)
    assert "3 partitions (2 are declared)" in shop.give("doctor", FILE)
    # Who writes goes by what is declared, and who reads accepts it then.
    (tmp_path / "orders.jsonl").write_text(
        json.dumps({"at": "2026-03-01T10:30:00Z", "country": "fr", "n": orders.count})
    )
    refused = shop.give("ingest", FILE, topic, "orders.jsonl", code=5)
    assert "Declare 3 partitions" in refused
    shop.define(APP.format(topic=topic, partitions=3, dedupe=""))
    shop.give("ingest", FILE, topic, "orders.jsonl")
    orders.numbers["fr"].append(orders.count)
    orders.count += 1
    shop.catch_up()
    orders.check(shop, 3)
    # With fewer partitions than declared it is another topic.
    shop.define(APP.format(topic=topic, partitions=4, dedupe=""))
    assert "has 3 partitions, not 4" in shop.catch_up(code=5)


def test_what_looks_for_duplicates_stops_in_words(
    kafka: Kafka, topics: Topics, tmp_path: Path
) -> None:
    topic = topics.create("orders", 2)
    app = APP.format(topic=topic, partitions=2, dedupe=DEDUPE)
    shop, orders = Shop(tmp_path, app, kafka.bootstrap_servers), Orders(kafka, topic)
    orders.write(100, 0, 1)
    with running(shop) as child:
        wait_for_job(shop, child)
        wait_for(shop, READ, orders.count)
        kafka.add_partitions(topic, 3)
        orders.write(10, 2, 0)
        _, told = child.communicate(timeout=SECONDS_MAX)
        assert child.returncode == 5 and "Traceback" not in told, told
    words = f'Topic "{topic}" has 3 partitions now, not 2'
    for said in (told, shop.catch_up(code=5)):
        assert words in said and "headrace state reset" in said
    shop.give("state", "reset", FILE, "--yes")
    shop.catch_up()
    orders.check(shop, 3)


def test_views_are_built_again_and_the_job_seeks_in_a_topic_that_grew(
    kafka: Kafka, topics: Topics, tmp_path: Path
) -> None:
    """Both open the state before any epoch has noted the new partitions; there is no lake."""
    topic = topics.create("orders", 2)
    app = APP.format(topic=topic, partitions=2, dedupe="").replace("app.lake(", "# app.lake(")
    shop, orders = Shop(tmp_path, app, kafka.bootstrap_servers), Orders(kafka, topic)
    orders.write(50, 0, 1)
    shop.catch_up()
    kafka.add_partitions(topic, 3)
    orders.write(30, 2)
    shop.define(app.replace('"count(*)", ns=', '"count(*)", most="max(n)", ns='))
    shop.catch_up(code=5)
    shop.give("run", FILE, "--until", "caught-up", "--rebuild")
    shop.verified()
    assert shop.rows("select sum(n)::bigint as n, max(most) as most from total") == [
        {"n": orders.count, "most": orders.count - 1}
    ]
    kafka.add_partitions(topic, 5)
    orders.write(10, 4)
    shop.give("state", "seek", FILE, topic, "--from", "latest", "--yes")
    read = orders.count - 10
    orders.write(20, 3, 4, 0)
    shop.catch_up()
    shop.verified()
    assert shop.rows(READ) == [{"n": read + 60}]
    # Made again with more partitions, it is another generation.
    kafka.delete_topics([topic])
    kafka.create_topic(topic, 6)
    orders.write(10, 5, 0)
    shop.catch_up(code=5)
    shop.give("state", "seek", FILE, topic, "--from", "earliest", "--yes")
    shop.catch_up()
    assert shop.rows(READ) == [{"n": read + 80}]
    # For what looks for duplicates no seek mends that keys have moved.
    shop.define(app.replace("orders.by", f"orders{DEDUPE}.by"))
    shop.give("state", "reset", FILE, "--yes")
    shop.catch_up()
    shop.verified()
    kafka.add_partitions(topic, 7)
    refused = shop.give("state", "seek", FILE, topic, "--from", "latest", "--yes", code=5)
    assert "has 7 partitions now, not 6" in refused
