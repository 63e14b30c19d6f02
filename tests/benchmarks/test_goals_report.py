"""The table of goals says what was reached of each, and what is in the way of those missed."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.goals_report import all_goals
from benchmarks.limits import limit
from benchmarks.long_report import tenths
from benchmarks.measure.profiled import second_half
from benchmarks.runs import Runs
from benchmarks.sizes import sizes_from_environment
from tests.benchmarks.made_up import command, peer_rows, proof, run, same_rows

SIZES = replace(sizes_from_environment(), events=(10_000_000,), long_events=300_000_000)


def looks(last_rate: float) -> list[dict[str, float]]:
    """One look a second at a job of 1,000 records/s, whose last tenth has another rate."""
    found, read = [], 0.0
    while read < 100_000:
        kept = {"log_mib": 50.0, "resident_mib": 400.0, "anonymous_mib": 300.0}
        found.append({"seconds": float(len(found)), "read": read} | kept)
        read += 1_000 if read < 90_000 else last_rate
    found.append(found[-1] | {"seconds": float(len(found)), "read": 100_000.0})
    return found


def runs_at(rate: float, last_rate: float = 1_000) -> Runs:
    live = {"p50_ms": 2e7 / rate, "p99_ms": 90.0, "epoch_p50_ms": 9.0, "query_p50_ms": 1.0}
    long = run(rate)
    long["report"]["looks"] = looks(last_rate)
    return {
        "five outputs 10000000": [run(rate)],
        "both 10000000": [run(rate / 2)],
        "five from files 10000000": [run(rate)],
        "ingest 10000000": [command(5.0, added=1) | {"events_per_second": rate}],
        "fastest 10000000": [run(rate)],
        "rows fastest 10000000": [same_rows()],
        "kafka": [run(rate)],
        "client alone": [run(rate)],
        "five outputs 1000000": [run(rate)],
        "both 1000000": [run(rate / 2)],
        "one count 2000000": [run(2 * rate, events=2_000_000)],
        "peer spark five": [run(80_000.0, rows=peer_rows(1_000_000))],
        "peer flink count": [run(80_000.0, 2_000_000, rows=peer_rows(2_000_000))],
        "live 10000 0": [live],
        "live 100000 0": [live],
        "first result": [{"seconds": 0.9}],
        "import": [{"seconds": 0.2}],
        "curve keys 10000000": [run(400_000.0)],
        "verify 10000000": [proof(14.0)],
        "long": [long],
    }


def test_each_goal_is_met_missed_or_said_not_to_be_measured() -> None:
    page = "\n".join(all_goals(runs_at(2e6), SIZES))
    for line in (
        "| `activity`, five outputs, catching up from the log | 2 M events/s | 2.00 M | met |",
        "| five outputs, against PySpark Structured Streaming, warm: from the log "
        "| 25 × | 25.00 × | met |",
        "| five outputs, against PySpark Structured Streaming, warm: from files "
        "| 25 × | 12.50 × | missed (1) |",
        "| one count, against PyFlink SQL, warm: from the log | 10 × | 50.00 × | met |",
        "| one count, against PyFlink SQL, warm: from Kafka "
        "| 10 × | not measured in this run | – |",
        "| one count, against PySpark Structured Streaming, warm: from the log "
        "| 10 × | not measured in this run | – |",
        "| against DuckDB, the fastest script: from the log | 0.8 × | 1.00 × | met |",
        "| against DuckDB, the fastest script: from NDJSON | 0.8 × | 0.50 × | missed (2) |",
        "| live at 10,000 events/s: event to visible row "
        "| p50 20 ms, p99 100 ms | p50 10 ms, p99 90 ms | met |",
        "| live at 100,000 events/s: event to visible row "
        "| p99 250 ms | p50 10 ms, p99 90 ms | met |",
        "| `import headrace`, with Python itself | 0.15 s | 0.20 s | missed (4) |",
        "| `verify` of 10,000,000 events | 15 s | 14.0 s | met |",
        "| `recompute` of 10,000,000 events | 15 s | not measured in this run | – |",
    ):
        assert line in page
    assert f"4. {limit('start', {}, SIZES)}" in page


def test_keys_that_all_change_are_those_of_the_second_half() -> None:
    commits = [(1.0, 40), (2.0, 20), (4.0, 30), (6.0, 10)]
    assert second_half(commits) == {"records": 40, "seconds": 4.0}
    assert second_half([(1.0, 7)])["records"] == 0
    runs = runs_at(2e6)
    runs["curve keys 10000000"][0]["report"]["second_half"] = {"records": 1e7, "seconds": 50.0}
    page = "\n".join(all_goals(runs, SIZES))
    assert "| 0.40 M, 0.20 M of the second half, in 944 MB | missed" in page


def test_another_rate_than_the_goal_s_is_no_answer_to_it() -> None:
    page = "\n".join(all_goals(runs_at(2e6), replace(SIZES, fast_rate=20_000)))
    assert "| p99 250 ms | not measured in this run | – |" in page


def test_whose_rows_are_not_ours_is_compared_with_nothing() -> None:
    runs = runs_at(2e6)
    runs["peer spark five"][0]["rows"] = peer_rows(1_000_000, page_view_counts_missing=1)
    runs["rows fastest 10000000"] = [same_rows(user_sessions_theirs=101)]
    page = "\n".join(all_goals(runs, SIZES))
    assert (
        "PySpark Structured Streaming, warm: from the log | 25 × | its rows are not ours | – |"
        in page
    )
    assert page.count("| 0.8 × | its rows are not ours | – |") == 2


def test_goals_that_share_a_limit_name_it_once() -> None:
    runs = runs_at(1e6)
    page = "\n".join(all_goals(runs, SIZES))
    assert page.count("missed (1)") == 3, page
    assert page.count(limit("five", runs, SIZES)) == 1


def test_a_long_run_that_slows_down_misses_its_goal() -> None:
    slow, steady = looks(800), looks(1_000)
    assert [round(t["rate"]) for t in tenths(steady)] == [1_000] * 10
    assert [round(t["rate"]) for t in tenths(slow)][-2:] == [1_000, 769]
    page = "\n".join(all_goals(runs_at(2e6, 800), SIZES))
    assert "rate -23%, memory +0%, log +0% (300 M) | missed" in page
