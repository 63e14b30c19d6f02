"""Runs the app of a point until it is caught up, in one fresh process; says where the time went."""

from __future__ import annotations

import json
import sys

from benchmarks.curves.app import app_of, counted
from benchmarks.curves.points import Point
from benchmarks.measure.profiled import until_caught_up


def main(data: str, told: str) -> None:
    point = Point(**json.loads(told))
    print(json.dumps(until_caught_up(app_of(point), data, counted(point))))


if __name__ == "__main__":
    main(*sys.argv[1:])
