"""What a new generation takes back of a topic of changes, before it tells its own.

Tables elsewhere are replaced in one delivery. Of a topic, a key that an earlier generation told and
this one never comes by (a session that other events join now) would stand for ever: each key that
the topic shows is deleted first.

The deletes go in pieces, so that none is too large, and each is a delivery of its own: as further
ones of the generation whose mark is there, behind that mark, with its offsets. The next start finds
a mark of an earlier generation again, and takes back what is still shown. Only the first rows bring
a mark of the new generation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from headrace.engines.embedded.deliveries.outgoing import RECORD
from headrace.engines.embedded.deliveries.shown import kept, records
from headrace.engines.embedded.deliveries.targets import target_of
from headrace.engines.embedded.epochs.engine import JobEngine
from headrace.plan.operators import Job, Output, View
from headrace.storage.contract import Mark
from headrace.storage.state.store import StateStore
from headrace.storage.systems import Systems
from headrace.values.schema import literal

PIECE_RECORDS = 100_000
"""How many rows are taken back in one delivery."""
_COUNTERS = ("sent", "landed")


@dataclass(frozen=True)
class Withdrawals:
    """Deletes (a key, a null value), piece by piece with the mark of each; to be gone through once.

    `rows` are as many as there are, `behind` is the mark that is there; the keys stand in a
    temporary table of `connection`.
    """

    connection: duckdb.DuckDBPyConnection
    rows: int
    behind: Mark

    def __iter__(self) -> Iterator[tuple[pa.Table, Mark]]:
        for number, first in enumerate(range(0, self.rows, PIECE_RECORDS), 1):
            keys = self.connection.sql(
                "select key from _taken_back "
                f"where nth between {first} and {first + PIECE_RECORDS - 1} order by nth"
            ).to_arrow_table()
            nothing = pa.nulls(keys.num_rows, pa.binary())
            piece = pa.table([keys.column("key").cast(pa.binary()), nothing], schema=RECORD)
            yield piece, replace(self.behind, epoch=self.behind.epoch + number)
        self.connection.execute("drop table _taken_back")


def begins_anew(job: Job, output: Output) -> bool:
    """Whether `output` is a topic that tells the changes of a view."""
    changes = output.role == "topic" and output.emit == "changes"
    return changes and isinstance(job.input_of(output), View)


def withdrawals(
    engine: JobEngine,
    systems: Systems,
    output: Output,
    connection: duckdb.DuckDBPyConnection,
    mark: Mark,
) -> Withdrawals | None:
    """Deletes of all rows that the topic shows behind `mark`; None where there are none.

    A record that is no row of the view is another's, and stays. So does everything where others are
    known to write there too: whose a row is, cannot be told then.
    """
    if not _load_shown(connection, systems, engine.job, output):
        return None
    connection.execute(
        "create or replace temp table _taken_back as select key, "
        "row_number() over (order by key) - 1 as nth from (select distinct key from (select key, "
        "arg_max(ours, place) as ours from _shown group by key, part) where ours)"
    )
    connection.execute("drop table _shown")
    ((rows,),) = connection.execute("select count(*) from _taken_back").fetchall()
    if not rows:
        return None
    # What lands is counted in the state a moment later: see `counted`.
    store, name = engine.store, output.name
    before = counted(store, name, mark, engine.ledger.generation)
    noted = {"epoch": mark.epoch, "rows": rows, "piece": PIECE_RECORDS, "before": before}
    with store.transaction():
        store.set_fact(_fact(name), json.dumps(noted))
    return Withdrawals(connection, rows, mark)


def counted(store: StateStore, output: str, mark: Mark, generation: int) -> dict[str, int]:
    """All rows sent and landed up to `mark`, but for those of this generation's own epochs.

    Where no mark of an epoch of this `generation` is noted in the state yet.
    """
    fact = store.fact(_fact(output))
    if fact is None:
        return {c: store.counters.value(("destination", output, c)) or 0 for c in _COUNTERS}
    noted = json.loads(fact)
    gone = int(noted["rows"])
    if mark.generation < generation:
        gone = min(gone, (mark.epoch - noted["epoch"]) * noted["piece"])
    return {counter: noted["before"][counter] + gone for counter in _COUNTERS}


def _fact(output: str) -> str:
    """The name under which the state keeps what is taken back of `output`, and what was before."""
    return f"taken back of {output}"


def _load_shown(
    connection: duckdb.DuckDBPyConnection, systems: Systems, job: Job, output: Output
) -> bool:
    """Makes the table `_shown` of the topic's last records by key; False where others write."""
    connection.execute(
        "create or replace temp table _shown (key blob, part integer, place bigint, ours boolean)"
    )
    columns = ", ".join(literal(c.name) for c in job.input_of(output).columns)
    ours = f"coalesce(try(json_keys(decode(value))) = [{columns}], false)"
    with systems.snapshots([target_of(job, output)]) as snapshots:
        snapshot = snapshots.get(output.name)
        if kept(systems, job, output, snapshot).others:
            return False
        for piece in records(systems, job, output, snapshot):
            connection.register("_piece", piece)
            connection.execute(
                'insert into _shown select key, "partition", "offset", '
                f"{ours} from _piece where key is not null "
                'qualify row_number() over (partition by key, "partition" order by "offset" desc) '
                "= 1"
            )
            connection.unregister("_piece")
    return True
