"""The activity app in a process of its own, that tests may kill: `python -m tests.faults.job DATA`.

It prints a line for each thing that the job tells, so that a test knows how far it is.
"""

from __future__ import annotations

import sys

from headrace.apps.activity import app
from headrace.values.errors import HeadraceError
from headrace.values.telemetry import Event


def tell(event: Event) -> None:
    print(type(event).__name__, getattr(event, "epoch", ""), flush=True)


if __name__ == "__main__":
    try:
        app.run(until="caught-up", data=sys.argv[1], listener=tell)
    except HeadraceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
