"""One definition with every kind of view and every kind of output.

The same twice more, as after a fix: each accepts what the one before refused. And once as it was
before it got a field, of which no record says anything: the rows are the same.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Literal

import headrace as hr
from tests.views.cases import START, Thing


class Before(Thing):
    kind: Literal["s", "e", "x", "se"]


class Narrow(Before):
    note: str | None


class Wider(Narrow):
    kind: Literal["s", "e", "x", "se", "y"]


class Widest(Narrow):
    kind: Literal["s", "e", "x", "se", "y", "z"]


def _defined(event: type[hr.Event]) -> hr.App:
    app = hr.App("everything")
    things = app.source(
        event, topic="things", partitions=3, key="who", time="at", lateness="5 seconds"
    )
    positive = things.where("n > 0", reason="small")

    tumbled = (
        positive.tumble("10 seconds")
        .by("kind", "who")
        .agg(c="count(*)", total="sum(n)", most="arg_max(text, n)", several="count(distinct text)")
    )
    slid = (
        things.slide("20 seconds", every="5 seconds")
        .by("kind")
        .agg(c="count(*)", users="approx_count_distinct(who)", last="last(text)")
    )
    ranked = things.tumble("15 seconds").by("who").agg(c="count(*)").top(2, by="c")
    large = things.tumble("10 seconds").by("who").agg(c="count(*)").where("c > 2")
    gaps = things.session(gap="3 seconds").by("who").agg(c="count(*)", texts="list(text)")
    marked = (
        things.session(
            starts="kind in ('s', 'se')", ends="kind in ('e', 'se')", timeout="8 seconds"
        )
        .by("who")
        .agg(c="count(*)")
    )
    totals = things.by("who").agg(c="count(*)", total="sum(n)", least="min(f)")
    once = things.dedupe(by=("who", "n", "text"), within="30 seconds")
    items = things.explode("items", "item").where("item is not null")
    risky = things.where("cast(text as bigint) > 0").tumble("30 seconds").agg(c="count(*)")

    app.table("tumbled", tumbled)
    app.table("tumbled_last", tumbled, key="who")
    app.table("tumbled_final", tumbled, emit="final")
    app.topic("tumbled_changes", tumbled)
    app.topic("tumbled_closed", tumbled, emit="final")
    app.lake("tumbled_lake", tumbled, emit="final")
    app.table("slid", slid)
    app.topic("slid_changes", slid)
    app.table("ranked", ranked)
    app.table("large", large)
    app.index("gaps", gaps)
    app.topic("gap_changes", gaps)
    app.wide_table("marked", marked, partition_by="who", cluster_by="session_start_time")
    app.table("marked_last", marked, key="who")
    app.lake("marked_lake", marked, emit="final")
    app.ranking("totals", totals, score="c")
    app.topic("total_changes", totals)
    app.table("newest", things, key="who")
    app.table("risky", risky)
    app.table("deduped", once.tumble("20 seconds").by("who").agg(c="count(*)"))
    app.lake("once_lake", once, partition_by="kind")
    app.topic("once", once)
    app.lake("items_lake", items.select("who", "item", "at"))
    app.topic("stamped", things.with_columns(processing_time="processing_time()"))
    app.lake("everything_lake", things)
    return app


earlier = _defined(Before)
app = _defined(Narrow)
wider = _defined(Wider)
widest = _defined(Widest)


def write_lines(path: Path, chance: Random, count: int, first: int = 0) -> Path:
    """Records as lines, the first numbered `first`: disorder, ties, duplicates, late, malformed."""
    lines: list[str] = []
    for number in range(first, first + count):
        second = number / 10 + chance.choice([0, 0, 0, -2, -4, 1, -chance.randint(0, 40)])
        event = {
            "at": (START + timedelta(seconds=max(round(second * 2) / 2, 0))).isoformat() + "Z",
            "who": chance.choice(["a", "b", "c", "d", "e", None]),
            "kind": chance.choice(["s", "e", "x", "x", "x", "se"]),
            "n": chance.choice([None, -2, 0, 1, 1, 2, 3]),
            "f": chance.choice([None, 0.5, 1.0, -2.0]),
            "text": chance.choice(["1", "1", "2", "-7", "seven"]),
            "items": chance.choice([None, [], [1], [2, 0], [None, 1, 2]]),
        }
        if number % 37 in (7, 23):
            # Refused by `app`; `wider` accepts the first, `widest` both.
            event["kind"] = "y" if number % 37 == 7 else "z"
        lines.append(json.dumps(event) if chance.random() > 0.02 else '{"at": "never"')
        if chance.random() < 0.02:
            lines.append(chance.choice(lines))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
