"""From the start of `headrace run` on a log not read yet to the first row that a query shows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.sizes import APP
from headrace.ops.owner.client import Client, HolderGone, NotAnswering
from headrace.ops.owner.lock import announced
from headrace.storage.layout import DataDirectory

_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0
_QUERY = {"sql": "select count(*) as n from page_view_counts"}


def main(data: str) -> None:
    command = [str(Path(sys.executable).with_name("headrace")), "run", APP, "--data", data]
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _rows(DataDirectory(Path(data)).job("activity")):
            if child.poll() is not None or time.perf_counter() - begun > _PATIENCE_SECONDS:
                sys.exit(f"no result; the run's exit code is {child.poll()}")
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - begun
    finally:
        child.send_signal(signal.SIGINT)
    code = child.wait()
    if code != 0:
        sys.exit(f"the run ended with {code}")
    print(json.dumps({"seconds": seconds}))


def _rows(job: Path) -> int:
    """Rows of the table that the running job shows; 0 while nobody answers.

    Asks only a process that runs already: taking the job's lock would keep the run waiting.
    """
    holder = announced(job)
    if holder is None:
        return 0
    try:
        with Client(holder.address, 1.0) as client:
            table = client.call("query", _QUERY, lambda content: None).table
    except (HolderGone, NotAnswering):
        return 0
    assert table is not None
    return int(table["n"][0].as_py())


if __name__ == "__main__":
    main(*sys.argv[1:])
