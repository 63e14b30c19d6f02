"""One log, complete before the first epoch, in many ways: the same rows, sums and dead letters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs import sources
from headrace.ops.jobs.rebuilding import rebuild_job
from headrace.ops.jobs.states import reset
from headrace.plan.operators import Job
from headrace.testing import Driver
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.checking import check_all
from tests.engines.embedded.logs import START, Record, random_log, value_at
from tests.engines.embedded.playing import Sent, read_of
from tests.engines.embedded.trials import NOON
from tests.torture.course import Part
from tests.torture.outcomes import COMPARED, outcome, same
from tests.torture.spilling import spills
from tests.torture.threads import READ_BY_SEVERAL, read_by_several

_VIEWS, _WAYS = 4, 3
_PATIENT = "1 day"
_LARGE_LOG, _SMALL_MEMORY, _MUCH_MEMORY = 30_000, "40MB", "4GB"

Way = Callable[[Driver, Random], None]


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    chance = Random(seed)
    if seed % 5 == 0:
        return read_by_several(seed, chance)
    if chance.random() < 0.25:
        return _with_little_memory(seed, chance)
    if chance.random() < 0.3:
        return _with_other_partitions(seed, chance)
    app = app_of(seed, _VIEWS, partitions=chance.randint(1, 4))
    log = random_log(app.plan, chance, chance.choice([10, 30]))
    plain = _run(app, log, 1, _at_once, chance)
    done: Counter[str] = Counter(definitions=_VIEWS)
    for name in chance.sample(list(WAYS), _WAYS):
        try:
            again = _run(app, log, chance.randint(1, 8), WAYS[name], chance)
        except AssertionError as found:
            raise AssertionError(f"{name}: {found}") from found
        done["ways"] += 1
        if name != "rebuilt":
            done[COMPARED] += same(again, plain, name)
    return done


def _at_once(t: Driver, chance: Random) -> None:
    t.epoch()


def _cut(t: Driver, chance: Random) -> None:
    """Epochs of any size, partitions in any order, and one of what is left."""
    for _ in range(chance.randint(1, 6)):
        _piece(t, chance)
    t.epoch()


def _piece(t: Driver, chance: Random) -> None:
    if chance.random() < 0.5:
        # What comes next may have been read ahead.
        for _ in range(3):
            t.epoch(chance.randint(1, 8))
        return
    for runner in t.runners.values():
        stop = {}
        for topic, reader in runner.engine.readers.items():
            ends = zip(reader.position.offsets, reader.topic.end_offsets(), strict=True)
            stop[topic] = [chance.choice([at, chance.randint(at, end), end]) for at, end in ends]
        committed = runner.engine.epoch(
            t.clock.now_us(), 1 << 40, stop=stop, show=chance.random() < 0.3, alongside=runner.note
        )
        if committed is not None:
            runner.handed_over(committed)


def _stopped(t: Driver, chance: Random) -> None:
    """A stop and a start after every epoch."""
    for _ in range(4):
        _piece(t, chance)
        t.restart()
    t.epoch()


def _reset(t: Driver, chance: Random) -> None:
    """Read in part, forgotten, and read again by a greater generation."""
    _piece(t, chance)
    t.close()
    for job in t.plan.jobs:
        reset(job.id, t._settings)
    t.open()
    _cut(t, chance)


def _rebuilt(t: Driver, chance: Random) -> None:
    """Views built again in the middle, some or all: closed windows from all events so far."""
    _piece(t, chance)
    t.close()
    for job in t.plan.jobs:
        names = [v.name for v in job.views]
        rebuild_job(job, t._settings, views=chance.sample(names, chance.randint(1, len(names))))
    t.open()
    _cut(t, chance)


WAYS: dict[str, Way] = {
    "cut": _cut,
    "stopped": _stopped,
    "reset": _reset,
    "rebuilt": _rebuilt,
    "threads": _at_once,
}


def _run(app: hr.App, log: list[Record], threads: int, way: Way, chance: Random) -> dict[str, Any]:
    """What there is at the end, which the reference has confirmed."""
    few = chance.choice([0, sources._AHEAD_RECORDS])
    with (
        patch.object(sources, "_AHEAD_RECORDS", few),
        headrace.testing.run(app, start=NOON, threads=threads) as t,
    ):
        sent = Sent()
        sent.play(t, log, actions=False)
        way(t, chance)
        check_all(t, sent, rebuilt=way is _rebuilt)
        if any(_silent(t, job, sent) for job in t.plan.jobs):
            return {}
        return outcome(t)


def _silent(t: Driver, job: Job, sent: Sent) -> bool:
    """Whether a partition has records and no event: the next epoch, if any, goes on without it."""
    for source in job.sources:
        spoke = {e.partition for e in read_of(t, job, source, sent).run.events}
        if {partition for partition, _ in sent.records[source.topic]} - spoke:
            return True
    return False


def _with_other_partitions(seed: int, chance: Random) -> Mapping[str, int]:
    """Nothing late, no ties, a key always in one partition: the same rows of any number.

    Where records have no time all of them tie.
    """
    apps = [app_of(seed, _VIEWS, partitions=n, lateness=_PATIENT) for n in (1, 2, 4)]
    job = apps[0].plan.jobs[0]
    others = {s.topic: s.partitions for s in job.sources}
    tied = {o.name for o in job.outputs if job.source(job.input_of(o).topic).time is None}
    log, found = random_log(apps[0].plan, chance, 25), []
    log = _without_ties(apps[0], log)
    for app in apps:
        partitions = others | {"things": app.plan.jobs[0].source("things").partitions}
        spread = [replace(r, partition=_of_key(r.value) % partitions[r.topic]) for r in log]
        rows = _run(app, spread, 1, _cut, chance)
        found.append(
            {k: v for k, v in rows.items() if k not in tied and not k.startswith("letters")}
        )
    compared = sum(same(other, found[0], "partitions") for other in found[1:])
    return {"definitions": _VIEWS, "ways": len(apps), COMPARED: compared}


def _without_ties(app: hr.App, log: list[Record]) -> list[Record]:
    """One record of each instant, of each topic; what cannot be read stays."""
    times = {s.topic: s.time for s in app.plan.jobs[0].sources}
    kept, seen = [], set()
    for record in log:
        time = _at(record.value, times[record.topic] or "")
        if time is None or (record.topic, time) not in seen:
            kept.append(record)
        seen.add((record.topic, time))
    return kept


def _at(value: bytes | None, path: str) -> Any:
    try:
        found = json.loads(value or b"")
        for name in path.split("."):
            found = found[name]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else str(found)[:19]


def _of_key(value: bytes | None) -> int:
    try:
        return sum(str(json.loads(value or b"")["who"]).encode())
    except (ValueError, KeyError, TypeError):
        return 0


def _with_little_memory(seed: int, chance: Random) -> Mapping[str, int]:
    """A log whose state does not fit the memory that the job may have."""
    app = app_of(seed, 2, partitions=2)
    values: dict[str, list[bytes | None]] = {}
    for job in app.plan.jobs:
        for source in job.sources:
            values[source.topic] = [
                value_at(source, START + timedelta(milliseconds=10 * n), chance)
                for n in range(_LARGE_LOG)
            ]
    found = []
    for memory in (_MUCH_MEMORY, _SMALL_MEMORY):
        with headrace.testing.run(app, start=NOON, threads=2) as t:
            _allow(t, memory)
            for topic, all_of in values.items():
                for partition in range(t.plan.jobs[0].topics.get(topic, 1)):
                    part = all_of[partition :: t.plan.jobs[0].topics.get(topic, 1)]
                    t.send(topic, part, partition=partition)
            with spills(t._settings.data) as spilled:
                found.append(outcome(t))
            # What is made of rows to compare them, JSON read back, does not go to disk.
            _allow(t, _MUCH_MEMORY)
            t.verify()
    compared = int(same(found[1], found[0], "little memory"))
    done = {"definitions": 2, "ways": 1, COMPARED: compared, "records": 2 * _LARGE_LOG}
    # Of the last run, which had little; some definitions need less.
    return done | {"runs that spilled": int(sum(spilled.values()) > 0)}


def _allow(t: Driver, memory: str) -> None:
    t.close()
    t._settings = replace(t._settings, memory_limit=memory)
    t.open()


WAYS_OF_READING = Part(
    "ways",
    "Whatever the cut into epochs, the threads, the order of partitions, the memory and the stops, "
    "resets and rebuilds on the way, a log gives the same rows, sums and dead letters; so it does "
    "in other numbers of partitions where nothing is late and nothing ties.",
    trial,
    share=3.0,
    short=2,
    goals={"runs that spilled": 2, READ_BY_SEVERAL: 3, COMPARED: 26},
)
