"""Progress bars for long work: on a terminal, on standard error, never in a result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.cli.session import session

Report = Callable[[str, float, float | None], None]


@contextmanager
def progress_bars(unit: str = "") -> Iterator[Report]:
    """Gives `report(name, done, total)`: a new name replaces the bar; `total` None is not known.

    `unit` "bytes" shows amounts as MB. Off a terminal, and with --json, nothing is shown.
    """
    if session.as_json or not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    from rich import progress as bars
    from rich.console import Console

    amounts: list[bars.ProgressColumn] = (
        [bars.DownloadColumn(), bars.TransferSpeedColumn()]
        if unit == "bytes"
        else [bars.MofNCompleteColumn(), bars.TextColumn(unit)]
    )
    shown = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        *amounts,
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, bars.TaskID] = {}

    def report(name: str, done: float, total: float | None) -> None:
        if name not in tasks:
            for task in tasks.values():  # one line: what came before is done
                shown.remove_task(task)
            tasks.clear()
            tasks[name] = shown.add_task(name, total=total)
        shown.update(tasks[name], completed=done, total=total)

    with shown:
        yield report
