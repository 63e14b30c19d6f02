"""What `run` shows while it runs: a line per view on a terminal, else structured log lines."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.cli.session import session
from headrace.cli.stages import stages_text
from headrace.cli.tables import WHOLE, down_lines, nulls_lines, plural, text_table
from headrace.cli.telling import text_of
from headrace.ops.jobs.running import RunningApp
from headrace.values.stages import StageTime
from headrace.values.telemetry import (
    Event,
    JobProgress,
    JobStopped,
    JsonLines,
    PartitionsAdded,
    log_event,
)

if TYPE_CHECKING:
    from rich.live import Live

_LOOK_SECONDS = 0.5
_LOG_SECONDS = 10.0
_HOW_TO_STOP = "Ctrl-C stops in order"
_HEAD = ("view", "events/s", "applied", "late", "lag", "dead", "watermark")


class Watch:
    """Follows running jobs; a context manager around all of the run."""

    def __init__(self, *, stages: bool = False) -> None:
        """`stages`: the summary says where the time went."""
        self._stages = stages
        self._on_terminal = sys.stderr.isatty() and not session.debug and not session.as_json
        self._display: Live | None = None
        self._looked_at: float | None = None
        self._accepted: dict[tuple[str, str], int] = {}
        self._grown: dict[str, int] = {}
        self._stopped: dict[str, JobStopped] = {}
        # Jobs tell from their own threads; what is said of one after its end would mislead.
        self._logging = threading.Lock()

    def __enter__(self) -> Watch:
        if self._on_terminal:
            from rich.console import Console
            from rich.live import Live

            self._display = Live(
                console=Console(stderr=True), auto_refresh=False, transient=True
            ).__enter__()
        else:
            _log_as_json()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._display is not None:
            self._display.__exit__(kind, error, trace)

    def tell(self, event: Event) -> None:
        """Takes the telemetry of the jobs."""
        if isinstance(event, PartitionsAdded):
            self._grown[event.topic] = event.partitions
        elif isinstance(event, JobStopped):
            with self._logging:
                self._stopped[event.job] = event
        if not self._on_terminal:
            with self._logging:
                log_event(event)
        elif self._display is not None and (text := text_of(event)) is not None:
            self._display.console.print(text, highlight=False)

    def look(self, running: RunningApp) -> None:
        """Looks at the jobs, when it is time to, and shows or logs what is there."""
        now = time.monotonic()
        seconds = None if self._looked_at is None else now - self._looked_at
        if seconds is not None and seconds < (_LOOK_SECONDS if self._display else _LOG_SECONDS):
            return
        self._looked_at = now
        found = running.status()
        rates = self._rates(found, seconds or 1.0)
        if self._display is None:
            for job in found if seconds is not None else []:  # the first look is the beginning
                with self._logging:
                    if job["job"] not in self._stopped:
                        log_event(_progress(job, rates))
            return
        from rich.console import Group
        from rich.text import Text

        tables = "\n".join(_table(job, rates) for job in found)
        said = [f"topic {t} has {plural(n, 'partition')} now" for t, n in self._grown.items()]
        said += [line for job in found for line in down_lines(job)]
        # What is wrong is said in full, however narrow the terminal.
        last = Text("\n".join([*said, _HOW_TO_STOP]))
        shown = Group(Text(tables, no_wrap=True, overflow="ellipsis"), last)
        self._display.update(shown, refresh=True)

    def summary(self, found: list[dict[str, Any]]) -> str:
        """What the run did, for a person, when it is over."""
        said = []
        for job in found:
            stopped = self._stopped.get(job["job"])
            said.append("\n".join([_table(job), *nulls_lines(job), _done(job, stopped)]))
            if self._stages and stopped is not None:
                times = [StageTime(**spent) for spent in job["stages"]]
                said.append(stages_text(times, stopped.seconds, stopped.records))
        return "\n\n".join(said)

    def _rates(self, found: list[dict[str, Any]], seconds: float) -> dict[tuple[str, str], float]:
        rates = {}
        for job in found:
            for view in job["views"]:
                key, count = (job["job"], view["name"]), view.get("accepted", 0)
                rates[key] = max(0.0, (count - self._accepted.get(key, count)) / seconds)
                self._accepted[key] = count
        return rates


def _table(job: dict[str, Any], rates: dict[tuple[str, str], float] | None = None) -> str:
    """A line per view; without `rates` nothing of how fast it is."""
    rows = []
    sources = {s["topic"]: s for s in job["sources"]}
    for view in job["views"]:
        source = sources.get(view.get("topic", ""), next(iter(sources.values())))
        rate = (rates or {}).get((job["job"], view["name"]))
        rows.append(
            (
                view["name"],
                "" if rate is None else f"{rate:,.0f}",
                f"{view.get('applied', 0):,}",
                f"{view.get('late', 0):,}",
                f"{source['lag_records']:,}",
                # What the view could not compute is dead-lettered too.
                f"{source.get('dead_lettered', 0) + view.get('failed', 0):,}",
                (source["watermark"] or "-").partition(".")[0].rstrip("Z"),
            )
        )
    if rates is None:
        without = [(row[0], *row[2:]) for row in rows]
        return text_table((_HEAD[0], *_HEAD[2:]), without, right=range(1, 5))
    # What is shown anew twice a second must keep its lines; the display cuts them.
    return text_table(_HEAD, rows, right=range(1, 6), columns=WHOLE)


def _done(job: dict[str, Any], stopped: JobStopped | None) -> str:
    read = sum(s.get("read", 0) for s in job["sources"])
    text = f"job {job['job']}: epoch {job['epoch']}, {plural(read, 'record')} read in all"
    if stopped is not None:
        rate = stopped.records / stopped.seconds if stopped.seconds else 0
        text += (
            f"; this run: {plural(stopped.records, 'record')} in {stopped.seconds:.1f} s, "
            f"{rate:,.0f} records/s, {stopped.reason}"
        )
    return text


def _progress(job: dict[str, Any], rates: dict[tuple[str, str], float]) -> JobProgress:
    return JobProgress(
        job=job["job"],
        epoch=job["epoch"],
        lag_records=sum(s["lag_records"] for s in job["sources"]),
        watermarks={s["topic"]: s["watermark"] for s in job["sources"]},
        events_per_second={
            view: rate for (name, view), rate in rates.items() if name == job["job"]
        },
    )


def _log_as_json() -> None:
    """Structured lines on standard error; all of them with --debug."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("headrace")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG if session.debug else logging.INFO)
