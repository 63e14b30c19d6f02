"""Random apps: sources of any shape, random views, and destinations of every kind."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from random import Random
from typing import Any

import headrace as hr
from tests.engines.embedded.chance import perhaps
from tests.engines.embedded.definitions import WINDOWS, Made, Rows, make
from tests.engines.embedded.events import SHAPES
from tests.engines.embedded.expressions import INEXACT


def app_of(
    seed: int | Random,
    views: int,
    *,
    fixed: bool = False,
    partitions: int = 3,
    lateness: str | None = None,
    alone: bool = False,
    ahead: str | None = None,
) -> hr.App:
    """An app with `views` random views, each in tables of all kinds, and streams of all kinds.

    The same seed, or the same state of a random, gives the same app. `fixed` is the app after a
    fix of its event classes; `lateness` is that of all sources, else each has one of its own;
    `alone` asks for one job that reads one topic with times.
    """
    chance = Random(seed) if isinstance(seed, int) else copy(seed)
    app = hr.App("random")

    def source_of(topic: str, partitions: int) -> Callable[[Any], Rows]:
        within = ahead or chance.choice(["1 day", "13 hours"])
        options = {"partitions": partitions, "ahead": within}
        return _source(topic, chance, fixed, options, lateness, timed=alone)

    things = source_of("things", partitions)
    jobs: list[tuple[Any, Rows]] = [(app, things(app))]
    if not alone and perhaps(chance, 0.3):
        jobs.append((app, source_of("others", chance.randint(1, 3))(app)))
    if not alone and perhaps(chance, 0.2):
        other = app.job("other")
        jobs.append((other, things(other)))
    windows = chance.sample(list(WINDOWS), min(views, len(WINDOWS)))
    for number in range(views):
        job, rows = jobs[number % len(jobs)]
        _outputs(job, number, make(rows, windows[number % len(windows)], chance), chance)
    for number, (job, rows) in enumerate(jobs):
        job.lake(f"everything{number}", rows.stream)
    return app


def _source(
    topic: str,
    chance: Random,
    fixed: bool,
    options: dict[str, Any],
    lateness: str | None,
    timed: bool,
) -> Callable[[Any], Rows]:
    """What makes a job read the topic; all jobs read it as the same."""
    names = ["plain", "nested", "nested", "inside", "seconds", "micros"]
    shape = SHAPES[chance.choice(names if timed else [*names, "timeless"])]
    event = shape.fixed if fixed and shape.fixed is not None else shape.event
    waits = f"{chance.choice([0, 0, 5, 20])} seconds"
    idle_timeout = chance.choice([None, None, "10 minutes"])
    # Which partition a record without a key goes to is chance: so is that of all of these.
    key = chance.choice(["who", "who", "kind", None]) if lateness is None else "who"
    options |= {"lateness": lateness or waits, "idle_timeout": idle_timeout, "key": key}
    options |= {"value_bytes_max": chance.choice([1 << 20, 1 << 20, 400])}
    options |= dict(shape.options)

    def read(job: Any) -> Rows:
        stream = job.source(event, topic=topic, **options)
        return Rows(stream, shape.columns, key, "time" in options)

    return read


def _outputs(job: Any, number: int, made: Made, chance: Random) -> None:
    _first_table(job, f"v{number}", made, chance)
    if made.ends and perhaps(chance, 0.5):
        chance.choice([job.table, job.index])(f"f{number}", made.view, emit="final")
    if made.smaller is not None and perhaps(chance, 0.6):
        job.table(f"k{number}", made.view, key=made.smaller)
    if perhaps(chance, 0.3):
        job.topic(f"t{number}", made.view, partitions=chance.randint(1, 3))
    if made.ends and perhaps(chance, 0.2):
        job.topic(f"c{number}", made.view, emit="final")
    if made.ends and perhaps(chance, 0.2):
        # By a decimal it would be refused.
        by = chance.choice([(), tuple(k for k in made.keys if k not in INEXACT)[:1]])
        job.lake(f"w{number}", made.view, partition_by=by, emit="final")
    _stream_outputs(job, number, made.rows, chance)


def _first_table(job: Any, name: str, made: Made, chance: Random) -> None:
    role = chance.choice(["table", "table", "index", "ranking", "wide_table"])
    if role == "ranking":
        job.ranking(name, made.view, score="c")
    elif role == "wide_table" and made.row_key:
        job.wide_table(name, made.view, partition_by=made.row_key[:1], cluster_by=made.row_key[1:])
    else:
        (job.index if role == "index" else job.table)(name, made.view)


def _stream_outputs(job: Any, number: int, rows: Rows, chance: Random) -> None:
    if perhaps(chance, 0.25):
        job.lake(f"l{number}", rows.stream, partition_by=chance.choice([(), "kind"]))
    if perhaps(chance, 0.3):
        stream = rows.stream
        if perhaps(chance, 0.5):
            stream = stream.with_columns(at_run="processing_time()", twice="n * 2")
        key = chance.choice([None, (), ("n",), ("who", "kind")])
        job.topic(f"r{number}", stream, key=key, partitions=chance.randint(1, 3))
    if perhaps(chance, 0.25):
        job.table(f"s{number}", rows.stream, key=chance.choice(["who", ("who", "kind")]))
