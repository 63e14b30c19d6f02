"""After a reset, duplicates of records that the topic has let go are no fault of their outputs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa

import headrace as hr
from headrace.engines.embedded.runner import JobRunner
from headrace.ops.jobs.states import reset
from headrace.plan.operators import Stream
from headrace.proof.earlier import given_before
from headrace.proof.fixed import fixed
from headrace.storage.topics.log import LocalTopic
from headrace.values.settings import Settings, load_settings
from tests.proof.letting_go import take_all


class Ping(hr.Event):
    who: str
    n: int
    at: datetime


def pinging() -> hr.App:
    app = hr.App("pings")
    pings = app.source(Ping, topic="pings", key="who", time="at", partitions=1)
    once = pings.dedupe(by=("who",))
    app.lake("once_lake", once)
    app.topic("once", once)
    app.table("counts", once.by("who").agg(n="count(*)"))
    return app


def append(topic: LocalTopic, names: str, first: int) -> None:
    values = [
        f'{{"who": "{who}", "n": {first + i}, "at": "2026-03-01T10:00:00Z"}}'
        for i, who in enumerate(names)
    ]
    topic.append(pa.array([v.encode() for v in values]), keys=pa.array([b"k"] * len(values)))


def proved(app: hr.App, settings: Settings) -> dict[str, int]:
    (proof,) = app.verify(data=settings.data)
    return {c.name: c.different for c in proof.checked}


def may_lack(app: hr.App, settings: Settings, name: str) -> set[int] | None:
    """The offsets of records of which the output may lack its row."""
    (job,) = app.plan.jobs
    (output,) = (o for o in job.outputs if o.name == name)
    stream = job.input_of(output)
    assert isinstance(stream, Stream)
    with JobRunner(job, settings) as runner, fixed(runner) as fix:
        found = given_before(fix, output, stream)
        if found is None:
            return None
        identity = runner.engine.readers["pings"].topic.identity
        records = (
            f"select '{identity}' as _topic_generation, 0 as _partition, o as _offset "
            "from range(20) t(o)"
        )
        rows = fix.cursor.execute(f"select _offset from ({records}) where {found}").fetchall()
        return {offset for (offset,) in rows}


def test_duplicates_of_what_is_gone_are_no_difference(tmp_path: Path) -> None:
    app, topic = pinging(), LocalTopic.ensure(tmp_path / "topics", "pings", 1)
    settings = load_settings(directory=tmp_path, overrides={"data": tmp_path})
    append(topic, "abc", 0)
    app.run(until="caught-up", data=tmp_path)
    take_all(topic)
    # a and b are duplicates to the first generation; to the second they are the first ones.
    append(topic, "abd", 3)
    app.run(until="caught-up", data=tmp_path)
    reset(app.plan.jobs[0].id, settings)
    append(topic, "ade", 6)
    app.run(until="caught-up", data=tmp_path)
    rows = app.query("select who, n from lake.once_lake order by n", data=tmp_path).to_pylist()
    assert [(r["who"], r["n"]) for r in rows] == [("a", 0), ("b", 1), ("c", 2), ("d", 5), ("e", 8)]
    assert proved(app, settings) == {"once_lake": 0, "once": 0, "counts": 0}
    # What the second generation gave itself must be there.
    for name in ("once_lake", "once"):
        assert may_lack(app, settings, name) == {0, 1, 2, 3, 4, 5}


def test_nothing_may_lack_where_all_was_read_again(tmp_path: Path) -> None:
    app, topic = pinging(), LocalTopic.ensure(tmp_path / "topics", "pings", 1)
    settings = load_settings(directory=tmp_path, overrides={"data": tmp_path})
    append(topic, "abc", 0)
    app.run(until="caught-up", data=tmp_path)
    reset(app.plan.jobs[0].id, settings)
    append(topic, "ade", 3)
    app.run(until="caught-up", data=tmp_path)
    assert may_lack(app, settings, "once_lake") is None
    assert proved(app, settings) == {"once_lake": 0, "once": 0, "counts": 0}
