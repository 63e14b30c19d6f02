"""Lakes of streams against the batch: every row once, nothing besides."""

from __future__ import annotations

from headrace.engines.batch.expected import expected_stream
from headrace.engines.batch.relations import RECORD
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, Stream
from headrace.proof.bags import apart, shown, stable
from headrace.proof.earlier import given_before
from headrace.proof.events import Events, read_again
from headrace.proof.fixed import Fixed
from headrace.proof.report import Checked
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
    bits = (
        "(select count(*) as n, bit_or(1::bigint << (_offset % 32)) as bits "
        f"from {held} group by _topic_generation, _partition, _offset // 32)"
    )
    rows = fix.count(bits, "coalesce(sum(n), 0)")
    different, note = 0, None
    if reader.whole:
        distinct = fix.count(bits, "coalesce(sum(bit_count(bits)), 0)")
        accepted = fix.count(
            f"meta.counters where kind = 'view' and name = {literal(reader.name)} "
            "and counter = 'applied'",
            "coalesce(sum(value), 0)",
        )
        different = abs(rows - distinct) + abs(rows - accepted)
        note = f"accepted {accepted}, in the lake {rows}, distinct records {distinct}"
    compared = stable(reader)
    if events.origin == f"lake {output.name}":
        # The events are its own rows: what was computed of them is all that can be wrong.
        added = {a.name for a in reader.added}
        compared = [name for name in compared if name in added]
    if not compared:
        return Checked("lake", output.name, rows, different, note=note if different else None)
    wanted = expected_stream(reader, source, fix.epoch, events.relations)
    wanted = (
        f"select *, {given_before(fix, output, reader) or 'false'} as _may_lack from ({wanted})"
    )
    held = f"(select *, false as _foreign, false as _deleted from {held})"
    found = apart(fix, wanted, held, [*RECORD.split(", "), *map(quote, compared)])
    kinds = [kind for kind, n in zip(("missing", "unexpected"), found, strict=True) if n]
    note = note if different else None
    return Checked(
        "lake", output.name, rows, max(different, sum(found)), shown(fix, kinds), note=note
    )
