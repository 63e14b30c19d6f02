"""What was measured, on which machine: the page says so."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import disk
from benchmarks.cores import usable
from benchmarks.peers.known import PEERS
from benchmarks.sizes import ROOT
from tests.servers import jars, postgres
from tests.servers.missing import Missing

_PACKAGES = ("headrace", "duckdb", "pyarrow", "numpy", "deltalake", "confluent-kafka", "psycopg")
_KAFKA = re.compile(r"<artifactId>kafka[^<]*</artifactId>\s*<version>([^<]+)<")


@dataclass(frozen=True)
class About:
    """Machine, commit and versions, each in a line."""

    machine: str
    commit: str
    ours: str
    others: str
    disk: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Took:
    """What measuring took; 0 GB where nobody looked."""

    minutes: float
    disk_gb: float = 0.0


def about(directory: Path) -> About:
    """As it is now: to be asked before anything is measured, which is below `directory`."""
    text = f"{len(usable())} cores of {os.cpu_count()} ({_processor()})"
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    release = platform.release().partition("-")[0]
    text += f", {pages * size / 2**30:.0f} GiB, {platform.system()} {release}"
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    ours = ", ".join([f"Python {platform.python_version()}", *packages])
    return About(text, commit(ROOT), ours, ", ".join(_others()), disk.told(directory))


def commit(root: Path) -> str:
    """The commit of the working tree, and whether there are changes besides."""
    found = _git(root, "rev-parse", "--short", "HEAD")
    if not found:
        return "no commit is known"
    return f"{found} and changes" if _git(root, "status", "--porcelain") else found


def _git(root: Path, *command: str) -> str:
    try:
        told = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True)
    except OSError:
        return ""
    return told.stdout.strip()


def _others() -> Iterator[str]:
    """Peers and servers, each as it is pinned or found."""
    for name, peer in PEERS.items():
        pins = (ROOT / "benchmarks" / "peers" / f"{name}.txt").read_text()
        pinned = re.search(rf"^{re.escape(peer.package)}==(\S+)$", pins, re.MULTILINE)
        assert pinned is not None, peer.package
        yield f"{peer.package} {pinned[1]}"
    if found := _KAFKA.search(jars.POM.read_text()):
        yield f"Kafka {found[1]}"
    try:
        yield f"Java {_java()}"
        yield f"PostgreSQL {_postgres()}"
    except Missing as missing:
        yield str(missing)


def _java() -> str:
    told = re.search(r'version "([^"]+)"', jars.java_version(jars.java()))
    return told[1] if told else "of no known version"


def _postgres() -> str:
    command = [str(postgres.programs() / "postgres"), "--version"]
    told = subprocess.run(command, capture_output=True, text=True).stdout
    return told.removeprefix("postgres (PostgreSQL)").strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
