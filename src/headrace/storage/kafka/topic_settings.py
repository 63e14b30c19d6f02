"""What the settings of a topic mean for who reads or writes it, and the commands that mend them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.storage.contract import Finding

_RETENTION_MS_MIN = 24 * 3_600_000
_HOUR_MS = 3_600_000


def change(servers: str, topic: str, setting: str, value: object) -> str:
    """The command that gives a setting of a topic another value."""
    return (
        f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {setting}={value}"
    )


def compacts(settings: Mapping[str, str]) -> bool:
    """Whether of records with one key all but the last vanish; it takes none without a key."""
    return "compact" in settings.get("cleanup.policy", "")


def of_reading(servers: str, topic: str, settings: Mapping[str, str]) -> Iterator[Finding]:
    """What may take records from a source before they are read."""
    subject, policy = f"topic {topic}", settings.get("cleanup.policy", "delete")
    if compacts(settings):
        text = (
            f"has cleanup.policy={policy}: of records with one key all but the last vanish, "
            "also such as were not read yet"
        )
        yield Finding("warning", subject, text, change(servers, topic, "cleanup.policy", "delete"))
    kept_ms = int(settings.get("retention.ms", -1))
    if "delete" in policy and 0 <= kept_ms < _RETENTION_MS_MIN:
        text = (
            f"keeps records for {kept_ms / _HOUR_MS:.3g} hours: a job that stands still for longer "
            "loses what it has not read"
        )
        yield Finding(
            "warning", subject, text, change(servers, topic, "retention.ms", 7 * _RETENTION_MS_MIN)
        )


def of_writing(
    servers: str, topic: str, settings: Mapping[str, str], replicas: int, *, keyed: bool
) -> Iterator[Finding]:
    """What keeps deliveries from landing, or rows of them; where all are `keyed` fewer."""
    subject = f"topic {topic}"
    wanted = int(settings.get("min.insync.replicas", 1))
    if wanted > replicas:
        text = f"has {replicas} replicas and min.insync.replicas={wanted}: no delivery can land"
        mend = change(servers, topic, "min.insync.replicas", max(1, replicas - 1))
        yield Finding("error", subject, text, mend)
    if compacts(settings) and not keyed:
        text = (
            f"has cleanup.policy={settings['cleanup.policy']}: it refuses rows without a key, and "
            "of those with one key all but the last vanish"
        )
        mend = change(servers, topic, "cleanup.policy", "delete")
        yield Finding("warning", subject, text, mend)


def of_safety(
    servers: str, topic: str, settings: Mapping[str, str], replicas: int, brokers: int
) -> Iterator[Finding]:
    """What may lose records that were acknowledged; one broker alone can do no better."""
    subject = f"topic {topic}"
    if settings.get("unclean.leader.election.enable") == "true":
        text = (
            "has unclean.leader.election.enable=true: a replica that lacks records may become "
            "the leader, and they are gone"
        )
        mend = change(servers, topic, "unclean.leader.election.enable", "false")
        yield Finding("warning", subject, text, mend)
    if brokers == 1:
        return
    if replicas == 1:
        text = f"has one replica, though there are {brokers} brokers: a lost disk loses it"
        mend = (
            "Add replicas: kafka-reassign-partitions.sh "
            f"--bootstrap-server {servers} --reassignment-json-file FILE --execute"
        )
        yield Finding("warning", subject, text, mend)
    elif replicas > 2 and settings.get("min.insync.replicas") == "1":
        text = (
            f"has {replicas} replicas and min.insync.replicas=1: what one broker alone has "
            "counts as written"
        )
        yield Finding("warning", subject, text, change(servers, topic, "min.insync.replicas", 2))
