"""What a system is told of an output."""

from __future__ import annotations

from datetime import datetime

import headrace as hr
from headrace.engines.embedded.deliveries.targets import target_of


class Order(hr.Event):
    at: datetime
    country: str
    town: str | None


def test_of_a_topic_it_is_known_whether_every_record_has_a_key() -> None:
    app = hr.App("shop")
    keyed = app.source(Order, topic="keyed", key="country", time="at")
    maybe = app.source(Order, topic="maybe", key="town", time="at")
    never = app.source(Order, topic="never", time="at")
    app.topic("always", keyed)
    app.topic("filtered", keyed.where("town is not null"))
    app.topic("made", keyed.with_columns(land="nullif(country, 'de')"), key="land")
    app.topic("sometimes", maybe)
    app.topic("without", never)
    app.topic("counted", maybe.by("town").agg(n="count(*)"))
    app.topic("whole", never.agg(n="count(*)"))
    (job,) = app.plan.jobs
    found = {o.name: target_of(job, o).required for o in job.outputs}
    assert found == {
        "always": ("key",),
        "filtered": ("key",),
        "made": (),
        "sometimes": (),
        "without": (),
        "counted": ("key",),
        "whole": ("key",),
    }
