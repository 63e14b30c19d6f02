"""Readers of local topics that may never come back: retention takes nothing that they have not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from headrace.ops.owner.lock import FILE_NAME as LOCK
from headrace.ops.owner.lock import try_lock
from headrace.storage.contract import Finding
from headrace.storage.layout import DataDirectory
from headrace.storage.state.store import FILE_NAME as STATE
from headrace.storage.topics.directory import read_about, topic_names
from headrace.storage.topics.head import read_head
from headrace.storage.topics.readers import held_back, load_readers
from headrace.values.errors import HeadraceError


def left_readers(
    data: DataDirectory,
    topics: Collection[str],
    jobs: Mapping[str, Collection[str]],
    *,
    retains: bool,
) -> Iterator[Finding]:
    """Readers that seem to be left behind: all of the app's own `topics`, its `jobs` elsewhere.

    `jobs` say what each reads. Where nothing `retains` records, those alone whose job has no
    state: the others harm nobody.
    """
    for name in topic_names(data.topics):
        try:
            for reader, finding in _left(data, name, jobs, retains):
                if name in topics or reader in jobs:
                    yield finding
        except HeadraceError as error:
            if name in topics:
                yield Finding("error", f"topic {name}", error.what, error.remedy)
        except OSError:
            continue  # said of the topic itself


def _left(
    data: DataDirectory, topic: str, jobs: Mapping[str, Collection[str]], retains: bool
) -> Iterator[tuple[str, Finding]]:
    """Each reader that seems to be left behind, with what is to be said of it."""
    directory = data.topics / topic
    head = read_head(directory, read_about(data.topics, topic).partitions)
    readers = load_readers(directory)
    if head is None:
        return
    # A job of the app that has no state yet is about to read.
    gone = {r for r in readers if r not in jobs and not (data.job(r) / STATE).exists()}
    forget = f"headrace state forget-reader APP {topic}"
    for reader, offsets in readers.items():
        others = [o for r, o in readers.items() if r != reader and r not in gone]
        held = held_back(offsets, others, head.begin, head.end)
        kept = f"retention leaves it {_records(held)} that no other reader needs"
        if reader in gone:
            text = f"job {reader} has no state here and counts as a reader all the same: {kept}"
            remedy = f"Unless it comes back: {forget} {reader}"
        elif retains and held and topic not in jobs.get(reader, (topic,)):
            text = f"job {reader} no longer reads it and counts as a reader all the same: {kept}"
            remedy = f"Unless the app is given that source again: {forget} {reader}"
        elif retains and held and reader not in jobs and not _runs(data, reader):
            text = f"job {reader} is none of this app, and nobody runs it: {kept}"
            remedy = (
                f"Run its app. If there is none any more, move {data.job(reader)} away, and let "
                f"retention pass: {forget} {reader}"
            )
        else:
            continue
        yield reader, Finding("warning", f"topic {topic}", text, remedy)


def _runs(data: DataDirectory, job: str) -> bool:
    """Whether a process has the job, as far as can be seen."""
    if not (data.job(job) / LOCK).exists():
        return False
    try:
        lock = try_lock(data.job(job))
    except HeadraceError:
        return True
    if lock is not None:
        lock.release()
    return lock is None


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"
