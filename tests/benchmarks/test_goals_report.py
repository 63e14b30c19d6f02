"""The table of goals says what was reached of each, and what is in the way of those missed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.goals_report import all_goals
from benchmarks.limits import LIMITS
from benchmarks.long_report import tenths
from benchmarks.sizes import sizes_from_environment

SIZES = replace(sizes_from_environment(), events=(10_000_000,), long_events=300_000_000)


def run(rate: float, **more: Any) -> dict[str, Any]:
    return {"events_per_second": rate, "peak_mib": 900.0, "events": 1_000_000} | more


def looks(last_rate: float) -> list[dict[str, float]]:
    """One look a second at a job of 1,000 records/s, whose last tenth has another rate."""
    found, read = [], 0.0
    while read < 100_000:
        kept = {"log_mib": 50.0, "resident_mib": 400.0, "anonymous_mib": 300.0}
        found.append({"seconds": float(len(found)), "read": read} | kept)
        read += 1_000 if read < 90_000 else last_rate
    found.append(found[-1] | {"seconds": float(len(found)), "read": 100_000.0})
    return found


def runs_at(rate: float, last_rate: float) -> dict[str, list[dict[str, Any]]]:
    live = {"p50_ms": 2e7 / rate, "p99_ms": 90.0}
    runs = {
        name: [run(rate)]
        for name in ("five outputs 10000000", "both 10000000", "ingest 10000000", "kafka")
    }
    return runs | {
        "ours five 1000000": [run(rate)],
        "ours count 2000000": [run(2 * rate, events=2_000_000)],
        "peer spark five": [run(80_000.0)],
        "peer flink count": [run(80_000.0, events=2_000_000)],
        "fastest 10000000": [run(rate)],
        "live 10000 0": [live],
        "live 100000 0": [live],
        "first result": [{"seconds": 0.9}],
        "import": [{"seconds": 0.2}],
        "curve keys 10000000": [run(400_000.0)],
        "verify 10000000": [{"wall_seconds": 14.0}],
        "long": [{"report": {"looks": looks(last_rate)}}],
    }


def test_each_goal_is_met_missed_or_said_not_to_be_measured() -> None:
    page = "\n".join(all_goals(runs_at(2e6, 1_000), SIZES))
    for line in (
        "| `activity`, five outputs, catching up from the log | 2 M events/s | 2.00 M | met |",
        "| five outputs, against PySpark Structured Streaming, warm | 25 × | 25.00 × | met |",
        "| one count, against PyFlink SQL, warm | 10 × | 50.00 × | met |",
        "| one count, against PySpark Structured Streaming, warm "
        "| 10 × | not measured in this run | – |",
        "| against DuckDB, the fastest script | 0.8 × | 1.00 × | met |",
        "| live at 10,000 events/s: event to visible row "
        "| p50 20 ms, p99 100 ms | p50 10 ms, p99 90 ms | met |",
        "| live at 100,000 events/s: event to visible row "
        "| p99 250 ms | p50 10 ms, p99 90 ms | met |",
        "| `import headrace`, with Python itself | 0.15 s | 0.20 s | missed (2) |",
        "| `verify` of 10,000,000 events | 15 s | 14.0 s | met |",
        "| `recompute` of 10,000,000 events | 15 s | not measured in this run | – |",
    ):
        assert line in page
    assert f"2. {LIMITS['start']}" in page


def test_another_rate_than_the_goal_s_is_no_answer_to_it() -> None:
    page = "\n".join(all_goals(runs_at(2e6, 1_000), replace(SIZES, fast_rate=20_000)))
    assert "| p99 250 ms | not measured in this run | – |" in page


def test_goals_that_share_a_limit_name_it_once() -> None:
    page = "\n".join(all_goals(runs_at(1e6, 1_000), SIZES))
    assert page.count("missed (1)") == 2, page
    assert page.count(LIMITS["five"]) == 1


def test_a_long_run_that_slows_down_misses_its_goal() -> None:
    slow, steady = looks(800), looks(1_000)
    assert [round(t["rate"]) for t in tenths(steady)] == [1_000] * 10
    assert [round(t["rate"]) for t in tenths(slow)][-2:] == [1_000, 769]
    page = "\n".join(all_goals(runs_at(2e6, 800), SIZES))
    assert "rate -23%, memory +0%, log +0% (300 M) | missed" in page


def test_every_limit_is_said_in_words() -> None:
    assert all(len(text.split()) > 8 for text in LIMITS.values())
