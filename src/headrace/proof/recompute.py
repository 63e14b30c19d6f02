"""`recompute`: closed windows again, from all events, late ones too; differences are corrections.

The same calculation as `verify` with one more period recomputed. Corrections are an epoch of the
job like any other, and the period is noted with the offsets up to which it read, so that from
then on `verify` holds those rows against all events up to there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import duckdb

from headrace.engines.batch.relations import Region
from headrace.engines.embedded.epochs.places import recompute_fact
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Slide, Tumble, View
from headrace.proof.corrections import commit
from headrace.proof.differences import Found, differences
from headrace.proof.events import Events, events_of, with_segments
from headrace.proof.expected import latest_region
from headrace.proof.fixed import Fixed, fixed, left_out_fact
from headrace.proof.report import Recomputation
from headrace.values.clock import instant_text

_LAST = "coalesce(max(number), 0)"
_KEEP = "Declare a lake of the whole source before retention takes its records."
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Made:
    """What a recompute found as of the epoch `fix`; `before` is the last recompute until then."""

    fix: Fixed
    views: list[View]
    regions: dict[str, Region]
    found: list[Found]
    events: int
    before: int


def recompute(
    runner: JobRunner,
    *,
    from_us: int | None = None,
    to_us: int | None = None,
    dry_run: bool = False,
    only: frozenset[str] | None = None,
    progress: Progress | None = None,
) -> Recomputation:
    """Recomputes windows and sessions that end in (`from_us`, `to_us`] and are closed.

    Of the views named in `only`, or of all. Writes the corrections unless `dry_run`.
    Raises StateRefused when neither lake nor log holds all the events, DestinationDown when a
    destination has not taken the epoch: what it holds cannot be corrected then.
    """
    tell = progress or (lambda what, done, of: None)
    begun = time.monotonic()
    views = [v for v in runner.job.views if v.window and (only is None or v.name in only)]
    paid = views if from_us is None and to_us is None else []
    while True:
        made = _made(runner, views, (from_us, to_us), tell)
        written, epoch = True, None
        if not dry_run:
            written, epoch = runner.call(partial(_write, runner, made, paid))
        if written:
            break
    bounds = [region.bound_us for region in made.regions.values()]
    return Recomputation(
        runner.job.id,
        dry_run,
        instant_text(max(bounds)) if bounds else None,
        made.events,
        tuple(f.report for f in made.found),
        epoch,
        time.monotonic() - begun,
        tuple(made.fix.stages.times()),
    )


def _made(
    runner: JobRunner,
    views: list[View],
    ends_us: tuple[int | None, int | None],
    tell: Progress,
) -> _Made:
    """What a recompute of `views` has to write, as of the newest epoch."""
    found: list[Found] = []
    regions: dict[str, Region] = {}
    with fixed(runner) as fix:
        # Between two epochs the deliveries are those that were fixed.
        runner.call(lambda: _check_delivered(runner, fix, views))
        before = fix.count("meta.regions", _LAST)
        events = _events(runner, fix, {v.topic for v in views})
        for done, view in enumerate(views):
            tell(view.name, done, len(views))
            source = runner.job.source(view.topic)
            region = latest_region(fix, source, *ends_us)
            if region is None:
                continue
            regions[view.name] = region
            held = with_segments(fix, source, [view], events[view.topic])
            found += differences(runner, fix, held, view, region)
        tell("corrections", len(views), len(views))
    return _Made(fix, views, regions, found, sum(e.count for e in events.values()), before)


def _write(runner: JobRunner, made: _Made, paid: list[View]) -> tuple[bool, int | None]:
    """Commits what was found, between two epochs: whether that was done, and the epoch.

    Not where another recompute was committed since: of several the last one counts, and that one
    may have read events that this one knows nothing of.
    """
    ((last,),) = runner.store.rows(f"select {_LAST} from meta.regions")
    if last != made.before:
        return False, None
    if not made.regions:
        _paid(runner, paid)
        return True, None

    def note(_: duckdb.DuckDBPyConnection) -> None:
        for view in (v for v in made.views if v.name in made.regions):
            number = _note(runner, view.name, made.regions[view.name])
            mine = [f for f in made.found if f.output.input == view.name]
            _note_left_out(runner, mine, view, number)
            if all(f.changes is not None for f in mine):
                _forget_covered(runner, view, number, made.regions[view.name])
        _paid(runner, paid)

    with made.fix.spent("commit"):
        changes = [(f.output, f.changes) for f in made.found if f.changes is not None]
        return True, commit(runner, changes, note)


def owed(runner: JobRunner) -> frozenset[str]:
    """The views that were built again and whose closed windows lack what came late."""
    facts = runner.store.facts(recompute_fact(""))
    return frozenset(v.name for v in runner.job.views if recompute_fact(v.name) in facts)


def _paid(runner: JobRunner, views: list[View]) -> None:
    """Forgets that `views` lack what came late: they have it from here on."""
    for view in views:
        runner.store.drop_fact(recompute_fact(view.name))


def _events(runner: JobRunner, fix: Fixed, topics: Collection[str]) -> dict[str, Events]:
    """All events of each of `topics`; the others may have lost some."""
    sources = [s for s in runner.job.sources if s.topic in topics]
    with fix.spent("find the events"):
        found = {s.topic: events_of(runner, fix, s) for s in sources}
    for source in sources:
        found[source.topic].require(runner, source, "nothing can be recomputed", _KEEP)
    return found


def _check_delivered(runner: JobRunner, fix: Fixed, views: list[View]) -> None:
    views_of = {o.name: o.input for o in runner.job.outputs}
    names = {v.name for v in views}
    for delivery in runner.deliveries:
        if delivery.name in fix.undelivered and views_of[delivery.name] in names:
            raise delivery.not_taken(
                "Nothing was recomputed. Mend that, then: headrace recompute APP"
            )


def _note(runner: JobRunner, view: str, region: Region) -> int:
    number: int = runner.store.rows(f"select {_LAST} + 1 from meta.regions")[0][0]
    runner.store.connection.executemany(
        "insert into meta.regions values (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (view, number, region.from_us, region.bound_us, region.epoch, generation, p, end)
            for (generation, p), end in region.offsets.items()
        ],
    )
    return number


def _note_left_out(runner: JobRunner, found: list[Found], view: View, number: int) -> None:
    """Keeps which outputs of a view the recompute `number` left as they were."""
    store, windows = runner.store, isinstance(view.window, Tumble | Slide)
    for one in found:
        name = left_out_fact(one.output.name)
        if one.changes is None:
            store.set_fact(name, json.dumps([*json.loads(store.fact(name) or "[]"), number]))
        elif not windows:
            # Of sessions it writes whatever is apart, what others left out included.
            store.drop_fact(name)


def _forget_covered(runner: JobRunner, view: View, number: int, region: Region) -> None:
    """Forgets recomputes of windows that `region`, of this `number`, covers.

    It read all that they did, and of several the last one counts: a proof asks of each row, for
    each recompute, whether that read it.
    """
    if isinstance(view.window, Tumble | Slide):
        runner.store.connection.execute(
            "delete from meta.regions where view = $view and number < $number "
            "and bound_us <= $bound_us and ($from_us is null or from_us >= $from_us)",
            {
                "view": view.name,
                "number": number,
                "bound_us": region.bound_us,
                "from_us": region.from_us,
            },
        )
