"""Which system plays each role of an app: the one that the settings name, else the embedded one.

Built-in systems are listed here; others register under the entry point `headrace.systems`, by the
scheme of their URL: a callable that takes it and returns a `contract.System`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeAlias
from urllib.parse import urlsplit

from headrace.plan.operators import Job
from headrace.storage.contract import Log, Snapshot, System, Target, TopicSystem
from headrace.storage.layout import DataDirectory
from headrace.storage.partitions import other_partitions
from headrace.storage.topics.log import LocalTopic, now_us
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.masking import masked_url
from headrace.values.settings import Settings

GROUP = "headrace.systems"
# Loaded when first asked for: a client library belongs to whoever uses its system.
_BUILT_IN = {
    "kafka": "headrace.storage.kafka.system:KafkaSystem",
    "postgresql": "headrace.storage.postgres.system:PostgresSystem",
    "postgres": "headrace.storage.postgres.system:PostgresSystem",
}
# What the built-in ones play; others say so when they are asked for a destination.
_PLAYS = {"kafka": "topics", "postgresql": "tables", "postgres": "tables"}
_EXAMPLES = {
    "topics": "kafka://host:9092",
    "tables": "postgresql://user:password@host/database",
}
# The setting that names the system of a role.
_SETTINGS = {"topic": "topics", "table": "tables"}

Maker: TypeAlias = Callable[..., System]


class Systems:
    """The systems of one process; each is made once, when it is first asked for."""

    def __init__(self, settings: Settings, clock: Callable[[], int] = now_us) -> None:
        self.data = DataDirectory(settings.data)
        self._settings, self._clock = settings, clock
        self._made: dict[str, System] = {}
        self._lock = threading.Lock()

    def of(self, role: str) -> System | None:
        """The system that plays `role`; None for the embedded one.

        Raises UsageError for a URL whose scheme nobody knows, or of a system that cannot.
        """
        url = getattr(self._settings, _SETTINGS.get(role, ""), None)
        if url is None:
            return None
        with self._lock:
            if url not in self._made:
                scheme = urlsplit(url).scheme
                _check_role(url, scheme, _SETTINGS[role])
                options = getattr(self._settings, scheme, None)
                make = maker_of(scheme, _SETTINGS[role])
                self._made[url] = make(url, options) if options else make(url)
            return self._made[url]

    def topic(self, name: str, partitions: int) -> Log:
        """The topic `name`, to be read: one elsewhere may have grown. A local one is made."""
        system = self.topics()
        if system is None:
            return self.local_topic(name, partitions)
        return system.topic(name, partitions)

    def topic_to_append(self, name: str, partitions: int) -> Log:
        """The topic `name`; TopicRefused unless it places keys as declared."""
        topic = self.topic(name, partitions)
        if topic.partitions != partitions:
            raise other_partitions(name, topic.partitions, partitions)
        return topic

    def create_topics(self, job: Job) -> list[str]:
        """Makes the topics that `job` reads and writes where they are missing; names those made."""
        system = self.topics()
        if system is None:
            return []
        return [name for name, count in job.topics.items() if system.create_topic(name, count)]

    def local_topic(self, name: str, partitions: int) -> LocalTopic:
        """The topic `name` in the data directory, made where it is missing."""
        return LocalTopic.ensure(self.data.topics, name, partitions, clock=self._clock)

    def topics(self) -> TopicSystem | None:
        """The system that holds the topics; None for the local ones."""
        system = self.of("topic")
        if system is not None and not hasattr(system, "topic"):
            raise _wrong_role(system.address, "topics")
        return system  # type: ignore[return-value]

    def elsewhere(self, role: str) -> bool:
        """Whether another system than the embedded one plays `role`."""
        return self.of(role) is not None

    @contextmanager
    def snapshots(self, targets: Sequence[Target]) -> Iterator[dict[str, Snapshot]]:
        """What readers see now of those `targets` that other systems play, by name.

        Targets of one role share a snapshot. Errors as the systems have them.
        """
        held: dict[str, Snapshot] = {}
        with ExitStack() as opened:
            for role in dict.fromkeys(t.role for t in targets):
                system = self.of(role)
                mine = [t for t in targets if t.role == role]
                if system is not None:
                    snapshot = system.snapshot(mine)
                    opened.callback(snapshot.close)
                    held |= dict.fromkeys((t.name for t in mine), snapshot)
            yield held

    def __enter__(self) -> Systems:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what was made."""
        with self._lock:
            for system in self._made.values():
                system.close()
            self._made.clear()


def _check_role(url: str, scheme: str, setting: str) -> None:
    if _PLAYS.get(scheme, setting) != setting:
        raise _wrong_role(masked_url(url), setting)


def _wrong_role(address: str, setting: str) -> UsageError:
    return UsageError(
        f"setting {setting!r} names {address}, which holds no {setting}",
        remedy=f"Set {setting} to a system that does: {_EXAMPLES[setting]}",
    )


@cache
def maker_of(scheme: str, setting: str) -> Maker:
    """What makes the system of a URL's scheme."""
    if scheme in _BUILT_IN:
        module, name = _BUILT_IN[scheme].split(":")
        made: Maker = getattr(import_module(module), name)
        return made
    others = {point.name: point for point in entry_points(group=GROUP)}
    if scheme in others:
        loaded: Maker = others[scheme].load()
        return loaded
    raise UsageError(
        f"setting {setting!r} names a system {scheme!r} that is not known",
        remedy=did_you_mean(scheme, [*_BUILT_IN, *others]),
    )
