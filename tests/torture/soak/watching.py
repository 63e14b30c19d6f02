"""What a run holds, seen from outside: memory, threads, open files, files and bytes on disk."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.storage.lake.compaction import SMALL_ROWS

OF_PROCESS = ("memory MiB", "threads", "open files")
_MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """What there was `seconds` after the begin; `life` is the number of the process that ran.

    `recomputing`: whether that was computing something again, which may take the engine's memory.
    """

    seconds: float
    life: int
    recomputing: bool
    values: Mapping[str, float]


@dataclass
class Watch:
    """Samples of a data directory and of the process that runs in it."""

    data: Path
    begun: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    _full: dict[str, bool] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def killed(self) -> None:
        """Notes when."""
        self.kills.append(self.seconds)

    def look(self, pid: int | None, life: int, recomputing: bool) -> None:
        """Takes a sample; what is gone meanwhile is left out."""
        values = dict(self._on_disk())
        if pid is not None:
            values |= _of_process(pid)
        self.samples.append(Sample(self.seconds, life, recomputing, values))

    def _on_disk(self) -> Mapping[str, float]:
        # The log of the state is gone for a moment when it has gone into its file.
        found: Counter[str] = Counter({"state log MiB": 0})
        for path, size in _files(self.data):
            part, _, rest = path.removeprefix(f"{self.data}/").partition("/")
            if part == "lakes":
                if self._is_full(path):
                    found["full lake files"] += 1
                else:
                    found["lake files"] += 1
                    found["lake MiB"] += size
            elif part == "topics":
                kind = "log" if rest.startswith("user_activity/") else "output topic"
                found[f"{kind} files"] += 1
                found[f"{kind} MiB"] += size
            elif part == "jobs" and "/spill/" in rest:
                found["spill MiB"] += size
            elif part == "jobs":
                found["state files"] += 1
                # It fills up and goes into the state's file, over and over.
                found["state log MiB" if path.endswith(".wal") else "state MiB"] += size
        return {n: v / _MIB if n.endswith("MiB") else float(v) for n, v in found.items()}

    def _is_full(self, path: str) -> bool:
        """Whether it is a data file with as many rows as files get: these are never joined."""
        if not path.endswith(".parquet") or "/_delta_log/" in path:
            return False
        if path not in self._full:
            try:
                self._full[path] = pq.read_metadata(path).num_rows >= SMALL_ROWS
            except (OSError, pa.ArrowException):
                # Not yet whole, or gone already.
                return False
        return self._full[path]


def _files(directory: Path) -> Iterator[tuple[str, int]]:
    for root, _, names in os.walk(directory):
        for name in names:
            path = f"{root}/{name}"
            try:
                yield path, Path(path).lstat().st_size
            except FileNotFoundError:
                continue


def _of_process(pid: int) -> dict[str, float]:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory = process.memory_info()
            # The log is read through mapped files: the kernel takes those pages back at will.
            own = memory.rss - getattr(memory, "shared", 0)
            return {
                "memory MiB": own / _MIB,
                "open files": process.num_fds(),
                "threads": process.num_threads(),
            }
    except psutil.NoSuchProcess:
        return {}
