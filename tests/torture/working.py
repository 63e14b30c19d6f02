"""Which threads of this process did the work of a stage of a job, by their CPU time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.values.stages import Stages

_TASKS = Path("/proc/self/task")


class Working(Stages):
    """Also adds up, by stage, what each thread of the process worked while the stage was open.

    `helped` is what others than the stage's own thread did of it, as a share of all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._worked: dict[str, Counter[int]] = {}

    @contextmanager
    def spent(self, thread: str, stage: str) -> Iterator[None]:
        before = _worked_ns()
        with super().spent(thread, stage):
            yield
        self._worked.setdefault(stage, Counter()).update(_worked_ns() - before)

    def helped(self, stage: str) -> float:
        worked = self._worked[stage]
        return 1 - worked[threading.get_native_id()] / worked.total()


def _worked_ns() -> Counter[int]:
    """The CPU time of every thread so far, but for the allocator's, which only tidies up."""
    found: Counter[int] = Counter()
    for task in _TASKS.iterdir():
        try:
            if not (task / "comm").read_text().startswith("jemalloc"):
                found[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
