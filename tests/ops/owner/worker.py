"""A process of its own for the tests: holds a job, or asks for it, and says so on stdout."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.ops.owner import (
    Handler,
    Progress,
    Reply,
    acquire_to_run,
    perform,
)
from headrace.values.errors import DefinitionError, HeadraceError


def say(*words: object) -> None:
    print(*words, flush=True)


def who(request: Mapping[str, Any], progress: Progress) -> Reply:
    return Reply({"pid": os.getpid()})


def rows(request: Mapping[str, Any], progress: Progress) -> Reply:
    count = request["count"]
    return Reply({"count": count}, pa.table({"n": pa.array(range(count), pa.int64())}))


def slow(request: Mapping[str, Any], progress: Progress) -> Reply:
    for step in range(request["steps"]):
        progress({"step": step})
        time.sleep(request["seconds"])
    return Reply({"pid": os.getpid()})


def wrong(request: Mapping[str, Any], progress: Progress) -> Reply:
    raise DefinitionError("no column", expression="a + b", position=4, remedy="Look there.")


def broken(request: Mapping[str, Any], progress: Progress) -> Reply:
    raise ZeroDivisionError("oh")


HANDLERS: dict[str, Handler] = {
    "who": who,
    "rows": rows,
    "slow": slow,
    "wrong": wrong,
    "broken": broken,
}


@contextmanager
def open_job() -> Iterator[Mapping[str, Handler]]:
    yield HANDLERS


def run(job: Path) -> None:
    with acquire_to_run(job, lambda holder: say("waits for", holder.purpose)) as owner:
        owner.serve(HANDLERS)
        say("runs", os.getpid())
        sys.stdin.read()  # until the test closes it
        owner.drain()
    say("stopped")


def ask(job: Path, name: str, steps: int) -> None:
    request = {"steps": steps, "seconds": 0.1}
    reply = perform(job, "query", name, request, open_job, lambda c: say("step", c["step"]))
    say("answered by", reply.header["pid"])


if __name__ == "__main__":
    try:
        if sys.argv[2] == "run":
            run(Path(sys.argv[1]))
        else:
            ask(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except HeadraceError as error:
        say("refused", type(error).__name__, error.exit_code, str(error).replace("\n", " "))
        sys.exit(error.exit_code)
