"""Lakes and topics of views that lack some of their rows: they are told, as corrections.

So it is with an output that is added to a view which is there already, and with those of a view
that was built again. Invariant: from before such a one is first delivered to, until the transaction
with its corrections, the state holds a fact that says so.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.engines.batch.compare import compare_sql
from headrace.engines.batch.kept import keep
from headrace.engines.batch.tolerance import tolerance
from headrace.engines.embedded.epochs.places import fill_fact
from headrace.engines.embedded.epochs.tables import empty_relation
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import TABLE_ROLES, Output, View
from headrace.proof.corrections import Correction, commit
from headrace.proof.earlier import ahead, left_behind
from headrace.proof.events import events_of
from headrace.proof.expected import expected_rows
from headrace.proof.filling import fill_tables
from headrace.proof.fixed import Fixed, fixed, left_out_fact
from headrace.proof.served import shown
from headrace.values.schema import quote

_WANTED, _APART = "_proof_told", "_proof_untold"


def fill_outputs(runner: JobRunner) -> None:
    """Gives every output of a runner what it lacks of its view, between two epochs.

    Raises StateRefused where neither a lake nor the log holds all events any more, and what the
    destinations raise. Lakes and topics that are down are told at a later start.
    """
    if runner.unfilled:
        fill_tables(runner)
    untold = [
        o
        for o in runner.job.outputs
        if o.role not in TABLE_ROLES
        and isinstance(runner.job.input_of(o), View)
        and runner.store.fact(fill_fact(o.name)) is not None
    ]
    # That is an epoch, which nothing that is left behind may miss.
    if untold and not runner.engine.left:
        _tell(runner, untold)


def _tell(runner: JobRunner, untold: list[Output]) -> None:
    with fixed(runner) as fix:
        outputs = [o for o in untold if o.name not in fix.undelivered]
        found: list[Correction] = [(o, _lacking(runner, fix, o)) for o in outputs]
        # What is closed there and not yet here is told at a later start.
        early = [o for o in outputs if ahead(fix, o, runner.job.input_of(o).topic)]
    corrections = [(o, changes) for o, changes in found if len(changes)]

    def note(_: duckdb.DuckDBPyConnection) -> None:
        for output in outputs:
            if output not in early:
                runner.store.drop_fact(fill_fact(output.name))
            # It has what every recompute until now would have given it.
            runner.store.drop_fact(left_out_fact(output.name))

    def told() -> None:
        if corrections:
            commit(runner, corrections, note)
        else:
            with runner.store.transaction() as connection:
                note(connection)

    runner.call(told)


def _lacking(runner: JobRunner, fix: Fixed, output: Output) -> pa.Table:
    """What makes an output show what it should: `_op` and the view's columns."""
    view = runner.job.input_of(output)
    assert isinstance(view, View)
    source = runner.job.source(view.topic)
    events = events_of(runner, fix, source)
    events.require(
        runner,
        source,
        f"{output.role} {output.name} lacks rows of view {view.name}, and they cannot be computed "
        "again",
        "Take it out of the app, or begin a new generation: headrace state reset APP",
    )
    keep(
        fix.cursor,
        _WANTED,
        expected_rows(view, source, output, fix.as_of(view.name, source.topic), events),
    )
    held, adds = _held(runner, fix, output, view)
    columns, key, tolerated = [c.name for c in view.columns], view.key_columns, tolerance(view)
    compared = compare_sql(
        columns, tolerated, _WANTED, held, key, allowances=not tolerated.exact, strict=True
    )
    fix.cursor.execute(f"create or replace temp table {_APART} as {compared}")
    listed = ", ".join(quote(c) for c in columns)
    same = " and ".join(f"x.{quote(k)} is not distinct from d.{quote(k)}" for k in key) or "true"
    of = f"exists (select 1 from {_APART} d where {same} and d._kind"
    lacking = f"select 'u' as _op, {listed} from {_WANTED} x where {of} <> 'unexpected')"
    beyond = f"select 'd' as _op, {listed} from {held} x where {of} = 'unexpected')"
    return fix.cursor.sql(lacking if adds else f"{beyond} union all {lacking}").to_arrow_table()


def _held(runner: JobRunner, fix: Fixed, output: Output, view: View) -> tuple[str, bool]:
    """What the output shows of the view, and whether rows are only to be added to it."""
    if any(d.not_begun for d in runner.deliveries if d.name == output.name):
        # All that is there gives way to what is delivered first.
        return empty_relation(view.columns), True
    found = shown(runner, fix, output, view)
    adds = left_behind(fix, output) or ahead(fix, output, view.topic)
    return found.relation, found.others or adds
