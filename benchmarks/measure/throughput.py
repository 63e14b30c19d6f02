"""Runs the five outputs until caught up, in one fresh process."""

from __future__ import annotations

import json
import sys
import time

from benchmarks.activity_five import app


def main(data: str) -> None:
    begun = time.perf_counter()
    app.run(until="caught-up", data=data)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
