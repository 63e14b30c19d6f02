"""What a destination of a view serves: its table, or the last row per key of its lake or topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.engines.embedded.deliveries.shown import kept, records
from headrace.engines.embedded.deliveries.targets import load_rows, target_of
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, View
from headrace.proof.fixed import Fixed
from headrace.proof.json_rows import columns_of, transformed
from headrace.values.schema import quote


@dataclass(frozen=True)
class Shown:
    """The rows of a view that an output shows, as a relation with the view's columns.

    Where `others` write to it too, some may be theirs; where it is `cut`, some that the job told
    have gone to retention.
    """

    relation: str
    others: bool = False
    cut: bool = False


def shown(runner: JobRunner, fix: Fixed, output: Output, view: View) -> Shown:
    """What readers of `output` see of the view at the fixed epoch."""
    rows = served(runner, fix, output, view)
    if output.role != "topic":
        return Shown(rows)
    # Asked behind the reading: what retention took meanwhile is gone for both.
    found = kept(runner.systems, runner.job, output, fix.snapshots.get(output.name))
    # A record of somebody else has none of the columns, unless it is written as ours are.
    ours = " or ".join(f"{quote(c.name)} is not null" for c in view.columns)
    mine = f"(select * from {rows} where {ours})"
    return Shown(mine, bool(found.others), any(found.begins))


def served(runner: JobRunner, fix: Fixed, output: Output, view: View) -> str:
    """A relation with the view's columns: what readers of `output` see at the fixed epoch."""
    if output.role == "lake":
        return _lake(runner, fix, output, view)
    if output.role == "topic":
        return _topic(runner, fix, output, view)
    if output.name in runner.engine.inside:
        return "main." + quote(output.name)
    name = quote(f"_served_{output.name}")
    load_rows(fix.cursor, fix.snapshots[output.name], target_of(runner.job, output), name)
    return name


def _lake(runner: JobRunner, fix: Fixed, output: Output, view: View) -> str:
    """A correction is a further row of its key; the last one counts, unless it was withdrawn."""
    columns = ", ".join(quote(c.name) for c in view.columns)
    if fix.lakes.get(output.name) is None:
        return empty_relation(view.columns)
    lake = fix.lake(runner.data, output.name)
    key = ", ".join(quote(name) for name in view.key_columns)
    return (
        f"(select {columns} from (select *, row_number() over (partition by {key} "
        f"order by _epoch desc) as _nth from ({lake}) where _epoch <= {fix.epoch}) "
        "where _nth = 1 and not _withdrawn)"
    )


def _topic(runner: JobRunner, fix: Fixed, output: Output, view: View) -> str:
    """The topic as compaction would leave it: the last value per key, null values gone."""
    name = quote(f"_served_{output.name}")
    types = {c.name: c.type for c in view.columns}
    load_topic(runner, fix, output, name, types)
    columns = ", ".join(quote(c.name) for c in view.columns)
    return (
        f'(select {columns} from (select *, row_number() over (partition by _key, "_partition" '
        f'order by "_offset" desc) as _nth from {name}) where _nth = 1 and not _deleted)'
    )


def load_topic(
    runner: JobRunner, fix: Fixed, output: Output, name: str, types: dict[str, str]
) -> None:
    """Fills the temporary table `name` with a topic's records, values as typed columns.

    What cannot be read as JSON (others may write there) has null columns, and is `_foreign`.
    """
    # Not made by a SELECT without rows: of a table into which one transaction puts none, then
    # many, then a few, DuckDB 2.0 reads nothing before the commit.
    typed = "".join(f"{quote(c)} {t}, " for c, t in types.items())
    own = "_key blob, _partition integer, _offset bigint, _deleted boolean, _foreign boolean"
    fix.cursor.execute(f"create or replace temp table {name} ({typed}{own})")
    for rows in topic_pieces(runner, fix, output, types):
        fix.cursor.execute(f"insert into {name} {rows}")


def topic_pieces(
    runner: JobRunner, fix: Fixed, output: Output, types: dict[str, str]
) -> Iterator[str]:
    """SELECTs that give what `load_topic` loads, each good until the next one is asked for."""
    columns = "".join(f"{sql} as {quote(c)}, " for c, sql in columns_of("j", types).items())
    sql = (
        f"select {columns}_key, _partition, _offset, _deleted, j is null and not _deleted as "
        f"_foreign from (select try({transformed('decode(value)::varchar', types)}) as j, "
        'key as _key, value is null as _deleted, "partition" as _partition, "offset" as _offset '
        "from _read)"
    )
    snapshot, ends = fix.snapshots.get(output.name), fix.topics.get(output.name)
    for piece in records(runner.systems, runner.job, output, snapshot, ends):
        fix.cursor.register("_read", piece)
        yield sql
        fix.cursor.unregister("_read")
