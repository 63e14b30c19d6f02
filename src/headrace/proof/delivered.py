"""Lakes of streams against the batch: every row once, nothing besides."""

from __future__ import annotations

from headrace.engines.batch.expected import expected_stream
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, Stream
from headrace.proof.earlier import given_before
from headrace.proof.events import Events, read_again
from headrace.proof.fixed import Fixed
from headrace.proof.report import Checked
from headrace.proof.topics import stable
from headrace.storage.state.store import one_row
from headrace.values.schema import literal, quote


def check_lake(runner: JobRunner, fix: Fixed, events: Events, output: Output) -> Checked:
    """A lake holds each accepted row exactly once, with the values that the batch gives."""
    reader = runner.job.input_of(output)
    assert isinstance(reader, Stream)
    if fix.lakes.get(output.name) is None:
        return Checked("lake", output.name, 0, 0, note="nothing was written yet")
    lake = fix.lake(runner.data, output.name)
    source = runner.job.source(reader.topic)
    held = f"(select * from ({lake}) where _epoch <= {fix.epoch})"
    if fix.generation > 1:
        held = read_again(source, held)
    # Which offsets there are, 32 in a number: a set of all of them would not fit into memory.
    rows, distinct = _pair(
        fix,
        "select coalesce(sum(n), 0), coalesce(sum(bit_count(bits)), 0) from ("
        "select count(*) as n, bit_or(1::bigint << (_offset % 32)) as bits "
        f"from {held} group by _topic_generation, _partition, _offset // 32)",
    )
    accepted = _pair(
        fix,
        "select coalesce(sum(value), 0), 0 from meta.counters where kind = 'view' "
        f"and name = {literal(reader.name)} and counter = 'applied'",
    )[0]
    different, note = 0, None
    if reader.whole:
        different = abs(rows - distinct) + abs(rows - accepted)
        note = f"accepted {accepted}, in the lake {rows}, distinct records {distinct}"
    if events.origin == "the log" or not reader.whole:
        relations = events.relations
        wanted = expected_stream(reader, source, fix.epoch, relations)
        columns = [quote(c) for c in stable(reader)]
        if may_lack := given_before(fix, output, reader):
            wanted = _without_lacking(wanted, held, may_lack)
        different += _unequal(fix, wanted, held, columns)
    return Checked("lake", output.name, rows, different, note=note if different else None)


def _without_lacking(wanted: str, held: str, may_lack: str) -> str:
    """The rows of `wanted` without those that the lake may lack, and does."""
    place = "_topic_generation, _partition, _offset"
    return (
        f"(select * from ({wanted}) where not ({may_lack}) "
        f"or ({place}) in (select ({place}) from {held}))"
    )


def _unequal(fix: Fixed, wanted: str, held: str, columns: list[str]) -> int:
    """How many rows stand on one side only, as bags; a sum of hashes says quickly when none do."""
    listed = ", ".join(columns)
    digest = f"count(*), coalesce(sum(hash({listed})::hugeint), 0)"
    one = one_row(fix.cursor.execute(f"select {digest} from ({wanted})"))
    two = one_row(fix.cursor.execute(f"select {digest} from {held}"))
    if one == two:
        return 0
    row = one_row(
        fix.cursor.execute(
            f"with w as (select {listed}, count(*) as n from ({wanted}) group by all), "
            f"h as (select {listed}, count(*) as n from {held} group by all) "
            "select coalesce(sum(n), 0) from ((select * from w except select * from h) "
            "union all (select * from h except select * from w))"
        )
    )
    return int(row[0]) if row else 0


def _pair(fix: Fixed, sql: str) -> tuple[int, int]:
    row = one_row(fix.cursor.execute(sql))
    assert row is not None
    return int(row[0]), int(row[1])
