"""Times at their edges: the ends of the calendar, leap days, microseconds, clocks that jump."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import headrace.testing
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.checking import check_all
from tests.engines.embedded.logs import Record, random_log
from tests.engines.embedded.playing import Sent
from tests.torture.course import Part

_VIEWS, _RECORDS = 5, 20
_AHEAD = "3000000 days"
_REFUSED = [
    datetime.min,
    datetime.max,
    datetime(101, 1, 1) - timedelta(microseconds=1),
    datetime(9900, 1, 1),
]
_EDGES = [
    datetime(101, 1, 1),
    datetime(1582, 10, 10),
    datetime(1900, 2, 28, 23, 59, 59, 999_999),
    datetime(1900, 3, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    datetime(1970, 1, 1),
    datetime(1970, 1, 1, 0, 0, 0, 1),
    datetime(2000, 2, 29),
    datetime(2016, 12, 31, 23, 59, 59),
    datetime(2024, 2, 29, 23, 59, 59, 500_000),
    datetime(2024, 3, 1),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(2262, 4, 11, 23, 47, 16, 854_776),
    datetime(9899, 12, 31, 23, 59, 59, 999_999),
]
_JUMPS = [timedelta(days=d) for d in (-400, -1, 1, 400)] + [timedelta(microseconds=-1)]


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    chance = Random(seed)
    chosen = _moments(chance, _EDGES) + chance.sample(_REFUSED, 2)
    app = app_of(seed, _VIEWS, partitions=2, ahead=_AHEAD)
    log = random_log(app.plan, chance, _RECORDS, chosen)
    jumps = 0
    with headrace.testing.run(app, start=datetime(2026, 1, 1), threads=1) as t:
        sent = Sent()
        for record in log:
            sent.play(t, [Record(record.topic, record.partition, record.value, record.then)])
            if record.then:
                t.advance(chance.choice(_JUMPS))
                jumps += 1
        check_all(t, sent)
        for runner in t.runners.values():
            times = runner.store.rows("select epoch_time from meta.epochs order by epoch")
            assert times == sorted(times), "the time of an epoch lies before the one before it"
        t.verify()
        t.recompute()
        check_all(t, sent)
        t.verify()
    return {"definitions": _VIEWS, "records": len(log), "clock jumps": jumps}


def _moments(chance: Random, edges: list[datetime]) -> list[datetime]:
    """Some edges, each also a little before or after it, so that windows and sessions have rows."""
    made = []
    for edge in chance.sample(edges, 4):
        made.append(edge)
        for _ in range(3):
            apart = timedelta(seconds=chance.choice([1e-6, 0.5, 1, 5, 8, 12]))
            made.append(edge + apart if chance.random() < 0.5 else edge - apart)
    return made


TIMES = Part(
    "time",
    "Whatever the times (leap days, offsets, microseconds, the ends of the calendar and of what is "
    "accepted) and however the clock jumps, results equal plain loops, windows have times within "
    "the years 1 to 9999, and the time of an epoch never goes back.",
    trial,
    share=1.0,
    goals={"definitions": 40, "records": 200, "clock jumps": 40},
)
