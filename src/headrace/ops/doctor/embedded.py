"""The embedded parts of an app: its local topics and the state of its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.ops.owner.lock import FILE_NAME as LOCK
from headrace.ops.owner.lock import announced, try_lock
from headrace.plan.operators import Job, Source
from headrace.storage.contract import Finding
from headrace.storage.layout import DataDirectory
from headrace.storage.state.peek import peek
from headrace.storage.state.store import FILE_NAME as STATE
from headrace.storage.topics.directory import read_about, topic_names
from headrace.storage.topics.head import read_head
from headrace.storage.topics.log import LocalTopic, now_us
from headrace.storage.topics.writer import DEFAULT_LIMITS
from headrace.values.clock import instant_text
from headrace.values.errors import HeadraceError

# Partitions are never quite level: what is less than this apart is no trouble.
_BEHIND_US_MAX = 3_600_000_000
_IDLE = "10 minutes"


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


def readable(data: DataDirectory, topic: str) -> LocalTopic | None:
    """The topic, to be read and nothing else: what a crash left is not mended."""
    if topic not in topic_names(data.topics):
        return None
    about = read_about(data.topics, topic)
    if read_head(data.topics / topic, about.partitions) is None:
        return None
    return LocalTopic(data.topics, about, DEFAULT_LIMITS, now_us)


def job_state(data: DataDirectory, job: Job) -> list[Finding]:
    """Whether the job has state here that can be used, and which process owns it now."""
    subject, directory = f"job {job.id}", data.job(job.id)
    if not (directory / STATE).exists():
        return [Finding("ok", subject, "has no state yet; the first run makes it")]
    size = f"its state takes {(directory / STATE).stat().st_size / 1e6:,.1f} MB"
    try:
        # Whoever was killed left its name in the file: only the lock tells.
        lock = try_lock(directory) if (directory / LOCK).exists() else None
    except HeadraceError as error:
        return [Finding("error", subject, error.what, error.remedy)]
    if lock is None and (directory / LOCK).exists():
        holder = announced(directory) or "a process"
        return [Finding("ok", subject, f"{size}; held by {holder}")]
    try:
        peeked = peek(directory)
    except HeadraceError as error:
        return [Finding("error", subject, error.what, error.remedy)]
    finally:
        if lock is not None:
            lock.release()
    # Without windows nothing waits for the watermark.
    waiting = {v.topic for v in job.views if v.window is not None}
    behind = [
        finding
        for source in job.sources
        if source.topic in waiting
        for finding in _behind(source, peeked.greatest_us.get(source.topic, {}))
    ]
    return [Finding("ok", subject, f"{size}; nobody runs it"), *behind]


def _behind(source: Source, greatest_us: Mapping[int, int]) -> Iterator[Finding]:
    """The partition that holds the source's watermark far behind what the others have seen."""
    if not greatest_us or source.idle_timeout_us is not None:
        return
    partition = min(greatest_us, key=lambda p: greatest_us[p])
    last, front = greatest_us[partition], max(greatest_us.values())
    if front - last <= max(_BEHIND_US_MAX, source.lateness_us):
        return
    text = (
        f"partition {partition} holds the others back: its last event is of {instant_text(last)}, "
        f"theirs go up to {instant_text(front)}; windows close only up to there"
    )
    remedy = f'Let a silent partition hold nobody back: app.source(…, idle_timeout="{_IDLE}")'
    yield Finding("warning", f"topic {source.topic}", text, remedy)


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"
