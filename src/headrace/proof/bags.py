"""Rows of streams as bags: those that should be there, those that are, and which are apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.plan.operators import Named, Project, Stream
from headrace.proof.fixed import Fixed
from headrace.proof.report import SHOWN
from headrace.storage.state.store import one_row

APART = "_proof_apart"
# What no stream writes, each by itself: a tombstone, or what is no JSON.
_OTHER = "case when _foreign or _deleted then [_partition, _offset] end"


def stable(reader: Stream) -> list[str]:
    """The stream's columns that do not change from run to run."""
    named: list[Named] = list(reader.added)
    for step in reader.steps:
        if isinstance(step, Project):
            named += step.columns
    changing = {n.name for n in named if n.expression.changes_with_run}
    return [c.name for c in reader.columns if c.name not in changing]


def ours(wanted: str, columns: Sequence[str]) -> str:
    """Rows as they should be, with `_may_lack` (whether one may be absent), in one form with
    `there`; `columns` are quoted."""
    return (
        f"select {_listed(columns)}null::bigint[] as _o, 1 as _w, 0 as _h, _may_lack::integer as "
        f"_l, _partition as _p, _offset as _at from ({wanted})"
    )


def there(held: str, columns: Sequence[str]) -> str:
    """Rows that are there; with `_foreign` and `_deleted`, which ours never are."""
    return (
        f"select {_listed(columns)}{_OTHER} as _o, 0 as _w, 1 as _h, 0 as _l, "
        f"_partition as _p, _offset as _at from {held}"
    )


def digest(fix: Fixed, pieces: Iterable[str], columns: Sequence[str]) -> tuple[int, int]:
    """(number, sum of hashes) of all rows, which says quickly whether two bags of them are equal.

    Each piece is a SELECT of `ours` or `there`, good until the next one is asked for.
    """
    number = hashes = 0
    for piece in pieces:
        sql = f"select count(*), coalesce(sum(hash({_listed(columns)}_o)::hugeint), 0) from "
        row = one_row(fix.cursor.execute(f"{sql}({piece})"))
        assert row is not None
        number, hashes = number + int(row[0]), hashes + int(row[1])
    return number, hashes


def apart(fix: Fixed, wanted: str, held: str, columns: Sequence[str]) -> tuple[int, int]:
    """How many rows are (missing, unexpected). Of those that `_may_lack` none is missing.

    They stand in the table APART: `columns`, `_n` (greater than zero: so many are missing), `_held`
    (how many such rows are there), and where they stand.
    """
    mine, theirs = ours(wanted, columns), there(held, columns)
    listed = _listed(columns)
    equal = digest(fix, [mine], columns) == digest(fix, [theirs], columns)
    fix.cursor.execute(
        f"create or replace temp table {APART} as select {listed}"
        "sum(_w) - sum(_h) - greatest(0, least(sum(_l), sum(_w) - sum(_h))) as _n, "
        "sum(_h) as _held, max((_p, _at)) filter (where _h = 1) as _place, "
        "max((_p, _at)) filter (where _w = 1) as _record, _o "
        f"from ({mine} union all {theirs}) where {not equal} group by {listed}_o having _n <> 0"
    )
    return missing_rows(fix), fix.count(f"{APART} where _n < 0", "coalesce(-sum(_n), 0)")


def missing_rows(fix: Fixed) -> int:
    """How many rows of APART are missing."""
    return fix.count(f"{APART} where _n > 0", "coalesce(sum(_n), 0)")


def shown(fix: Fixed, kinds: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The first rows apart: a missing one with its source's record, another with its own place."""
    signs = [{"missing": 1, "unexpected": -1}[kind] for kind in kinds]
    if not signs:
        return ()
    rows = fix.cursor.sql(
        f"select * exclude (_held) from {APART} where sign(_n) in ({', '.join(map(str, signs))}) "
        f"order by _n, _place limit {SHOWN}"
    ).to_arrow_table()
    found = []
    for row in rows.to_pylist():
        number, other = row.pop("_n"), row.pop("_o")
        # DuckDB names the fields of a plain pair in its own way.
        place, record = row.pop("_place"), row.pop("_record")
        if number > 0:
            kind, names, at = "missing", ("source_partition", "source_offset"), record
        else:
            kind, names, at = "unexpected", ("partition", "offset"), place
        where = dict(zip(names, at.values(), strict=True))
        found.append({"_kind": kind, **where, **({} if other else row)})
    return tuple(found)


def _listed(columns: Sequence[str]) -> str:
    return "".join(f"{c}, " for c in columns)
