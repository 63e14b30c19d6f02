"""What a job has made of a log, as two ways of reading it must agree on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from headrace.engines.batch.tolerance import tolerance
from headrace.plan.operators import Job, Output, View
from headrace.testing import Driver

Outcome = dict[str, Any]
COMPARED = "ways compared with one another"


def outcome(t: Driver) -> Outcome:
    """The rows of every destination but topics, in their exact columns; sums; dead letters."""
    found: Outcome = {}
    for job in t.plan.jobs:
        for output in job.outputs:
            if output.role != "topic":
                found[output.name] = _exact_rows(t, job, output)
        found[f"sums of {job.id}"] = t.runners[job.id].store.rows(
            "select kind, name, counter, value from meta.counters where value <> 0 and "
            "kind in ('source', 'view', 'view_rows') and counter <> 'failed_results' order by all"
        )
        letters = 'select topic, "partition", "offset", view, field, reason from dead_letters'
        found[f"letters of {job.id}"] = t.query(f"{letters} order by all", job=job.id)
    return found


def _exact_rows(t: Driver, job: Job, output: Output) -> list[str]:
    reader = job.input_of(output)
    names = {c.name for c in reader.columns}
    if isinstance(reader, View):
        kinds = tolerance(reader).columns
        names = {name for name in names if kinds[name] == "exact"}
    rows = [{k: v for k, v in row.items() if k in names} for row in t.rows(output.name)]
    return sorted(repr(row) for row in rows)


def same(found: Outcome, wanted: Outcome, way: str) -> bool:
    """Compares two; whether there was something to compare: of some logs nothing can be said."""
    if not (found and wanted):
        return False
    assert found.keys() == wanted.keys(), way
    for what in wanted:
        left, right = (Counter(map(str, one[what])) for one in (found, wanted))
        assert left == right, (
            f"{way}: {what}: not wanted: {_some(left - right)}, missing: {_some(right - left)}"
        )
    return True


def _some(rows: Counter[str]) -> list[str]:
    return [row[:1000] for row in list(rows)[:2]]
