"""How much a view writes on the way: what its changes count, epoch by epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from headrace.plan.operators import Tumble, View
from tests.reference.events import Functions, Run
from tests.reference.views import FAILED, made_of, shown_of, survivors


@dataclass(frozen=True)
class Written:
    """How many rows a view has shown as changes, and how many results failed in them.

    At least and at most; both are the same where each epoch shows just what its events touch.
    """

    rows: tuple[int, int]
    failed: tuple[int, int]


def written(view: View, run: Run, functions: Functions) -> Written:
    """Counted epoch by epoch, so `run` must have each as it was committed."""
    epochs = sorted({*run.starts_us, *(e.epoch for e in run.events)})
    exact = isinstance(view.window, Tumble | None) and view.having is None and view.top is None
    total: Counter[str] = Counter()
    for epoch in epochs:
        part = replace(run, until=epoch, recomputes=[])
        if exact:
            _, alive = survivors(view, part, functions)
            shown = [
                row
                for row, _, members in made_of(view, part, alive, functions)
                if any(m.event.epoch == epoch for m in members)
            ]
        else:
            shown = [row for row, _ in shown_of(view, part, functions)]
        total["rows"] += len(shown)
        total["failed"] += sum(row[FAILED] for row in shown)
    last = [row for row, _ in shown_of(view, replace(run, recomputes=[]), functions)]
    rows, failures = len(last), sum(row[FAILED] for row in last)
    if exact:
        rows, failures = total["rows"], total["failed"]
    return Written((rows, total["rows"]), (failures, total["failed"]))
