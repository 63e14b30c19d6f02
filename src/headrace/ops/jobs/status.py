"""One look at a job: what it reads, serves and delivers, and how far it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from headrace.engines.embedded.runner import JobRunner
from headrace.engines.kernel.watermark import NEVER_US
from headrace.values.clock import instant_text

_SOURCE = ("read", "accepted", "dead_lettered")
_VIEW = ("accepted", "applied", "filtered", "late", "duplicate", "failed", "failed_results")
_DESTINATION = ("sent", "landed", "refused")


def status(runner: JobRunner) -> dict[str, Any]:
    """JSON-able: epoch, sources with lag and watermark, views, destinations, their sums, stages."""
    return runner.call(lambda: _status(runner))


def _status(runner: JobRunner) -> dict[str, Any]:
    ledger = runner.engine.ledger
    counters: dict[tuple[str, str], dict[str, int]] = {}
    for kind, name, counter, value in runner.store.rows(
        "select kind, name, counter, value from meta.counters"
    ):
        counters.setdefault((kind, name), {})[counter] = value
    inputs = {r.name: r.topic for r in map(runner.job.input_of, runner.job.outputs)}
    return {
        "job": runner.job.id,
        "running": runner.running,
        "generation": ledger.generation,
        "epoch": ledger.epoch,
        "epoch_time": instant_text(ledger.time_us) if ledger.epoch else None,
        "sources": [_source(runner, t, counters) for t in runner.engine.readers],
        "views": [
            {
                "name": name,
                "topic": topic,
                **dict.fromkeys(_VIEW, 0),
                **counters.get(("view", name), {}),
            }
            for name, topic in inputs.items()
        ],
        "destinations": [
            {
                "name": o.name,
                "role": o.role,
                **dict.fromkeys(_DESTINATION, 0),
                **counters.get(("destination", o.name), {}),
                **_delivery(runner, o.name),
            }
            for o in runner.job.outputs
        ],
        "stages": [asdict(spent) for spent in runner.engine.stages.times()],
    }


def _source(
    runner: JobRunner, topic: str, counters: dict[tuple[str, str], dict[str, int]]
) -> dict[str, Any]:
    reader = runner.engine.readers[topic]
    position = reader.position
    known = position.watermark_us != NEVER_US
    greatest = {p: instant_text(us) for p, us in position.greatest_us.items()}
    # One that has given no event yet holds nobody back, none holds itself, and the watermark has
    # passed those that are exempt.
    least = min(position.greatest_us.values(), default=0)
    behind = max(position.greatest_us.values(), default=0) > least
    behind &= least - reader.source.lateness_us >= position.watermark_us
    return {
        "topic": topic,
        "lag_records": reader.lag(),
        "watermark": instant_text(position.watermark_us) if known else None,
        "offsets": position.offsets,
        "greatest_times": greatest,
        "down": runner.silence,
        "held_back_by": [p for p, us in position.greatest_us.items() if behind and us == least],
        **dict.fromkeys(_SOURCE, 0),
        **counters.get(("source", topic), {}),
    }


def _delivery(runner: JobRunner, output: str) -> dict[str, Any]:
    for delivery in runner.deliveries:
        if delivery.name == output:
            behind = runner.engine.ledger.epoch - delivery.delivered_epoch
            return {"epochs_behind": int(behind), "down": delivery.down}
    # Open to be asked only: what is known is what was noted last.
    ledger = runner.engine.ledger
    noted = ledger.mark(output)
    return {"epochs_behind": 0 if noted is None else ledger.epoch - noted, "down": None}
