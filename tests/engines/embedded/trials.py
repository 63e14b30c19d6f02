"""One app of random views on one random log: live, stopped and started, replayed, recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from random import Random

import headrace.testing
from tests.engines.embedded.checking import check_all
from tests.engines.embedded.definitions import app_of
from tests.engines.embedded.logs import random_log
from tests.engines.embedded.playing import Sent

NOON = datetime(2026, 1, 1, 12)


def live(seed: int, views: int) -> Mapping[str, int]:
    """What is served equals plain loops: while it runs, at the end, and after a recompute."""
    chance = Random(seed)
    threads, partitions = chance.choice([1, 1, 2, 8]), chance.randint(1, 4)
    app = app_of(seed, views, partitions=partitions)
    log = random_log(app.plan, chance, chance.choice([10, 20, 40]))
    middle = chance.randint(0, len(log))
    rows = 0
    with headrace.testing.run(app, start=NOON, threads=threads) as t:
        sent = Sent()
        sent.play(t, log[:middle])
        if chance.random() < 0.3:
            t.recompute()
        sent.play(t, log[middle:])
        rows += check_all(t, sent)
        if chance.random() < 0.3:
            t.plan = app_of(seed, views, fixed=True, partitions=partitions).plan
            t.restart()
            t.replay()
        if chance.random() < 0.5:
            t.verify()
        t.recompute()
        rows += check_all(t, sent)
        if chance.random() < 0.5:
            t.verify()
    return {"definitions": views, "records": len(log), "rows": rows}
