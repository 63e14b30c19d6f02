"""Runs an app until caught up, in this process, and says where the time went."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.measure.made import asker, made
from headrace.app import App
from headrace.ops.jobs.running import start_app
from headrace.values.settings import load_settings
from headrace.values.telemetry import EpochCommitted, Event


def until_caught_up(app: App, data: str, counted: str) -> dict[str, Any]:
    """The seconds from before it is opened to when it is closed, and its profile over these.

    `made`: what came of the events, with the number `n` of the query `counted`; asking for it is
    not counted. `second_half`: records and seconds of the epochs behind the one that ends the
    first half.
    """
    commits: list[tuple[float, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, EpochCommitted):
            commits.append((time.perf_counter(), event.records))

    begun, cpu = time.perf_counter(), time.process_time()
    settings = load_settings(overrides={"data": data})
    with start_app(app.plan, settings, until="caught-up", listener=tell) as running:
        running.wait()
        stages = running.status()[0]["stages"]
        asked, asked_cpu = time.perf_counter(), time.process_time()
        came = made(running, asker(running, settings, counted)())
        begun, cpu = begun + time.perf_counter() - asked, cpu + time.process_time() - asked_cpu
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "seconds": seconds,
        "second_half": second_half(commits),
        "made": came,
        "profile": {"seconds": seconds, "cpu_seconds": cpu, "stages": stages},
    }


def second_half(commits: list[tuple[float, int]]) -> dict[str, float]:
    """Records and seconds from the commit with which half of all are read, to the last."""
    whole, read = sum(records for _, records in commits), 0
    for at, records in commits:
        read += records
        if 2 * read >= whole:
            return {"records": whole - read, "seconds": commits[-1][0] - at}
    return {"records": 0, "seconds": 0.0}
