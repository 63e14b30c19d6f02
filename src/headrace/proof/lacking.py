"""What a lake or topic of a view lacks: where it is apart from the batch, as changes to be told."""

from __future__ import annotations

import pyarrow as pa

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.kept import keep
from headrace.engines.batch.relations import AsOf
from headrace.engines.batch.tolerance import tolerance
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import Output, View
from headrace.proof.earlier import ahead, left_behind
from headrace.proof.events import events_of
from headrace.proof.expected import expected_rows
from headrace.proof.fixed import Fixed
from headrace.proof.served import shown
from headrace.values.schema import quote

_WANTED, _APART = "_proof_told", "_proof_untold"


def lacking(
    runner: JobRunner,
    fix: Fixed,
    output: Output,
    without: str,
    remedy: str,
    as_of: AsOf | None = None,
) -> pa.Table:
    """What makes an output show what it should: `_op` and the view's columns.

    That is all that its view has, recomputed or not, unless `as_of` says otherwise. Raises
    StateRefused with `without` and the `remedy` where its events are gone.
    """
    view = runner.job.input_of(output)
    assert isinstance(view, View)
    source = runner.job.source(view.topic)
    events = events_of(runner, fix, source)
    events.require(runner, source, without, remedy)
    as_of = as_of or fix.as_of(view.name, source.topic)
    keep(fix.cursor, _WANTED, expected_rows(view, source, output, as_of, events))
    held, adds = _held(runner, fix, output, view)
    columns, key, tolerated = [c.name for c in view.columns], view.key_columns, tolerance(view)
    compared = compare_sql(
        columns, tolerated, _WANTED, held, key, allowances=not tolerated.exact, strict=True
    )
    fix.cursor.execute(f"create or replace temp table {_APART} as {compared}")
    listed = ", ".join(quote(c) for c in columns)
    same = " and ".join(f"x.{quote(k)} is not distinct from d.{quote(k)}" for k in key) or "true"
    of = f"exists (select 1 from {_APART} d where {same} and d._kind"
    more = f"select 'u' as _op, {listed} from {_WANTED} x where {of} <> 'unexpected')"
    beyond = f"select 'd' as _op, {listed} from {held} x where {of} = 'unexpected')"
    return fix.cursor.sql(more if adds else f"{beyond} union all {more}").to_arrow_table()


def _held(runner: JobRunner, fix: Fixed, output: Output, view: View) -> tuple[str, bool]:
    """What the output shows of the view, and whether rows are only to be added to it."""
    if any(d.not_begun for d in runner.deliveries if d.name == output.name):
        # All that is there gives way to what is delivered first.
        return empty_relation(view.columns), True
    found = shown(runner, fix, output, view)
    adds = left_behind(fix, output) or ahead(fix, output, view.topic)
    return found.relation, found.others or adds
