"""Approximate aggregates of many values are off by no more than docs/definition.md says."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import headrace.testing
from headrace.plan.operators import View
from headrace.testing import Driver
from headrace.testing.records import value_of
from headrace.values.clock import instant
from tests import reference
from tests.engines.embedded.checking import MEANING
from tests.engines.embedded.playing import Sent, read_of, recomputes_of
from tests.reference.aggregates import STANDARD_ERROR
from tests.views.cases import START, thing, things

_EVENTS, _USERS, _EPOCHS = 5_000, 2_000, 5
_AFTER = START + timedelta(hours=1)

_LOWS = (150, 156, 171, 151, 151, 154, 164, 169)
"""Of the 300 values of each epoch: what takes the median of all far from its rank."""


def test_many_values_live_resumed_and_recomputed() -> None:
    app, source = things(lateness="1 second")
    about = {
        "users": "approx_count_distinct(text)",
        "users_exactly": "count(distinct text)",
        "middle": "approx_quantile(f, 0.5)",
        "high": "approx_quantile(f, 0.95) filter (where kind = 'x')",
        "low": "approx_quantile(n, 0.1)",
    }
    app.table("totals", source.by("who").agg(**about))
    app.table("tumbled", source.tumble("15 seconds").by("who").agg(**about))
    app.table("slid", source.slide("30 seconds", every="10 seconds").by("who").agg(**about))
    events, sent = _events(), Sent()
    size = len(events) // _EPOCHS
    with headrace.testing.run(app, start=_AFTER) as t:
        for at in range(0, len(events), size):
            _send(t, sent, events[at : at + size])
            t.epoch()
            if at == 2 * size:
                t.restart()
                _check(t, sent)
        _check(t, sent)
        [recomputed] = t.recompute()
        assert recomputed.corrections > 0
        _check(t, sent)
        t.verify()
        errors = [_error(row) for name in ("totals", "tumbled", "slid") for row in t.rows(name)]
    assert len(errors) > 20
    typical = math.sqrt(sum(e * e for e in errors) / len(errors))
    assert 0 < typical <= STANDARD_ERROR, f"{typical:.2%}"


def test_values_beside_a_gap() -> None:
    app, source = things(key=None)
    app.table("out", source.agg(middle="approx_quantile(f, 0.5)"))
    with headrace.testing.run(app, start=_AFTER) as t:
        sent = Sent()
        for lows in _LOWS:
            _send(t, sent, [thing(1, f=float(i >= lows)) for i in range(300)])
            t.epoch()
        _check(t, sent)
        t.verify()


def _events() -> list[dict[str, Any]]:
    """One in fifty late; values of many sizes, some of them often."""
    chance = Random(5)
    made = []
    for number in range(_EVENTS):
        second = number * 60 / _EVENTS - (5 if chance.random() < 0.02 else chance.random() / 2)
        value = chance.choice([chance.lognormvariate(0, 3), -chance.random(), 1.0])
        made.append(
            thing(
                max(0.0, second),
                chance.choice("aabc"),
                chance.choice(["x", "x", "y"]),
                n=chance.choice([None, round(chance.gauss(0, 100))]),
                f=value,
                text=f"user-{chance.randrange(_USERS)}",
            )
        )
    return made


def _send(t: Driver, sent: Sent, events: list[dict[str, Any]]) -> None:
    """At once, into the one partition."""
    found = sent.records["things"]
    t.send("things", events, partition=0)
    arrived = instant(t.clock.now_us())
    for event in events:
        found[0, len(found)] = value_of(event), arrived


def _check(t: Driver, sent: Sent) -> None:
    [job] = t.plan.jobs
    t.rows(job.outputs[0].name)
    read = read_of(t, job, job.source("things"), sent)
    for output in job.outputs:
        view = job.input_of(output)
        assert isinstance(view, View)
        run = replace(read.run, recomputes=recomputes_of(t, job, view.name))
        wanted = reference.expected(view, run, MEANING)
        reference.same_rows(t.rows(output.name), wanted, output.key, output.name)


def _error(row: dict[str, Any]) -> float:
    return float(row["users"] / row["users_exactly"] - 1)
