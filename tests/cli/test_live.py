"""What `run` says: in its log lines, and when it is over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.cli import live
from headrace.cli.live import Watch
from headrace.cli.main import call
from headrace.values.telemetry import JobStopped


class Two:
    """Two jobs at a standstill."""

    def status(self) -> list[dict[str, Any]]:
        source = {"topic": "t", "lag_records": 0, "watermark": None}
        view = {"name": "v", "topic": "t", "accepted": 3}
        return [{"job": j, "epoch": 1, "sources": [source], "views": [view]} for j in "ab"]


def test_nothing_is_said_of_a_job_that_has_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "_LOG_SECONDS", 0)
    with Watch() as watch:
        watch.look(Two())  # type: ignore[arg-type]
        watch.look(Two())  # type: ignore[arg-type]
        watch.tell(JobStopped("a", "caught up", 1, 3, 0.1))
        watch.look(Two())  # type: ignore[arg-type]
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["job"]) for line in told] == [
        ("job_progress", "a"),
        ("job_progress", "b"),
        ("job_stopped", "a"),
        ("job_progress", "b"),
    ]


def test_the_summary_has_what_a_run_that_is_over_has() -> None:
    watch = Watch()
    watch._stopped["a"] = JobStopped("a", "asked to stop", 1, 500, 2.0)
    text = watch.summary(Two().status()[:1])
    head, _, _, done = text.splitlines()
    assert head.split() == ["view", "applied", "late", "lag", "dead", "watermark"]
    assert done.endswith("500 records in 2.0 s, 250 records/s, asked to stop")


@pytest.mark.parametrize(("rate", "said"), [("-5", "a rate of -5"), ("nan", "a rate of nan")])
def test_a_rate_is_looked_at_before_anything_runs(
    rate: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "activity", "--simulate", rate, "--data", str(tmp_path / "d")]
    assert call(run) == 2
    told = capfd.readouterr().err
    assert told.startswith(f"error: {said} records per second means nothing\n")
    assert not (tmp_path / "d").exists()
