"""What an earlier generation of the state left in an output, that this one would not write."""

from __future__ import annotations

import json

from headrace.engines.embedded.coverage import CORRECTED
from headrace.plan.operators import Output, View
from headrace.proof.fixed import Fixed, regions
from headrace.storage.state.store import one_row

NOTE = (
    "it holds rows of records that an earlier generation of the state read and this one did not, "
    "under the same keys"
)
NOT_BEGUN = (
    "it holds what an earlier generation of the state told; that goes with the first rows of this "
    "one"
)
STILL_CORRECTED = (
    "it holds what a recompute corrected before the state was reset; the next one brings both "
    "together: headrace recompute APP"
)


def left_behind(fix: Fixed, output: Output) -> bool:
    """Whether the output was given records by an earlier generation that this one has not read."""
    ends = "least(d.end_offset, r.end_offset)"
    overlap = f"greatest(0, {ends} - greatest(d.start_offset, r.start_offset))"
    row = one_row(
        fix.cursor.execute(
            "select count(*) from meta.delivered d where output = ? "
            f"and end_offset - start_offset > (select coalesce(sum({overlap}), 0) "
            "from meta.reads r where r.topic = d.topic and r.identity = d.identity "
            'and r."partition" = d."partition")',
            [output.name],
        )
    )
    return bool(row and row[0])


def still_corrected(fix: Fixed, view: View) -> bool:
    """Whether an earlier generation recomputed the view, and this one has not yet."""
    row = one_row(fix.cursor.execute("select value from meta.facts where name = ?", [CORRECTED]))
    return (
        row is not None and view.name in json.loads(row[0]) and not regions(fix.cursor, view.name)
    )
