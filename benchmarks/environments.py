"""Environments for what is not Headrace's own: one for each peer, made once and kept outside.

Each is a virtual environment of exactly what its file of pinned packages names, below
`$XDG_CACHE_HOME/headrace/peers`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers.cached import cache_directory, made_once
from tests.servers.jars import fetched, short_hash
from tests.servers.missing import Missing

_INSTALL_SECONDS_MAX = 900


def python_of(packages: Path) -> Path:
    """The Python of the environment with the packages of this file. Raises Missing."""
    name = f"{packages.stem}-{short_hash(packages.read_bytes() + sys.version.encode())}"
    home = made_once(cache_directory("peers") / name, lambda part: _make(part, packages))
    return home / "bin" / "python"


def jars_of(pom: Path) -> Path:
    """The directory with the jars of this pom. Raises Missing."""
    return fetched(cache_directory("peers"), pom)


def _make(part: Path, packages: Path) -> None:
    _run(packages, [sys.executable, "-m", "venv", str(part)])
    install = ["install", "--quiet", "--no-input", "--requirement", str(packages)]
    _run(packages, [str(part / "bin" / "python"), "-m", "pip", *install])


def _run(packages: Path, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        raise Missing(
            f"{packages.name} was not installed in {_INSTALL_SECONDS_MAX} s: is there a network?"
        ) from None
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()[-1:] or ["no reason was given"]
        raise Missing(f"{packages.name} could not be installed: {told[0]}")
