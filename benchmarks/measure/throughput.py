"""Runs an app of the benchmarks until caught up, in one fresh process."""

from __future__ import annotations

import importlib
import json
import sys
import time


def main(data: str, module: str = "benchmarks.activity_five") -> None:
    app = importlib.import_module(module).app
    begun = time.perf_counter()
    app.run(until="caught-up", data=data)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
