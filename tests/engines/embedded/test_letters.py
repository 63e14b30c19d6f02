"""Dead letters keep each refused value, long ones by their beginning, length and digest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import xxhash

import headrace as hr
import headrace.testing
from headrace.engines.embedded.epochs.replay import replay_epochs
from headrace.values.oversize import KEPT_BYTES, Oversize, cut

GOOD = b'{"at": "2026-01-01T00:00:00Z", "size": 3}'
LIMIT = 200_000
LONG = b'{"at": "' + b"x" * KEPT_BYTES + b'"}'
VALUES = [
    b"no json",
    LONG,
    cut(b"[1, 1", Oversize(2_000_000, "0" * 32)),
    cut(LONG, Oversize(70_000, "a" * 32)),
    b'{"at": "headrace: cut from 3 bytes", "size": "x"}',
    b"",
    LONG[:KEPT_BYTES],
    b'{"at": "' + b"x" * LIMIT + b'"}',
]


class Thing(hr.Event):
    at: datetime
    size: int


def make(event: type[hr.Event] = Thing) -> hr.App:
    app = hr.App("t")
    things = app.source(event, topic="things", time="at", partitions=1, value_bytes_max=LIMIT)
    sized = things.with_columns(half="cast('x' || size as integer)")
    app.table("halves", sized.by("half").agg(n="count(*)"))
    return app


def expected(value: bytes) -> tuple[bytes, int, str | None]:
    if value == VALUES[2]:
        return value[:KEPT_BYTES], 2_000_000, "0" * 32
    if value == VALUES[3]:
        return value[:KEPT_BYTES], 70_000, "a" * 32
    if len(value) > LIMIT:
        return value[:KEPT_BYTES], len(value), xxhash.xxh3_128_hexdigest(value)
    return value, len(value), None


def test_every_refused_value_is_kept_as_far_as_it_may_be() -> None:
    with headrace.testing.run(make(), start=datetime(2026, 1, 1, tzinfo=UTC)) as t:
        mixed = [v for value in VALUES for v in (value, GOOD)]
        t.send("things", mixed, partition=0)
        letters = t.dead_letters()
    refused = [r for r in letters if r["view"] is None]
    assert [r["offset"] for r in refused] == list(range(0, 2 * len(VALUES), 2))
    for row, value in zip(refused, VALUES, strict=True):
        assert (row["value"], row["value_bytes"], row["value_digest"]) == expected(value)
        longer = value in VALUES[2:4]
        assert row["reason"].startswith("is longer than the limit: ") == longer
        assert row["topic"] == "things" and row["epoch"] == 1 and row["replayed"] is None


def test_a_row_on_which_a_view_fails_names_the_expression() -> None:
    with headrace.testing.run(make(), start=datetime(2026, 1, 1, tzinfo=UTC)) as t:
        t.send("things", [GOOD, b"no json", GOOD], partition=0)
        failed: list[dict[str, Any]] = [r for r in t.dead_letters() if r["view"] is not None]
    assert [r["offset"] for r in failed] == [0, 2]
    assert all(r["value"] == GOOD and r["field"] is None for r in failed)
    assert {r["reason"] for r in failed} == {"the expression fails: cast('x' || size as integer)"}


class Counted(hr.Event):
    """Things as they were before a fix: it refuses small ones."""

    checks = {"large": "size > 3"}
    at: datetime
    size: int


def test_long_records_are_judged_again_up_to_the_limit() -> None:
    """Above it only a part is there; such a letter is still refused, and counted so."""

    def record(size: int) -> bytes:
        return b'{"at": "2026-01-01T00:00:00Z", "size": 2, "text": "%s"}' % (b"x" * size)

    with headrace.testing.run(make(Counted), start=datetime(2026, 1, 1, tzinfo=UTC)) as t:
        t.send("things", [record(n) for n in (10, KEPT_BYTES, LIMIT)], partition=0)
        t.epoch()
        assert len(t.dead_letters()) == 3
        t.plan = make().plan
        t.restart()
        (runner,) = t.runners.values()
        judged = replay_epochs(runner.engine, t.clock.now_us(), runner.handed_over)
        assert (judged.accepted, judged.refused) == (2, 1)
        t.verify()


def test_a_replayed_record_on_which_a_view_fails_is_a_letter_of_the_view() -> None:
    with headrace.testing.run(make(Counted), start=datetime(2026, 1, 1, tzinfo=UTC)) as t:
        t.send("things", [b"no json", GOOD], partition=0)
        t.epoch()
        t.plan = make().plan
        t.restart()
        assert t.replay() == 1
        letters = t.dead_letters()
        t.verify()
    found = [(r["view"], r["offset"], r["replayed"], r["topic_generation"]) for r in letters]
    [(identity, here)] = {(r["topic_generation"], r["topic"]) for r in letters}
    assert here == "things"
    assert sorted(found, key=repr) == [
        ("halves", 1, None, identity),
        (None, 0, None, identity),
        (None, 1, 1, identity),
    ]
