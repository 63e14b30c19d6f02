"""The page tells of each peer: what it reached, what it lost, or why it is left out."""

from __future__ import annotations

from benchmarks.chart import panels
from benchmarks.peer_report import peers
from benchmarks.peer_runs import best_of
from benchmarks.peers.known import PEERS
from benchmarks.sizes import sizes_from_environment
from tests.benchmarks.made_up import peer_rows, run, same_rows

RUNS = {
    "five outputs 1000": [run(2e6, 1_000), run(1e6, 1_000), run(1.5e6, 1_000)],
    "both 1000": [run(900_000.0, 1_000)],
    "five outputs from kafka": [run(300_000.0, 1_000)],
    "plain 1000": [run(700_000.0, 1_000)],
    "rows plain 1000": [same_rows()],
    "fastest 1000": [run(900_000.0, 1_000)],
    "peer spark five": [
        run(50_000.0, 1_000, rows=peer_rows(1_000))
        | {"variant": "all in one", "variants": {"in two": "40,000", "all in one": "50,000"}}
    ],
    "peer flink five": [run(75_000.0, 1_000, rows=peer_rows(1_000))],
    "peer pathway five": [run(7_000.0, 1_000, rows=peer_rows(1_000, sessions_rows=0))],
    "peer bytewax five": [
        run(
            90_000.0,
            1_000,
            rows=peer_rows(1_000, page_view_counts_lost=250, page_view_counts_missing=20),
        )
    ],
    "peer quix five": [{"left_out": "no Java was found"}],
}
PAGE = "\n".join(peers(RUNS, sizes_from_environment()))


def test_ratios_stand_beside_their_goals() -> None:
    assert "| **30.0×** | **18.0×** | ≥ 25×: missed |" in PAGE
    assert "| Headrace, from files | 1,000 | 0.45 M | 0.90 M | **1.7×** |  | – |" in PAGE
    assert "| Headrace, from Kafka | 1,000 | 0.15 M | 0.30 M | **5.0×** |  | – |" in PAGE


def test_a_peer_is_compared_with_what_begins_where_it_does() -> None:
    """Who reads Kafka with Headrace from Kafka; a goal is met where both ways meet it."""
    assert "| PyFlink SQL | 1,000 | 37,500 | 75,000 | **20.0×** | **4.0×** | ≥ 25×: missed" in PAGE
    fast = RUNS | {"both 1000": [run(2e6, 1_000)]}
    page = "\n".join(peers(fast, sizes_from_environment()))
    assert "| **30.0×** | **40.0×** | ≥ 25×: met |" in page
    unlike = {name: of for name, of in RUNS.items() if name != "both 1000"}
    page = "\n".join(peers(unlike, sizes_from_environment()))
    assert "| **30.0×** | not measured | ≥ 25×: met |" in page


def test_who_loses_rows_is_marked_and_compared_with_nothing() -> None:
    assert "**250 (25.0%)**" in PAGE
    assert "| Bytewax | 1,000 | 45,000 | 90,000 | its rows are not ours | – | – |" in PAGE
    assert "- Bytewax, whose rows are not ours: 20 rows of page_view_counts are missing." in PAGE
    # Nobody compared the rows of this one.
    assert "| DuckDB batch, the fastest | 1,000 | 0.45 M | 0.90 M | its rows are not ours |" in PAGE


def test_outputs_that_are_empty_are_seen() -> None:
    assert "| 96 of 100 | **none** | 1,000 | 1,000 |" in PAGE
    assert "- Pathway, whose rows are not ours: it has made no sessions." in PAGE
    assert "| 96 of 100 | 120 | 1,000 | 1,000 |" in PAGE


def test_the_fastest_of_several_ways_is_said_to_be_one() -> None:
    assert "in two: 40,000; all in one: 50,000; the table has it all in one." in PAGE


def test_left_out_peers_are_told() -> None:
    assert "- Quix Streams, five: no Java was found" in PAGE
    assert "- Pathway, count: not chosen (BENCH_PEERS)" in PAGE


def test_a_page_without_peers_has_no_section() -> None:
    assert list(peers({"plain 1000": [run(1.0, 1_000)]}, sizes_from_environment())) == []


def test_the_chart_shows_medians_of_so_many_events_and_nobody_whose_rows_are_not_ours() -> None:
    (panel,) = panels(RUNS)
    bars = [(label, value) for label, value, _ in panel["bars"]]
    assert bars == [
        ("Headrace, 0.001 M events", 1_500_000.0),
        ("DuckDB batch, plain, 0.001 M events", 700_000.0),
        (f"{PEERS['spark'].title}, 0.001 M events", 50_000.0),
        (f"{PEERS['flink'].title}, 0.001 M events", 75_000.0),
    ]


def test_the_fastest_way_counts_whose_rows_are_ours() -> None:
    ways = {
        "slow": run(1.0, 1_000, rows=peer_rows(1_000)),
        "better": run(2.0, 1_000, rows=peer_rows(1_000)),
        "losing": run(9.0, 1_000, rows=peer_rows(1_000, page_view_counts_missing=1)),
    }
    assert best_of("bytewax", ways) == "better"
    assert best_of("bytewax", {"losing": ways["losing"]}) == "losing"
