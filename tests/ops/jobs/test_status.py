"""What `status` says of a source: who holds the watermark back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import headrace.testing
from headrace.ops.jobs.status import status
from tests.views.cases import thing, things


@pytest.mark.parametrize("options", [{}, {"idle_timeout": "1 minute"}])
def test_who_is_exempt_holds_nobody_back(options: dict[str, Any]) -> None:
    app, source = things(partitions=2, lateness="5 seconds", **options)
    app.table("n", source.tumble("1 minute").agg(n="count(*)"))
    with headrace.testing.run(app) as driver:

        def held_back_by() -> list[int]:
            (runner,) = driver.runners.values()
            found: list[int] = status(runner)["sources"][0]["held_back_by"]
            return found

        driver.send("things", [thing(100)], partition=0)
        driver.send("things", [thing(10)], partition=1)
        driver.epoch()
        assert held_back_by() == [1]
        driver.advance(timedelta(minutes=5))
        driver.send("things", [thing(400)], partition=0)
        driver.epoch()
        driver.advance(timedelta(minutes=5))
        driver.send("things", [thing(401)], partition=0)
        driver.epoch()
        assert held_back_by() == ([] if options else [1])
        driver.send("things", [thing(402)], partition=1)
        driver.send("things", [thing(500)], partition=0)
        driver.epoch()
        assert held_back_by() == [1]
