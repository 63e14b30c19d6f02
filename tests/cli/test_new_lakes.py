"""`headrace state reset --new-lakes` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.cli.main import call
from headrace.ops.jobs.lakes import moved_aside
from headrace.storage.lake.lake import DeltaLake
from headrace.storage.layout import DataDirectory
from headrace.values.errors import StateRefused


def test_lakes_are_moved_aside_and_begin_anew(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "d"
    at = ["--data", str(data)]
    assert call(["simulate", "activity", "--count", "300", "--seed", "1", *at, "--json"]) == 0
    assert call(["run", "activity", "--until", "caught-up", *at, "--json"]) == 0
    lakes = {p.name for p in (data / "lakes").iterdir()}
    assert lakes
    reset = ["state", "reset", "activity", "--from", "earliest", "--new-lakes", *at]
    capfd.readouterr()
    assert call(reset) == 2
    told = capfd.readouterr().err
    assert all(name in told for name in lakes) and "Moves aside" in told
    assert all(len(line) <= 80 for line in told.splitlines() if "Moves" in line or "new" in line)
    assert not (data / "former-lakes").exists()
    for time in ("1", "2"):
        assert call([*reset, "--yes", "--json"]) == 0
        moved = json.loads(capfd.readouterr().out)["moved"]
        assert moved == {n: str(data / "former-lakes" / f"{n}.{time}") for n in lakes}
        assert not any((data / "lakes").iterdir())
        assert all((Path(aside) / "_delta_log").is_dir() for aside in moved.values())
        assert call(["run", "activity", "--until", "caught-up", *at, "--json"]) == 0
        assert {p.name for p in (data / "lakes").iterdir()} == lakes
        assert call(["verify", "activity", *at]) == 0
        capfd.readouterr()
    assert call([*reset, "--yes"]) == 0
    assert f"former-lakes/{min(lakes)}.3" in capfd.readouterr().out


def test_the_lakes_of_others_stay(tmp_path: Path) -> None:
    """One that nobody can read any more is moved; not, however, any before all were looked at."""
    data, lakes = DataDirectory(tmp_path), ["mine", "theirs"]
    for job, name in zip(["a", "b"], lakes, strict=True):
        lake = DeltaLake(data.lake(name), pa.schema([("n", pa.int64())]))
        lake.open(job, 1)
        lake.close()
    with pytest.raises(StateRefused, match='belongs to the job "b"'):
        moved_aside(data, "a", lakes)
    assert {p.name for p in (tmp_path / "lakes").iterdir()} == set(lakes)
    torn = data.lake("theirs") / "_delta_log" / f"{1:020}.json"
    torn.write_bytes(b'{"commitInfo": {"headr')
    with pytest.raises(StateRefused, match='belongs to the job "b"'):
        moved_aside(data, "a", lakes)
    [commit] = data.lake("mine").glob("_delta_log/*.json")
    commit.write_bytes(b"{")
    assert list(moved_aside(data, "a", ["mine"])) == ["mine"]
