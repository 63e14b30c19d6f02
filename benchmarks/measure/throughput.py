"""Runs an app of the benchmarks until caught up, in one fresh process; says where the time went."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.measure.made import VIEWS
from benchmarks.measure.profiled import until_caught_up


def main(data: str, module: str = "benchmarks.activity_five") -> None:
    print(json.dumps(until_caught_up(importlib.import_module(module).app, data, VIEWS)))


if __name__ == "__main__":
    main(*sys.argv[1:])
