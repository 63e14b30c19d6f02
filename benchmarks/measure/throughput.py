"""Runs an app of the benchmarks until caught up, in one fresh process; says where the time went."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from headrace.ops.jobs.running import start_app
from headrace.values.settings import load_settings


def main(data: str, module: str = "benchmarks.activity_five") -> None:
    app = importlib.import_module(module).app
    begun = time.perf_counter()
    settings = load_settings(overrides={"data": Path(data)})
    with start_app(app.plan, settings, until="caught-up") as running:
        running.wait()
        stages = running.status()[0]["stages"]
    print(json.dumps({"seconds": time.perf_counter() - begun, "stages": stages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
