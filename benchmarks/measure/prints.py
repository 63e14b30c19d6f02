"""A print of all events that somebody has written: alike where the same events are there.

In any order, each as often; of the four members of an event, whatever else stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_MEMBERS = ("user_id", "page_url", "event_type")
OURS = {
    "lake": "from lake.activity",
    "enriched": "select e.* from (select from_json(value, '{"
    + ", ".join(f'"{name}": "VARCHAR"' for name in ("event_time", *_MEMBERS))
    + "}') as e from topic.enriched_activity)",
}


@dataclass(frozen=True)
class Print:
    """How many events there are, and the sum of what each comes to."""

    rows: int
    sum: str


def asking(rows: str) -> str:
    """SQL for the print of the events `rows`, times in UTC."""
    members = ", ".join(f"{name}::varchar" for name in _MEMBERS)
    return (
        "select count(*) as n, coalesce(sum(hash(epoch_us(event_time::timestamp),"
        f" {members})), 0)::varchar as s from ({rows})"
    )


def print_of(table: pa.Table) -> Print:
    """The answer to what `asking` asks."""
    return Print(int(table["n"][0].as_py()), str(table["s"][0].as_py()))
