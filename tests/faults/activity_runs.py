"""Runs of the activity app in processes of their own, and what must be the same after each."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow.csv

from headrace.apps.activity import app
from headrace.ops.ingest.generator import Simulation
from headrace.ops.ingest.simulate import simulate
from headrace.storage.topics.log import LocalTopic
from headrace.values.points import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
JOB = [sys.executable, "-m", "tests.faults.job"]
START_US = 1_767_571_200_000_000  # 2026-01-05
_KEYS = {
    "page_view_counts": "window_start, page_url",
    "active_users": "window_start",
    "session_history": "user_id, session_start_time",
    "user_sessions": "user_id",
}


def write_log(data: Path, count: int, seed: int = 7) -> dict[str, Any]:
    """Simulates `count` events over two and a half hours; returns what must come of them."""
    topic = LocalTopic.ensure(data / "topics", "user_activity", 3)
    simulation = Simulation(
        count=count,
        rate=count / 9_000,
        seed=seed,
        start_us=START_US,
        late_every=50,
        malformed_every=1000,
    )
    return simulate(topic, app.generator, simulation).outcome


def copied(log: Path, data: Path) -> Path:
    """A data directory of its own with the same log."""
    shutil.copytree(log, data)
    return data


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with settings of Headrace: small epochs, unless told."""
    values = {"epoch_records_max": 4000, "lake_interval_seconds": 0} | settings
    return os.environ | {f"HEADRACE_{name.upper()}": str(v) for name, v in values.items()}


def run(
    data: Path,
    kill_at: str = "",
    *,
    through: Sequence[str] = (),
    settings: Mapping[str, object] = MappingProxyType({}),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Runs until caught up, or killed at a named point; `through` is a command that starts it."""
    return subprocess.run(
        [*through, *JOB, str(data)],
        cwd=ROOT,
        env=environment(**settings) | {VARIABLE: kill_at},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def start(data: Path, **settings: object) -> subprocess.Popen[str]:
    """Begins to run; what the job tells comes line by line on stdout."""
    return subprocess.Popen(
        [*JOB, str(data)],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Result:
    """Everything a run leaves behind that must not hang on how it ran.

    `tables` are CSV by key; `lake`, `topic` and `letters` are records in order. Left out is what
    tells of the cut into epochs: `_epoch`, `processing_time`, rows sent again on the way.
    """

    tables: Mapping[str, bytes]
    lake: list[tuple[Any, ...]]
    topic: list[tuple[Any, ...]]
    letters: list[tuple[Any, ...]]
    sums: list[tuple[Any, ...]]


def result(data: Path) -> Result:
    """What stands in `data` now; proves it first."""
    [proof] = app.verify(data=data)
    assert proof.holds, proof
    tables = {}
    for name, key in _KEYS.items():
        rows = app.query(f"from {name} order by {key}", data=data)
        tables[name] = _csv(rows)
    lake = app.query(
        "select * exclude (_epoch) from lake.activity order by _topic, _partition, _offset",
        data=data,
    )
    topic = app.query(
        'select "partition", "offset", key, value from topic.enriched_activity order by 1, 2',
        data=data,
    )
    letters = app.query(
        'select topic, topic_generation, "partition", "offset", field, reason, value, arrival_time '
        "from dead_letters order by 3, 4",
        data=data,
    )
    sums = app.query(
        "select * from conservation where kind <> 'destination' order by kind, name", data=data
    )
    sent = app.query("select balanced from conservation", data=data)
    assert all(sent.column("balanced").to_pylist())
    return Result(tables, _tuples(lake), _enriched(topic), _tuples(letters), _tuples(sums))


def check_same(found: Result, wanted: Result) -> None:
    """Compares part by part, so that a failure says which."""
    for name, csv in wanted.tables.items():
        assert found.tables[name] == csv, name
    assert found.letters == wanted.letters
    assert found.lake == wanted.lake
    assert found.topic == wanted.topic
    assert found.sums == wanted.sums


def _tuples(rows: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _enriched(rows: Any) -> list[tuple[Any, ...]]:
    """Records of the topic without the time of the epoch in which they were made."""
    found = []
    for partition, offset, key, value in _tuples(rows):
        event = json.loads(value)
        assert event.pop("processing_time")
        found.append((partition, offset, key, event))
    return found


def _csv(rows: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.csv.write_csv(rows, out)
    return out.getvalue()
