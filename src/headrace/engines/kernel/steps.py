"""A view's steps as SQL: every row stays, with a verdict, until somebody asks for those applied.

The chain ends where a `Dedupe` stands (it needs all rows before it and a memory) and begins
again behind it, so a list of steps becomes one or more chained SELECTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.engines.kernel import verdicts
from headrace.plan.operators import Explode, Expression, Filter, Named, Project, Step
from headrace.values.schema import quote

OWN = (
    "_row",
    "_pos",
    "_partition",
    "_offset",
    "_replay",
    "_time",
    "_seen",
    "_closed",
    "_processing_time",
)
"""Columns that every step passes on: identity, time, and the watermarks of a row.

`_seen` is the watermark that the record sees, `_closed` that or the source's, if greater.
"""


@dataclass
class Failures:
    """Expressions that may fail, by the index that their verdict carries."""

    texts: list[str] = field(default_factory=list)

    def add(self, expression: Expression) -> int:
        self.texts.append(expression.text)
        return len(self.texts) - 1


def begin_sql(events: str, columns: Sequence[str]) -> str:
    """Rows of `events` before the first step: nothing has been decided yet."""
    own = ", ".join("0::bigint as _pos" if c == "_pos" else c for c in OWN)
    named = "".join(f", {quote(c)}" for c in columns)
    return f"select {own}{named}, 0 as _verdict from {events}"


def step_sql(step: Step, index: int, rows: str, columns: Sequence[str], failures: Failures) -> str:
    """One step over `rows` (a SELECT); `columns` are its user columns. Not for Dedupe."""
    if isinstance(step, Filter):
        return _filter(step, index, rows, failures)
    if isinstance(step, Project):
        return project_sql(step.columns, rows, failures)
    assert isinstance(step, Explode)
    return _explode(step, index, rows, columns, failures)


def columns_after(step: Step, columns: Sequence[str]) -> tuple[str, ...]:
    """The user columns that a row has behind `step`."""
    if isinstance(step, Project):
        return tuple(c.name for c in step.columns)
    if isinstance(step, Explode):
        return (*(c for c in columns if c != step.name), step.name)
    return tuple(columns)


def _filter(step: Filter, index: int, rows: str, failures: Failures) -> str:
    """A row on which the condition is false or null is filtered; one on which it raises, failed."""
    condition = step.condition
    if not condition.can_fail:
        out = verdicts.code(verdicts.FILTERED, index)
        new = f"case when _verdict <> 0 then _verdict when ({condition.sql}) then 0 else {out} end"
        return f"select * replace (({new}) as _verdict) from ({rows})"
    failed = verdicts.code(verdicts.FAILED, failures.add(condition))
    out = verdicts.code(verdicts.FILTERED, index)
    new = (
        f"case when _verdict <> 0 then _verdict when _tried is null then {failed} "
        "when _tried.v then 0 " + f"else {out} end"
    )
    tried = f"case when _verdict = 0 then try(struct_pack(v := ({condition.sql}))) end as _tried"
    return (
        f"select * exclude (_tried) replace (({new}) as _verdict) from "
        f"(select *, {tried} from ({rows}))"
    )


def project_sql(columns: Sequence[Named], rows: str, failures: Failures) -> str:
    """`rows` with `columns` in place of their user columns; a row that one fails on is failed."""
    own = ", ".join(OWN)
    safe = [c for c in columns if not c.expression.can_fail]
    risky = [(c, failures.add(c.expression)) for c in columns if c.expression.can_fail]
    if not risky:
        named = "".join(f", ({c.expression.sql}) as {quote(c.name)}" for c in safe)
        return f"select {own}{named}, _verdict from ({rows})"
    tried = "".join(
        f", case when _verdict = 0 then try(struct_pack(v := ({c.expression.sql}))) end as _t{i}"
        for c, i in risky
    )
    made = "".join(f", ({c.expression.sql}) as {quote(c.name)}" for c in safe)
    failed = " ".join(
        f"when _t{i} is null then {verdicts.code(verdicts.FAILED, i)}" for _, i in risky
    )
    places = {c.name: f"_t{i}.v as {quote(c.name)}" for c, i in risky}
    named = "".join(f", {places.get(c.name, quote(c.name))}" for c in columns)
    verdict = f"case when _verdict <> 0 then _verdict {failed} else 0 end as _verdict"
    return (
        f"select {own}{named}, {verdict} from (select {own}{made}{tried}, _verdict from ({rows}))"
    )


def _explode(
    step: Explode, index: int, rows: str, columns: Sequence[str], failures: Failures
) -> str:
    """One row per element; a row whose list is empty or null stays as one, filtered."""
    failed = verdicts.code(verdicts.FAILED, failures.add(step.values))
    empty = verdicts.code(verdicts.FILTERED, index)
    own = ", ".join(c for c in OWN if c != "_pos")
    kept = "".join(f", {quote(c)}" for c in columns if c != step.name)
    listed = f"case when _verdict = 0 then try(struct_pack(v := ({step.values.sql}))) end as _l"
    verdict = (
        f"case when _verdict <> 0 then _verdict when _l is null then {failed} "
        f"when coalesce(len(_l.v), 0) = 0 then {empty} else 0 end"
    )
    count = "greatest(1, coalesce(len(_l.v), 0))"
    inner = f"select *, {listed} from ({rows})"
    spread = (
        f"select * exclude (_verdict), ({verdict}) as _verdict, unnest(range({count})) as _i "
        f"from ({inner})"
    )
    # Exploding twice must keep positions unique and in order.
    pos = "_pos * 1000000 + _i as _pos"
    element = f"case when _verdict = 0 then _l.v[_i + 1] end as {quote(step.name)}"
    return f"select {own}, {pos}{kept}, {element}, _verdict from ({spread})"
