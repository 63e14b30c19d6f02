"""Random logs as hypothesis draws them, record by record, so that what fails becomes small."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from headrace.plan.operators import Plan
from tests.engines.embedded.logs import ACTIONS, START, Record, value_at

_SECONDS_MAX = 60


def logs(plan: Plan, records_max: int) -> st.SearchStrategy[list[Record]]:
    """Logs of the sources of a plan: in the order of time, or in none."""
    sources = list({s.topic: s for job in plan.jobs for s in job.sources}.values())

    @st.composite
    def placed(draw: st.DrawFn) -> tuple[int, Record]:
        source = draw(st.sampled_from(sources))
        second = draw(st.integers(0, _SECONDS_MAX))
        chance = draw(st.randoms(use_true_random=False))
        value = value_at(source, START + timedelta(seconds=second), chance)
        partition = draw(st.integers(0, source.partitions - 1))
        then = draw(st.sampled_from(["", "", *ACTIONS]))
        return second, Record(source.topic, partition, value, then)

    def ordered(drawn: tuple[list[tuple[int, Record]], bool]) -> list[Record]:
        records, shuffled = drawn
        if not shuffled:
            records = sorted(records, key=lambda placed: placed[0])
        return [record for _, record in records]

    return st.tuples(st.lists(placed(), max_size=records_max), st.booleans()).map(ordered)
