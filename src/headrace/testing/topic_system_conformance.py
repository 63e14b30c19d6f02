"""What a system that holds topics must do, as tests: make them, open them, show and judge them.

Deliveries into a topic are tried by `conformance.py`, reading and appending by
`topic_conformance.py` and `log_conformance.py`; here is what only the system can say.
"""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager

import pyarrow as pa
import pytest

from headrace.storage.contract import RECORDS, Finding, Target, TopicSystem
from headrace.testing.asked import JOB, OTHER, mark
from headrace.testing.log_conformance import append
from headrace.testing.topic_reading import pairs, soon
from headrace.values.errors import TopicRefused

PARTITIONS = 2
_COLUMNS = (("key", "BLOB"), ("value", "BLOB"))
_FILE = "file"


class TopicSystemConformance(ABC):
    """The tests of a system with topics; subclasses say how to reach it."""

    @abstractmethod
    def make(self) -> TopicSystem:
        """The system, as another process would have it; a fixture closes it."""

    def name(self, base: str) -> str:
        """A name of which there is no topic."""
        return f"{base}_{secrets.token_hex(4)}"

    def outage(self) -> AbstractContextManager[object] | None:
        """Takes the system away, and brings it back at the end of the block."""
        return None

    def test_a_topic_is_made_once(self) -> None:
        system, name = self.make(), self.name("made")
        assert system.create_topic(name, PARTITIONS)
        topic = system.topic(name, PARTITIONS)
        assert (topic.name, topic.partitions) == (name, PARTITIONS)
        append(topic, 0, 3)
        other = self.make()
        assert not other.create_topic(name, PARTITIONS), "it is there"
        assert not other.create_topic(name, PARTITIONS + 1), "it is there, and stays as it is"
        again = other.topic(name, PARTITIONS)
        assert (again.identity, again.partitions) == (topic.identity, PARTITIONS)
        soon(lambda: sum(again.end_offsets()) >= 3, True)

    def test_of_two_that_make_a_topic_one_does(self) -> None:
        name, made, ready = self.name("raced"), list[bool | Exception](), threading.Barrier(2)
        systems = [self.make() for _ in range(2)]

        def run(system: TopicSystem) -> None:
            ready.wait()
            try:
                made.append(system.create_topic(name, PARTITIONS))
            except Exception as error:
                made.append(error)

        threads = [threading.Thread(target=run, args=(system,)) for system in systems]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made, key=repr) == [False, True]
        one, two = (system.topic(name, PARTITIONS) for system in systems)
        assert one.identity == two.identity

    def test_a_topic_that_is_missing_or_too_small_is_refused(self) -> None:
        """With fewer partitions than declared keys would stand elsewhere than thought."""
        system, name = self.make(), self.name("small")
        with pytest.raises(TopicRefused, match=name):
            system.topic(name, PARTITIONS)
        system.create_topic(name, PARTITIONS)
        with pytest.raises(TopicRefused, match=name):
            system.topic(name, PARTITIONS + 1)
        topic = system.topic(name, PARTITIONS - 1)
        assert topic.partitions == PARTITIONS, "it may have grown since it was declared"
        assert topic.end_offsets() == [0] * PARTITIONS

    def test_a_snapshot_shows_a_topic_as_it_was(self) -> None:
        system, target, beside = self.make(), self._topic("shown"), self._topic("beside")
        self._deliver(target, 1)
        self._deliver(beside, 2)
        snapshot = system.snapshot([target, beside])
        try:
            self._deliver(target, 3)
            append(self.make().topic(target.name, PARTITIONS), 0, 5, _FILE)
            for of, epoch in ((target, 1), (beside, 2)):
                shown = snapshot.rows(of).read_all()
                assert shown.schema.equals(RECORDS)
                assert sorted(pairs(shown.to_pylist())) == sorted(pairs(_rows(epoch).to_pylist()))
        finally:
            snapshot.close()

    def test_a_snapshot_tells_what_a_topic_keeps_and_who_writes_there(self) -> None:
        """By it verify explains records that the job did not write, or that are gone."""
        target = self._topic("kept")
        self._deliver(target, 1)
        system = self.make()

        def others() -> list[bool]:
            snapshot = system.snapshot([target])
            try:
                kept = snapshot.kept(target)
            finally:
                snapshot.close()
            assert list(kept.begins) == system.topic(target.name, PARTITIONS).begin_offsets()
            assert not kept.compacts
            assert not [one for one in kept.others if JOB in one], "it is no other"
            return [any(name in one for one in kept.others) for name in (OTHER, _FILE)]

        soon(others, [False, False])
        self._deliver(target, 1, OTHER)
        soon(others, [True, False])
        append(system.topic(target.name, PARTITIONS), 0, 5, _FILE)
        soon(others, [True, True])

    def test_findings_tell_what_topics_lack(self) -> None:
        system, target = self.make(), self._topic("found")
        name, missing = target.name, self.name("missing")
        assert _wrong(system, [target], {name: PARTITIONS}) == []
        assert _wrong(system, [], {name: PARTITIONS - 1}) == [], "it may have grown"
        for declared in ({name: PARTITIONS + 1}, {missing: PARTITIONS}):
            [wrong] = _wrong(system, [], declared)
            assert next(iter(declared)) in wrong.subject + wrong.text
            assert not wrong.unreachable, "it answers: what it has is wrong"
        elsewhere = Target(JOB, missing, "topic", _COLUMNS, partitions=PARTITIONS)
        assert [missing in f.subject + f.text for f in _wrong(system, [elsewhere], {})] == [True]

    def test_findings_tell_that_nothing_answers(self) -> None:
        outage, system = self.outage(), self.make()
        if outage is None:
            pytest.skip(f"{type(self).__name__} has no outage")
        with outage:
            wrong = _wrong(system, [], {self.name("away"): PARTITIONS})
            assert [f for f in wrong if f.unreachable], "nobody answers: say so"

    def _topic(self, base: str) -> Target:
        name = self.name(base)
        assert self.make().create_topic(name, PARTITIONS)
        return Target(JOB, name, "topic", _COLUMNS, partitions=PARTITIONS)

    def _deliver(self, target: Target, epoch: int, job: str = JOB) -> None:
        of = Target(job, target.name, "topic", _COLUMNS, partitions=PARTITIONS)
        handle = self.make().destination(of)
        try:
            handle.open(job, epoch)
            assert handle.deliver(_rows(epoch), mark(epoch, job=job)) == 4
        finally:
            handle.close()


def _rows(epoch: int) -> pa.Table:
    return pa.table([[b"%d-%d" % (epoch, n) for n in range(4)]] * 2, names=["key", "value"])


def _wrong(system: TopicSystem, targets: list[Target], topics: Mapping[str, int]) -> list[Finding]:
    found = system.findings(targets, topics)
    assert found, "something was looked at"
    return [f for f in found if f.level == "error"]
