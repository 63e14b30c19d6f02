"""Tables given all their rows anew: what `verify` expects of them, as of the last epoch.

For a table elsewhere that lost more than the outbox holds (restored, failed over, dropped), for one
whose view was built again, and for one that moves into the state or out of it.
"""

from __future__ import annotations

import pyarrow as pa

from headrace.engines.batch.kept import keep
from headrace.engines.embedded.deliveries.filling import Unfilled, fill
from headrace.engines.embedded.runner import JobRunner
from headrace.plan.operators import View
from headrace.proof.events import Events, events_of
from headrace.proof.expected import expected_rows
from headrace.proof.fixed import Fixed, fixed
from headrace.values.schema import quote

_BATCH_ROWS = 50_000


def fill_tables(runner: JobRunner) -> None:
    """Fills what is `unfilled` of a runner, between two epochs.

    Raises StateRefused where neither a lake nor the log holds all events any more, and what the
    destinations raise.
    """
    events: dict[str, Events] = {}
    with fixed(runner) as fix:
        for table in list(runner.unfilled):
            output, topic = table.output, runner.job.input_of(table.output).topic
            source = runner.job.source(topic)
            if topic not in events:
                events[topic] = events_of(runner, fix, source)
            without = f"{output.role} {output.name} cannot be given its rows"
            if not events[topic].whole:
                raise events[topic].away(runner, without) or table.lack.refused(output)
            events[topic].require_accepted(source, without)
            _fill(runner, fix, table, events[topic])


def _fill(runner: JobRunner, fix: Fixed, table: Unfilled, events: Events) -> None:
    output, cursor = table.output, fix.cursor
    view = runner.job.input_of(output)
    assert isinstance(view, View)
    source = runner.job.source(view.topic)
    as_of = fix.as_of(view.name, source.topic)
    wanted = expected_rows(view, source, output, as_of, events, compared=False)
    keep(cursor, "_proof_filling", wanted)
    columns = ", ".join(quote(c.name) for c in view.columns)

    def rows() -> pa.RecordBatchReader:
        return cursor.sql(f"select {columns} from _proof_filling").to_arrow_reader(_BATCH_ROWS)

    fill(runner.engine, table, rows, events.origin, runner.tell, runner.clock.now_us())
    runner.filled(table)
    cursor.execute("drop table _proof_filling")
