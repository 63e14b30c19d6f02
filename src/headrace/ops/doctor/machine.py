"""The machine: versions, the data directory and its disk, open files, memory."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path

import duckdb

from headrace.storage.contract import Finding
from headrace.storage.layout import can_be_named
from headrace.values.settings import Settings, memory_bytes

_FREE_BYTES_MIN, _FREE_BYTES_LOW = 200_000_000, 2_000_000_000
_FILES_MIN, _FILES_WANTED = 1024, 4096
# Arrow, Python and the connectors' buffers need room beside the engine.
_ENGINE_SHARE_MAX = 0.75
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine(settings: Settings) -> Iterator[Finding]:
    """Findings about where Headrace runs."""
    yield _versions()
    yield from data_directory(settings.data)
    yield _open_files(resource.getrlimit(resource.RLIMIT_NOFILE))
    yield memory(settings.memory_limit, _memory_bytes())


def _versions() -> Finding:
    python, duck = platform.python_version(), duckdb.__version__
    text = f"Headrace {version_of('headrace')}, Python {python}, DuckDB {duck}"
    return Finding("ok", "versions", text)


def data_directory(data: Path) -> Iterator[Finding]:
    """Whether `data` can be written, or made, and how much room its disk has."""
    subject, elsewhere = "data directory", "choose another: --data DIR"
    if not can_be_named(data):
        text = f"{str(data)!r} cannot be written as UTF-8 here"
        yield Finding("error", subject, text, f"Use a locale of UTF-8, or {elsewhere}")
        return
    place = data.absolute()
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        # A file without a name: also a full disk, a quota, a read-only mount refuse it.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * 4096)
            file.flush()
        free = shutil.disk_usage(place).free
    except OSError as error:
        text = f"{data} cannot be written: {os.strerror(error.errno or 0)}"
        yield Finding("error", subject, text, f"Make it a directory you may write, or {elsewhere}")
        return
    there = "can be written" if data.exists() else "is not there yet; the first run makes it"
    yield Finding("ok", subject, f"{data} {there}")
    yield room(data, free)


def room(data: Path, free_bytes: int) -> Finding:
    """What `free_bytes` on the disk of `data` mean."""
    text = f"{_amount(free_bytes)} are free"
    if free_bytes >= _FREE_BYTES_LOW:
        return Finding("ok", "disk", text)
    level, words = ("error", "too little") if free_bytes < _FREE_BYTES_MIN else ("warning", "low")
    remedy = f"See what takes it: du -xhd 2 {data}"
    return Finding(level, "disk", f"{text}: {words}", remedy)  # type: ignore[arg-type]


def _open_files(limits: tuple[int, int]) -> Finding:
    soft, hard = limits
    if soft == resource.RLIM_INFINITY:
        return Finding("ok", "open files", "as many as wanted")
    if soft >= _FILES_MIN:
        return Finding("ok", "open files", f"{soft:,} at most")
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    text = f"{soft:,} at most; many topics and views need more"
    return Finding("warning", "open files", text, f"ulimit -n {wanted}")


def memory(limit: str, bytes_there: int) -> Finding:
    """Whether the engine's `limit` ("1GB") leaves room in a machine with `bytes_there`."""
    text = f"{_amount(bytes_there)}; memory_limit is {limit}"
    if memory_bytes(limit) <= bytes_there * _ENGINE_SHARE_MAX:
        return Finding("ok", "memory", text)
    fitting = max(64, int(bytes_there / 2 / 1e6))
    return Finding("warning", "memory", text, f"export HEADRACE_MEMORY_LIMIT={fitting}MB")


def _memory_bytes() -> int:
    """What this process may use: the machine's memory, or its container's where that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # not in a container, or it says "max"
    return min(found)


def _amount(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
