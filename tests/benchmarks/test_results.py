"""What was measured is kept so that the page can be written again from it, and says what it was."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import DOCS, place_of
from benchmarks.children import Ended
from benchmarks.curves.points import Point
from benchmarks.curves.report import curves, lines
from benchmarks.measure.files import seen_us
from benchmarks.report import page
from benchmarks.runs import largest, rates
from benchmarks.sizes import changed, sizes_from, sizes_from_environment
from benchmarks.versions import About, Took, about, commit
from tests.benchmarks.made_up import run

SIZES = replace(sizes_from_environment(), curve_events=(10, 100), curve_base=10)


def test_sizes_are_the_same_after_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_EVENTS", "5,50")
    monkeypatch.setenv("BENCH_PEERS", "flink")
    sizes = sizes_from_environment()
    monkeypatch.delenv("BENCH_EVENTS")
    assert sizes_from(json.loads(json.dumps(sizes.to_json()))) == sizes
    assert sizes.events == (5, 50) and sizes.peers == ("flink",)


def test_only_the_whole_goes_to_the_docs() -> None:
    whole = sizes_from_environment({"BENCH_DIR": "/elsewhere", "BENCH_LONG": "300000000"})
    assert place_of(whole, ended=True) == DOCS
    assert place_of(whole, ended=False) != DOCS
    for name, value in (("BENCH_PEERS", "spark"), ("BENCH_EVENTS", "1000000")):
        assert place_of(sizes_from_environment({name: value}), ended=True) != DOCS
        assert list(changed(sizes_from_environment({name: value}))) == [name]


def test_a_goal_is_held_against_the_largest_size_that_has_the_run() -> None:
    runs = {"both 1": [], "both 10": [], "plain 1": []}
    assert largest(runs, (1, 10, 100), "both") == 10
    assert largest(runs, (1, 10, 100), "both", "plain") == 1
    assert largest(runs, (1, 10, 100), "fastest") == 100


def test_the_directory_that_is_emptied_is_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_DIR", str(tmp_path))
    assert sizes_from_environment().directory.parent == tmp_path


def test_a_page_can_be_written_of_a_run_that_ended_early() -> None:
    runs = {"input 10": [{"events": 6_000, "bytes": 60_000, "event_seconds": 180.0}]}
    runs["five outputs 10"] = [run(1e6, 10)]
    sizes = replace(SIZES, events=(10,))
    text = page(runs, sizes, About("a machine", "abc", "Python 3", "Kafka 4"), Took(7.4, 12.3))
    assert "An event is 10 bytes as a line." in text and "6,000 in 3 minutes" in text
    assert "commit abc, in 7 minutes and with 12 GB" in text
    for told in ("a machine", "With Python 3", "it: Kafka 4", "`BENCH_EVENTS=10`"):
        assert told in text


def test_the_commit_is_told_and_that_there_are_changes(tmp_path: Path) -> None:
    def git(*command: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        told = subprocess.run(["git", *who, *command], cwd=tmp_path, capture_output=True, text=True)
        return told.stdout.strip()

    git("init")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "--message", "first")
    short = git("rev-parse", "--short", "HEAD")
    assert short and commit(tmp_path) == short
    (tmp_path / "a").write_text("b")
    assert commit(tmp_path) == f"{short} and changes"


def test_versions_are_those_that_are_pinned(tmp_path: Path) -> None:
    found = about(tmp_path)
    for name in ("pyspark", "apache-flink", "bytewax", "pathway", "quixstreams", "Kafka"):
        assert f"{name} " in found.others
    assert "duckdb " in found.ours
    assert "`fdatasync`" in found.disk


def test_the_last_of_several_times_is_warm_and_the_first_cold() -> None:
    ended = Ended(10.0, 6.0, 1.0, 2.0, 3.0, 0.1, None)
    found = rates(100, ended, [5.0, 2.0], quiet=1.0)
    # Ten seconds less the second time and a second of waiting.
    assert found["cold_per_second"] == pytest.approx(100 / 7)
    assert found["events_per_second"] == pytest.approx(50)
    assert found["cpu_us_per_event"] == pytest.approx(6 / 100 / 2 * 1e6)


def test_files_merge_partitions_by_what_each_had_shown() -> None:
    # Partition 0 shows 5 at once, so that its 1 comes no earlier; partition 1 shows 2 and 4.
    times, partitions = np.array([5, 1, 9, 2, 4]), np.array([0, 0, 0, 1, 1])
    offsets = np.array([0, 1, 2, 0, 1])
    seen = seen_us(times, partitions, offsets)
    assert np.lexsort((offsets, partitions, seen)).tolist() == [3, 4, 0, 1, 2]
    assert (seen - times).tolist() == [0, 4, 0, 0, 0]


def test_a_curve_says_what_makes_its_last_point_dearer() -> None:
    def spent(wait: float, fetch: float) -> dict:
        of = run(1e6, other_cores=0.25)
        times = {("job", "wait for records"): wait, ("job", "counts_1"): 1.0}
        times |= {("job", "counts_2: outputs"): 1.0, ("read readings", "fetch"): fetch}
        stages = [
            {"thread": thread, "stage": stage, "seconds": seconds, "own_cpu_seconds": 0.0}
            for (thread, stage), seconds in times.items()
        ]
        # Start and end take a second.
        of["report"]["profile"] = {"seconds": wait + 3, "cpu_seconds": 1.0, "stages": stages}
        return of

    names = [Point("events", n, n).name for n in (10, 100)]
    runs = dict(zip(names, ([spent(0.0, 0.0)], [spent(97.0, 90.0)]), strict=True))
    text = "\n".join(curves(runs, SIZES))
    assert "| 10 | 10 | 1 | 1.00 M | 3.00 | 120 | 900 | 0.2 |" in text
    wanted = (
        "takes 300000.00 µs at 10; 1000000.00 at 100, of which +970000.00 in *wait for records* "
        "(fetch +900000.00)."
    )
    assert wanted in text
    (panel,) = lines(runs, SIZES)
    assert panel["line"] == [(10, 3.0, 1e6), (100, 3.0, 1e6)]
