"""`--profile-stages`: every command that takes long says where its time went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.main import call

KEYS = {"thread", "stage", "seconds", "own_cpu_seconds"}
COUNT = 3_000


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The options of a data directory with some records that nobody has read."""
    options = ["--data", str(tmp_path / "d")]
    assert call(["simulate", "activity", "--count", str(COUNT), *options]) == 0
    return options


def table_of(text: str) -> list[str]:
    """The lines of the table at the end."""
    lines = text.splitlines()
    return lines[lines.index(next(line for line in lines if line.startswith("thread"))) :]


def document(capfd: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    capfd.readouterr()
    assert call([*command, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_a_run_says_where_its_time_went(
    place: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "activity", "--until", "caught-up", *place]
    capfd.readouterr()
    assert call([*run, "--profile-stages"]) == 0
    table = table_of(capfd.readouterr().out)
    for beginning in ("read user_activity", "job ", "deliver activity"):
        assert any(line.startswith(beginning) for line in table)
    assert all(len(line) <= 80 for line in table)
    assert call(["simulate", "activity", "--count", str(COUNT), "--seed", "2", *place]) == 0
    (job,) = document(capfd, *run)["jobs"]
    assert set(job["stages"][0]) == KEYS


def test_a_proof_says_where_its_time_went(
    place: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(["run", "activity", "--until", "caught-up", *place]) == 0
    for command in ("recompute", "verify"):
        (job,) = document(capfd, command, "activity", *place)["jobs"]
        assert all(set(stage) == KEYS for stage in job["stages"])
        # One thread, one stage at a time: together they are the proof, and none is forgotten.
        spent = sum(stage["seconds"] for stage in job["stages"])
        assert 0.8 * job["seconds"] < spent <= job["seconds"]
        assert call([command, "activity", *place, "--profile-stages"]) == 0
        table = table_of(capfd.readouterr().out)
        assert any(line.split()[1:3] == ["user_sessions:", "compute"] for line in table)
        assert len(table) == len(job["stages"]) + 2


def test_an_ingest_says_where_its_time_went(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, place = tmp_path / "a.ndjson", ["--data", str(tmp_path / "d")]
    file.write_text("".join(f'{{"user_id": "{n}"}}\n' for n in range(COUNT)))
    ingest = ["ingest", "activity", "user_activity", str(file), *place]
    found = document(capfd, *ingest)
    stages = {(s["thread"], s["stage"]) for s in found["stages"]}
    assert stages >= {("read", "records"), ("read", "keys"), ("append", "append")}
    own = sum(s["seconds"] for s in found["stages"] if s["thread"] == "append")
    assert 0 < own <= found["seconds"]
    assert call([*ingest, "--again", "--profile-stages"]) == 0
    table = table_of(capfd.readouterr().out)
    assert any(line.split()[:2] == ["read", "keys"] for line in table)
