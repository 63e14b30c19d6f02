"""`make torture SEED=1`: every promise of docs/reliability.md tried at length.

Parts go on where another found something or was too slow; the exit code is 1 then and no figures
are written. All of them end within five thirds of their minutes.

`--part NAME` runs one part alone, `--trial N` one trial of it: what a failure prints. How long the
soak takes of all the minutes is said by the environment: SOAK_MINUTES=20.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from tests.torture.course import Course
from tests.torture.parts import PARTS
from tests.torture.report import write_report
from tests.torture.soak.report import publish
from tests.torture.soak.soaking import SOAK
from tests.torture.whole import Whole

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def parser() -> argparse.ArgumentParser:
    """What `make torture` may be told."""
    made = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--minutes", type=float, default=53.0, help="for all parts together")
    made.add_argument("--part", choices=[part.name for part in PARTS])
    made.add_argument("--trial", type=int, help="one trial of the part, in this process")
    made.add_argument("--processes", type=int, default=2)
    made.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    return made


def main(arguments: list[str]) -> int:
    options = parser()
    chosen = options.parse_args(arguments)
    parts = [part for part in PARTS if chosen.part in (None, part.name)]
    course = Course(chosen.seed, chosen.processes)
    if chosen.trial is not None:
        if chosen.part is None:
            options.error("--trial needs --part")
        print(json.dumps(dict(course.alone(parts[0], chosen.trial))))
        return 0
    # Trials are sessions of their own: whoever ends this one has it end them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    whole = Whole(parts, chosen.minutes)
    if not whole.fits:
        options.error(f"the soak takes {SOAK.minutes:g} minutes of them: choose SOAK_MINUTES too")
    results = whole.run(course)
    if results is None:
        return 1
    if SOAK in parts and not chosen.no_page:
        publish(PAGE, results[parts.index(SOAK)])
    if chosen.part is None and not chosen.no_page:
        write_report(PAGE, chosen.seed, results, time.monotonic() - begun)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
