"""Runs the app of a point until it is caught up, in one fresh process."""

from __future__ import annotations

import json
import sys
import time

from benchmarks.curves.app import app_of
from benchmarks.curves.points import Point


def main(data: str, told: str) -> None:
    app = app_of(Point(**json.loads(told)))
    begun = time.perf_counter()
    app.run(until="caught-up", data=data)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
