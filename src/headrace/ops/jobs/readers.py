"""Forgets a reader of a local topic that reads it no more, so that retention passes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.ops.jobs.ask import existing_data
from headrace.ops.owner import Client, HolderGone, reach_or_acquire
from headrace.plan.operators import Job, Plan
from headrace.storage.state.store import FILE_NAME
from headrace.storage.systems import Systems
from headrace.storage.topics.directory import topic_names
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.readers import held_back
from headrace.values.errors import StateRefused, UsageError, did_you_mean
from headrace.values.settings import Settings


@dataclass(frozen=True)
class Forgotten:
    """A reader that is forgotten: where it was to read on, by partition.

    `freed` counts the records that no other reader of the topic needs.
    """

    topic: str
    reader: str
    offsets: list[int]
    freed: int


def forget_reader(plan: Plan, settings: Settings, topic: str, reader: str) -> Forgotten:
    """Lets retention pass `reader`, a job's id, in a `topic` of the app, or that it had before.

    UsageError for what is not there and for topics elsewhere. StateRefused where the job reads it
    still, or has state in the data directory and is none of the app's: it would miss what
    retention takes.
    """
    data = existing_data(settings)
    jobs = {job.id: job for job in plan.jobs}
    names = {name for job in plan.jobs for name in job.topics}
    if reader in jobs:
        # Its app may have had it before.
        names |= set(topic_names(data.topics))
    if topic not in names:
        raise UsageError(
            f"{plan.app} has no topic {topic!r}", remedy=did_you_mean(topic, sorted(names))
        )
    with Systems(settings) as systems:
        system = systems.topics()
        if system is not None:
            raise UsageError(
                f"topic {topic} is at {system.address}, which asks no reader before it lets "
                "records go"
            )
    log = LocalTopic.open(data.topics, topic)
    readers = log.readers()
    if reader not in readers:
        raise UsageError(
            f"topic {topic} has no reader {reader!r}",
            remedy=did_you_mean(reader, sorted(readers)) or "It has no readers.",
        )
    directory = data.job(reader)
    known = (directory / FILE_NAME).exists()
    if known and (reader not in jobs or _reads(jobs[reader], directory, topic)):
        raise StateRefused(
            f"job {reader} has state in {directory} and reads on behind it: once forgotten, it "
            "would miss what retention takes",
            remedy=f"Run it on. If its app no longer reads {topic}, run it so and name that app "
            f"here. If it is gone for good, move {directory} away first.",
        )
    offsets = readers.pop(reader)
    freed = held_back(offsets, readers.values(), log.begin_offsets(), log.end_offsets())
    log.forget_reader(reader)
    return Forgotten(topic, reader, offsets, freed)


def _reads(job: Job, directory: Path, topic: str) -> bool:
    """Whether a job reads `topic`: by the app that it runs with, else by this one."""
    while True:
        with reach_or_acquire(directory, "forget-reader") as reached:
            if not isinstance(reached, Client):
                return any(source.topic == topic for source in job.sources)
            try:
                status = reached.call("status", {}, lambda told: None).header
            except HolderGone:
                continue
            return any(source["topic"] == topic for source in status["sources"])
