"""Queries of topics in Kafka under a job that is asked again and again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import headrace as hr
from headrace.engines.embedded.query import query
from headrace.engines.embedded.runner import JobRunner
from headrace.values.settings import Settings
from tests.servers.kafka import Kafka
from tests.servers.kafka_records import produce
from tests.servers.names import Topics

COUNT = 30


class Order(hr.Event):
    at: datetime


def client_threads() -> int:
    """The threads of the client library in this process: each consumer has some."""
    names = (task / "comm" for task in Path("/proc/self/task").iterdir())
    return sum(name.read_text().startswith("rdk:") for name in names)


def test_no_query_leaves_a_consumer_behind(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    name = topics.create("orders", 2)
    line = b'{"at": "2026-03-01T10:00:00Z"}'
    for partition in range(2):
        produce(kafka, name, [(None, line)] * COUNT, partition=partition)
    app = hr.App("shop")
    orders = app.source(Order, topic=name, time="at", partitions=2)
    app.table("total", orders.agg(n="count(*)"))
    settings = Settings(tmp_path, topics=f"kafka://{kafka.bootstrap_servers}")
    sql = f"select count(*) as n from topic.{name}"
    with JobRunner(app.plan.jobs[0], settings) as runner:
        runner.run("caught-up")
        threads = client_threads()
        for _ in range(5):
            assert query(runner, sql).to_pylist() == [{"n": 2 * COUNT}]
        assert client_threads() <= threads
