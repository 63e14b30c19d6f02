"""The page tells of each peer: what it reached, what it lost, or why it is left out."""

from __future__ import annotations

from typing import Any

from benchmarks.chart import panels
from benchmarks.peer_report import peers
from benchmarks.peers.known import PEERS
from benchmarks.sizes import sizes_from_environment


def run(events: int, rate: float, **more: Any) -> dict[str, Any]:
    used = {"cpu_us_per_event": 3.0, "peak_mib": 500.0, "other_cores": 0.1}
    speed = {"events": events, "cold_per_second": rate / 2, "events_per_second": rate}
    return speed | used | more


def rows(lost: int) -> dict[str, Any]:
    counts = {"rows": 100, "equal": 90, "different": 5, "missing": 5, "open": 0, "more": 0}
    return {"page_view_counts": counts | {"events": 1000, "peer_events": 1000 - lost}}


RUNS = {
    "ours five 1000": [run(1000, 2_000_000.0), run(1000, 1_000_000.0), run(1000, 1_500_000.0)],
    "peer spark five": [run(1000, 50_000.0, rows=rows(0))],
    "peer flink five": [run(1000, 75_000.0, rows=rows(250))],
    "peer quix five": [{"left_out": "no Java was found"}],
}


def test_ratios_stand_beside_their_goals() -> None:
    page = "\n".join(peers(RUNS, sizes_from_environment()))
    assert "| **30.0×** | ≥ 25×: met |" in page
    assert "| **20.0×** | ≥ 25×: missed |" in page


def test_lost_events_and_left_out_peers_are_told() -> None:
    page = "\n".join(peers(RUNS, sizes_from_environment()))
    assert "**250 (25.0%)**" in page
    assert "- Quix Streams, five: no Java was found" in page
    assert "- Bytewax, count: not chosen (BENCH_PEERS)" in page


def test_a_page_without_peers_has_no_section() -> None:
    assert list(peers({"peer 1000": [run(1000, 1.0)]}, sizes_from_environment())) == []


def test_the_chart_shows_the_medians() -> None:
    (panel,) = panels(RUNS | {"peer 1000": [run(1000, 700_000.0)]})
    bars = [(label, value) for label, value, _ in panel["bars"]]
    assert bars == [
        ("Headrace", 1_500_000.0),
        ("DuckDB batch, plain", 700_000.0),
        (PEERS["spark"].title, 50_000.0),
        (PEERS["flink"].title, 75_000.0),
    ]
