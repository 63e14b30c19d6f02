"""Every accepted event up to an epoch, from a lake that holds them all, or from the log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import Relations
from headrace.engines.batch.segments import segments_on_time
from headrace.engines.batch.tolerance import tolerance
from headrace.engines.batch.watermarks import (
    latecomers,
    open_blocks,
    watermarked,
    with_latecomers,
    without_watermarks,
)
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import (
    Job,
    Output,
    SessionGap,
    SessionMarks,
    Source,
    Stream,
    View,
    has_dedupe,
)
from headrace.plan.times import time_sql
from headrace.proof.fixed import Fixed, epochs_relation
from headrace.proof.from_log import columns, from_log
from headrace.values.errors import StateRefused
from headrace.values.schema import literal, quote

_AS_IT_WAS = (
    "Put it back as it was: headrace verify APP says what is apart. A Delta table keeps earlier "
    "versions for a while. Or begin a new generation: headrace state reset APP --new-lakes"
)


@dataclass(frozen=True)
class Events:
    """`relations` name temporary views and tables; `origin` says in words where they come from.

    `whole` is false when the log no longer reaches back to what was read of it first: then there
    may be none. `count` is the number of events that there are, `accepted` of those that the job
    counted when it read them. `waits` names a lake of the whole source that is down.
    """

    relations: Relations
    origin: str
    whole: bool
    count: int
    accepted: int
    waits: str | None = None

    @property
    def relation(self) -> str:
        return self.relations.events

    def require(self, runner: JobRunner, source: Source, without: str, remedy: str) -> None:
        """Raises StateRefused where some are gone; `without` them what cannot be done, in words.

        DestinationDown where a lake has them that is only down.
        """
        if not self.whole:
            raise self.away(runner, without) or StateRefused(
                f"{without}: no lake holds all of {source.topic}, and its log no longer reaches "
                "back to its beginning",
                remedy=remedy,
            )
        self.require_accepted(source, without)

    def away(self, runner: JobRunner, without: str) -> BaseException | None:
        """The error where a lake has them that is down, which the log no longer does."""
        down = [d for d in runner.deliveries if not self.whole and d.name == self.waits]
        words = f"Without it {without}. Mend that, then give the command again."
        return down[0].not_taken(words) if down else None

    def require_accepted(self, source: Source, without: str) -> None:
        """Raises StateRefused where they are not as many as the job accepted.

        By what somebody left of them right rows would be taken for wrong ones.
        """
        if self.count != self.accepted:
            raise StateRefused(
                f"{without}: {self.accepted:,} events of {source.topic} were accepted, "
                f"{self.origin} has {self.count:,}: somebody else has changed it",
                remedy=_AS_IT_WAS,
            )


def events_of(runner: JobRunner, fix: Fixed, source: Source) -> Events:
    """The events of `source` up to the fixed epoch, as the relations that batch queries read."""
    found, origin, whole = _events(runner, fix, source)
    read = generations(fix, source)
    relations = Relations(
        found, epochs_relation(source, found), generations=read if len(read) > 1 else ()
    )
    if any(v.window is not None and v.topic == source.topic for v in runner.job.views):
        seen = _watermarked(runner.job, fix, source, relations)
        relations = replace(relations, watermarked=seen)
    accepted = fix.count(
        f"meta.counters where kind = 'source' and name = {literal(source.topic)} "
        "and counter = 'accepted'",
        "coalesce(sum(value), 0)",
    )
    down = [o.name for o in _whole_lakes(runner.job, source) if o.name in fix.undelivered]
    waits = down[0] if down else None
    return Events(relations, origin, whole, fix.count(found), accepted, waits)


def with_segments(fix: Fixed, source: Source, views: Iterable[View], events: Events) -> Events:
    """`events` with the segments of `views` of sessions, for which every query would sort anew.

    Kept as tables of one row for each, until the cursor is closed.
    """
    found = dict(events.relations.segments)
    for view in views:
        if events.whole and isinstance(view.window, SessionGap | SessionMarks):
            found[view.name] = _named("segments", view.name)
            with fix.spent(f"{view.name}: sessions"):
                shares = segments_on_time(
                    view,
                    source,
                    fix.epoch,
                    events.relations,
                    allowances=not tolerance(view).exact,
                    count=events.count,
                )
                keep(fix.cursor, found[view.name], *shares)
    return replace(events, relations=replace(events.relations, segments=found))


def _named(part: str, of: str) -> str:
    """The temporary relation that holds `part` of a topic or view, called as no other one is."""
    # No name of a topic or view has a colon, nor has that of any other relation.
    return quote(f"_proof_{part}:{of}")


def _watermarked(job: Job, fix: Fixed, source: Source, relations: Relations) -> str:
    """The name of the events with their watermarks: of all where some view remembers by them."""
    seen, epoch = _named("seen", source.topic), fix.epoch
    if any(has_dedupe(reader) for reader in job.readers_of(source.topic)):
        sql = watermarked(source, epoch, relations)
        fix.cursor.execute(f"create or replace temp table {seen} as {sql}")
        return seen
    blocks = _named("open", source.topic)
    sql = open_blocks(source, epoch, relations)
    fix.cursor.execute(f"create or replace temp table {blocks} as {sql}")
    sql = without_watermarks(source, epoch, relations)
    if fix.cursor.execute(f"select 1 from {blocks} limit 1").fetchall():
        late = _named("late", source.topic)
        found = latecomers(blocks, source, epoch, relations)
        fix.cursor.execute(f"create or replace temp table {late} as {found}")
        sql = with_latecomers(late, source, epoch, relations)
    # Not kept: each reader takes the columns that it needs from where the events are.
    fix.cursor.execute(f"create or replace temp view {seen} as {sql}")
    return seen


def _events(runner: JobRunner, fix: Fixed, source: Source) -> tuple[str, str, bool]:
    """(relation, origin, whether all are there)."""
    name = _named("events", source.topic)
    for output in _whole_lakes(runner.job, source):
        if output.name not in fix.undelivered and fix.lakes.get(output.name) is not None:
            lake = fix.lake(runner.data, output.name)
            held = f"(select * from ({lake}) where _topic = {literal(source.topic)})"
            if fix.generation > 1:
                held = read_again(source, held)
            fix.cursor.execute(
                f"create or replace temp view {name} as select {columns(source)}, "
                f"_topic_generation, _partition, _offset, _replay, _epoch, _arrival_time, "
                f"({time_sql(source)}) as _time from {held} where _epoch <= {fix.epoch}"
            )
            if output.name not in fix.behind:
                return name, f"lake {output.name}", True
            return _with_log(runner, fix, source, name, output.name)
    return from_log(runner, fix, source, name)


def _whole_lakes(job: Job, source: Source) -> list[Output]:
    """The lakes that get every event of `source`."""
    found = []
    for output in (o for o in job.outputs if o.role == "lake"):
        reader = job.input_of(output)
        if isinstance(reader, Stream) and reader.whole and reader.topic == source.topic:
            found.append(output)
    return found


def _with_log(
    runner: JobRunner, fix: Fixed, source: Source, name: str, lake: str
) -> tuple[str, str, bool]:
    """The events of a lake that is behind, and from the log what it may lack."""
    had = fix.behind[lake]
    rest = _named("rest", source.topic)
    _, _, whole = from_log(runner, fix, source, rest, had)
    both = _named("both", source.topic)
    # Rows that an earlier generation wrote go by the epochs of this one, which may be joined too.
    begun = (
        f"_epoch = (select epoch from meta.epochs where epoch > {had.epoch} "
        f"and first_epoch <= {had.epoch}) and _replay is null "
        f"and _offset < ({list(had.offsets.get(source.topic, []))}::bigint[])[_partition + 1]"
    )
    fix.cursor.execute(
        f"create or replace temp view {both} as "
        f"select * from {name} where _epoch <= {had.epoch} or ({begun}) "
        f"union all by name select * from {rest} where _epoch > {had.epoch}"
    )
    return both, f"lake {lake} and the log", whole


def generations(fix: Fixed, source: Source) -> tuple[str, ...]:
    """The identities of a source's topic, in the order in which they were read."""
    rows = fix.cursor.execute(
        "select identity from meta.sources where topic = ? order by number", [source.topic]
    ).fetchall()
    return tuple(identity for (identity,) in rows)


def read_again(source: Source, lake: str) -> str:
    """The rows of a lake that this generation of the state accepted, with the epochs in which.

    Rows that an earlier generation wrote carry the numbers of its epochs, and may be of records
    that were not read again, or that the definition of now has refused. What it replayed, this one
    has accepted at first reading; and what this one replayed may stand there since before.
    """
    topic = literal(source.topic)
    ranges = (
        'select epoch, identity, "partition" as p, start_offset, end_offset from meta.reads '
        f"where topic = {topic} and end_offset > start_offset"
    )
    letters = (
        'select d.topic_generation as identity, d."partition" as p, d."offset" as o, d.replayed, '
        "e.epoch from meta.dead_letters d left join meta.replays e "
        f"on e.replay = d.replayed and e.topic = d.topic where d.view is null and d.topic = {topic}"
    )
    return (
        "(select l.* replace (case when d.o is null then r.epoch else d.epoch end as _epoch, "
        "d.replayed as _replay) "
        f"from {lake} l asof left join ({ranges}) r "
        "on l._partition = r.p and l._topic_generation = r.identity "
        f"and l._offset >= r.start_offset left join ({letters}) d on l._partition = d.p "
        "and l._topic_generation = d.identity and l._offset = d.o "
        "where l._offset < r.end_offset and (d.o is null or d.replayed is not null))"
    )
