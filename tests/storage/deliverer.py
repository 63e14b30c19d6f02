"""A process that delivers epochs to a destination until it is done or killed.

`python -m tests.storage.deliverer KIND DIRECTORY INCARNATION EPOCHS`, KIND being `lake` or `topic`,
goes on after the mark that is there and delivers ten rows an epoch; it prints the mark it found
and each epoch that was acknowledged.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from headrace.storage.contract import Destination, Mark
from headrace.storage.outbound.topic_writer import TopicWriter
from headrace.storage.topics.log import LocalTopic
from tests.children import finished, start
from tests.storage.lake.lakes import JOB, events, lake, mark
from tests.storage.outbound.records import records


def destination(kind: str, directory: Path) -> Destination:
    if kind == "lake":
        return lake(directory, grace_seconds=0)
    topic = LocalTopic.ensure(directory, "out", 3)
    return TopicWriter(topic, "out")


def delivery(kind: str, epoch: int) -> pa.Table:
    if kind == "lake":
        return events((epoch - 1) * 10, 10)
    return records((epoch - 1) * 10, 10)


def main(kind: str, directory: str, incarnation: str, epochs: str) -> None:
    target = destination(kind, Path(directory))
    last: Mark | None = target.open(JOB, int(incarnation))
    print("mark", 0 if last is None else last.epoch, flush=True)
    for epoch in range(1 if last is None else last.epoch + 1, int(epochs) + 1):
        assert target.deliver(delivery(kind, epoch), mark(epoch)) == 10
        print("took", epoch, flush=True)
    target.close()


def run(
    kind: str, directory: Path, incarnation: int, epochs: int, kill_at: str = ""
) -> tuple[int, list[str]]:
    """Runs the process; its exit code (-9: killed) and the lines it printed."""
    return finished(start(__name__, kind, directory, incarnation, epochs, kill_at=kill_at))


if __name__ == "__main__":
    main(*sys.argv[1:])
