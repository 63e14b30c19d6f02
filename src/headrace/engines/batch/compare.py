"""One SELECT that finds where two relations of a view's rows differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.engines.batch.tolerance import RELATIVE, Kind, Tolerance, companion
from headrace.values.schema import literal, quote


def compare_sql(
    columns: Sequence[str],
    tolerance: Tolerance,
    expected: str,
    served: str,
    key: Sequence[str],
    *,
    allowances: bool = False,
    holds: str | None = None,
    strict: bool = False,
) -> str:
    """SELECT of the rows that differ: the key, `_kind` and `_columns`.

    `expected` and `served` are names of relations or parenthesised SELECTs with `columns`, among
    them the `key`. With `allowances` (`expected` was made with them) inexact columns are judged
    row by row; without, floats by their relative difference alone, others not at all. What is
    decided by inexact values is to be the same where it is certain, with `strict` everywhere: so
    are rows compared that are to be written.
    With `holds`, a condition over served rows, `expected` are marked candidates: one that is not
    certain need not be served, one that is possible may be where the condition takes it. `_kind` is
    'missing' (only expected), 'unexpected' (only served, or served twice) or
    'different'; `_columns` lists the names of the columns that differ.
    """
    same = " and ".join(f"e.{quote(k)} is not distinct from s.{quote(k)}" for k in [*key, "_nth"])
    judged = _Judged(allowances, holds is not None, strict)
    apart = {c: _apart(c, tolerance.columns[c], judged) for c in columns if c not in key}
    differing = [f"case when {sql} then {literal(c)} end" for c, sql in apart.items() if sql]
    names = f"list_filter([{', '.join(differing)}]::varchar[], lambda n: n is not null)"
    shown = [
        f"case when e._nth is null then s.{quote(k)} else e.{quote(k)} end as {quote(k)}"
        for k in key
    ]
    missing, unexpected = "'missing'", "e._nth is null"
    if holds is not None:
        missing = "case when e._sure then 'missing' end"
        unexpected += " or not (e._own or e._possible and s._holds)"
        served = f"(select *, {holds} as _holds from {served})"
    kind = (
        f"case when s._nth is null then {missing} when {unexpected} then 'unexpected'"
        " else 'different' end as _kind"
    )
    return (
        f"select * from (select {', '.join([*shown, kind])},"
        f" case when e._nth is null or s._nth is null then []::varchar[] else {names} end"
        f" as _columns from {_numbered(expected, key)} e"
        f" full outer join {_numbered(served, key)} s on {same})"
        " where _kind <> 'different' or len(_columns) > 0"
    )


def _numbered(relation: str, key: Sequence[str]) -> str:
    """The rows with their number among those of an equal key, so that a second copy shows."""
    by = f"partition by {', '.join(quote(k) for k in key)}" if key else ""
    return f"(select *, row_number() over ({by}) as _nth from {relation})"


@dataclass(frozen=True)
class _Judged:
    """By what a column is judged, as `compare_sql` is told."""

    allowances: bool
    candidates: bool
    strict: bool


def _apart(column: str, kind: Kind, judged: _Judged) -> str | None:
    """Condition: the two values are further apart than they may be; None: they may be anything."""
    e, s = f"e.{quote(column)}", f"s.{quote(column)}"
    apart = f"{e} is distinct from {s}"
    if kind == "exact" or (kind in ("decided", "rank") and judged.strict):
        return apart
    if kind == "float":
        near = f"isfinite({e}) and isfinite({s}) and abs({e} - {s}) <= "
        if judged.allowances:
            allowed = f"e.{quote(companion('allowed', column))}"
            # Of sums that leave the range of a float on their way, the order decides the outcome.
            near = f"isinf({allowed}) or {near}{allowed}"
        else:
            near += f"{RELATIVE!r} * greatest(abs({e}), abs({s}))"
    elif not judged.allowances:
        return None
    elif kind == "quantile":
        low, high = (f"e.{quote(companion(side, column))}" for side in ("low", "high"))
        near = f"{s} between {low} and {high}"
    elif kind == "decided":
        may = f"e.{quote(companion('may', column))}"
        # As a text a number may be any that lies between two of them.
        near = (
            f"e.{quote(companion('open', column))} or case when {s} is null "
            f"then len(list_filter({may}, lambda v: v is null)) > 0 "
            f"else {s} between list_min({may}) and list_max({may}) end"
        )
    else:
        near = "not e._ranked" if judged.candidates else "false"
    return f"({apart} and not coalesce({near}, false))"
