"""The activity generator: repeatable, orderly, and right about what must come of its records."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from headrace.apps.activity_simulation.generator import ActivityGenerator
from headrace.ops.ingest.generator import Partitions, SimulatedBatch, Simulation
from headrace.storage.topics.murmur2 import partitions_of

START_US = 1_741_000_000_000_000
KINDS = ("page_view", "click", "session_start", "session_end")
MINUTE_US = 60_000_000


def generated(simulation: Simulation, partitions: int = 3) -> tuple[list[SimulatedBatch], dict]:
    generator = ActivityGenerator(simulation, Partitions(partitions))
    batches = []
    for batch in generator.batches():
        batches.append(batch)
        generator.wrote(batch)
    return batches, generator.outcome()


def pairs(batches: list[SimulatedBatch]) -> list[tuple[bytes, bytes | None]]:
    return [
        pair
        for batch in batches
        for pair in zip(batch.values.to_pylist(), batch.keys.to_pylist(), strict=True)
    ]


def accepted(value: bytes) -> dict | None:
    """What the activity app makes of a record, in plain words."""
    try:
        event = json.loads(value)
    except ValueError:
        return None
    if set(event) != {"event_time", "user_id", "page_url", "event_type"}:
        return None
    if not all(isinstance(field, str) for field in event.values()):
        return None
    if event["event_type"] not in KINDS:
        return None
    try:
        time = datetime.fromisoformat(event["event_time"])
    except ValueError:
        return None
    event["time_us"] = round(time.timestamp() * 1e3) * 1_000
    return event


def expected_outcome(records: list[tuple[bytes, bytes | None]], partitions: int) -> dict:
    newest: dict[int, int] = {}
    late = {"page_view_counts": 0, "active_users": 0, "session_history": 0}
    kinds: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    malformed = 0
    for value, key in records:
        event = accepted(value)
        if event is None:
            malformed += 1
            continue
        kinds[event["event_type"]] += 1
        assert key == event["user_id"].encode()
        partition = int(partitions_of(pa.array([key]), partitions)[0])
        time_us = event["time_us"]
        if partition in newest:
            watermark = newest[partition] - 2 * MINUTE_US
            if (time_us // MINUTE_US + 1) * MINUTE_US <= watermark:
                late["active_users"] += 1
                late["page_view_counts"] += event["event_type"] == "page_view"
            late["session_history"] += time_us < watermark
        newest[partition] = max(newest.get(partition, time_us), time_us)
    return {
        "records": len(records),
        "accepted": len(records) - malformed,
        "malformed": malformed,
        "late": late,
        "events": dict(kinds),
    }


@pytest.mark.parametrize(
    ("rate", "late_every", "malformed_every", "partitions", "count"),
    [
        (100.0, 50, 1000, 3, 5_000),
        (1_000.0, 7, 5, 1, 3_000),
        (0.5, 2, 3, 4, 2_000),
        (50_000.0, 0, 0, 3, 2_000),
        (100.0, 2, 1, 3, 50),
        (100.0, 3, 10, 3, 7),
    ],
)
def test_the_outcome_is_that_of_a_plain_count(
    rate: float, late_every: int, malformed_every: int, partitions: int, count: int
) -> None:
    simulation = Simulation(count, rate, 7, START_US, late_every, malformed_every)
    batches, outcome = generated(simulation, partitions)
    records = pairs(batches)
    assert len(records) == count
    assert outcome == expected_outcome(records, partitions)
    assert outcome["malformed"] == (count // malformed_every if malformed_every else 0)


def test_every_late_record_is_late_for_windows_and_sessions_alike() -> None:
    _, outcome = generated(Simulation(200_000, 100.0, 3, START_US, 50, 1000))
    assert outcome["malformed"] == 200
    # One in a thousand is malformed instead of late; the first of a partition cannot be late.
    assert outcome["late"]["session_history"] == outcome["late"]["active_users"]
    assert 4_000 - 200 - 3 <= outcome["late"]["active_users"] <= 4_000 - 200


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    simulation = Simulation(150_000, 100.0, 7, START_US, 50, 1000)
    first, again = generated(simulation)[0], generated(simulation)[0]
    assert pairs(first) == pairs(again)
    other = generated(Simulation(1_000, 100.0, 8, START_US, 50, 1000))[0]
    assert pairs(other) != pairs(first)[:1_000]


def test_a_smaller_count_gives_the_beginning_of_a_greater_one() -> None:
    few = generated(Simulation(1_234, 100.0, 7, START_US, 50, 100))[0]
    many = generated(Simulation(5_000, 100.0, 7, START_US, 50, 100))[0]
    assert pairs(few) == pairs(many)[:1_234]


def test_the_events_of_a_user_make_sessions() -> None:
    batches, _ = generated(Simulation(100_000, 100.0, 5, START_US))
    by_user: dict[str, list[tuple[int, str]]] = {}
    for value, _ in pairs(batches):
        event = accepted(value)
        assert event is not None
        by_user.setdefault(event["user_id"], []).append((event["time_us"], event["event_type"]))
    ended: Counter[str] = Counter()
    stray = 0
    for events in by_user.values():
        open_ = False
        for _, kind in sorted(events):
            if kind == "session_start":
                ended["restart"] += open_
                open_ = True
                continue
            stray += not open_
            if kind == "session_end":
                ended["end"] += 1
                open_ = False
    # The start of a session may still be on its way when the count is reached.
    assert stray < 100
    assert ended["end"] > 1_000
    # A few users leave without an end and are back.
    assert 0 < ended["restart"] < ended["end"]


def test_arrivals_are_in_order_and_times_nearly_so() -> None:
    batches, _ = generated(Simulation(50_000, 1_000.0, 5, START_US))
    due = [due for batch in batches for due in batch.due_us.tolist()]
    assert due == sorted(due)
    times = [accepted(value)["time_us"] for value, _ in pairs(batches)]
    behind = [now - then for now, then in zip(due, times, strict=True)]
    assert min(behind) >= 0
    assert max(behind) <= 60_000_000
    assert times != sorted(times)


@pytest.mark.parametrize("rate", [20.0, 1_000.0, 40_000.0])
def test_the_rate_holds_from_the_beginning(rate: float) -> None:
    count = int(rate * 60 if rate < 10_000 else rate * 10)
    batches, _ = generated(Simulation(count, rate, 5, START_US, live=True))
    due = np.concatenate([batch.due_us for batch in batches]) - START_US
    # The first events are still on their way to the site for a moment.
    for second in range(1, int(due[-1] / 1e6) - 10, 10):
        between = (due >= second * 1_000_000) & (due < (second + 10) * 1_000_000)
        assert between.sum() / 10 == pytest.approx(rate, rel=0.1 if rate > 100 else 0.3)


def test_malformed_records_are_of_many_kinds() -> None:
    batches, _ = generated(Simulation(20_000, 100.0, 5, START_US, 0, 100))
    values = [value for value, _ in pairs(batches) if accepted(value) is None]
    assert len(values) == 200
    assert any(b"yesterday" in value for value in values)
    assert any(b"purchase" in value for value in values)
    assert any(b"\xff" in value for value in values)
    assert any(b"page_url" not in value for value in values)
    assert any(b"null" in value for value in values)
