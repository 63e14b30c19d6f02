"""The speed of others counts only where their rows are ours: none lost, none more."""

from __future__ import annotations

import pytest

from benchmarks.faithful import compared, faults, same
from tests.benchmarks.made_up import peer_rows, run, same_rows


def test_rows_must_be_the_same_both_ways() -> None:
    assert same(same_rows())
    # All of ours are there, but there is one more.
    assert not same(same_rows(page_view_counts_theirs=101))
    assert not same(same_rows(active_users_equal=99))
    assert not same(same_rows(user_sessions_theirs=99, user_sessions_equal=99))
    assert not same(same_rows(lake_theirs=999))
    # As many, but others.
    assert not same(same_rows(enriched_same=False))
    assert not same({})


def test_what_was_never_compared_is_not_the_same() -> None:
    runs = {
        "rows plain 10": [same_rows()],
        "rows fastest 10": [same_rows(), same_rows(lake_ours=9)],
    }
    assert compared(runs, "plain 10")
    assert not compared(runs, "fastest 10")
    assert not compared(runs, "plain 20")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"page_view_counts_missing": 3}, "3 rows of page_view_counts are missing"),
        ({"page_view_counts_different": 1}, "1 rows of page_view_counts are different"),
        ({"page_view_counts_more": 1}, "1 rows of page_view_counts are more"),
        ({"active_users_missing": 1}, "1 rows of active_users are missing"),
        ({"active_users_off_max": 0.2}, "active_users are not within 15% of ours"),
        ({"user_sessions_equal": 60}, "60 of 100 sessions are ours"),
        ({"lake_rows": 999}, "999 of 1,000 events are in its lake"),
        ({"sessions_rows": 0}, "it has made no sessions"),
        ({"lake_same": False}, "the events in its lake are others"),
        ({"enriched_rows": 1_001}, "1,001 of 1,000 events are in its enriched"),
    ],
)
def test_what_a_peer_has_wrong_is_told(wrong: dict[str, float], told: str) -> None:
    right = run(1.0, 1_000, rows=peer_rows(1_000))
    assert faults("bytewax", [right]) == []
    # Of several runs one is enough.
    assert faults("bytewax", [right, run(1.0, 1_000, rows=peer_rows(1_000, **wrong))]) == [told]


def test_open_windows_and_sessions_of_another_meaning_are_no_fault() -> None:
    rows = peer_rows(1_000, page_view_counts_open=7, user_sessions_equal=0)
    assert faults("spark", [run(1.0, 1_000, rows=rows)]) == []
