"""Golden rows, three ways: straight through, cut with a stop in the middle, with one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import headrace as hr
import headrace.testing
from headrace.language import Stream
from headrace.testing import Driver

START = datetime(2026, 1, 1)


class Thing(hr.Event):
    at: datetime
    who: str | None
    kind: str
    n: int | None
    f: float | None
    text: str
    items: list[int | None] | None


def things(name: str = "views", *, partitions: int = 1, **options: Any) -> tuple[hr.App, Stream]:
    """An app with one source of `Thing`."""
    app = hr.App(name)
    options = {"key": "who", "time": "at", **options}
    return app, app.source(Thing, topic="things", partitions=partitions, **options)


def at(second: float) -> datetime:
    """The time so many seconds after the start."""
    return START + timedelta(seconds=second)


def thing(second: float, who: str | None = "a", kind: str = "x", **more: Any) -> dict[str, Any]:
    """An event; unless said otherwise n is 1, f is 1.0, the text "1" and the list missing."""
    return {"at": at(second), "who": who, "kind": kind, "n": 1, "f": 1.0, "text": "1"} | more


@dataclass(frozen=True)
class Sent:
    """Records for one partition, in their order."""

    events: Sequence[Any]
    partition: int = 0
    topic: str = "things"


Rows = Mapping[str, tuple[str, Sequence[tuple[Any, ...]]]]
"""By destination: the columns looked at (names with blanks between) and the rows in any order.

Times stand as seconds after the start.
"""


def check(
    app: hr.App,
    sent: Sequence[Any],
    rows: Rows,
    counts: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    """Holds every destination's rows, the counts given and `verify`, each way."""
    parts = [s if isinstance(s, Sent) else Sent([s]) for s in sent]
    for way in (_straight, _cut, _one_thread):
        with headrace.testing.run(
            app, start=at(30 * 86_400), threads=2 if way is _straight else 1
        ) as t:
            way(t, parts)
            for name, (columns, wanted) in rows.items():
                found = seen(t, name, columns)
                assert found == _sorted(wanted), f"{name}, {way.__name__}: {found}"
            for name, numbers in (counts or {}).items():
                counted = t.counts(name)
                assert counted == numbers, f"{name}, {way.__name__}: {counted}"
            t.verify()


def seen(t: Driver, name: str, columns: str) -> list[tuple[Any, ...]]:
    """Some columns of what a destination holds, times as seconds after the start."""
    names = columns.split()
    return _sorted([tuple(_plain(row[n]) for n in names) for row in t.rows(name)])


def _straight(t: Driver, parts: Sequence[Sent]) -> None:
    for part in parts:
        t.send(part.topic, part.events, partition=part.partition)
    t.epoch()


def _one_thread(t: Driver, parts: Sequence[Sent]) -> None:
    _straight(t, parts)


def _cut(t: Driver, parts: Sequence[Sent]) -> None:
    """An epoch for every two records, and a stop and start in the middle."""
    records = [(part, event) for part in parts for event in part.events]
    for number, (part, event) in enumerate(records):
        t.send(part.topic, [event], partition=part.partition)
        if number % 2 == 0:
            t.epoch()
        if number == len(records) // 2:
            t.restart()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        seconds = (value - START).total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    return value


def _sorted(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    if len(rows) < 2:
        return list(rows)
    return sorted(rows, key=lambda row: [(v is None, str(type(v)), v or 0) for v in row])
