"""A server in processes of its own: started, killed, paused, and started again on its data."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil

from tests.servers import guard
from tests.servers.ports import free_port

LOG_LINES_SHOWN = 30
STOP_SECONDS_MAX = 60.0


class ServerFailed(Exception):
    """A server did not do what it was told; the text ends with the end of its log."""


class Server(ABC):
    """One server on 127.0.0.1:`port`, all its files in `directory`.

    It keeps its data and its port for as long as `directory` is there, through any number of
    kills and starts. What a kind of server adds: how its data are made, its command, its signal to
    stop, and how to see that it answers.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds_max: ClassVar[float] = 60.0

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused: list[psutil.Process] = []

    @abstractmethod
    def make_data(self, into: Path) -> None:
        """Make an empty data directory."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client is served, found out within about a second."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def user(self) -> str | None:
        """The user to run as; None for the one that runs the tests."""
        return None

    @property
    def running(self) -> bool:
        """Whether the process lives, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        """Start on the data that are there, or on new ones; with `wait`, return when it answers.

        Raises ServerFailed with the end of the log.
        """
        if self.running:
            raise ServerFailed(f"{self.name} runs already")
        if not self.data.exists():
            part = self.directory / "data.part"  # an interrupted beginning is never taken for data
            shutil.rmtree(part, ignore_errors=True)
            self.make_data(part)
            part.rename(self.data)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, start_new_session=True, **self._options()
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Return as soon as clients are served. Raises ServerFailed, after ending the server."""
        deadline = time.monotonic() + self.start_seconds_max
        while not self.answers():
            if not self.running:
                raise self._failed("ended while it started")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failed(f"did not answer within {self.start_seconds_max:g} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """End in the server's own way; nothing if it is not running. Raises ServerFailed."""
        if not self.running:
            return
        assert self._process is not None
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(f"did not stop within {STOP_SECONDS_MAX:g} s") from None

    def kill(self) -> None:
        """SIGKILL to all its processes at one moment: nothing is flushed, nobody is told."""
        if not self.running:
            return
        assert self._process is not None
        processes = self._suspended()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        while any(_lives(process) for process in processes):
            time.sleep(0.002)
        self._paused = []

    def pause(self) -> None:
        """SIGSTOP to all its processes: connections stay open, nothing answers."""
        self._paused = self._suspended()

    def resume(self) -> None:
        """SIGCONT to all that `pause` stopped; it may take a moment until clients are served."""
        for process in reversed(self._paused):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._paused = []

    def restart(self) -> None:
        """Stop if it runs, and start on the same data and port."""
        self.stop()
        self.start()

    def back_up(self) -> Path:
        """A copy of the data of a stopped server, to `restore` later."""
        copy = Path(tempfile.mkdtemp(prefix="backup-", dir=self.directory)) / "data"
        self._copy(self.data, copy)
        return copy

    def restore(self, backup: Path) -> None:
        """Put the data of a stopped server back to what they were at `back_up`."""
        shutil.rmtree(self.data)
        self._copy(backup, self.data)

    def processes(self) -> list[psutil.Process]:
        """All that runs in this server's directory."""
        return guard.processes_in(self.directory)

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def run(self, command: Sequence[str]) -> None:
        """Run one of the server's own tools to its end. Raises ServerFailed."""
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, stdout=log, stderr=log, timeout=self.start_seconds_max, **self._options()
            )
        if done.returncode != 0:
            raise self._failed(f"could not run {Path(command[0]).name} (code {done.returncode})")

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "cwd": self.directory,
            "stdin": subprocess.DEVNULL,
            "env": self.environment(),
        }
        if user := self.user():
            options |= {"user": user, "group": user_group(user), "extra_groups": []}
        return options

    def _suspended(self) -> list[psutil.Process]:
        """The first process and all its descendants, stopped; parents before their children."""
        if not self.running:
            raise self._failed("is not running")
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        first.suspend()
        _wait_until_stopped(first)
        stopped = [first]
        while new := [p for p in first.children(recursive=True) if p not in stopped]:
            for process in new:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
                    _wait_until_stopped(process)
            stopped += new
        return stopped

    def _copy(self, source: Path, target: Path) -> None:
        if self.running:
            raise ServerFailed(f"{self.name} is running: stop or kill it first")
        subprocess.run(["cp", "-a", str(source), str(target)], check=True)

    def _failed(self, what: str) -> ServerFailed:
        return ServerFailed(f"{self.name} {what}; the end of its log:\n{self.log_tail()}")


def _wait_until_stopped(process: psutil.Process) -> None:
    """SIGSTOP is on its way for a moment: until then a process may still answer, or fork."""
    while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
        time.sleep(0.001)


def _lives(process: psutil.Process) -> bool:
    """False also for one that has ended and whose parent has not asked for its code yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def user_group(user: str) -> int:
    """The number of the group that `user` belongs to first."""
    return pwd.getpwnam(user).pw_gid


@contextlib.contextmanager
def temporary_directory(name: str) -> Iterator[Path]:
    """A directory for one server; at the end what runs there is killed, and it is removed."""
    directory = Path(tempfile.mkdtemp(prefix=f"headrace-{name}-")).resolve()
    guard.watch(directory)
    try:
        yield directory
    finally:
        guard.end_processes_in(directory)
        shutil.rmtree(directory)
        guard.forget(directory)
