"""Dead letters are judged again piece by piece, each with an epoch and a number of its own."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs import replay
from headrace.engines.embedded.epochs.recall import recall
from headrace.engines.embedded.epochs.replay import recall_replay, replay_epochs
from headrace.testing import Driver
from tests.views.cases import START, at


class Small(hr.Event):
    checks = {"small": "n < 0"}
    at: datetime
    who: str
    n: int


class Large(hr.Event):
    checks = {"some": "n % 5 <> 0"}
    at: datetime
    who: str
    n: int


TOPICS, NUMBERS = ("left", "right"), range(30)


def app_of(event: type[hr.Event]) -> hr.App:
    app = hr.App("pieces")
    for topic in TOPICS:
        source = app.source(event, topic=topic, key="who", time="at", partitions=2)
        app.table(f"{topic}_totals", source.by("who").agg(total="sum(n)"))
        app.lake(f"{topic}_lake", source)
        # Of equal ones the first in the order of the log stays.
        app.topic(f"{topic}_once", source.dedupe(by=("who", "n % 7")))
    return app


def read(t: Driver) -> None:
    for topic in TOPICS:
        for n in NUMBERS:
            t.send(topic, [{"at": at(n), "who": "abc"[n % 3], "n": n}])
    t.epoch()


def expected_once() -> list[int]:
    """Written down by hand: by who and the rest, the first that is accepted."""
    first: dict[tuple[int, int], int] = {}
    for n in (n for n in NUMBERS if n % 5):
        first.setdefault((n % 3, n % 7), n)
    return sorted(first.values())


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["n"] for row in rows)


def test_all_are_judged_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PIECE_WEIGHT", 8)
    with headrace.testing.run(app_of(Small), start=START) as t:
        read(t)
        t.plan = app_of(Large).plan
        t.restart()
        [runner] = t.runners.values()
        found = replay_epochs(runner.engine, t.clock.now_us(), runner.handed_over)
        assert (found.accepted, found.refused) == (48, 12)
        assert len(found.epochs) == len(set(found.epochs)) >= 7
        letters = t.query("select topic, replayed from dead_letters where replayed is not null")
        counted = Counter((row["topic"], row["replayed"]) for row in letters)
        assert max(counted.values()) <= 5
        assert {number for _, number in counted} == set(range(1, len(found.epochs) + 1))
        for number, epoch in enumerate(found.epochs, 1):
            parts = recall_replay(runner.engine, epoch)
            sizes = {topic: len(part.records) for topic, part in parts.items()}
            assert sizes == {topic: n for (topic, nth), n in counted.items() if nth == number}
            assert recall(runner.engine, epoch).records == sum(sizes.values())
        for topic in TOPICS:
            assert numbers(t.rows(f"{topic}_lake")) == [n for n in NUMBERS if n % 5]
            assert numbers([r["value"] for r in t.rows(f"{topic}_once")]) == expected_once()
        t.verify()
        assert t.replay() == 0


def test_large_ones_make_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PIECE_WEIGHT", 100)
    with headrace.testing.run(app_of(Small), start=START) as t:
        text = "x" * 20_000
        t.send("left", [{"at": at(n), "who": "a", "n": 1, "text": text} for n in range(5)])
        t.epoch()
        t.plan = app_of(Large).plan
        t.restart()
        [runner] = t.runners.values()
        found = replay_epochs(runner.engine, t.clock.now_us(), runner.handed_over)
        # Of the weight of fifty half a piece is the share of each topic.
        assert found.accepted == 5 and len(found.epochs) >= 4
        t.verify()


def test_one_that_ends_early_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PIECE_WEIGHT", 8)
    with headrace.testing.run(app_of(Small), start=START) as t:
        read(t)
        t.plan = app_of(Large).plan
        t.restart()
        [runner] = t.runners.values()
        judged = []

        def ended(committed: Any) -> None:
            runner.handed_over(committed)
            judged.append(committed.records)
            if len(judged) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            replay_epochs(runner.engine, t.clock.now_us(), ended)
        t.restart()
        t.verify()
        assert t.replay() == 48 - sum(judged)
        for topic in TOPICS:
            assert numbers(t.rows(f"{topic}_lake")) == [n for n in NUMBERS if n % 5]
        t.verify()
