"""Simulations in a topic: appended once, whatever is killed; live ones by the clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError
from tests.ops.ingest.topics import contents

SIMULATION = Simulation(600_000, 1_000.0, 7, 1_741_000_000_000_000, 50, 1000)

CHILD = """
import sys
from pathlib import Path
from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.storage.topics.log import LocalTopic

topic = LocalTopic.ensure(Path(sys.argv[1]), "user_activity", 3)
simulation = Simulation(600_000, 1_000.0, 7, 1_741_000_000_000_000, 50, 1000)
simulate(topic, ActivityGenerator, simulation, progress=lambda n: print(n, flush=True))
"""


def test_a_killed_simulation_adds_only_what_is_missing(tmp_path: Path) -> None:
    whole = LocalTopic.ensure(tmp_path / "whole", "user_activity", 3)
    report = simulate(whole, ActivityGenerator, SIMULATION)
    for after in (1, 2):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "killed")], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(after):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    killed = LocalTopic.ensure(tmp_path / "killed", "user_activity", 3)
    before = sum(killed.end_offsets())
    assert 0 < before < 600_000
    rest = simulate(killed, ActivityGenerator, SIMULATION)
    assert (rest.added, rest.already_there) == (600_000 - before, before)
    assert rest.outcome == report.outcome
    assert rest.alone
    assert contents(killed) == contents(whole)


def test_run_again_it_adds_nothing_and_is_not_alone_beside_another(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path, "user_activity", 3)
    small = Simulation(1_000, 100.0, 7, 1_741_000_000_000_000, 50, 100)
    assert simulate(topic, ActivityGenerator, small).added == 1_000
    again = simulate(topic, ActivityGenerator, small)
    assert (again.added, again.already_there, again.alone) == (0, 1_000, True)
    other = simulate(topic, ActivityGenerator, Simulation(10, 100.0, 8, 1_741_000_000_000_000))
    assert (other.added, other.alone) == (10, False)
    json.dumps(other.to_json())


def test_a_live_simulation_follows_the_clock_until_stopped(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path, "user_activity", 3)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    now_us = time.time_ns() // 1_000
    live = Simulation(None, 2_000.0, 7, now_us, 50, 0, live=True)
    report = simulate(topic, ActivityGenerator, live, stop=stop)
    assert report.added == sum(topic.end_offsets()) == report.outcome["records"]
    assert 1_000 < report.added < 3_000
    records = topic.read([0, 0, 0], records_max=1 << 20)
    for arrival, value in zip(
        records["arrival_time"].cast("int64").to_pylist(),
        records["value"].to_pylist(),
        strict=True,
    ):
        assert json.loads(value)["event_time"]
        assert arrival >= now_us


@pytest.mark.parametrize(
    "asked",
    [
        {"rate": 0.0},
        {"rate": -1.0},
        {"rate": float("nan")},
        {"count": None},
        {"count": -1},
        {"late_every": -1},
        {"late_every": 1},
        {"malformed_every": -3},
        {"rate": 1e-300},
        {"count": 2**63},
        {"late_every": 2**63},
        {"malformed_every": 2**63},
        {"seed": -7},
    ],
)
def test_parameters_that_mean_nothing_are_refused(asked: dict[str, Any]) -> None:
    good: dict[str, Any] = {"count": 10, "rate": 10.0, "seed": 7, "start_us": 0}
    Simulation(**good)
    with pytest.raises(UsageError):
        Simulation(**{**good, **asked})


def test_times_of_the_future_are_refused(tmp_path: Path) -> None:
    topic = LocalTopic.ensure(tmp_path, "user_activity", 3)
    with pytest.raises(UsageError, match="beyond now"):
        simulate(topic, ActivityGenerator, Simulation(10**9, 0.1, 7, 1_741_000_000_000_000))
    far_us = time.time_ns() // 1_000 + 400 * 365 * 86_400_000_000
    with pytest.raises(UsageError, match="beyond now"):
        simulate(topic, ActivityGenerator, Simulation(None, 1.0, 7, far_us, live=True))
    assert topic.end_offsets() == [0, 0, 0]
