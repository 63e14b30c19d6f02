"""The app as users see it: the definition, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headrace.language.definition import Definition

# All else is loaded by whoever binds, runs or asks an app: defining one must stay quick.
if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.ops.ingest.generator import GeneratorFactory
    from headrace.ops.jobs.running import RunningApp
    from headrace.plan.operators import Plan
    from headrace.proof.report import Verification
    from headrace.values.settings import Settings
    from headrace.values.telemetry import Listener


class App(Definition):
    """An application: typed sources, views and destinations under one name.

    `data` (a directory) and `profile` (a table `[profile.NAME]` of `headrace.toml`) mean what they
    mean on the command line. `generator` makes events for `headrace simulate` (see
    `headrace.ops.ingest.generator`).
    """

    generator: GeneratorFactory | None = None
    _bound: tuple[int, Plan] | None = None

    @property
    def plan(self) -> Plan:
        """The bound plan of what is defined so far; DefinitionError where that is wrong."""
        # A definition only grows.
        size = sum(len(job.sources) + len(job.outputs) for job in self.jobs)
        if self._bound is None or self._bound[0] != size:
            from headrace.plan.build import build

            self._bound = (size, build(self))
        return self._bound[1]

    def run(
        self,
        *,
        until: Literal["caught-up"] | None = None,
        data: str | Path | None = None,
        profile: str | None = None,
        job: str | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Runs every job (or `job`) live, until interrupted or until all that is there is read.

        Raises DestinationDown when a destination did not take what was committed.
        """
        from headrace.ops.jobs.running import run_app

        run_app(self.plan, _settings(data, profile), until=until, only=job, listener=listener)

    @contextmanager
    def start(
        self,
        *,
        data: str | Path | None = None,
        profile: str | None = None,
        listener: Listener | None = None,
    ) -> Iterator[RunningApp]:
        """Runs every job in the background; use as a context manager, which stops them."""
        from headrace.ops.jobs.running import start_app

        with start_app(self.plan, _settings(data, profile), listener=listener) as running:
            yield running

    def query(
        self,
        sql: str,
        *,
        data: str | Path | None = None,
        profile: str | None = None,
        job: str | None = None,
    ) -> pa.Table:
        """The rows of one SELECT over tables, `lake.<name>`, `topic.<name>`, the sums.

        Works whether the job runs (in any process) or not.
        """
        from headrace.ops.jobs.ask import ask_query

        return ask_query(self.plan, _settings(data, profile), sql, job)

    def verify(
        self,
        *,
        data: str | Path | None = None,
        profile: str | None = None,
        job: str | None = None,
    ) -> tuple[Verification, ...]:
        """Proves every job (or `job`): what is served against a batch over the same events."""
        from headrace.ops.jobs.ask import ask_verify

        return ask_verify(self.plan, _settings(data, profile), job)


def _settings(data: str | Path | None, profile: str | None) -> Settings:
    from headrace.values.settings import load_settings

    overrides: dict[str, Any] = {} if data is None else {"data": Path(data)}
    return load_settings(profile=profile, overrides=overrides)
