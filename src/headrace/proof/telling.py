"""Lakes and topics of views that lack some of their rows: they are told, as corrections.

So it is with an output that is added to a view which is there already, and with those of a view
that was built again. Invariant: from before such a one is first delivered to, until the transaction
with its corrections, the state holds a fact that says so.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.engines.embedded.epochs.places import fill_fact
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import TABLE_ROLES, Output, View
from headrace.proof.corrections import Correction, commit
from headrace.proof.earlier import ahead
from headrace.proof.filling import fill_tables
from headrace.proof.fixed import Fixed, fixed, left_out_fact
from headrace.proof.lacking import lacking


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
    view = runner.job.input_of(output)
    return lacking(
        runner,
        fix,
        output,
        f"{output.role} {output.name} lacks rows of view {view.name}, and they cannot be computed "
        "again",
        "Take it out of the app, or begin a new generation: headrace state reset APP",
    )
