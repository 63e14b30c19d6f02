"""Records of Kafka with timestamps in the future: read again, they arrived when they first did."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers.kafka import Kafka
from tests.servers.kafka_records import produce
from tests.servers.names import Topics
from tests.servers.shop import Shop

APP = """
from datetime import datetime
import headrace as hr

class Order(hr.Event):
    at: datetime
    n: int

app = hr.App("shop")
orders = app.source(Order, topic="{topic}", time="at", partitions=1, ahead="2 hours")
app.table("total", orders.agg(n="count(*)", ns="list(n)"))
{lake}
"""
LAKE = 'app.lake("all_orders", orders)'
# Soon after it is read for the first time, a record of this kind is too far ahead no more.
SOON_SECONDS = 12


def _write(kafka: Kafka, topic: str, now: datetime) -> dict[int, tuple[datetime, datetime]]:
    """(timestamp, event time) by offset."""
    hours, written = timedelta(hours=1), {}
    soon = 2 * hours + timedelta(seconds=SOON_SECONDS)
    ways = [(-3 * hours, -3 * hours), (5 * hours, hours), (5 * hours, soon), (9 * hours, 8 * hours)]
    ways += [(timedelta(0), soon), (timedelta(seconds=SOON_SECONDS), soon), (-hours, -hours)]
    for offset, (stamp, at) in enumerate(ways):
        value = json.dumps({"at": (now + at).isoformat(), "n": offset}).encode()
        stamp_ms = int((now + stamp).timestamp() * 1000)
        produce(kafka, topic, [(None, value)], timestamp=stamp_ms)
        written[offset] = datetime.fromtimestamp(stamp_ms / 1000, UTC), now + at
    return written


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("lake", [LAKE, ""])
def test_killed_before_the_delivery_and_read_again_later(
    kafka: Kafka, topics: Topics, tmp_path: Path, lake: str
) -> None:
    day = timedelta(days=1) // timedelta(milliseconds=1)
    topic = topics.create("orders", 1, {"message.timestamp.after.max.ms": str(day)})
    shop = Shop(tmp_path, APP.format(topic=topic, lake=lake), kafka.bootstrap_servers)
    now = datetime.now(UTC)
    written = _write(kafka, topic, now)
    # The first transactions make the state, the next one is the epoch.
    shop.catch_up(kill_at="state.committed:3", code=-signal.SIGKILL)
    while datetime.now(UTC) < now + timedelta(seconds=SOON_SECONDS + 1):
        time.sleep(0.2)
    shop.catch_up()
    assert shop.verified()["total"] == 1
    [epoch] = shop.rows("select epoch_time, records from epochs where kind = 'live'")
    assert epoch["records"] == len(written)
    first = _time(epoch["epoch_time"])
    arrived = {offset: min(stamp, first) for offset, (stamp, _) in written.items()}
    ahead = {o for o, (_, at) in written.items() if at > arrived[o] + timedelta(hours=2)}
    found: dict[str, list[Any]] = {}
    found["letters"] = shop.rows('select "offset" as o, arrival_time as t from dead_letters')
    found["topic"] = shop.rows(f'select "offset" as o, arrival_time as t from topic.{topic}')
    if lake:
        found["lake"] = shop.rows("select _offset as o, _arrival_time as t from lake.all_orders")
    arrivals = {k: {r["o"]: _time(r["t"]) for r in rows} for k, rows in found.items()}
    accepted = {o: t for o, t in arrived.items() if o not in ahead}
    assert arrivals["letters"] == {o: arrived[o] for o in ahead}
    assert arrivals["topic"] == arrived
    assert arrivals.get("lake", accepted) == accepted
    in_time = sorted(accepted, key=lambda o: written[o][1])
    assert shop.rows("select n, ns from total") == [{"n": len(accepted), "ns": in_time}]
    # Where the first run was quick enough, a later time would have accepted some.
    assert 3 in ahead and (first > now + timedelta(seconds=SOON_SECONDS) or {2, 4} < ahead)
