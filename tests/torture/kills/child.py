"""One command line in a process of its own, forked where everything is imported already.

So a run costs what it does, not half a second more for its imports, and a thousand kills are cheap.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

CONTEXT: ForkServerContext = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.torture.kills.warm"])
_QUICK = {"HEADRACE_THREADS": "1", "HEADRACE_EPOCH_RECORDS_MAX": "700", "OPENBLAS_NUM_THREADS": "1"}
SEGMENT_BYTES = 30_000


@dataclass(frozen=True)
class Seldom:
    """When a process does what it does now and then: sooner, as a trial is short; None: as always.

    A lake puts so many files together, is tidied after so many commits and leaves what is younger
    than its grace period; a log is looked after each so many seconds; the state's log goes into its
    file when it has so many bytes: the engine sees to that (`state_log_bytes`), and the job between
    two epochs (`busy`). Behind an epoch the next one is read ahead where more records than so many
    are unread.
    """

    lake_files: int | None = None
    lake_commits: int | None = None
    lake_grace_seconds: int | None = None
    housekeeping_seconds: float | None = None
    state_log_bytes: int | None = None
    state_log_bytes_busy: int | None = None
    ahead_records: int | None = None


@dataclass(frozen=True)
class Call:
    """`arguments` of `headrace`, with settings; `said` is where its output goes.

    `at` is a named point and how often it is passed before the process is killed there (or, with
    `stops`, stopped). `plans` are the bound plans of apps, by `module:attribute`. `before` is
    called in the process first: it may put guards in place.
    """

    arguments: tuple[str, ...]
    said: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    at: str = ""
    stops: bool = False
    plans: Mapping[str, Any] = field(default_factory=dict)
    segment_bytes: int = SEGMENT_BYTES
    seldom: Seldom = Seldom()
    before: Callable[[], None] | None = None

    def start(self) -> BaseProcess:
        """Begins; the process is the server's child, its `exitcode` as always."""
        process = CONTEXT.Process(target=_perform, args=(self,))
        process.start()
        return cast(BaseProcess, process)


def _perform(call: Call) -> None:
    descriptor = os.open(call.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.environ.update(_QUICK | {f"HEADRACE_{k.upper()}": str(v) for k, v in call.settings.items()})
    if call.before is not None:
        call.before()
    _arm(call)
    for place, plan in call.plans.items():
        module, _, name = place.partition(":")
        app = getattr(import_module(module), name)
        app.__class__ = type("App", (type(app),), {"plan": plan})
    try:
        code = import_module("headrace.cli.main").call(list(call.arguments))
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _arm(call: Call) -> None:
    points = import_module("headrace.values.points")
    points._name, points._left = points._wanted(call.at)
    if call.stops:
        points.signal = SimpleNamespace(SIGKILL=signal.SIGSTOP)
    # Small segments: a log of a few thousand records has several.
    limits = import_module("headrace.storage.topics.writer").DEFAULT_LIMITS
    object.__setattr__(limits, "segment_bytes", call.segment_bytes)
    _hurry(call.seldom)


def _hurry(seldom: Seldom) -> None:
    state, busy = "headrace.storage.state.store", seldom.state_log_bytes_busy
    wanted = {
        ("headrace.storage.lake.lake", "FILES_MIN"): seldom.lake_files,
        ("headrace.storage.lake.compaction", "FILES_MIN"): seldom.lake_files,
        ("headrace.storage.lake.cleanup", "_CHECKPOINT_COMMITS"): seldom.lake_commits,
        ("headrace.engines.embedded.runner", "_HOUSEKEEPING_SECONDS"): seldom.housekeeping_seconds,
        ("headrace.engines.embedded.epochs.sources", "_AHEAD_RECORDS"): seldom.ahead_records,
        (state, "_LOG_BYTES_MAX"): seldom.state_log_bytes,
        (state, "_LOG_BYTES_BUSY"): busy,
        # However large the file is.
        (state, "_LOG_FILES_BUSY"): None if busy is None else 0,
    }
    for (module, name), value in wanted.items():
        if value is not None:
            setattr(import_module(module), name, value)
    if seldom.lake_grace_seconds is not None:
        lake = import_module("headrace.storage.lake.lake").DeltaLake
        lake.__init__.__kwdefaults__["grace_seconds"] = seldom.lake_grace_seconds
