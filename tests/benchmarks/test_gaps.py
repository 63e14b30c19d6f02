"""Whatever could not be measured, the page of the rest is written, and says what is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.chart import panels
from benchmarks.children import MeasurementFailed, _report
from benchmarks.connected import BOTH, CLIENT, KAFKA, LIVE, UPSERTS
from benchmarks.curves.report import lines
from benchmarks.process_tree import Tree
from benchmarks.report import page
from benchmarks.runs import FAILED, Notes, Runs
from benchmarks.versions import About, Took
from tests.benchmarks.made_up import peer_rows, profile, proof, run, same_rows
from tests.benchmarks.test_goals_report import SIZES, runs_at

ABOUT = About("a machine", "abc", "Python 3", "Kafka 4")
TOOK = Took(1.0)


def whole(rate: float) -> Runs:
    """Something of every section, with goals that are met or missed."""
    runs = runs_at(rate)
    found = {f"{of}p{n}_ms": 1.0 for of in ("", "append_", "query_", "epoch_") for n in (50, 99)}
    found |= {"max_ms": 1.0, "epochs": 9, "epoch_records_p50": 5.0, "other_cores": 0.0}
    live = found | {"profile": profile(), "report": {"profile": profile()}}
    runs |= {name: [live] for name in ("live 10000 0", "live 10000 0 asked 50", "live 100000 0")}
    runs |= {name: [run(rate)] for name in (CLIENT, KAFKA, BOTH, "both 1000000")}
    runs |= {UPSERTS: [{"recent": 1.0, "anywhere": 2.0}], LIVE: [live]}
    runs |= {"python": [{"seconds": 0.1}], "recompute 10000000": [proof(99.0)]}
    runs |= {"verify 10000000": [proof(99.0)], "plain 10000000": [run(rate)]}
    runs |= {"rows plain 10000000": [same_rows()], "curve events 1000000": [run(rate)]}
    flink = run(rate, rows=peer_rows(1_000_000))
    return runs | {"peer flink five": [flink], "five outputs from kafka": [run(rate)]}


@pytest.mark.parametrize("rate", [1e5, 2e7])
def test_a_page_can_be_written_without_any_of_its_measurements(rate: float) -> None:
    all_runs = whole(rate)
    for left_out in (*all_runs, "nothing"):
        runs = {name: of for name, of in all_runs.items() if name != left_out}
        assert page(runs, SIZES, ABOUT, TOOK)
        panels(runs)
        lines(runs, SIZES)
    assert page({}, replace(SIZES, events=(10,)), ABOUT, TOOK)


def test_what_fails_is_noted_and_told_and_the_next_goes_on() -> None:
    kept: list[str] = []
    notes = Notes(lambda runs: kept.append(json.dumps(runs)))
    with notes.trying("the one"):
        raise MeasurementFailed("a command\nits last words\n   ^^^^")
    with notes.trying("the other"):
        notes.note("other", {"seconds": 1.0})
    assert notes.runs[FAILED] == [{"what": "the one", "why": "its last words"}]
    assert json.loads(kept[-1])["other"]
    assert "- the one: its last words" in page(notes.runs, SIZES, ABOUT, TOOK)


@pytest.mark.parametrize("output", [b"", b"words\n", b"words\n7\n", b'{"second": 1}\n'])
def test_a_peer_that_ends_well_but_tells_nothing_has_failed(output: bytes) -> None:
    with pytest.raises(MeasurementFailed, match="wrote no report"):
        _report(output, Tree())
