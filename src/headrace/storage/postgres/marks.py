"""What PostgreSQL keeps of Headrace itself: marks, and rows that a table refused.

`headrace_marks` has a row per output, which is also the lock that deliveries of an output take.
Both tables stand in the schema of the tables they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.storage.contract import Mark, Refusal
from headrace.values.schema import quote

MARKS, REFUSED = "headrace_marks", "headrace_refused_rows"

_CREATE_MARKS = """
create table if not exists {place} (
    output text primary key,
    job text not null,
    incarnation bigint not null,
    generation bigint,
    epoch bigint,
    offsets jsonb,
    watermarks_us jsonb,
    sent_rows bigint not null default 0,
    landed_rows bigint not null default 0,
    opened_at timestamptz not null,
    delivered_at timestamptz
)"""
_CREATE_REFUSED = """
create table if not exists {place} (
    job text not null,
    output text not null,
    number bigint not null,
    position bigint not null,
    key text not null,
    "row" text not null,
    reason text not null,
    refused_at timestamptz not null,
    primary key (job, output, number, position)
)"""
_COMMENTS = {
    MARKS: "Headrace: the last delivery of each output, written in the transaction that landed it",
    REFUSED: "Headrace: rows that a table refused, as JSON, with the reason",
}
CREATE = {MARKS: _CREATE_MARKS, REFUSED: _CREATE_REFUSED}


@dataclass(frozen=True)
class Present:
    """The row of an output: who opened it last, and its mark (None: nothing delivered)."""

    job: str
    incarnation: int
    mark: Mark | None


@dataclass(frozen=True)
class Refused:
    """A row that was refused: where it stood in its delivery, its key and itself as JSON."""

    position: int
    key: str
    row: str
    reason: str


def create_sql(schema: str, name: str) -> list[str]:
    """The statements that make one of Headrace's own tables."""
    place = f"{quote(schema)}.{name}"
    comment = _COMMENTS[name].replace("'", "''")
    return [CREATE[name].format(place=place).strip(), f"comment on table {place} is '{comment}'"]


class Ledger:
    """Headrace's own tables in one schema, for one output of a job."""

    def __init__(self, schema: str, job: str, output: str) -> None:
        self.job, self.output = job, output
        # A percent sign in a statement with parameters is written twice.
        place = quote(schema).replace("%", "%%")
        self._marks, self._refused = f"{place}.{MARKS}", f"{place}.{REFUSED}"

    def read(self, connection: Any, *, lock: bool) -> Present | None:
        """The output's row, locked until the transaction ends if `lock`; None if there is none."""
        row = connection.execute(
            "select job, incarnation, generation, epoch, offsets::text, watermarks_us::text "
            f"from {self._marks} where output = %s" + (" for update" if lock else ""),
            (self.output,),
        ).fetchone()
        if row is None:
            return None
        job, incarnation, generation, epoch, offsets, watermarks = row
        if epoch is None:
            return Present(job, incarnation, None)
        mark = Mark(job, generation, epoch, json.loads(offsets), json.loads(watermarks))
        return Present(job, incarnation, mark)

    def begin(self, connection: Any, incarnation: int) -> None:
        """Makes the output's row, or takes it over for a greater incarnation."""
        connection.execute(
            f"insert into {self._marks} as m (output, job, incarnation, opened_at) "
            "values (%s, %s, %s, now()) on conflict (output) do update "
            "set incarnation = excluded.incarnation, opened_at = excluded.opened_at",
            (self.output, self.job, incarnation),
        )

    def forget(self, connection: Any) -> None:
        """Takes back the mark: what was delivered is not there any more."""
        connection.execute(
            f"update {self._marks} set generation = null, epoch = null "
            "where output = %s and job = %s",
            (self.output, self.job),
        )

    def write(self, connection: Any, mark: Mark, incarnation: int, sent: int, landed: int) -> None:
        """Replaces the mark and adds to the sums; the row is there and locked."""
        offsets = {topic: list(ends) for topic, ends in mark.offsets.items()}
        connection.execute(
            f"update {self._marks} set incarnation = %s, generation = %s, epoch = %s, "
            "offsets = %s::jsonb, watermarks_us = %s::jsonb, sent_rows = sent_rows + %s, "
            "landed_rows = landed_rows + %s, delivered_at = now() where output = %s",
            (
                incarnation,
                mark.generation,
                mark.epoch,
                json.dumps(offsets),
                json.dumps(dict(mark.watermarks_us)),
                sent,
                landed,
                self.output,
            ),
        )

    def refuse(self, connection: Any, number: int, rows: Sequence[Refused]) -> None:
        """Keeps the rows that were refused with a mark."""
        connection.cursor().executemany(
            f"insert into {self._refused} values (%s, %s, %s, %s, %s, %s, %s, now())",
            [
                (self.job, self.output, number, r.position, r.key, r.row, r.reason)
                for r in sorted(rows, key=lambda r: r.position)
            ],
        )

    def forget_refused(self, connection: Any) -> None:
        """Forgets the refused rows of the output: what it lacked is given to it anew."""
        connection.execute(
            f"delete from {self._refused} where job = %s and output = %s", (self.job, self.output)
        )

    def refused_count(self, connection: Any, number: int) -> int:
        """How many rows of the delivery `number` were refused."""
        counted = connection.execute(
            f"select count(*) from {self._refused} where job = %s and output = %s and number = %s",
            (self.job, self.output, number),
        ).fetchone()
        return int(counted[0])

    def refusals(self, connection: Any, after: int) -> list[Refusal]:
        """The rows refused with greater numbers, in order."""
        found = connection.execute(
            f'select number, "row", reason from {self._refused} where job = %s and output = %s '
            "and number > %s order by number, position",
            (self.job, self.output, after),
        ).fetchall()
        return [Refusal(number, row, reason) for number, row, reason in found]
