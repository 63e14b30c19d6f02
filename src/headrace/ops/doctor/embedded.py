"""The embedded parts of an app: its local topics and the state of its jobs."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.ops.owner.lock import FILE_NAME as LOCK
from headrace.ops.owner.lock import announced, try_lock
from headrace.plan.operators import Job
from headrace.storage.contract import Finding
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import FILE_NAME as STATE
from headrace.storage.topics.directory import read_about, topic_names
from headrace.storage.topics.head import read_head
from headrace.values.errors import HeadraceError


def local_topics(data: DataDirectory, declared: Mapping[str, int]) -> list[Finding]:
    """Each topic of `declared` (name to partitions) as it lies in the data directory."""
    return [_topic(data, name, partitions) for name, partitions in declared.items()]


def _topic(data: DataDirectory, name: str, partitions: int) -> Finding:
    subject = f"topic {name}"
    if name not in topic_names(data.topics):
        return Finding("ok", subject, f"is not there yet; it is made with {_count(partitions)}")
    try:
        about = read_about(data.topics, name)
        head = read_head(data.topics / name, about.partitions)
    except HeadraceError as error:
        return Finding("error", subject, error.what, error.remedy)
    except OSError as error:
        return Finding("error", subject, f"{error.filename} cannot be read: {error.strerror}")
    if about.partitions != partitions:
        text = f"has {_count(about.partitions)}, {partitions} are declared"
        remedy = f"Declare {about.partitions} partitions, or use another topic."
        return Finding("error", subject, text, remedy)
    if head is None:
        return Finding("warning", subject, "its head is damaged; the next writer mends it")
    records = sum(head.end) - sum(head.begin)
    return Finding("ok", subject, f"{_count(partitions)}, {records:,} records")


def job_state(data: DataDirectory, job: Job) -> Finding:
    """Whether the job has state here, and which process owns it now."""
    subject, directory = f"job {job.id}", data.job(job.id)
    if not (directory / STATE).exists():
        return Finding("ok", subject, "has no state yet; the first run makes it")
    size = f"its state takes {(directory / STATE).stat().st_size / 1e6:,.1f} MB"
    if not (directory / LOCK).exists():
        return Finding("ok", subject, f"{size}; nobody runs it")
    try:
        # Whoever was killed left its name in the file: only the lock tells.
        lock = try_lock(directory)
    except HeadraceError as error:
        return Finding("error", subject, error.what, error.remedy)
    if lock is None:
        return Finding("ok", subject, f"{size}; held by {announced(directory) or 'a process'}")
    lock.release()
    return Finding("ok", subject, f"{size}; nobody runs it")


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"
