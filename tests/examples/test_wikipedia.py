"""examples/wikipedia.py against a count by hand."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.examples.real_input import (
    Ran,
    check_proved,
    example,
    fed,
    recorded,
    window,
    windows,
)

FILE = recorded("activity/wikipedia_edits.jsonl.gz")


@pytest.fixture(scope="module")
def edits() -> list[dict[str, Any]]:
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    for edit in found:
        edit["at"] = datetime.strptime(edit["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data: Path = tmp_path_factory.mktemp("wikipedia")
    return fed(example("wikipedia"), "edits", FILE, data)


def test_edits_per_page_and_minute(ran: Ran, edits: list[dict[str, Any]]) -> None:
    wanted: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for edit in edits:
        minute = window(edit["at"], timedelta(minutes=1))
        counts = wanted[minute, edit["channel"], edit["page"]]
        counts[0] += 1
        counts[1] += edit["isRobot"]
    served = ran.table("edits_per_page", "window_start", "channel", "page")
    assert {k: [row["edits"], row["by_robots"]] for k, row in served.items()} == wanted


def test_growth_of_channels(ran: Ran, edits: list[dict[str, Any]]) -> None:
    added: dict[tuple[Any, ...], int] = defaultdict(int)
    deleted: dict[tuple[Any, ...], int] = defaultdict(int)
    editors: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for edit in edits:
        for start in windows(edit["at"], timedelta(hours=1), timedelta(minutes=10)):
            added[start, edit["channel"]] += edit["added"]
            deleted[start, edit["channel"]] += edit["deleted"]
            editors[start, edit["channel"]].add(edit["user"])
    served = ran.table("growth", "window_start", "channel")
    assert {k: row["bytes_added"] for k, row in served.items()} == added
    assert {k: row["bytes_deleted"] for k, row in served.items()} == deleted
    assert {k: row["editors"] for k, row in served.items()} == {
        k: len(users) for k, users in editors.items()
    }
    assert all(r["window_end"] - r["window_start"] == timedelta(hours=1) for r in served.values())


def test_every_edit_is_accounted_for_and_proved(ran: Ran, edits: list[dict[str, Any]]) -> None:
    assert ran.sums("source", "edits")["accepted"] == len(edits)
    assert ran.sums("view", "edits_per_page")["applied"] == len(edits)
    nations = sum(edit["countryName"] is not None for edit in edits)
    [lake] = ran.rows("select count(*) as edits, count(countryName) as nations from lake.edits")
    assert lake == {"edits": len(edits), "nations": nations}
    check_proved(ran)
