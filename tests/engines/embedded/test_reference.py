"""The live engine against plain Python: random definitions, random logs, random cuts.

Hypothesis draws both, so a failure comes as the smallest app and log that it finds.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.engines.embedded.apps import app_of
from tests.engines.embedded.strategies import logs
from tests.engines.embedded.trials import held

RECORDS_MAX = 12
CHECKS = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@CHECKS
@given(st.data())
def test_the_engine_is_what_plain_loops_say(data: st.DataObject) -> None:
    chance = data.draw(st.randoms(use_true_random=False), label="definition")
    partitions = data.draw(st.integers(1, 2), label="partitions")
    app = app_of(chance, 1, partitions=partitions)
    note(str(app))
    log = data.draw(logs(app.plan, RECORDS_MAX), label="log")
    held(app, app, log, Random(0), threads=1)
