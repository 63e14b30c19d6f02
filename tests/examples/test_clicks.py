"""examples/clicks.py against a count by hand."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.examples.real_input import Ran, check_proved, example, fed, recorded, window

FILE = recorded("activity/link_clicks.jsonl.gz")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data: Path = tmp_path_factory.mktemp("clicks")
    return fed(example("clicks"), "clicks", FILE, data)


def _at(click: dict[str, Any]) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=click["t"])


def test_clicks_per_country(ran: Ran, records: list[dict[str, Any]]) -> None:
    clicks: Counter[tuple[Any, ...]] = Counter()
    links: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for click in records:
        if "t" in click:
            key = window(_at(click), timedelta(minutes=1)), click.get("c") or "unknown"
            clicks[key] += 1
            links[key].add(click["g"])
    served = ran.table("clicks_per_country", "window_start", "country")
    assert {k: row["clicks"] for k, row in served.items()} == clicks
    assert {k: row["links"] for k, row in served.items()} == {k: len(v) for k, v in links.items()}


def test_top_links(ran: Ran, records: list[dict[str, Any]]) -> None:
    clicks: dict[datetime, Counter[str]] = defaultdict(Counter)
    first: dict[tuple[datetime, str], tuple[int, int, str]] = {}
    for number, click in enumerate(records):
        if "t" in click:
            start = window(_at(click), timedelta(minutes=10))
            clicks[start][click["g"]] += 1
            told = click["t"], number, click["u"]
            first[start, click["g"]] = min(first.get((start, click["g"]), told), told)
    wanted = []
    for start, counted in sorted(clicks.items()):
        best = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:3]
        for rank, (link, count) in enumerate(best, 1):
            wanted.append((start, rank, link, count, first[start, link][2]))
    served = ran.rows("from top_links order by window_start, rank")
    assert [(r["window_start"], r["rank"], r["g"], r["clicks"], r["url"]) for r in served] == wanted


def test_heartbeats_are_dead_letters(ran: Ran, records: list[dict[str, Any]]) -> None:
    beats = [r for r in records if "t" not in r]
    letters = ran.rows("select field, reason, value from dead_letters")
    assert len(letters) == len(beats) == 120
    assert {(x["field"], x["reason"]) for x in letters} == {("t", "is missing or null")}
    kept = [json.loads(x["value"]) for x in letters]
    assert sorted(kept, key=str) == sorted(beats, key=str)
    source = ran.sums("source", "clicks")
    assert source["accepted"] == len(records) - len(beats)


def test_it_is_proved(ran: Ran) -> None:
    check_proved(ran)
