"""Rows that tables and topics elsewhere refused: told by their keys, left out, sent again.

What is sent again is the key's present row, or that there is none: the row that was refused may be
long out of date. A topic of a stream is sent the very records.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.engines.batch.kept import keep
from headrace.engines.embedded.deliveries.outgoing import StreamRows
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import TABLE_ROLES, Output, View
from headrace.proof.corrections import commit
from headrace.proof.events import events_of
from headrace.proof.expected import expected_rows
from headrace.proof.fixed import Fixed, fixed
from headrace.proof.json_rows import columns_of, transformed
from headrace.proof.lacking import lacking
from headrace.proof.refused_keys import key_numbers, refused_any
from headrace.proof.refused_records import refused_records
from headrace.values.schema import literal, quote

_ANEW = "Begin a new generation: headrace state reset APP"


def leave_out(runner: JobRunner, fix: Fixed, output: Output, view: View, differences: str) -> int:
    """Takes rows out of the table `differences` whose keys `output` refused; how many."""
    if not refused_any(fix, output):
        return 0
    if output.role == "topic":
        rows = fix.cursor.sql(f"select *, rowid as _id from {differences}").to_arrow_table()
        fix.cursor.register("_excused", _of_refused_keys(runner, fix, output, rows))
        sql = f"delete from {differences} where rowid in (select _id from _excused)"
        row = fix.cursor.execute(sql).fetchall()[0]
        fix.cursor.unregister("_excused")
        return int(row[0])
    row = fix.cursor.execute(
        f"delete from {differences} d using {_keys(output, view)} r where {_same(output, 'd')}"
    ).fetchall()[0]
    return int(row[0])


def resend(runner: JobRunner) -> int:
    """Sends the present rows of all keys that were refused; how many rows and deletes.

    The job stands still for it: a later epoch may change these rows. What was noted of them is
    forgotten: who refuses them again says so again. Raises StateRefused where neither a lake nor
    the log holds the events to compute them from.
    """
    return runner.call(lambda: _resent(runner))


def _resent(runner: JobRunner) -> int:
    with fixed(runner) as fix:
        outputs = [o for o in runner.job.outputs if refused_any(fix, o)]
        _require_topics(runner, fix, outputs)
        corrections = [(o, _again(runner, fix, o)) for o in outputs]

    def forget(connection: duckdb.DuckDBPyConnection) -> None:
        # Deliveries let go of what is noted; of what is not there they would note it again.
        runner.note(connection)
        for output, _ in corrections:
            connection.execute(
                "delete from meta.refused_rows where destination = ? and epoch <= ?",
                [output.name, fix.epoch],
            )

    if corrections:
        commit(runner, corrections, forget)
    return sum(len(changes) for _, changes in corrections)


def _require_topics(runner: JobRunner, fix: Fixed, outputs: list[Output]) -> None:
    """Raises DestinationDown where a topic is down: what it shows decides what it is sent."""
    topics = {o.name for o in outputs if o.role == "topic"}
    for delivery in runner.deliveries:
        if delivery.name in topics.intersection(fix.undelivered):
            raise delivery.not_taken(
                "What it refused was not sent again. Mend that, then give the command again: "
                "headrace dead-letters replay APP"
            )


def _again(runner: JobRunner, fix: Fixed, output: Output) -> pa.Table:
    """What is sent again of all that `output` refused."""
    if output.role in TABLE_ROLES:
        return _present(runner, fix, output)
    if isinstance(runner.job.input_of(output), View):
        return _present_in_topic(runner, fix, output)
    return refused_records(runner, fix, output, _ANEW)


def _present_in_topic(runner: JobRunner, fix: Fixed, output: Output) -> pa.Table:
    """The rows that the refused keys have now, where the topic shows others, and deletes."""
    view = runner.job.input_of(output)
    as_of = fix.as_of(view.name, view.topic, output=output.name)
    without = f"the rows that topic {output.name} refused cannot be computed again"
    changes = lacking(runner, fix, output, without, _ANEW, as_of)
    return _of_refused_keys(runner, fix, output, changes)


def _of_refused_keys(runner: JobRunner, fix: Fixed, output: Output, rows: pa.Table) -> pa.Table:
    """Those of `rows` of a view, with its key, that have a key of records that a topic refused."""
    columns = runner.engine.readers[runner.job.input_of(output).topic].columns
    keys = StreamRows(runner.job, output, fix.cursor, columns).row_keys(rows)
    return rows.filter(key_numbers(fix, output, keys).is_valid())


def _present(runner: JobRunner, fix: Fixed, output: Output) -> pa.Table:
    """The rows that the refused keys have now; a delete for a key without one."""
    view = runner.job.input_of(output)
    assert isinstance(view, View)
    source = runner.job.source(view.topic)
    events = events_of(runner, fix, source)
    events.require(
        runner,
        source,
        f"the rows that {output.role} {output.name} refused cannot be computed again",
        _ANEW,
    )
    as_of = fix.as_of(view.name, source.topic)
    wanted = expected_rows(view, source, output, as_of, events, compared=False)
    keep(fix.cursor, "_proof_wanted", wanted)
    keys, same = _keys(output, view), _same(output, "w")
    columns = ", ".join(f"w.{quote(c.name)}" for c in view.columns)
    nulls = ", ".join(
        f"r.{quote(c.name)}" if c.name in output.key else f"null::{c.type} as {quote(c.name)}"
        for c in view.columns
    )
    upserts = f"select 'u' as _op, {columns} from _proof_wanted w semi join {keys} r on {same}"
    # A smaller key's row is withdrawn by its start too, which is not known here; it stays.
    deletes = (
        ""
        if output.order
        else (f" union all select 'd', {nulls} from {keys} r anti join _proof_wanted w on {same}")
    )
    return fix.cursor.sql(f"{upserts}{deletes}").to_arrow_table()


def _keys(output: Output, view: View) -> str:
    """A relation of the keys of the rows that `output` refused, with the view's types."""
    if not output.key:
        said = f"select 1 from meta.refused_rows where destination = {literal(output.name)}"
        return f"(select true where exists ({said}))"
    types = {c.name: c.type for c in view.columns if c.name in output.key}
    columns = ", ".join(f"{sql} as {quote(c)}" for c, sql in columns_of("j", types).items())
    return (
        f"(select distinct {columns} from (select {transformed('row', types)} as j "
        f"from meta.refused_rows where destination = {literal(output.name)}))"
    )


def _same(output: Output, alias: str) -> str:
    names = [quote(k) for k in output.key]
    return " and ".join(f"{alias}.{k} is not distinct from r.{k}" for k in names) or "true"
