"""Reads a topic of Kafka with the Python client, and does nothing with what it reads.

What `consume` gives is counted and let go: no key, value or time is looked at. It is the most that
a Python program gets from this broker on this machine.
"""

from __future__ import annotations

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition

_BATCH = 10_000


def main(servers: str, topic: str, count: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench",
            "enable.auto.commit": False,
            # Without it the client waits up to a second when its queue was full.
            "fetch.queue.backoff.ms": 5,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    begun = time.perf_counter()
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    read, wanted = 0, int(count)
    while read < wanted:
        read += len(consumer.consume(min(_BATCH, wanted - read), 10))
    print(json.dumps({"seconds": time.perf_counter() - begun}))
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
