"""One SELECT that finds where two relations of a view's rows differ."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.engines.batch.tolerance import RELATIVE, Kind, Tolerance
from headrace.values.schema import quote


def compare_sql(
    columns: Sequence[str],
    tolerance: Tolerance,
    expected: str,
    served: str,
    key: Sequence[str],
) -> str:
    """SELECT of the rows that differ: the key, `_kind` and `_columns`.

    `expected` and `served` are names of relations or parenthesised SELECTs with `columns`, among
    them the `key`. `_kind` is 'missing' (only expected), 'unexpected' (only served, or served
    twice) or 'different'; `_columns` lists the names of the columns that differ. Columns decided
    by floats and approximate quantiles are not compared.
    """
    values = [c for c in columns if c not in key]
    same = " and ".join(f"e.{quote(k)} is not distinct from s.{quote(k)}" for k in [*key, "_nth"])
    differing = [
        f"case when {_differs(c, tolerance.columns[c])} then {_text(c)} end"
        for c in values
        if tolerance.columns[c] in ("exact", "float")
    ]
    names = (
        f"list_filter([{', '.join(differing)}], lambda n: n is not null)"
        if differing
        else "[]::varchar[]"
    )
    keys = [
        f"case when e._nth is null then s.{quote(k)} else e.{quote(k)} end as {quote(k)}"
        for k in key
    ]
    kind = (
        "case when s._nth is null then 'missing' when e._nth is null then 'unexpected'"
        " else 'different' end as _kind"
    )
    return (
        f"select * from (select {', '.join([*keys, kind])},"
        f" case when e._nth is null or s._nth is null then []::varchar[] else {names} end"
        f" as _columns from {_numbered(expected, key)} e"
        f" full outer join {_numbered(served, key)} s on {same})"
        " where _kind <> 'different' or len(_columns) > 0"
    )


def _numbered(relation: str, key: Sequence[str]) -> str:
    """The rows with their number among those of an equal key, so that a second copy shows."""
    by = f"partition by {', '.join(quote(k) for k in key)}" if key else ""
    return f"(select *, row_number() over ({by}) as _nth from {relation})"


def _differs(column: str, kind: Kind) -> str:
    e, s = f"e.{quote(column)}", f"s.{quote(column)}"
    if kind == "exact":
        return f"{e} is distinct from {s}"
    near = f"abs({e} - {s}) <= {RELATIVE!r} * greatest(abs({e}), abs({s}))"
    finite = f"(isfinite({e}) and isfinite({s}) and {near})"
    return f"({e} is distinct from {s} and not coalesce({finite}, false))"


def _text(column: str) -> str:
    return "'" + column.replace("'", "''") + "'"
