"""Kafka: one node that is broker and controller."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.servers.jars import classpath, java
from tests.servers.missing import need_client
from tests.servers.ports import HOST, free_port
from tests.servers.process import Server

# A test's broker lives for seconds: compiling little and collecting in one thread starts it in two
# thirds of the time, and leaves the cores to what is tested.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
LONG_LIVED = ("-XX:+UseG1GC",)
MEMORY = ("-Xms256m", "-Xmx512m")
ANSWER_SECONDS_MAX = 30.0

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # After SIGKILL a broker is let in again only when its old session has ended.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "2097152",
}

LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=STDOUT
appender.stdout.type=Console
appender.stdout.name=STDOUT
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=[%d] %p %m (%c)%n
"""


def new_cluster_id() -> str:
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _done(answers: Mapping[str, Future[None]]) -> None:
    for answer in answers.values():
        answer.result(ANSWER_SECONDS_MAX)


class Kafka(Server):
    """One Kafka node at `bootstrap_servers`, of the cluster `cluster_id`.

    `settings` are added to the broker's properties, `java_options` to the command. Raises Missing
    where Java, the jars or the client library are not to be had.
    """

    name = "Kafka"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        cluster_id: str | None = None,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = SHORT_LIVED,
    ) -> None:
        need_client("confluent_kafka", "kafka")
        logging = "-Dlog4j2.configurationFile=log4j2.properties"
        self._java = [java(), *MEMORY, *java_options, logging, "-cp", classpath()]
        super().__init__(directory, port=port)
        self.cluster_id = cluster_id or new_cluster_id()
        self.settings = dict(settings or {})
        self.bootstrap_servers = f"{HOST}:{self.port}"
        self._controller = f"{HOST}:{free_port()}"
        self._probe: Any = None
        (self.directory / "log4j2.properties").write_text(LOGGING)

    def make_data(self, into: Path) -> None:
        properties = self._write_properties(into)
        tool = "kafka.tools.StorageTool"
        self.run([*self._java, tool, "format", "-t", self.cluster_id, "-c", properties])

    def command(self) -> Sequence[str]:
        return [*self._java, "kafka.Kafka", self._write_properties(self.data)]

    def answers(self) -> bool:
        from confluent_kafka import KafkaException

        if self._probe is None:
            self._probe = self.admin()
        try:
            found = bool(self._probe.list_topics(timeout=1).brokers)
        except KafkaException:
            return False
        if found:
            self._probe = None
        return found

    def client_settings(self) -> dict[str, Any]:
        """For any client; quiet, and quick to come back, while the broker is away."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "log_level": 0,
            "reconnect.backoff.max.ms": 100,
        }

    def admin(self) -> Any:
        """A new `confluent_kafka.admin.AdminClient`."""
        from confluent_kafka.admin import AdminClient

        return AdminClient(self.client_settings())

    def topics(self) -> list[str]:
        """The names of all topics, without Kafka's own."""
        names = self.admin().list_topics(timeout=ANSWER_SECONDS_MAX).topics
        return sorted(name for name in names if not name.startswith("__"))

    def create_topic(
        self, topic: str, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> None:
        """Returns when the topic is there for every client. Raises KafkaException."""
        from confluent_kafka.cimpl import NewTopic

        new = NewTopic(topic, partitions, 1, config=dict(settings or {}))
        admin = self.admin()  # its requests end when it does
        _done(admin.create_topics([new]))
        self._until(lambda there: topic in there)

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Gives the topic so many partitions in all; returns when clients can write to them."""
        from confluent_kafka.cimpl import NewPartitions

        admin = self.admin()
        _done(admin.create_partitions([NewPartitions(topic, partitions)]))
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while len(self.admin().list_topics(topic, timeout=5).topics[topic].partitions) < partitions:
            if time.monotonic() > deadline:
                raise self._failed(f"did not show its partitions within {ANSWER_SECONDS_MAX:g} s")
            time.sleep(0.01)

    def configure_topic(self, topic: str, setting: str, value: str) -> None:
        """Gives a setting of a topic another value."""
        from confluent_kafka.admin import (
            AlterConfigOpType,
            ConfigEntry,
            ConfigResource,
            ResourceType,
        )

        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin = self.admin()
        _done(admin.incremental_alter_configs([resource]))

    def delete_topics(self, topics: Sequence[str]) -> None:
        """Returns when the topics are gone for every client. Raises KafkaException."""
        if topics:
            admin = self.admin()
            _done(admin.delete_topics(list(topics)))
            self._until(lambda there: there.isdisjoint(topics))

    def _until(self, holds: Callable[[set[str]], bool]) -> None:
        """The controller answers before the broker shows its clients what it has done."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while not holds(set(self.topics())):
            if time.monotonic() > deadline:
                raise self._failed(f"did not show its topics within {ANSWER_SECONDS_MAX:g} s")
            time.sleep(0.01)

    def _write_properties(self, data: Path) -> str:
        settings = SETTINGS | {
            "controller.quorum.voters": f"1@{self._controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "log.dirs": str(data),
        }
        path = self.directory / "server.properties"
        lines = [f"{key}={value}\n" for key, value in (settings | self.settings).items()]
        path.write_text("".join(lines))
        return str(path)
