"""Apps of random views on random logs: live, stopped and started, replayed, recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random

import headrace as hr
import headrace.testing
from tests.engines.embedded.apps import app_of
from tests.engines.embedded.chance import perhaps
from tests.engines.embedded.checking import check_all
from tests.engines.embedded.logs import Record, random_log
from tests.engines.embedded.playing import Sent

NOON = datetime(2026, 1, 1, 12)


def live(seed: int, views: int) -> Mapping[str, int]:
    """One random app on one random log."""
    chance = Random(seed)
    threads, partitions = chance.choice([1, 1, 2, 8]), chance.randint(1, 4)
    app = app_of(seed, views, partitions=partitions)
    fixed = app_of(seed, views, fixed=True, partitions=partitions)
    log = random_log(app.plan, chance, chance.choice([10, 20, 40]))
    rows = held(app, fixed, log, chance, threads)
    return {"definitions": views, "records": len(log), "rows": rows}


def held(app: hr.App, fixed: hr.App, log: Sequence[Record], chance: Random, threads: int) -> int:
    """What is served equals plain loops: while it runs, at the end, and after a recompute.

    `fixed` is the app after a fix of its event classes. Returns how many rows were compared.
    """
    middle = chance.randint(0, len(log))
    with headrace.testing.run(app, start=NOON, threads=threads) as t:
        sent = Sent()
        sent.play(t, log[:middle])
        if perhaps(chance, 0.3):
            t.recompute()
        sent.play(t, log[middle:])
        rows = check_all(t, sent)
        if perhaps(chance, 0.3):
            t.plan = fixed.plan
            t.restart()
            t.replay()
        if perhaps(chance, 0.5):
            t.verify()
        t.recompute()
        rows += check_all(t, sent)
        if perhaps(chance, 0.5):
            t.verify()
    return rows
