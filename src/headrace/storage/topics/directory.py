"""A topic's directory: made in one step, opened by its `topic.json`, locked by its writers.

topic.json           name, identity and partitions; never changes
head                 the published end, see head.py
lock                 held by whoever writes
readers.json         who reads, and how far they are
NNNNNNNNNNNN.segment the frames
NNNNNNNNNNNN.index   where they lie; can be made again
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from headrace.storage.durable import make_directory, sync_directory
from headrace.storage.topics import frame
from headrace.storage.topics.checkpoint import begin_segment
from headrace.storage.topics.disk import reading, write_json, writing
from headrace.storage.topics.head import Head, publish_head
from headrace.values.errors import TopicRefused, UsageError, did_you_mean
from headrace.values.points import reach

_ABOUT = "topic.json"
_LOCK, _LOCK_POLL_SECONDS = "lock", 0.001
_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}")


@dataclass(frozen=True)
class About:
    """What a topic is made with, once: `identity` is random hex, another one each time."""

    name: str
    identity: str
    partitions: int


def topic_names(directory: Path) -> list[str]:
    """The topics in `directory`, sorted."""
    return sorted(path.parent.name for path in directory.glob(f"[!.]*/{_ABOUT}"))


def read_about(directory: Path, name: str) -> About:
    """What the topic `name` in `directory` is; TopicRefused when it is missing or unreadable."""
    path = _checked(directory, name) / _ABOUT
    try:
        with reading(path):
            content = json.loads(path.read_bytes())
        written = content["format"]
        about = About(content["name"], content["identity"], content["partitions"])
        # Logs of the first days have none.
        if name != about.name or content.get("checksum", _checksum(about)) != _checksum(about):
            raise ValueError("its checksum is that of other content")
    except FileNotFoundError:
        if any(path.parent.glob("*.segment")):
            raise TopicRefused(
                f"{path} is missing, though the topic's records are beside it",
                remedy="Restore the topic's directory from a backup.",
            ) from None
        raise TopicRefused(
            f'There is no topic "{name}" in {directory}',
            remedy=did_you_mean(name, topic_names(directory)) or "There are no topics here yet.",
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TopicRefused(
            f"{path} is damaged: {error}",
            remedy="Restore the topic's directory from a backup.",
        ) from error
    if written != _FORMAT:
        raise TopicRefused(
            f"{path} has log format {written}, this version reads {_FORMAT}",
            remedy="Use the version of Headrace that wrote it. If it was this one, the file is "
            "damaged: restore the topic's directory from a backup.",
        )
    return about


def make(directory: Path, name: str, partitions: int, arrival_us: int) -> bool:
    """Makes the topic, whole or not at all; False when the name is taken."""
    target = _checked(directory, name)
    if not 1 <= partitions <= 4096:
        raise UsageError(f"A topic has 1 to 4096 partitions, not {partitions}")
    identity = secrets.token_hex(16)
    aside = directory / f".{name}.{identity}"
    with writing(target):
        if target.exists():
            return False
        make_directory(directory)
        aside.mkdir()
        try:
            none = np.zeros(partitions, np.int64)
            size = begin_segment(aside, 0, arrival_us, none, frame.seed_of(identity), b"{}")
            begin = (0,) * partitions
            publish_head(aside, Head(identity, 0, 0, size, arrival_us, begin, begin))
            write_json(
                aside / _ABOUT,
                {
                    "format": _FORMAT,
                    "name": name,
                    "identity": identity,
                    "partitions": partitions,
                    "checksum": _checksum(About(name, identity, partitions)),
                },
            )
            try:
                reach("log.made")
                aside.rename(target)
                reach("log.renamed")
            except OSError:
                if target.exists():
                    return False
                raise
            sync_directory(directory)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return True


@contextmanager
def locked(directory: Path, patience_seconds: float = math.inf) -> Iterator[None]:
    """Holds the topic's lock against other processes; BlockingIOError if it is taken that long."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, patience_seconds)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    at_once = 0 if patience_seconds == math.inf else fcntl.LOCK_NB
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | at_once)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_LOCK_POLL_SECONDS)


def _checksum(about: About) -> str:
    content = f"{about.name}/{about.identity}/{about.partitions}"
    return xxhash.xxh3_64_hexdigest(content.encode())


def _checked(directory: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" cannot name a topic: letters, digits, ".", "_" and "-" may stand in it, '
            "at most 249 of them, not beginning with a point"
        )
    return directory / name
