"""`headrace state reset --new-lakes` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.cli.main import call


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
