"""What is closed stays as it is, whatever is read later and however epochs were cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headrace.engines.batch.expected import expected
from headrace.engines.batch.relations import AsOf, Region
from tests import reference
from tests.engines.batch.logs import comparable, connection, fetched, runs, source
from tests.engines.batch.plans import WINDOWS, Python
from tests.engines.batch.test_expected import counting

FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
CLOSING = [name for name in WINDOWS if name != "totals"]


def region_at(run: reference.Run, epoch: int, bound_us: int, from_us: int | None) -> Region:
    offsets: dict[tuple[str, int], int] = {}
    for event in run.events:
        if event.epoch <= epoch and event.replay is None:
            place = event.generation, event.partition
            offsets[place] = max(offsets.get(place, 0), event.offset + 1)
    return Region(from_us, bound_us, offsets, epoch)


@pytest.mark.parametrize("name", CLOSING)
@FEW
@given(run=runs(), epoch=st.integers(1, 3), back=st.integers(0, 20), from_us=st.none() | st.just(0))
def test_closed_rows_stay(
    name: str, run: reference.Run, epoch: int, back: int, from_us: int | None
) -> None:
    """Rows closed at a bound below the watermark are the same at every later epoch."""
    start = run.starts_us.get(epoch + 1)
    assume(start is not None and epoch <= run.until)
    assert start is not None
    bound = start - back * 1_000_000
    made, read = counting(name, Python()), source(run.lateness_us)
    duck = connection(run)
    for regions in ([], [region_at(run, epoch, bound, from_us)]):
        now = fetched(duck, expected(made, read, AsOf(epoch, bound, regions), final=True).sql)
        later = fetched(duck, expected(made, read, AsOf(run.until, bound, regions), final=True).sql)
        assert comparable(now) == comparable(later)


@pytest.mark.parametrize("name", CLOSING)
@FEW
@given(run=runs(replays=False))
def test_the_cut_into_epochs_changes_nothing(name: str, run: reference.Run) -> None:
    """With the watermark of the source taken out, rows are a function of the log alone."""
    made, read = counting(name, Python()), source(run.lateness_us)
    events = [e for e in run.events if e.epoch <= run.until]
    cut = replace(run, events=events, starts_us={})
    whole = replace(cut, events=[replace(e, epoch=1) for e in events], until=1)
    rows = [
        fetched(connection(r), expected(made, read, AsOf(r.until, run.watermark_us)).sql)
        for r in (cut, whole)
    ]
    assert comparable(rows[0]) == comparable(rows[1])


@pytest.mark.parametrize("name", CLOSING)
@FEW
@given(run=runs(replays=False))
def test_a_recompute_of_everything_is_the_batch_over_all_events(
    name: str, run: reference.Run
) -> None:
    """With nothing open, covered rows are those of a log in which nothing was late."""
    made, read = counting(name, Python()), source(run.lateness_us)
    end = max(e.time_us or 0 for e in run.events) + 3_600_000_000
    region = region_at(run, run.until, end, None)
    again = fetched(connection(run), expected(made, read, AsOf(run.until, end, [region])).sql)
    patient = replace(run, starts_us={})
    plain = expected(made, source(7_200_000_000), AsOf(run.until, end)).sql
    assert comparable(again) == comparable(fetched(connection(patient), plain))
