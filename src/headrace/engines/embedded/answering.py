"""A job opened only to be asked, while what it reads, or gives its rows to, does not answer.

Its state is whole without them: what was committed is shown, nothing is read, delivered or fenced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import TABLE_ROLES, Job, Source
from headrace.storage.contract import Topic
from headrace.values.errors import Unreachable
from headrace.values.settings import Settings
from headrace.values.telemetry import Event


class Answering(JobRunner):
    """The state of a job; `silence` says why the rest is not there.

    Entering raises `error` where the state alone does not say enough: before the job was ever
    opened, and while tables have moved and are not filled.
    """

    def __init__(
        self,
        job: Job,
        settings: Settings,
        error: Unreachable,
        tell: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(job, settings, tell=tell)
        self._error, self.silence = error, error.what

    def _open(self) -> None:
        topics = {s.topic: _absent(s, self._error) for s in self.job.sources}
        elsewhere = [role for role in TABLE_ROLES if self.systems.elsewhere(role)]
        self.engine = JobEngine(self.job, self.store, topics, self.settings.threads, elsewhere)
        if self.engine.arriving:
            raise self._error
        self.engine.open(checked=False, adopting=False)


def _absent(source: Source, error: Unreachable) -> Topic:
    return _Absent(source, error)


class _Absent:
    """A topic that does not answer."""

    identity = ""
    arrival_fixed = False

    def __init__(self, source: Source, error: Unreachable) -> None:
        self.name, self.partitions, self._error = source.topic, source.partitions, error

    def _silent(self, *_: object, **__: object) -> NoReturn:
        raise self._error

    begin_offsets = end_offsets = offset_at = grown = grow = fetch = wait = _silent
    register_reader = _silent

    def close(self) -> None:
        """Nothing is open."""
