"""A job that runs beside a test: what it says, line by line, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from tests.servers.place import SECONDS_MAX, Place

Line = dict[str, Any]


def until(
    holds: Callable[[], bool],
    what: str,
    seconds_max: float = SECONDS_MAX,
    instead: Callable[[], object] = lambda: "",
) -> None:
    """Waits for `holds`; AssertionError, with what was awaited and came `instead`, without it."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds_max:g} s; {instead()}"
        time.sleep(0.05)


class Live:
    """`headrace run activity` in a process of its own; killed at the end, if it still runs."""

    def __init__(
        self, place: Place, *, data: str = "d", settings: Mapping[str, str] | None = None
    ) -> None:
        self._child = place.start("run", "activity", data=data, settings=settings)
        self.lines: list[Line] = []
        self.words: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Live:
        self.until_said("job_started")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()
        self._reader.join()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def said(self, event: str, **fields: object) -> list[Line]:
        """The log lines of that event whose fields are as given."""
        wanted = {"event": event} | fields
        return [line for line in list(self.lines) if wanted.items() <= line.items()]

    def until_said(self, event: str, times: int = 1, **fields: object) -> Line:
        """Waits until the job has said that so often; the line."""

        def heard() -> bool:
            found = len(self.said(event, **fields)) >= times
            assert found or self.running, f"the job ended: {self.words}"
            return found

        until(heard, f"{event} {fields}", instead=lambda: self.lines[-8:])
        return self.said(event, **fields)[times - 1]

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def ended(self, code: int, seconds_max: float = SECONDS_MAX) -> str:
        """Waits for the end; what was said to the user. It ended with `code`, without a trace."""
        assert self._child.wait(seconds_max) == code, f"{self._child.returncode}: {self.words}"
        self._reader.join()
        said = "\n".join(self.words)
        assert "Traceback" not in said, said
        return said

    def stop(self, code: int = 0) -> str:
        """Ctrl-C, once."""
        self.send(signal.SIGINT)
        return self.ended(code)

    def _read(self) -> None:
        assert self._child.stderr is not None
        for text in self._child.stderr:
            if text.startswith("{"):
                self.lines.append(json.loads(text))
            else:
                self.words.append(text.rstrip("\n"))
