"""Runs an app until caught up, in this process, and says where the time went."""

from __future__ import annotations

import time
from typing import Any

from headrace.app import App
from headrace.ops.jobs.running import start_app
from headrace.values.settings import load_settings


def until_caught_up(app: App, data: str) -> dict[str, Any]:
    """The seconds from before it is opened to when it is closed, and its profile over these."""
    begun, cpu = time.perf_counter(), time.process_time()
    settings = load_settings(overrides={"data": data})
    with start_app(app.plan, settings, until="caught-up") as running:
        running.wait()
        stages = running.status()[0]["stages"]
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "seconds": seconds,
        "profile": {"seconds": seconds, "cpu_seconds": cpu, "stages": stages},
    }
