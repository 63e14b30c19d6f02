"""Logins and rights: what is wrong is said in words, secrets are not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing

import pyarrow as pa
import pytest

from headrace.storage.contract import Claim, Target
from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import HeadraceError, TopicRefused, Unreachable
from tests.servers.fixtures import OrSkipped
from tests.servers.kafka import Kafka
from tests.servers.kafka_process import JOB, mark, step
from tests.servers.kafka_records import committed, pairs, produce
from tests.servers.ports import HOST, free_port

PASSWORD = "sehr_geheim"
SASL = {"security.protocol": "SASL_PLAINTEXT"}


class Guarded(Kafka):
    """Also listens for logins: `ann`, `bob` and `eve` may do only what they were given."""

    login_servers = ""

    def _write_properties(self, data) -> str:
        self.login_servers = self.login_servers or f"{HOST}:{free_port()}"
        plain, controller = self.bootstrap_servers, self._controller
        jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        advertised = f"PLAINTEXT://{plain},SASL_PLAINTEXT://{self.login_servers}"
        protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT"
        self.settings |= {
            "listeners": f"{advertised},CONTROLLER://{controller}",
            "advertised.listeners": advertised,
            "listener.security.protocol.map": protocols,
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                f'{jaas} username="x" password="x" '
                f'user_ann="{PASSWORD}" user_bob="{PASSWORD}" user_eve="{PASSWORD}";'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        return super()._write_properties(data)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with OrSkipped() as servers:
        yield servers._made(Guarded, Guarded).start()


@pytest.fixture
def ann(guarded: Guarded) -> Iterator[KafkaSystem]:
    system = system_of(guarded, "ann")
    yield system
    system.close()


@pytest.fixture
def blind(guarded: Guarded) -> Iterator[KafkaSystem]:
    """Of `bob`, who may write Headrace's own topics and not read them."""
    if "blind" not in guarded.topics():
        guarded.create_topic("blind", 2)
        allow(guarded, "TOPIC", "blind", "READ", "WRITE", user="bob")
        allow(guarded, "TRANSACTIONAL_ID", "headrace", "WRITE", "DESCRIBE", user="bob")
        for name in ("headrace-marks", "headrace-producers"):
            rights = ("WRITE", "CREATE", "DESCRIBE_CONFIGS")
            allow(guarded, "TOPIC", name, *rights, user="bob")
    system = system_of(guarded, "bob")
    yield system
    system.close()


def system_of(kafka: Guarded, user: str) -> KafkaSystem:
    return KafkaSystem(f"kafka://{user}:{PASSWORD}@{kafka.login_servers}", SASL, answer_seconds=10)


def allow(kafka: Kafka, kind: str, name: str, *operations: str, user: str = "ann") -> None:
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    rights = [
        AclBinding(
            ResourceType[kind],
            name,
            ResourcePatternType.LITERAL
            if kind != "TRANSACTIONAL_ID"
            else ResourcePatternType.PREFIXED,
            f"User:{user}",
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]
    admin = kafka.admin()
    for answer in admin.create_acls(rights).values():
        answer.result(20)


def until_allowed(work):
    """Rights take a moment to be in force."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return work()
        except HeadraceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def findings(system: KafkaSystem, targets: list[Target], topics: Mapping[str, int]) -> dict:
    return {f.subject: f for f in system.findings(targets, topics)}


def target(name: str, partitions: int = 1) -> Target:
    return Target(JOB, name, "topic", (), partitions=partitions)


def test_a_wrong_password_is_said_and_not_shown(guarded: Guarded) -> None:
    url = f"kafka://ann:wrong_{PASSWORD}@{guarded.login_servers}"
    system = KafkaSystem(url, SASL, answer_seconds=2)
    with pytest.raises(Unreachable, match="[Aa]uthentication failed") as caught:
        system.topic("t", 1)
    found = system.findings([target("t")], {"t": 1})
    assert [f.level for f in found] == ["error"]
    assert PASSWORD not in str(caught.value) + repr(found) + repr(system.address)
    system.close()


def test_an_unknown_host_is_named() -> None:
    system = KafkaSystem("kafka://nowhere.invalid:9092", answer_seconds=2)
    with pytest.raises(Unreachable, match="nowhere.invalid"):
        system.topic("t", 1)
    system.close()


def test_what_a_user_may_not_do_is_named(guarded: Guarded, ann: KafkaSystem) -> None:
    guarded.create_topic("hidden")
    guarded.create_topic("seen")
    guarded.create_topic("read")
    for name in ("read", "seen"):
        produce(guarded, name, [(None, b"x")])
    allow(guarded, "TOPIC", "seen", "DESCRIBE")
    allow(guarded, "TOPIC", "read", "READ")
    topic = until_allowed(lambda: ann.topic("read", 1))
    # No right to the group is needed: it is never joined.
    assert len(topic.fetch([0], [1], records_max=10).records) == 1
    with pytest.raises(TopicRefused, match="[Aa]uthorization failed.*\n.*[Gg]rant"):
        ann.topic("hidden", 1)
    with pytest.raises(TopicRefused, match="[Aa]uthorization failed"):
        ann.topic("seen", 1).fetch([0], records_max=10)
    with pytest.raises(TopicRefused, match="[Aa]uthorization failed"):
        ann.create_topic("new", 1)
    with pytest.raises(TopicRefused, match="[Aa]uthorization failed"):
        ann.destination(target("seen")).open(JOB, 1)
    said = findings(ann, [target("seen")], {"read": 1, "hidden": 1})
    assert said["topic read"].level == "ok"
    assert said["topic hidden"].level == "error"
    assert said["topic seen"].level == "error" and "WRITE" in (said["topic seen"].remedy or "")


def test_the_rights_that_a_job_needs_are_enough(guarded: Guarded, ann: KafkaSystem) -> None:
    guarded.create_topic("out")
    allow(guarded, "TOPIC", "out", "WRITE", "DESCRIBE")
    allow(guarded, "TOPIC", "headrace-marks", "READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS")
    allow(guarded, "TRANSACTIONAL_ID", "headrace", "WRITE", "DESCRIBE")
    writer = ann.destination(target("out"))
    assert until_allowed(lambda: writer.open(JOB, 1)) is None
    assert writer.deliver(step(1), mark(1)) == 10
    assert len(pairs(guarded, "out")) == 10
    writer.close()
    said = findings(ann, [target("out")], {})
    assert {said[name].level for name in ("topic out", "topic headrace-marks")} == {"ok"}


def test_rights_that_lack_on_the_notes_are_named(guarded: Guarded, ann: KafkaSystem) -> None:
    guarded.create_topic("headrace-producers", 1, {"cleanup.policy": "compact"})
    allow(guarded, "TOPIC", "headrace-producers", "READ", "DESCRIBE_CONFIGS")

    def told() -> None:
        found = findings(ann, [], {})["topic headrace-producers"]
        if found.remedy != "Grant the user WRITE on topic headrace-producers.":
            raise TopicRefused(found.text)

    until_allowed(told)


def test_who_may_not_make_topics_uses_those_that_are_there(guarded: Guarded) -> None:
    compact = {"cleanup.policy": "compact"}
    for name in ("headrace-marks", "headrace-producers"):
        if name not in guarded.topics():
            guarded.create_topic(name, 1, compact)
        allow(guarded, "TOPIC", name, "READ", "WRITE", "DESCRIBE_CONFIGS", user="eve")
    guarded.create_topic("made_before", 2)
    allow(guarded, "TOPIC", "made_before", "READ", "WRITE", user="eve")
    allow(guarded, "TRANSACTIONAL_ID", "headrace", "WRITE", "DESCRIBE", user="eve")
    system, to = system_of(guarded, "eve"), target("made_before", 2)
    writer = system.destination(to)
    assert until_allowed(lambda: writer.open(JOB, 1)) is None
    assert writer.deliver(step(1), mark(1)) == 10
    assert system.create_topic("made_before", 2) is False
    topic = system.topic("made_before", 2)
    appended = topic.append_numbered(pa.array([b"a", b"b"]), producer="file", first_sequence=0)
    assert appended.rows == 2
    writer.close()
    said = findings(system, [to], {})
    assert {said[n].level for n in ("topic headrace-marks", "topic headrace-producers")} == {"ok"}
    with pytest.raises(TopicRefused, match="[Aa]uthorization failed"):
        system.create_topic("new", 1)
    system.close()


def test_who_may_not_read_what_was_ingested_ingests_nothing_twice(
    guarded: Guarded, blind: KafkaSystem
) -> None:
    rightful = KafkaSystem(f"kafka://{guarded.bootstrap_servers}", answer_seconds=10)
    values = pa.array([b"a", b"b"])
    rightful.topic("blind", 2).append_numbered(values, producer="file", first_sequence=0)
    before = committed(guarded, "blind")
    topic = until_allowed(lambda: blind.topic("blind", 2))
    for ask in (
        lambda: topic.append_numbered(values, producer="file", first_sequence=0),
        topic.producers,
    ):
        with pytest.raises(TopicRefused, match="[Aa]uthorization failed") as caught:
            ask()
        assert caught.value.remedy == "Grant the user READ on topic headrace-producers."
    assert committed(guarded, "blind") == before
    rightful.close()


def test_who_may_not_read_what_was_delivered_delivers_nothing(
    guarded: Guarded, blind: KafkaSystem
) -> None:
    to = target("blind", 2)
    rightful = KafkaSystem(f"kafka://{guarded.bootstrap_servers}", answer_seconds=10)
    owner = rightful.destination(to)
    owner.open(JOB, 1)
    owner.deliver(step(1), mark(1))
    until_allowed(lambda: blind.topic("blind", 2))
    newcomer = blind.destination(to)
    for ask in (lambda: newcomer.look(JOB), lambda: newcomer.open(JOB, 2)):
        with pytest.raises(TopicRefused, match="[Aa]uthorization failed") as caught:
            ask()
        assert caught.value.remedy == "Grant the user READ on topic headrace-marks."
    owner.deliver(step(2), mark(2))
    assert rightful.destination(to).look(JOB) == Claim(1, mark(2))
    # Who only reads the topic may do without the notes.
    with closing(blind.snapshot([to])) as snapshot:
        assert snapshot.kept(to).others == ()
    owner.close()
    rightful.close()
