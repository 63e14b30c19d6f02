"""examples/matches.py against a sum by hand."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.examples.real_input import Ran, check_proved, example, fed, recorded, window

FILE = recorded("lol/matches.jsonl.gz")
_TOTALS = ("kills", "deaths", "assists")


@pytest.fixture(scope="module")
def matches() -> list[dict[str, Any]]:
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["info"] for line in lines]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data: Path = tmp_path_factory.mktemp("matches")
    return fed(example("matches"), "matches", FILE, data)


def test_totals_per_champion(ran: Ran, matches: list[dict[str, Any]]) -> None:
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    minutes: dict[str, list[float]] = defaultdict(list)
    for match in matches:
        if match["gameDuration"] < 300:
            continue
        for player in match["participants"]:
            total = totals[player["championName"]]
            total["games"] += 1
            total["wins"] += player["win"]
            total["gold"] += player["goldEarned"]
            total["damage"] += player["totalDamageDealtToChampions"]
            for name in _TOTALS:
                total[name] += player[name]
            minutes[player["championName"]].append(match["gameDuration"] / 60)
    served = ran.table("champions", "champion")
    assert len(served) == len(totals) == 170
    for (champion,), row in served.items():
        total = totals[champion]
        assert {n: row[n] for n in ("games", "wins", "gold", *_TOTALS)} == {
            n: total[n] for n in ("games", "wins", "gold", *_TOTALS)
        }
        assert abs(row["win_rate"] - 100 * total["wins"] / total["games"]) < 0.0501
        rate = total["damage"] / math.fsum(minutes[champion])
        assert math.isclose(row["damage_per_minute"], rate, rel_tol=1e-9)


def test_positions_by_day(ran: Ran, matches: list[dict[str, Any]]) -> None:
    wanted: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for match in matches:
        at = datetime(1970, 1, 1) + timedelta(milliseconds=match["gameCreation"])
        for player in match["participants"]:
            if match["gameDuration"] >= 300 and player["teamPosition"] != "Invalid":
                counts = wanted[window(at, timedelta(days=1)), player["teamPosition"]]
                counts[0] += 1
                counts[1] += player["kills"]
                counts[2] = max(counts[2], player["goldEarned"])
    served = ran.table("positions", "window_start", "position")
    assert {k: [r["games"], r["kills"], r["most_gold"]] for k, r in served.items()} == wanted


def test_records_and_rows_are_counted(ran: Ran, matches: list[dict[str, Any]]) -> None:
    remakes = sum(match["gameDuration"] < 300 for match in matches)
    for view in ("champions", "positions"):
        records = ran.sums("view", view)
        assert records["accepted"] == len(matches)
        assert records["filtered"] == remakes == 56
    players = sum(len(m["participants"]) for m in matches if m["gameDuration"] >= 300)
    rows = ran.sums("view_rows", "champions")
    assert (rows["applied"], rows["filtered"]) == (players, remakes)


def test_it_is_proved(ran: Ran) -> None:
    check_proved(ran)
