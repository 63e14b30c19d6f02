"""A system of somebody else that holds topics: local ones in a directory, the least of code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from headrace.storage.contract import RECORDS, Finding, Kept, Target
from headrace.storage.outbound.topic_writer import TopicWriter
from headrace.storage.partitions import other_partitions
from headrace.storage.topics.directory import make
from headrace.storage.topics.log import LocalTopic, now_us
from headrace.values.errors import HeadraceError, Unreachable


class LocalSnapshot:
    """The topics of `targets` up to where they end now."""

    def __init__(self, directory: Path, targets: Sequence[Target]) -> None:
        self._topics = {t.name: LocalTopic.open(directory, t.name) for t in targets}
        self._ends = {name: topic.end_offsets() for name, topic in self._topics.items()}

    def rows(self, target: Target) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(RECORDS, self._pieces(target.name))

    def kept(self, target: Target) -> Kept:
        topic, mine = self._topics[target.name], f"{target.job}/{target.name}"
        others = set(topic.producers()) - {mine, f"{mine}/starts"}
        return Kept(tuple(topic.begin_offsets()), others=tuple(sorted(others)))

    def close(self) -> None:
        """Nothing is open."""

    def _pieces(self, name: str) -> Iterator[pa.RecordBatch]:
        topic, stop = self._topics[name], self._ends[name]
        at = topic.begin_offsets()
        while at != stop:
            fetched = topic.fetch(at, stop, records_max=3)
            at = fetched.next_offsets
            yield from fetched.records.to_batches()


class LocalSystem:
    """The topics in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.address = f"local:{directory}"
        self._directory = directory

    def topic(self, name: str, partitions: int) -> LocalTopic:
        topic = LocalTopic.open(self._directory, name)
        if topic.partitions < partitions:
            raise other_partitions(name, topic.partitions, partitions)
        return topic

    def create_topic(self, name: str, partitions: int) -> bool:
        return make(self._directory, name, partitions, now_us())

    def destination(self, target: Target) -> TopicWriter:
        return TopicWriter(self.topic(target.name, target.partitions), target.name)

    def snapshot(self, targets: Sequence[Target]) -> LocalSnapshot:
        return LocalSnapshot(self._directory, targets)

    def findings(self, targets: Sequence[Target], topics: Mapping[str, int]) -> list[Finding]:
        if not self._directory.exists():
            return [Finding("error", self.address, "is not there", unreachable=True)]
        found = [Finding("ok", self.address, "is there")]
        for name, partitions in [*topics.items(), *((t.name, t.partitions) for t in targets)]:
            try:
                self.topic(name, partitions)
            except HeadraceError as error:
                silent = isinstance(error, Unreachable)
                found.append(Finding("error", name, error.what, unreachable=silent))
        return found

    def close(self) -> None:
        """Nothing is open."""
