"""From when an event is due to the query that first counts it in `page_view_counts`.

One process: the running app, a thread that appends at a steady rate, and this one, which asks for
the sum of all counts, some milliseconds after each answer: the app, or PostgreSQL where tables are
there. What these two spend by themselves is told beside the stages of the job.
Appends are seen whole and in order, so a sum tells exactly which page views are visible; the time
of an event begins when it is due, so that waiting for the append and the log's sync are part of it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.activity_five import app
from benchmarks.measure.made import VIEWS, asker, made
from benchmarks.measure.steady import OUTSIDE, Feed, Poll, latency
from benchmarks.sizes import LIVE_PACE
from headrace.ops.ingest.generator import Partitions, Simulation
from headrace.ops.jobs.running import RunningApp
from headrace.storage.contract import Log
from headrace.storage.systems import Systems
from headrace.values.settings import load_settings
from headrace.values.stages import Stages
from headrace.values.telemetry import EpochCommitted, Event

_PATIENCE_SECONDS = 60.0
# How old the last event of a live run is by its own time, or a little less.
_PAST_SECONDS = 600.0


def main(data: str, rate: str, seconds: str, pause_ms: str = "5") -> None:
    settings = load_settings(overrides={"data": Path(data)})
    systems = Systems(settings)
    for job in app.plan.jobs:
        systems.create_topics(job)
    stages = Stages()
    feed = feed_of(systems.topic("user_activity", 3), int(rate), float(seconds), stages)
    epochs: list[EpochCommitted] = []

    def tell(event: Event) -> None:
        if isinstance(event, EpochCommitted):
            epochs.append(event)

    with app.start(data=data, listener=tell) as running:
        _until_caught_up(running)
        seen = asker(running, settings, VIEWS)
        shown = seen()
        polls: list[Poll] = []
        epochs.clear()
        before, begun, cpu = running.status()[0]["stages"], time.perf_counter(), time.process_time()
        feeding = threading.Thread(target=feed.run)
        feeding.start()
        end = time.perf_counter() + float(seconds) + _PATIENCE_SECONDS
        while not polls or polls[-1][2] < feed.views[-1]:
            asked = time.perf_counter()
            with stages.spent(OUTSIDE, "ask"):
                there = seen() - shown
            polls.append((asked, time.perf_counter(), there))
            if asked > end:
                sys.exit(f"{there} of {feed.views[-1]} page views are visible: is something late?")
            time.sleep(int(pause_ms) / 1000)
        feeding.join()
        # Of the fed window alone: not of opening before, nor of closing behind it.
        profile = {
            "seconds": time.perf_counter() - begun,
            "cpu_seconds": time.process_time() - cpu,
            "stages": _since(before, running.status()[0]["stages"])
            + [asdict(spent) for spent in stages.times()],
        }
        _until_caught_up(running)
        came = made(running, seen(), delivered=False)
    systems.close()
    told = {"page_views": int(feed.views[-1]), "made": came, "profile": profile}
    print(json.dumps(latency(feed, polls) | _epochs(epochs) | told))


def _since(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each stage took since `before`."""
    old = {(s["thread"], s["stage"]): s for s in before}
    kinds = ("seconds", "own_cpu_seconds")
    found = []
    for one in now:
        first = old.get((one["thread"], one["stage"]), dict.fromkeys(kinds, 0.0))
        found.append(one | {k: one[k] - first[k] for k in kinds})
    return found


def feed_of(topic: Log, rate: int, seconds: float, stages: Stages) -> Feed:
    """Events of the recent past, whose own time passes at `LIVE_PACE`; none is of the future.

    Live ones are as many at any hour of the day; none is late, as none comes a minute behind.
    """
    past_us = int((LIVE_PACE * seconds + _PAST_SECONDS) * 1e6)
    simulation = Simulation(
        count=int(rate * seconds),
        rate=rate / LIVE_PACE,
        seed=11,
        start_us=time.time_ns() // 1000 - past_us,
        live=True,
    )
    assert app.generator is not None
    batches = list(app.generator(simulation, Partitions(topic.partitions)).batches())
    values = pa.concat_arrays([b.values for b in batches])
    return Feed(topic, values, pa.concat_arrays([b.keys for b in batches]), rate, stages)


def _until_caught_up(running: RunningApp) -> None:
    end = time.perf_counter() + 10 * _PATIENCE_SECONDS
    while any(source["lag_records"] for source in running.status()[0]["sources"]):
        if time.perf_counter() > end:
            sys.exit("the app does not catch up")
        time.sleep(0.05)


def _epochs(epochs: list[EpochCommitted]) -> dict[str, float]:
    seconds = [e.seconds for e in epochs]
    return {
        "epochs": len(epochs),
        "epoch_p50_ms": float(np.percentile(seconds, 50) * 1000),
        "epoch_p99_ms": float(np.percentile(seconds, 99) * 1000),
        "epoch_records_p50": float(np.median([e.records for e in epochs])),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
