"""What the page says of stages is what was measured, whichever kind of run it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.limits import limit
from benchmarks.live import live_runs
from benchmarks.profiles import UnknownStage, profile_of
from benchmarks.sizes import sizes_from_environment
from benchmarks.stages_report import stages as section
from tests.benchmarks.made_up import command, proof, run

SIZES = replace(sizes_from_environment(), events=(10_000_000,), peer_five=1_000_000)


def test_shares_are_of_all_stages_that_are_named() -> None:
    found = profile_of(run(1.0), "", 5_000_000)
    assert found.cores == pytest.approx(1.5)
    assert found.cpu_us == pytest.approx(3.0)
    # A thread, a stage, a view with what belongs to it.
    assert found.of_time("read user_activity") == pytest.approx(0.7)
    assert found.of_time("decode", "commit") == pytest.approx(0.7)
    assert found.of_cpu("user_sessions") == pytest.approx(3.0 / 15)
    assert found.of_cpu_elsewhere == pytest.approx(1 - 8.85 / 15)


def test_a_stage_that_was_renamed_is_no_share_of_nothing() -> None:
    with pytest.raises(UnknownStage, match="has no stage unpack"):
        profile_of(run(1.0), "count", 10).of_cpu("decode", "unpack")


def test_commands_tell_of_themselves() -> None:
    assert profile_of(proof(7.0), "", 10).seconds == 7.0
    found = profile_of(command(4.0), "", 10)
    assert (found.seconds, found.cpu_seconds) == (4.0, 15.0)


def test_limits_take_their_figures_from_the_runs() -> None:
    runs = {"five outputs 10000000": [run(1e6)], "five outputs 1000000": [run(1e6)]}
    text = limit("five", runs, SIZES)
    for told in ("1.5 µs of CPU", "20% of it is taking", "busy 60% of the time", "1.5 of the two"):
        assert told in text, text
    # Of ten seconds the job's thread had eight.
    assert "start and end take Headrace 20% of the time" in text
    runs["ingest 10000000"] = [command(5.0)]
    assert limit("ingest", runs, SIZES).startswith("40% of the CPU are the kernel's")


def test_the_limit_of_live_runs_tells_of_the_fast_one() -> None:
    live = {"epoch_p50_ms": 90.0, "query_p50_ms": 4.0, "epochs": 20}
    runs = {of.name: [run(1.0, **live)] for of in live_runs(SIZES)}
    text = limit("live", runs, SIZES)
    assert "an epoch takes 90 ms at the median and a query 4 ms" in text
    # Of ten seconds six are the job's own, five of them for sessions.
    assert "At 100,000 events/s the job's thread is busy 60% of the time, 50% with" in text
    assert "At 100,000" not in limit("live", dict(list(runs.items())[:-1]), SIZES)


def test_every_missed_goal_shows_its_profile() -> None:
    runs = {
        "five outputs 10000000": [run(3e6)],
        "ingest 10000000": [command(5.0)],
        "recompute 10000000": [proof(14.0)],
        "verify 10000000": [proof(20.0)],
    }
    for name in ("first result", "import"):
        runs[name] = [{"seconds": 0.0}]
    titles = [line for line in section(runs, SIZES) if line.startswith("### ")]
    # The five outputs always, `ingest` and `verify` as they miss their goals.
    wanted = ["Five outputs", "Ingest", "Verify"]
    runs["ingest 10000000"][0]["events_per_second"] = 1e6
    assert [t.removeprefix("### ").split(",")[0] for t in titles] == wanted


def test_a_table_leaves_out_what_is_next_to_nothing() -> None:
    many = run(1e6)
    few = {"thread": "job", "stage": "ledger", "seconds": 0.01, "own_cpu_seconds": 0.01}
    many["report"]["profile"]["stages"].append(few)
    runs = {"five outputs 10000000": [many], "first result": [{"seconds": 0.0}]}
    runs["import"] = [{"seconds": 0.0}]
    page = "\n".join(section(runs, SIZES))
    assert "| job | user_sessions | 40% | 0.225 | 15% |" in page
    assert "ledger" not in page
    assert "| other threads |  |  | 0.614 | 41% |" in page
