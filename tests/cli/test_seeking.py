"""`headrace state seek` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.cli.main import call


def test_the_command_says_what_it_skips_and_asks(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "d"
    at = ["--data", str(data)]
    assert call(["simulate", "activity", "--count", "1000", "--seed", "1", *at, "--json"]) == 0
    assert call(["run", "activity", "--until", "caught-up", *at, "--json"]) == 0
    assert call(["simulate", "activity", "--count", "2000", "--seed", "1", *at, "--json"]) == 0
    capfd.readouterr()
    assert call(["state", "seek", "activity", "--from", "latest", *at]) == 2
    told = capfd.readouterr().err
    assert "topic user_activity: skips 2,000 records" in told and "Add --yes" in told
    assert call(["state", "activity", "seek", "nothing", "--from", "latest", *at]) == 2
    assert "user_activity" in capfd.readouterr().err
    line = ["state", "activity", "seek", "user_activity", "--from", "latest", "--yes", "--json"]
    assert call([*line, *at]) == 0
    found = json.loads(capfd.readouterr().out)
    assert sum(found["topics"][0]["skipped"]) == 2000 and found["epoch"] is not None
    assert call([*line, *at]) == 0
    assert json.loads(capfd.readouterr().out)["epoch"] is None
    assert call(["run", "activity", "--until", "caught-up", *at, "--json"]) == 0
    assert call(["verify", "activity", *at]) == 0
