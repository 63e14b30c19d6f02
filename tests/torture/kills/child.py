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
    checkpoint_commits: int | None = None
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
        vars(getattr(import_module(module), name))["plan"] = plan
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
    # And a lake of a few dozen commits is tidied several times.
    if call.checkpoint_commits is not None:
        cleanup = import_module("headrace.storage.lake.cleanup")
        cleanup._CHECKPOINT_COMMITS = call.checkpoint_commits
