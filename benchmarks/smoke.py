"""`make bench-smoke`: is Headrace still as fast, measured against the plain DuckDB script?

Both do the five outputs over the same events, in turns, on two cores. What counts is the ratio of
their speeds: it hardly depends on the machine. `benchmarks/smoke.json` keeps it; exit 1 when it is
a third less, and a warning when it is half as much again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks import children, inputs
from benchmarks.cores import use_two
from benchmarks.faithful import same
from benchmarks.fed import checked
from benchmarks.sizes import ROOT

KEPT = Path(__file__).with_name("smoke.json")
EVENTS, PAIRS, PAIRS_MIN = 1_000_000, 6, 3
# On a machine that others use too, fewer pairs are measured: the whole takes a minute at most.
SECONDS_FOR_PAIRS = 40.0
DROP_MAX = 1 / 3
RISE_MAX = 1.5


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smoke", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="keep the ratio that is measured")
    renew = parser.parse_args(arguments).renew
    use_two()
    ratios = measured(ROOT / "build" / "bench-smoke")
    ratio = median(ratios)
    shown = ", ".join(f"{r:.2f}" for r in ratios)
    print(f"Headrace runs at {ratio:.2f}x the speed of the DuckDB script ({shown}).")
    if renew:
        KEPT.write_text(json.dumps({"ratio": round(ratio, 2)}) + "\n")
        return 0
    kept = float(json.loads(KEPT.read_text())["ratio"])
    return verdict(ratio, kept)


def verdict(ratio: float, kept: float) -> int:
    """0 where the ratio holds; where not, says what is wrong and what to do, and gives 1.

    Where it is so much better that a later loss would not be seen, it says that, loudly.
    """
    least = kept * (1 - DROP_MAX)
    if ratio < least:
        print(
            f"error: it was {kept:.2f}x, and less than {least:.2f}x is a third lost. Something "
            "made Headrace slower.\nWhere that is meant, or the DuckDB script became faster, on "
            "an idle machine: make bench-smoke RENEW=1",
            file=sys.stderr,
        )
        return 1
    print(f"It was {kept:.2f}x when that was kept; from {least:.2f}x on it holds.")
    if ratio > kept * RISE_MAX:
        print(
            f"WARNING: {ratio:.2f}x is more than {RISE_MAX:g} times the kept {kept:.2f}x: half "
            "of it could be lost and nobody would see it.\nRenew it, on an idle machine: "
            "make bench-smoke RENEW=1",
            file=sys.stderr,
        )
    return 0


def measured(directory: Path) -> list[float]:
    """Speeds of Headrace, as multiples of the script's, of pairs of runs in turns.

    Below `directory`, of which nothing stays.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        return _pairs(*(directory / name for name in ("data", "files", "peer")))
    finally:
        shutil.rmtree(directory)


def _pairs(data: Path, files: Path, target: Path) -> list[float]:
    fed = inputs.simulate(data, EVENTS)
    inputs.to_files(data, files)
    ratios: list[float] = []
    until = time.monotonic() + SECONDS_FOR_PAIRS
    while len(ratios) < PAIRS and (len(ratios) < PAIRS_MIN or time.monotonic() < until):
        shutil.rmtree(target, ignore_errors=True)
        inputs.forget_results(data)
        ours = checked(children.python("benchmarks.measure.throughput", data), fed)
        peer = children.python("benchmarks.peers.duckdb_batch", files, target)
        ratios.append(peer.report["seconds"] / ours.report["seconds"])
    rows = children.python("benchmarks.measure.same_rows", data, target).report
    if not same(rows):
        sys.exit(f"error: the script's rows are not Headrace's, so its speed says nothing: {rows}")
    return ratios


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
